"""How many pictures lie beside a package, and how a source's reach the model."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.data.framing import Frame
from fcrn_mobile.errors import InputError
from fcrn_mobile.validation import host_outputs as module
from fcrn_mobile.validation.host_outputs import LIMIT, host_outputs
from fcrn_mobile.validation.phone import common_view


def runtime(size: tuple[int, int], framing: str = "stretch", name: str = "net") -> Any:
    return SimpleNamespace(
        name=name,
        input_size=size,
        contract=SimpleNamespace(framing=framing, depth="metres"),
        metadata={},
        predict=lambda picture: picture[..., 0].astype(np.float32),
    )


@pytest.mark.parametrize(("size", "frames"), [((4, 6), 8), ((200, 200), 2), ((400, 400), 1)])
def test_pictures_and_outputs_stay_below_a_mebibyte(size: tuple[int, int], frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [np.random.default_rng(seed).integers(0, 256, (30, 50, 3), np.uint8) for seed in range(20)]
    monkeypatch.setattr(module, "open_runtime", lambda *_, **__: runtime(size))
    source = [SimpleNamespace(image=image, name=str(number)) for number, image in enumerate(images)]
    monkeypatch.setattr(module, "open_images", lambda data: source)
    outputs = host_outputs(Path("net.mlpackage"))
    assert LIMIT == 1048576
    assert len(outputs.frames) == frames, f"{size[0] * size[1] * (3 + 2 * 4)} bytes each"
    assert outputs.tolerance == 0.01
    for frame in outputs.frames:
        np.testing.assert_array_equal(frame.picture, Frame((30, 50), size, "stretch").fill(images[int(frame.name)]))
        assert list(frame.outputs) == ["float32", "float16"]


@pytest.mark.parametrize("other", [runtime((4, 8), name="b"), runtime((4, 6), "crop", "b")])
def test_models_of_other_sizes_or_framings_are_not_shown_the_same(other: Any) -> None:
    same = runtime((4, 6))
    assert common_view([same, same], "stretch") == "stretch"
    with pytest.raises(InputError, match="'b' and 'net' take other sizes or framings"):
        common_view([same, same, other], "stretch")
