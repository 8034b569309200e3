"""What ``predict`` writes and says for depth that is no depth, pictures that are no photos, and names that are no text."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fcrn_mobile.runtimes
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.mil.overflow import Overflow
from fcrn_mobile.package.metadata import Metadata
from tests.clips import cut, index_first, waves, write_clip
from tests.journeys.command import Result, refused

Call = Callable[..., Result]
#: What a network might see, in metres, from the brightness of a picture's first pixel.
GOOD = np.linspace(1, 3, 12).reshape(3, 4).astype(np.float32)


class Fake:
    """A network whose depth is given."""

    name, path, backend, input_size = "fake", Path("fake"), "torch", (3, 4)

    def __init__(self, *maps: np.ndarray, **metadata: str) -> None:
        self.maps = list(maps)
        self.metadata = metadata
        self.contract = Metadata.from_dict(metadata).depth_contract() or DepthContract()

    def predict(self, image: np.ndarray) -> np.ndarray:
        return self.maps.pop(0) if len(self.maps) > 1 else self.maps[0]


class Overflowing(Fake):
    def first_overflow(self, image: np.ndarray) -> Overflow:
        return Overflow("conv_3", "conv", 70_000)


@pytest.fixture
def sees(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fake], None]:
    """Make ``predict`` open a given runtime."""
    return lambda runtime: monkeypatch.setattr(fcrn_mobile.runtimes, "open_runtime", lambda model, backend, model_config: runtime)


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (16, 12)) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new(mode, size, 90 if mode == "L" else None).save(path)


def partly(value: float) -> np.ndarray:
    depth = GOOD.copy()
    depth[0, 0] = value
    return depth


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_ranges_are_over_finite_depth_and_the_rest_is_said(value: float, sees, call: Call, tmp_path) -> None:
    picture(tmp_path / "a.png")
    sees(Fake(partly(value)))
    near = float(GOOD[0, 1])
    result = call("predict", "m", "a.png", "--out", "o", "--pointcloud", "--fov", "60")
    assert result.returncode == 0, result.stderr
    assert f"a.png: {near:.2f} to 3.00 m, 8.3 % of pixels not finite" in result.stdout
    assert "(11 points)" in result.stdout
    millimetres = np.asarray(Image.open(tmp_path / "o/a.depth.png"))
    np.testing.assert_array_equal(millimetres, np.where(np.arange(12).reshape(3, 4) == 0, 0, np.rint(GOOD * 1000)))
    right = np.asarray(Image.open(tmp_path / "o/a.png"))[:, 16:]
    assert len(set(right[0, 0].tolist())) == 1, "gray where nothing was seen"
    (entry,) = json.loads(call("predict", "m", "a.png", "--out", "o", "--force", "--json", "-").stdout)["results"]
    assert entry["metres"] == [near, 3.0]
    assert entry["not_finite"] == pytest.approx(1 / 12)


@pytest.mark.parametrize(("value", "words"), [(np.nan, ["nowhere finite"]), (np.inf, ["nowhere finite"]), (0, ["0 to 0", "above zero"])])
def test_depth_that_is_none_is_a_failure_that_leaves_nothing(value: float, words: list[str], sees, call: Call, tmp_path) -> None:
    picture(tmp_path / "a.png")
    sees(Fake(np.full((3, 4), value, np.float32)))
    refused(call("predict", "m", "a.png", "--out", "o"), "'a.png'", *words)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_failure_names_the_tensor_that_ran_over_and_keeps_the_results_before_it(sees, call: Call, tmp_path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / f"{name}.png")
    sees(Overflowing(GOOD, GOOD * np.nan))
    refused(call("predict", "m", "a.png", "b.png", "--out", "o"), "'b.png'", "'conv_3' (conv of values up to 7e+04)")
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["a.depth.png", "a.png"]


def test_the_files_of_a_picture_come_together_or_not_at_all(sees, call: Call, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fcrn_mobile.report import predictions

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device", "o/a.depth.png")

    picture(tmp_path / "a.png")
    sees(Fake(GOOD))
    monkeypatch.setattr(predictions, "save_depth_png", full)
    for passing_over in ([], ["--skip-bad"]):
        refused(call("predict", "m", "a.png", "--out", "o", *passing_over), "No space left on device")
        assert not (tmp_path / "o").exists()


def test_results_are_not_overwritten_without_force_and_nothing_is_done_before(sees, call: Call, tmp_path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    sees(Fake(GOOD))
    options = ("--pointcloud", "--fov", "60")
    assert call("predict", "m", "a.png", "b.png", "--out", "o", *options).returncode == 0
    results = {path.name: path.read_bytes() for path in (tmp_path / "o").iterdir()}
    assert sorted(results) == ["a.depth.png", "a.ply", "a.png", "b.depth.png", "b.ply", "b.png"]
    for name in results:
        for path in (tmp_path / "o").iterdir():
            path.unlink()
        (tmp_path / "o" / name).write_bytes(b"mine")
        refused(call("predict", "m", "a.png", "b.png", "--out", "o", *options), f"'o/{name}' exists", "--force")
        assert [path.name for path in (tmp_path / "o").iterdir()] == [name]
        assert (tmp_path / "o" / name).read_bytes() == b"mine"
    assert call("predict", "m", "a.png", "b.png", "--out", "o", *options, "--force").returncode == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "o").iterdir()} == results


def test_a_video_is_not_overwritten_without_force(sees, call: Call, tmp_path) -> None:
    write_clip(tmp_path / "clip.mov", waves(1, 32, 32))
    (tmp_path / "o").mkdir()
    (tmp_path / "o/clip.mp4").write_bytes(b"mine")
    sees(Fake(GOOD))
    refused(call("predict", "m", "clip.mov", "--out", "o"), "'o/clip.mp4' exists", "--force")
    assert call("predict", "m", "clip.mov", "--out", "o", "--force").returncode == 0
    assert (tmp_path / "o/clip.mp4").read_bytes() != b"mine"


def test_a_json_that_cannot_be_written_is_refused_before_any_work(sees, call: Call, tmp_path) -> None:
    picture(tmp_path / "a.png")
    sees(Fake(GOOD))
    for target, word in (("nowhere/r.json", "'nowhere'"), (".", "is a folder")):
        refused(call("predict", "m", "a.png", "--out", "o", "--json", target), "--json", word)
        assert not (tmp_path / "o").exists()
    assert call("predict", "m", "a.png", "--out", "o", "--json", "o/r.json").returncode == 0
    assert json.loads((tmp_path / "o/r.json").read_text())["results"]


def test_full_size_depth_has_the_pictures_size_and_the_table_the_networks_range(sees, call: Call, tmp_path) -> None:
    picture(tmp_path / "a.png", size=(40, 30))
    sees(Fake(GOOD))
    small = call("predict", "m", "a.png", "--out", "small").stdout
    large = call("predict", "m", "a.png", "--out", "large", "--full-size").stdout
    assert large == small.replace("small/", "large/")
    assert Image.open(tmp_path / "small/a.depth.png").size == (4, 3)
    depth = np.asarray(Image.open(tmp_path / "large/a.depth.png")) / 1000
    assert depth.shape == (30, 40)
    # Bilinear by hand: pixel centres of the large map in the small one, clamped at the border.
    rows, columns = ((np.arange(large) + 0.5) * small / large - 0.5 for large, small in ((30, 3), (40, 4)))
    by_columns = np.stack([np.interp(columns, np.arange(4), row) for row in GOOD])
    expected = np.stack([np.interp(rows, np.arange(3), column) for column in by_columns.T], axis=1)
    np.testing.assert_allclose(depth, expected, atol=6e-4)
    write_clip(tmp_path / "clip.mp4", waves(1, 32, 32))
    refused(call("predict", "m", "clip.mp4", "--out", "x", "--full-size"), "--full-size is for pictures")


def test_gray_pictures_do_not_stop_a_folder_and_are_said_once(sees, call: Call, tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    for name, mode in (("a", "L"), ("b", "RGB"), ("c", "1"), ("d", "LA"), ("e", "P"), ("f", "RGBA"), ("g", "L")):
        picture(tmp_path / "in" / f"{name}.png", mode)
    sees(Fake(GOOD))
    result = call("predict", "m", "in", "--out", "o")
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "o").iterdir())) == 14
    assert call("predict", "m", "in", "--out", "p").returncode == 0
    assert ["'in/a.png' is a grayscale image" in said for said in caplog.messages] == [True, True], "once in each run"


def damaged(folder: Path) -> None:
    """A good picture and a good video, each beside those that cannot be read."""
    picture(folder / "a.png")
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:40])
    picture(folder / "c.tif", "F")
    (folder / "d.jpg").write_text("hello")
    write_clip(folder / "e.mp4", waves(2, 32, 32))
    (folder / "f.mp4").write_text("hello")
    cut(index_first(write_clip(folder / "whole.mp4", waves(10, 32, 32)), folder / "g.mp4"), 0.8)


def test_bad_inputs_are_passed_over_counted_and_named(sees, call: Call, tmp_path) -> None:
    damaged(tmp_path)
    sees(Fake(GOOD))
    names = ["a.png", "b.png", "c.tif", "d.jpg", "e.mp4", "f.mp4", "g.mp4"]
    stopped = call("predict", "m", *names, "--out", "o")
    refused(stopped, "'b.png'", "--skip-bad")
    result = call("predict", "m", *names, "--out", "o", "--skip-bad", "--json", "o/r.json")
    assert result.returncode == 0, result.stderr
    first, *lines = result.stderr.splitlines()
    assert first == "passed over 5 of 7 inputs:"
    bad = ["b.png", "c.tif", "d.jpg", "f.mp4", "g.mp4"]
    assert all(f"'{name}'" in line for name, line in zip(bad, lines, strict=True))
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["a.depth.png", "a.png", "e.mp4", "r.json"]
    said = json.loads((tmp_path / "o/r.json").read_text())
    assert [entry["input"] for entry in said["skipped"]] == bad
    assert all(entry["reason"] for entry in said["skipped"])
    assert [entry.get("image") or entry.get("video") for entry in said["results"]] == ["a.png", "e.mp4"]


def test_pictures_without_depth_are_passed_over_too_and_all_of_them_are_a_failure(sees, call: Call, tmp_path) -> None:
    for name in ("a", "b", "c"):
        picture(tmp_path / f"{name}.png")
    sees(Fake(GOOD, GOOD * np.nan, GOOD))
    result = call("predict", "m", "a.png", "b.png", "c.png", "--out", "o", "--skip-bad")
    assert result.returncode == 0
    assert [line.split(":")[0] for line in result.stdout.splitlines()[:2]] == ["a.png", "c.png"]
    assert "passed over 1 of 3" in result.stderr
    sees(Fake(GOOD * np.nan))
    refused(call("predict", "m", "a.png", "b.png", "--out", "p", "--skip-bad"), "none of 2 inputs", "'a.png'")
    assert not (tmp_path / "p").exists()
    (tmp_path / "x.png").write_text("hello")
    refused(call("predict", "m", "x.png", "--out", "p", "--skip-bad"), "'x.png'")


def test_no_missing_library_is_passed_over_as_a_bad_file(sees, call: Call, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png")
    write_clip(tmp_path / "clip.mp4", waves(1, 32, 32))
    sees(Fake(GOOD))
    monkeypatch.setitem(sys.modules, "av", None)
    refused(call("predict", "m", "a.png", "clip.mp4", "--out", "o", "--skip-bad"), "fcrn-mobile[video]")


@pytest.mark.parametrize(
    ("metadata", "line", "camera"),
    [
        (
            {"fcrn_mobile.training_data": "nyu-mat:nyu.mat#train"},
            "metres hold for the camera of NYU Depth V2 (focal length 518.9 px at 640 px width); with another",
            {"data": "NYU Depth V2", "focal_px": 518.9, "width_px": 640},
        ),
        ({}, "metres hold for the camera of its training data; with another", {"data": "", "focal_px": None, "width_px": None}),
        ({"fcrn_mobile.output_units": "up to scale", "fcrn_mobile.training_data": "nyu-mat:x"}, "known up to a scale only", None),
    ],
)
def test_whose_metres_they_are(metadata: dict[str, str], line: str, camera: dict | None, sees, call: Call, tmp_path) -> None:
    picture(tmp_path / "a.png")
    sees(Fake(GOOD, **metadata))
    said = call("predict", "m", "a.png", "--out", "o").stdout
    assert line in said.splitlines()[-1]
    assert ("metres hold for" in said) == (camera is not None)
    assert json.loads(call("predict", "m", "a.png", "--out", "o", "--force", "--json", "-").stdout)["camera"] == camera


def test_the_builtin_network_knows_its_camera(call: Call, tmp_path) -> None:
    picture(tmp_path / "a.png")
    assert "the camera of NYU Depth V2 (focal length 518.9 px" in call("predict", "builtin", "a.png", "--out", "o").stdout


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS keeps no name that is not UTF-8")
def test_names_that_are_not_utf_8_do_not_end_in_a_traceback(sees, call: Call, tmp_path) -> None:
    name = os.fsdecode(b"caf\xe9")
    picture(tmp_path / f"{name}.png")
    write_clip(tmp_path / "clip.mp4", waves(1, 32, 32)).rename(tmp_path / f"{name}s.mp4")
    (tmp_path / f"{name}x.png").write_text("hello")
    sees(Fake(GOOD))
    words = ("predict", "m", f"{name}.png", f"{name}s.mp4", f"{name}x.png", "--out", f"{name}-o", "--skip-bad")
    result = call(*words, "--json", f"{name}-o/{name}.json")
    assert result.returncode == 0, result.stderr
    assert "caf" in result.stderr
    expected = [f"{name}.depth.png", f"{name}.json", f"{name}.png", f"{name}s.mp4"]
    assert sorted(path.name for path in (tmp_path / f"{name}-o").iterdir()) == expected
    text = (tmp_path / f"{name}-o/{name}.json").read_bytes().decode("ascii")
    said = json.loads(text)
    said["results"][0]["image"].encode("utf-8")  # strict: no half of a surrogate pair
    assert said["results"][0]["image"] == "caf\\udce9.png"


NYU_NETWORK = {"fcrn_mobile.training_data": "nyu-mat:nyu.mat#train"}
#: NYU's focal length in widths of the picture.
NYU_FOCAL = 518.9 / 640


def exif_picture(path: Path, millimetres: int, size: tuple[int, int] = (16, 12)) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = millimetres
    Image.new("RGB", size).save(path, exif=exif)


def test_metres_are_for_the_focal_length_that_the_user_gives(sees, call: Call, tmp_path) -> None:
    exif_picture(tmp_path / "a.jpg", 50)
    sees(Fake(GOOD, **NYU_NETWORK))
    factor = 20 / 16 / NYU_FOCAL
    result = call("predict", "m", "a.jpg", "--out", "o", "--fx", "20")
    assert result.returncode == 0, result.stderr
    np.testing.assert_allclose(np.asarray(Image.open(tmp_path / "o/a.depth.png")), GOOD * 1000 * factor, atol=0.6)
    assert f"depth is multiplied by {factor:.4f}" in result.stdout
    assert result.stdout.splitlines()[-1] == "metres hold for the camera of each input, by its focal length"
    (entry,) = json.loads(call("predict", "m", "a.jpg", "--out", "o", "--fx", "20", "--force", "--json", "-").stdout)["results"]
    assert entry["metres"] == pytest.approx([factor, 3 * factor], rel=1e-5)
    assert entry["camera"]["depth_scaled_by"] == pytest.approx(factor)
    assert entry["camera"]["pictures"] == {"data": "a.jpg, by the camera's options", "focal_px": 20, "width_px": 16}


def test_metres_are_for_the_focal_length_in_exif_and_others_say_whose_they_are(sees, call: Call, tmp_path) -> None:
    exif_picture(tmp_path / "a.jpg", 26)
    picture(tmp_path / "b.png")
    sees(Fake(GOOD, **NYU_NETWORK))
    # 16 × 12 pixels have a diagonal of 20.
    factor = 26 * 20 / np.hypot(36, 24) / 16 / NYU_FOCAL
    result = call("predict", "m", "a.jpg", "b.png", "--out", "o")
    assert result.stdout.splitlines()[-1].startswith("where no focal length is known, metres hold for the camera of NYU Depth V2")
    one, two = json.loads(call("predict", "m", "a.jpg", "b.png", "--out", "o", "--force", "--json", "-").stdout)["results"]
    assert one["metres"] == pytest.approx([factor, 3 * factor], rel=1e-5)
    assert one["camera"]["pictures"]["data"] == "a.jpg, by EXIF FocalLengthIn35mmFilm"
    assert two["metres"] == [1, 3]
    assert "camera" not in two
    for network in ({}, NYU_NETWORK | {"fcrn_mobile.output_units": "up to scale"}):
        sees(Fake(GOOD, **network))
        (entry,) = json.loads(call("predict", "m", "a.jpg", "--out", "o", "--force", "--json", "-").stdout)["results"]
        assert entry[next(key for key in ("metres", "depth") if key in entry)] == [1, 3]
        assert "camera" not in entry


def test_a_focal_length_scales_a_video_too(sees, call: Call, tmp_path) -> None:
    write_clip(tmp_path / "clip.mp4", waves(2, 32, 64))
    sees(Fake(GOOD, **NYU_NETWORK))
    (entry,) = json.loads(call("predict", "m", "clip.mp4", "--out", "o", "--fx", "80", "--json", "-").stdout)["results"]
    factor = 80 / 64 / NYU_FOCAL
    assert entry["metres"] == pytest.approx([factor, 3 * factor], rel=1e-5)
    assert entry["camera"]["depth_scaled_by"] == pytest.approx(factor)


def test_a_focal_length_that_cannot_be_used_is_refused(sees, call: Call, tmp_path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "wide.png", size=(32, 12))
    sees(Fake(GOOD))
    refused(call("predict", "m", "a.png", "--out", "o", "--fx", "20"), "--fx has nothing to do", "'fake'", "leave --fx out")
    for value in ("0", "-3", "nan", "inf"):
        refused(call("predict", "m", "a.png", "--out", "o", "--fx", value), f"--fx is {float(value):g}", "positive focal length")
    refused(call("predict", "m", "a.png", "--out", "o", "--fx", "20", "--cx", "3"), "--pointcloud")
    refused(call("predict", "m", "a.png", "wide.png", "--out", "o", "--fx", "20"), "'a.png' and 'wide.png' differ in size", "--fx")


def test_inverse_depth_has_no_metres_and_is_bright_where_it_is_large(sees, call: Call, tmp_path) -> None:
    picture(tmp_path / "a.png")
    inverse = np.linspace(-2, 6, 12, dtype=np.float32).reshape(3, 4)
    sees(Fake(inverse, **{"fcrn_mobile.output_units": "inverse depth, up to scale and shift"}))
    result = call("predict", "fake", "a.png", "--out", "out", "--json", "out.json")
    assert result.returncode == 0, result.stderr
    assert "-2.00 to 6.00  out" in result.stdout
    assert "'fake' gives inverse depth, up to scale and shift: bright is near" in result.stdout
    assert " m " not in result.stdout
    facts = json.loads((tmp_path / "out.json").read_text())
    assert (facts["metric"], facts["results"][0]["inverse_depth"]) == (False, [-2, 6])
    assert facts["results"][0]["inverse_16bit"] == "out/a.depth.png"
    stored = np.asarray(Image.open(tmp_path / "out" / "a.depth.png"))
    np.testing.assert_allclose(stored, 1 + 65534 * (inverse + 2) / 8, atol=0.5)
    brightness = np.asarray(Image.open(tmp_path / "out" / "a.png"))[:, 16:].astype(int).sum(-1)
    assert brightness[-1, -1] > brightness[0, 0] + 100  # the last is the largest value, and so the nearest
    for option in (["--pointcloud", "--fov", "60"], ["--fx", "500"]):
        refused(call("predict", "fake", "a.png", "--out", "new", *option), option[0])
    assert not (tmp_path / "new").exists()
