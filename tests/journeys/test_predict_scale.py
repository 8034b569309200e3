"""``predict --scale-from``: metres by a tape measure, written and said."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

import fcrn_mobile.runtimes
from fcrn_mobile.cli.main import main
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.network.forms import parse_network
from tests.journeys.command import Result, refused
from tests.journeys.test_predict_results import Fake, picture

Call = Callable[..., Result]
#: 6×8 for pictures of 12×16: a column of the map is two of the picture.
RAMP = np.linspace(1, 2, 8, dtype=np.float32)[None].repeat(6, axis=0)


@pytest.fixture
def sees(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Pictures, and a runtime that sees a ramp in them, of depth up to a scale unless said otherwise."""
    for name in "ab":
        picture(tmp_path / f"{name}.png")

    def opens(values: np.ndarray = RAMP, depth: str = "scale") -> None:
        runtime = Fake(values)
        runtime.contract = DepthContract(depth=depth)  # type: ignore[arg-type]
        if depth != "metres":
            runtime.metadata = {"fcrn_mobile.output_units": "up to scale"}
        monkeypatch.setattr(fcrn_mobile.runtimes, "open_runtime", lambda *words, **others: runtime)

    return opens


def written(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(float) / 1000


def test_one_distance_is_a_scale_for_all_pictures(call: Call, sees, tmp_path: Path) -> None:
    sees()
    # Pixel 4 lies a quarter of a column right of the middle of column 2: 1 + (4.5 / 2 - 0.5) / 7 = 1.25.
    result = call("predict", "m", "a.png", "b.png", "--out", "out", "--scale-from", "4,5=250cm", "--json", "facts.json")
    assert result.returncode == 0, result.stderr
    for name in "ab":
        np.testing.assert_allclose(written(tmp_path / "out" / f"{name}.depth.png"), RAMP * 2, atol=6e-4)
    assert "2.00 to 4.00 m" in result.stdout
    assert "metres = 2 · depth, by the distances of --scale-from\n" in result.stdout
    assert "for metres in a package, export the network that 'm' was made of with --scale 2\n" in result.stdout
    assert "up to a scale only" not in result.stdout
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert (facts["metric"], facts["camera"]) == (True, None)
    assert facts["scale"] == {"scale": pytest.approx(2), "shift": 0, "of": "depth"}


@pytest.mark.parametrize("model", ["net of mine.safetensors", "builtin", "meter:xxs?weights=a b&config=c.toml"])
def test_the_next_command_can_be_pasted(call: Call, sees, model: str) -> None:
    sees()
    result = call("predict", model, "a.png", "--out", "out", "--scale-from", "4,5=250cm")
    program, command, *words = shlex.split(result.stdout.partition("\nnext: ")[2].splitlines()[0])
    assert program == "fcrn-mobile"
    parser = main.get_command(click.Context(main), command)
    assert parser is not None
    given = parser.make_context(command, words).params
    assert (parse_network(given["model"]), given["scale"], given["out"]) == (parse_network(model), 2, Path("fake-metres.mlpackage"))


def test_two_distances_are_scale_and_shift(call: Call, sees, tmp_path: Path) -> None:
    sees()
    ends = ("--scale-from", "0,0=1m", "--scale-from", "15,11=5m")
    result = call("predict", "m", "a.png", "--out", "out", *ends)
    assert result.returncode == 0, result.stderr
    np.testing.assert_allclose(written(tmp_path / "out" / "a.depth.png"), 4 * RAMP - 3, atol=6e-4)
    assert "metres = 4 · depth - 3, by" in result.stdout
    assert "in a package" not in result.stdout
    sees(1 / RAMP + 5, "inverse")
    inverse = call("predict", "m", "a.png", "--out", "out", "--force", "--scale-from", "0,0=2m", "--scale-from", "15,11=4m")
    assert inverse.returncode == 0, inverse.stderr
    np.testing.assert_allclose(written(tmp_path / "out" / "a.depth.png"), 2 * RAMP, atol=2e-3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scale-from", "4,5=2"], "2 has no unit"),
        (["--scale-from", "16,5=2m"], "pixel 16,5 of --scale-from lies outside of 'a.png', whose x go from 0 to 15 and y from 0 to 11"),
        (["--scale-from", "0,0=2m"], "pixel 0,0 of --scale-from has no depth in 'a.png'"),
        (["--scale-from", "4,5=2m", "--scale-from", "5,6=1m"], "what is farther by the tape is nearer"),
        (["--scale-from", "4,5=2m", "--fx", "500"], "--fx has nothing to do"),
    ],
)
def test_bad_distances_are_one_line_and_leave_nothing(call: Call, sees, tmp_path: Path, words: list[str], message: str) -> None:
    values = RAMP.copy()
    values[0, 0] = 0
    sees(values)
    refused(call("predict", "m", "a.png", "--out", "out", *words), message)
    assert not (tmp_path / "out").exists()


def test_inverse_depth_has_a_scale_for_each_picture(call: Call, sees) -> None:
    sees(RAMP, "inverse")
    refused(call("predict", "m", "a.png", "b.png", "--out", "out", "--scale-from", "4,5=2m"), "of 'a.png' alone: predict each picture")


def test_a_video_has_no_pixel_to_measure_at(call: Call, sees, tmp_path: Path) -> None:
    sees()
    (tmp_path / "clip.mp4").write_bytes(b"")
    refused(call("predict", "m", "clip.mp4", "--out", "out", "--scale-from", "4,5=2m"), "'clip.mp4' is a video: name a picture first")
