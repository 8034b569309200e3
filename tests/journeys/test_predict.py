"""``predict`` on pictures, folders and videos, and the point cloud."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.runtimes import open_runtime
from tests.clips import cut, decoded, index_first, waves, write_clip
from tests.journeys.command import refused
from tests.ply import read_ply


def picture(path: Path, height: int = 48, width: int = 64) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(waves(1, height, width)[0]).save(path)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_video_becomes_a_video_and_says_how_fast(call, tmp_path) -> None:
    write_clip(tmp_path / "clip.mov", waves(7, 48, 64))
    words = ("predict", "builtin", "clip.mov", "--out", "depth", "--every", "2", "--max-frames", "3")
    result = call(*words)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "clip.mov: 3 frames" in result.stdout
    assert "prediction" in result.stdout
    assert "end to end" in result.stdout
    assert "measured on this machine" in result.stdout
    assert [path.name for path in (tmp_path / "depth").iterdir()] == ["clip.mp4"]
    frames, times = decoded(tmp_path / "depth" / "clip.mp4")
    assert [float(time) for time in times] == pytest.approx([0, 0.2, 0.4])
    assert np.abs(frames[1][:, :64].astype(int) - waves(7, 48, 64)[2]).mean() < 4
    again = call(*words, "--range", "0.5,6", "--force", "--json", "-")
    (entry,) = json.loads(again.stdout)["results"]
    assert set(entry) == {"video", "picture", "frames", "metres", "prediction_fps", "fps"}
    assert entry["frames"] == 3
    assert entry["fps"] > 0
    assert 0 < entry["metres"][0] < entry["metres"][1] < 20


def test_a_folder_of_pictures_and_a_video_go_in_their_order(call, tmp_path) -> None:
    for name in ("b.png", "a.jpg", ".hidden.png"):
        picture(tmp_path / "rooms" / name)
    write_clip(tmp_path / "clip.mp4", waves(1, 32, 32))
    (tmp_path / "depth").mkdir()
    (tmp_path / "depth" / "mine.txt").write_text("stays")
    result = call("predict", "builtin", "clip.mp4", "rooms", "--out", "depth", "--json", "-")
    assert result.returncode == 0, result.stderr
    results = json.loads(result.stdout)["results"]
    assert [entry.get("video") or entry["image"] for entry in results] == ["clip.mp4", "rooms/a.jpg", "rooms/b.png"]
    assert set(results[1]) == {"image", "picture", "depth_mm", "metres"}
    expected = ["a.depth.png", "a.png", "b.depth.png", "b.png", "clip.mp4", "mine.txt"]
    assert sorted(path.name for path in (tmp_path / "depth").iterdir()) == expected
    assert (tmp_path / "depth" / "mine.txt").read_text() == "stays"


def test_a_point_cloud_is_the_depth_map_seen_through_the_camera(call, tmp_path) -> None:
    path = picture(tmp_path / "room.png", 60, 80)
    camera = "--fx 70 --fy 72 --cx 38 --cy 31"
    result = call("predict", "builtin", "room.png", "--out", "depth", "--pointcloud", *camera.split(), "--json", "-")
    assert result.returncode == 0, result.stderr
    (entry,) = json.loads(result.stdout)["results"]
    points, colours = read_ply(tmp_path / entry["pointcloud"])
    image = np.asarray(Image.open(path))
    # The network learned from NYU Depth V2, whose focal length is 518.9 px at 640 px width; metres are for this camera.
    depth = open_runtime("builtin").predict(image) * (70 / 80) / (518.9 / 640)
    height, width = depth.shape
    assert entry["points"] == len(points) == height * width
    v, u = (np.mgrid[:height, :width] + 0.5) * np.array([60 / height, 80 / width])[:, None, None] - 0.5
    expected = np.stack([(u - 38) / 70 * depth, (v - 31) / 72 * depth, depth], axis=2)
    np.testing.assert_allclose(points.reshape(height, width, 3), expected, rtol=1e-4, atol=1e-5)
    nearest = image[np.rint(v).astype(int).clip(0, 59), np.rint(u).astype(int).clip(0, 79)]
    assert np.abs(colours.reshape(nearest.shape).astype(int) - nearest).mean() < 3


def test_bad_use_is_one_line_and_leaves_nothing(call, tmp_path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "wide.png", 48, 80)
    picture(tmp_path / "more" / "A.jpg")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "text.mp4").write_text("hello")
    whole = write_clip(tmp_path / "clip.mp4", waves(10, 32, 32))
    cut(index_first(whole, tmp_path / "cut.mp4"), 0.8)
    (tmp_path / "taken" / "a.png").mkdir(parents=True)
    picture(tmp_path / "b.depth.png")
    picture(tmp_path / "b.png")
    before, folders = tree(tmp_path), sorted(tmp_path.rglob("*"))
    for line, words in [
        ("notes.txt --out o", ["notes.txt"]),
        ("empty --out o", ["empty", ".png"]),
        ("a.png text.mp4 --out o", ["text.mp4"]),
        ("missing.mov --out o", ["missing.mov"]),
        ("cut.mp4 --out o", ["cut.mp4", "damaged", "--max-frames"]),
        ("a.png more --out o", ["a.png", "A.jpg", "same name"]),
        ("b.png b.depth.png --out o", ["same name"]),
        ("a.png --out .", ["overwrite the input"]),
        ("clip.mp4 --out .", ["overwrite the input"]),
        ("a.png --out notes.txt", ["notes.txt"]),
        ("a.png --out taken", ["taken/a.png", "folder"]),
        ("a.png --out o --every 2", ["--every", "videos"]),
        ("clip.mp4 --out o --every 0", ["--every", "0"]),
        ("clip.mp4 --out o --max-frames -1", ["--max-frames", "-1"]),
        ("clip.mp4 --out o --range 5,2", ["--range", "5,2", "NEAR,FAR"]),
        ("clip.mp4 --out o --range far", ["--range", "far"]),
        ("clip.mp4 --out o --pointcloud --fov 60", ["--pointcloud", "pictures"]),
        ("a.png --out o --pointcloud", ["--fx --fy --cx --cy", "--fov"]),
        ("a.png --out o --fov 60", ["--pointcloud"]),
        ("a.png wide.png --out o --pointcloud --fx 9 --fy 9 --cx 9 --cy 9", ["a.png", "wide.png", "size"]),
    ]:
        refused(call("predict", "builtin", *line.split()), *words)
        assert sorted(tmp_path.rglob("*")) == folders, line
        assert tree(tmp_path) == before, line


def test_without_pyav_pictures_work_and_a_video_names_the_extra(call, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png")
    write_clip(tmp_path / "clip.mp4", waves(1, 32, 32))
    monkeypatch.setitem(sys.modules, "av", None)
    assert call("predict", "builtin", "a.png", "--out", "o").returncode == 0
    refused(call("predict", "builtin", "clip.mp4", "--out", "p"), "fcrn-mobile[video]")
