"""How many pictures lie beside a package, and how a source's reach the model."""

import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fcrn_mobile
from fcrn_mobile.data.framing import Frame
from fcrn_mobile.errors import InputError
from fcrn_mobile.package.metadata import Metadata, key
from fcrn_mobile.validation import host_outputs as module
from fcrn_mobile.validation import phone
from fcrn_mobile.validation.host_outputs import LIMIT, HostFrame, HostOutputs, host_outputs
from fcrn_mobile.validation.phone import common_view, phone_frames


def runtime(size: tuple[int, int], framing: str = "stretch", name: str = "net") -> Any:
    return SimpleNamespace(
        name=name,
        input_size=size,
        contract=SimpleNamespace(framing=framing, depth="metres"),
        metadata={},
        predict=lambda picture: picture[..., 0].astype(np.float32),
    )


IMAGES = [np.random.default_rng(seed).integers(0, 256, (30, 50, 3), np.uint8) for seed in range(20)]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., HostOutputs]:
    """What a runtime makes of twenty pictures in each arithmetic; it may see another one in half precision."""

    def run(each: Any, half: Any = None, images: list[np.ndarray] = IMAGES, **options: Any) -> HostOutputs:
        def opened(path: str, backend: str, arithmetic: str, model_config: Path | None) -> Any:
            assert (path, backend, model_config) == ("net.mlpackage", "mil", options.get("model_config"))
            return half if half and arithmetic == "float16" else each

        source = [SimpleNamespace(image=image, name=str(number)) for number, image in enumerate(images)]
        monkeypatch.setattr(module, "open_runtime", opened)
        monkeypatch.setattr(module, "open_images", lambda data: source if data == options.get("data", "sample") else None)
        return host_outputs(Path("net.mlpackage"), **options)

    return run


@pytest.mark.parametrize(
    ("size", "numbers"), [((4, 6), [0, 3, 5, 8, 11, 14, 16, 19]), ((200, 200), [0, 19]), ((299, 318), [0]), ((400, 400), [0])]
)
@pytest.mark.parametrize(("own", "asked"), [("stretch", None), ("crop", None), ("stretch", "crop"), ("crop", "letterbox")])
def test_pictures_and_outputs_stay_below_a_mebibyte(
    size: tuple[int, int], numbers: list[int], own: str, asked: Any, shown: Callable[..., HostOutputs]
) -> None:
    outputs = shown(runtime(size, own), framing=asked)
    assert LIMIT == 1048576
    assert [int(frame.name) for frame in outputs.frames] == numbers, f"{size[0] * size[1] * (3 + 2 * 4)} bytes each"
    assert (outputs.tolerance, outputs.units, outputs.data, outputs.model) == (0.01, "metres", "sample", "net")
    for frame in outputs.frames:
        np.testing.assert_array_equal(frame.picture, Frame((30, 50), size, asked or own).fill(IMAGES[int(frame.name)]))
        assert list(frame.outputs) == ["float32", "float16"]
        np.testing.assert_array_equal(frame.outputs["float16"], frame.picture[..., 0])


def test_all_of_few_pictures_are_shown(shown: Callable[..., HostOutputs]) -> None:
    assert [frame.name for frame in shown(runtime((4, 6)), images=IMAGES[:3], data="folder:a").frames] == ["0", "1", "2"]


@pytest.mark.parametrize(("budget", "tolerance"), [({"fidelity": "0.05"}, 0.05), ({"abs_rel": "1%"}, 0.01), ({}, 0.01), (None, 0.01)])
def test_a_package_is_held_to_its_own_budget(budget: Any, tolerance: float, shown: Callable[..., HostOutputs]) -> None:
    each = runtime((4, 6))
    each.metadata = {key("recipe"): json.dumps({"name": "a"} | ({} if budget is None else {"budget": budget}))}
    each.contract.depth = "scale"
    outputs = shown(each, model_config=Path("own.toml"))
    assert (outputs.tolerance, outputs.units, outputs.metadata) == (tolerance, "up to scale", Metadata.from_dict(each.metadata))


@pytest.mark.parametrize("number", [0, 19])
@pytest.mark.parametrize("both", [False, True])
def test_depth_that_is_no_number_is_named(number: int, both: bool, shown: Callable[..., HostOutputs]) -> None:
    bad = runtime((30, 50))
    bad.predict = lambda picture: np.where(np.arange(50) == 3 if np.array_equal(picture, IMAGES[number]) else False, np.nan, 1.0)
    with pytest.raises(InputError, match=f"no finite number for '{number}' of sample"):
        shown(bad if both else runtime((30, 50)), bad)


def test_the_app_reads_bytes_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = IMAGES[0][:4, :6]
    depths = {"float32": np.arange(6, dtype=np.float64).reshape(2, 3), "float16": np.arange(6, dtype=np.float32).reshape(3, 2).T}
    frame = HostFrame("a", picture, depths)  # type: ignore[arg-type]
    monkeypatch.setattr(module, "package_hash", lambda path: f"hash of {path}")
    for told in (Metadata(), Metadata(checkpoint_sha256="ab", recipe='{"name": "b"}')):
        outputs = HostOutputs("net", [frame, frame], "sample", "metres", 0.05, told)
        file = outputs.write(tmp_path / "net.1.mlpackage", Path("source"))
        assert file == tmp_path / "net.1.fidelity.json"
        content = json.loads(file.read_text())
        frames = content.pop("frames")
        rest = {} if told == Metadata() else {"checkpoint_sha256": "ab", "recipe": {"name": "b"}}
        assert content == rest | {
            "schema_version": 1,
            "model": "net",
            "exported_sha256": "hash of source",
            "package_sha256": f"hash of {tmp_path / 'net.1.mlpackage'}",
            "versions": {"fcrn-mobile": fcrn_mobile.__version__},
            "hosts": {each: f"MIL runtime, simulated {each} arithmetic" for each in depths},
            "data": "sample",
            "unit": "metres",
            "rule": "mean |candidate - reference| / reference of the depth maps",
            "tolerance_abs_rel": 0.05,
            "input_size": [4, 6],
            "output_size": [2, 3],
        }
        assert [each["name"] for each in frames] == ["a", "a"]
        assert np.frombuffer(b64decode(frames[1]["rgb"]), np.uint8).tolist() == picture.flatten().tolist()
        for name, depth in depths.items():
            assert np.frombuffer(b64decode(frames[1][name]), "<f4").tolist() == depth.flatten().tolist()


@pytest.mark.parametrize("other", [runtime((4, 8), name="b"), runtime((4, 6), "crop", "b")])
def test_models_of_other_sizes_or_framings_are_not_shown_the_same(other: Any) -> None:
    same = runtime((4, 6))
    assert common_view([same], "stretch") == common_view([same, same], "stretch") == "stretch"
    with pytest.raises(InputError, match="'b' and 'net' take other sizes or framings"):
        common_view([same, same, other], "stretch")


def test_pictures_are_cut_for_what_the_models_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone, "phone_view", lambda *asked: asked)
    models: Any = [runtime((4, 6), "crop"), runtime((4, 6), "crop")]
    assert phone_frames("source", models, "phone-portrait") == ("source", (4, 6), "crop", "phone-portrait")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="--framing 'sideways' is none"):
        phone_frames("source", models, "sideways")  # type: ignore[arg-type]
