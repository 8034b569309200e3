"""A frame is its path below its source: pairs across scenes, files without a partner, links, the order of numbers."""

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fcrn_mobile.data import open_source
from fcrn_mobile.data.inputs import expand
from fcrn_mobile.data.listing import list_files, natural_key
from fcrn_mobile.data.matching import Kind, match
from fcrn_mobile.data.once import forget_warnings
from fcrn_mobile.data.spec import open_views
from fcrn_mobile.errors import InputError
from tests.data.test_kitti import DRIVE, write_image, write_sparse
from tests.data.test_nyu import write_h5
from tests.data.test_sources import write_pair
from tests.data.test_tum import START, write_sequence

IMAGE, DEPTH = Kind("image", ("rgb",), (".jpg", ".png")), Kind("depth map", ("depth",), (".png",))
part = st.text("abAB_-. 019é", min_size=1, max_size=5).filter(lambda name: name.strip(". ") == name)
frames = st.dictionaries(
    st.tuples(st.lists(part, max_size=2).map(tuple), st.lists(part, max_size=2).map(tuple), part.filter(lambda name: "." not in name)),
    st.sampled_from(["both", "image", "depth"]),
    max_size=12,
)


@pytest.fixture(autouse=True)
def _new_run() -> None:
    forget_warnings()


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@settings(max_examples=60, deadline=None)
@given(content=frames, suffix=st.sampled_from([".jpg", ".png", ".JPG", ".Png"]), order=st.randoms())
def test_every_frame_meets_its_own_depth_and_no_other(content: dict, suffix: str, order) -> None:
    """Frames lie at scene/rgb/folders/name.suffix; what is asked of them is worked out from these parts, not from the paths."""
    expected, alone, files = {}, [], []
    for (scene, below, name), present in content.items():
        both = ["/".join((*scene, kind, *below, f"{name}{end}")) for kind, end in (("rgb", suffix), ("depth", ".png"))]
        expected["/".join((*scene, *below, name))] = both if present == "both" else None
        files += {"both": both, "image": both[:1], "depth": both[1:]}[present]
        alone += [present] if present != "both" else []
    if len(expected) < len(content):  # scene a, folder b and scene a/b are one path
        return
    order.shuffle(files)
    matches = match(files, IMAGE, DEPTH)
    pairs = {path: tuple(both) for path, both in expected.items() if both}
    assert sorted(matches.pairs.values()) == sorted(pairs.values())
    for name, both in matches.pairs.items():
        (path,) = (path for path, own in pairs.items() if own == both)
        assert path == name or path.endswith(f"/{name}")
    assert list(matches.pairs) == sorted(matches.pairs, key=natural_key)
    told = " ".join(matches.remarks)
    for kind, word in (("image", "image"), ("depth", "depth map")):
        count = alone.count(kind)
        assert (f"{count} {word}{'s' if count > 1 else ''} without" in told) == (count > 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.from_regex(r"[a-zA-Z_.-]{0,3}[0-9]{4}([a-z_.-][0-9]{2})?", fullmatch=True), max_size=12))
def test_zero_padded_names_keep_the_order_of_their_text(names: list[str]) -> None:
    assert sorted(names, key=natural_key) == sorted(names)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 10**6), st.integers(0, 99)), unique=True))
def test_numbers_in_names_are_in_the_order_of_numbers(numbers: list[tuple[str, int, int]]) -> None:
    names = [f"{scene}{first}/frame_{second}" for scene, first, second in numbers]
    assert sorted(names, key=natural_key) == [f"{scene}{first}/frame_{second}" for scene, first, second in sorted(numbers)]


def test_two_scenes_with_equal_names_keep_all_their_frames(tmp_path: Path) -> None:
    for scene, metres in (("sceneA", 1), ("sceneB", 2)):
        for number in range(2):
            write_pair(tmp_path / scene, f"{number:04d}", millimetres=1000 * metres + number)
    source = open_source(f"folder:{tmp_path}")
    assert source.names == ("sceneA/0000", "sceneA/0001", "sceneB/0000", "sceneB/0001")
    assert [round(float(source[i].depth[0, 0]), 3) for i in range(4)] == [1, 1.001, 2, 2.001]


def test_scenes_may_lie_below_rgb_and_depth_and_deeper_still(tmp_path: Path) -> None:
    for number, scene in enumerate(("hall", "kitchen")):
        write_pair(tmp_path / "made", "0000", millimetres=1000 + number)
        for kind in ("rgb", "depth"):
            (tmp_path / "set" / "v1" / kind / scene).mkdir(parents=True)
            (tmp_path / "made" / kind / "0000.png").rename(tmp_path / "set" / "v1" / kind / scene / "0000.png")
    source = open_source(f"folder:{tmp_path}/set")
    assert source.names == ("hall/0000", "kitchen/0000")
    assert [round(float(source[i].depth[0, 0]), 3) for i in (0, 1)] == [1, 1.001]


def test_the_same_picture_in_two_formats_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "0000")
    Image.new("RGB", (16, 12)).save(tmp_path / "rgb" / "0000.jpg")
    with pytest.raises(InputError, match=r"'rgb/0000\.jpg' and 'rgb/0000\.png' are both the image of '0000': remove or rename"):
        open_source(f"folder:{tmp_path}")
    (tmp_path / "rgb" / "0000.jpg").unlink()
    np.save(tmp_path / "depth" / "0000.npy", np.ones((12, 16), np.float32))
    with pytest.raises(InputError, match=r"'depth/0000\.npy' and 'depth/0000\.png' are both the depth map of '0000'"):
        open_source(f"folder:{tmp_path}")


def test_what_has_no_partner_is_counted_and_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(12):
        write_pair(tmp_path, f"f{number}")
    for number in (1, 2, 3, 10):
        (tmp_path / "depth" / f"f{number}.png").unlink()
    (tmp_path / "rgb" / "f7.png").unlink()
    (tmp_path / "rgb" / "f99.png").symlink_to(tmp_path / "gone.png")
    for _ in range(2):
        assert open_source(f"folder:{tmp_path}").names == ("f0", "f4", "f5", "f6", "f8", "f9", "f11")
    (warning,) = warnings_of(caplog)
    assert "4 images without a depth map (rgb/f1.png, rgb/f2.png, rgb/f3.png and 1 more)" in warning
    assert "1 depth map without an image (depth/f7.png)" in warning
    assert "1 link to nowhere (rgb/f99.png)" in warning


def test_data_without_one_pair_says_what_is_there(tmp_path: Path) -> None:
    write_pair(tmp_path, "rgb_1")
    (tmp_path / "depth" / "rgb_1.png").rename(tmp_path / "depth" / "depth_1.png")
    with pytest.raises(InputError, match=r"no RGB-D pairs in .*1 image without a depth map \(rgb/rgb_1\.png\).*with equal names"):
        open_source(f"folder:{tmp_path}")


def test_uppercase_hidden_and_macos_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_pair(tmp_path, "a")
    (tmp_path / "rgb" / "a.png").rename(tmp_path / "rgb" / "a.PNG")
    for name in ("._a.png", ".DS_Store", "Thumbs.db"):
        (tmp_path / "rgb" / name).write_bytes(b"x")
    (tmp_path / "rgb" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "rgb" / ".ipynb_checkpoints" / "a-checkpoint.png").write_bytes(b"x")
    assert open_source(f"folder:{tmp_path}").names == ("a",)
    assert not warnings_of(caplog)


def test_linked_folders_and_files_are_read_each_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_pair(tmp_path / "elsewhere" / "hall", "0")
    write_pair(tmp_path / "elsewhere" / "cellar", "0")
    write_pair(tmp_path / "set" / "kitchen", "0")
    (tmp_path / "set" / "hall").symlink_to(tmp_path / "elsewhere" / "hall")
    (tmp_path / "set" / "a_copy_of_kitchen").symlink_to(tmp_path / "set" / "kitchen")
    (tmp_path / "set" / "loop").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "up").symlink_to(tmp_path)
    (tmp_path / "set" / "circle").symlink_to(tmp_path / "set" / "circle")
    write_pair(tmp_path / "set" / "attic", "1")
    for kind in ("rgb", "depth"):
        (tmp_path / "set" / "attic" / kind / "0.png").symlink_to(tmp_path / "elsewhere" / "cellar" / kind / "0.png")
    assert open_source(f"folder:{tmp_path}/set").names == ("attic/0", "attic/1", "hall/0", "kitchen/0")
    (warning,) = warnings_of(caplog)
    assert "1 link to nowhere (circle)" in warning
    assert "3 links to folders above or already read (a_copy_of_kitchen, loop, up)" in warning
    (tmp_path / "linked").symlink_to(tmp_path / "set")
    assert list_files(tmp_path / "linked") == list_files(tmp_path / "set")


def test_links_into_and_around_one_folder_give_its_frames_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_pair(tmp_path / "store" / "hall", "0")
    write_pair(tmp_path / "store" / "attic", "0")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a").symlink_to(tmp_path / "store" / "hall")
    (tmp_path / "set" / "b").symlink_to(tmp_path / "store")
    assert open_source(f"folder:{tmp_path}/set").names == ("a/0", "b/attic/0")
    assert "above or already read (b/hall)" in warnings_of(caplog)[0]


def test_rgb_and_depth_may_themselves_be_links(tmp_path: Path) -> None:
    write_pair(tmp_path / "raw", "0")
    (tmp_path / "set").mkdir()
    for kind in ("rgb", "depth"):
        (tmp_path / "set" / kind).symlink_to(tmp_path / "raw" / kind)
    assert open_source(f"folder:{tmp_path}/set").names == ("0",)


def test_a_sequence_of_tum_read_as_a_folder_is_pointed_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_sequence(tmp_path / "apart", [START], [START + 0.01])
    with pytest.raises(InputError, match="is read with tum:"):
        open_source(f"folder:{tmp_path}/apart")
    write_sequence(tmp_path / "same", [START], [START])
    open_source(f"folder:{tmp_path}/same?scale=5000")
    assert not warnings_of(caplog)
    open_source(f"folder:{tmp_path}/same")
    assert "whose depth is 5000 units a metre" in warnings_of(caplog)[0]


def test_unmatched_times_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_sequence(tmp_path, [START, START + 1, START + 2], [START, START + 5])
    assert len(open_source(f"tum:{tmp_path}")) == 1
    (warning,) = warnings_of(caplog)
    assert "2 images without a depth map (rgb/" in warning
    assert "1 depth map without an image (depth/" in warning


def test_rows_of_a_list_without_depth_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_pair(tmp_path, "a")
    (tmp_path / "list.txt").write_text("rgb/a.png depth/a.png 500\nrgb/b.png None 500\n")
    assert len(open_source(f"list:{tmp_path}/list.txt")) == 1
    assert "1 image without a depth map (rgb/b.png)" in warnings_of(caplog)[0]


@pytest.mark.parametrize(
    ("form", "file", "row"), [("list", "l.txt", "rgb\\a.png depth\\a.png 5"), ("csv", "l.csv", "rgb\\a.png,depth\\a.png")]
)
def test_rows_written_on_windows_find_their_files(form: str, file: str, row: str, tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    (tmp_path / file).write_text(f"{row}\r\n")
    assert open_source(f"{form}:{tmp_path}/{file}")[0].depth[0, 0] == 1.5


def test_kitti_counts_what_it_leaves_out_follows_links_and_refuses_two_images_of_a_frame(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2, 10):
        write_sparse(tmp_path / "set" / "train" / DRIVE / "proj_depth" / "groundtruth" / "image_02" / f"{number}.png", number)
        if number != 2:
            write_image(tmp_path / "raw" / DRIVE / "image_02" / "data" / f"{number}.png")
    write_image(tmp_path / "raw" / DRIVE / "image_02" / "data" / "5.png")
    (tmp_path / "set" / "raw").symlink_to(tmp_path / "raw")
    assert open_source(f"kitti:{tmp_path}/set").names == (f"{DRIVE}/image_02/1", f"{DRIVE}/image_02/10")
    (warning,) = warnings_of(caplog)
    assert "1 image without a depth map (raw/" in warning
    assert "1 depth map without an image (train/" in warning
    write_image(tmp_path / "set" / "other" / DRIVE / "image_02" / "1.png")
    with pytest.raises(InputError, match=rf"are both the image of '{DRIVE}/image_02/1'"):
        open_source(f"kitti:{tmp_path}/set")


def test_hdf5_frames_are_in_natural_order_through_links(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        write_h5(tmp_path / "other" / f"{number}.h5", number)
    (tmp_path / "set" / "train").mkdir(parents=True)
    (tmp_path / "set" / "train" / "room").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "10.h5").rename(tmp_path / "other" / "10.H5")
    source = open_source(f"nyu-h5:{tmp_path}/set")
    assert source.names == ("train/room/1", "train/room/2", "train/room/10")
    assert source[2].name == "train/room/10"


@pytest.fixture
def rectified(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look at whether pairs are rectified: these pictures show nothing."""
    monkeypatch.setattr("fcrn_mobile.data.stereo.vertical_disparity", lambda *images: None)


def write_frames(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        pixels[0, 0] = number
        Image.fromarray(pixels).save(folder / name)
    return folder


def test_frames_and_folders_of_pictures_are_in_natural_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_frames(tmp_path / "clip", [f"frame{number}.png" for number in (1, 2, 10, 11)])
    assert [file.name for file in expand([folder])] == ["frame1.png", "frame2.png", "frame10.png", "frame11.png"]
    source = open_views(f"frames:{folder}?fx=10", "video")
    assert [[int(image[0, 0, 0]) for image in source[i].images] for i in (0, 1)] == [[1, 0, 2], [2, 1, 3]]
    (folder / "frame3.png").symlink_to(tmp_path / "gone.png")
    assert len(expand([folder])) == 4
    assert "1 link to nowhere (frame3.png)" in warnings_of(caplog)[0]
    write_frames(folder, ["frame2.jpg"])
    with pytest.raises(InputError, match=r"'frame2\.jpg' and 'frame2\.png' are both the picture of 'frame2'"):
        open_views(f"frames:{folder}?fx=10", "video")


@pytest.mark.usefixtures("rectified")
def test_stereo_recordings_of_one_rig_stay_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for recording in ("a", "b"):
        for side in ("left", "right"):
            write_frames(tmp_path / side / recording, [f"{number}.png" for number in (1, 2, 10)])
    write_frames(tmp_path / "left" / "b", ["11.png"])
    source = open_views(f"stereo:{tmp_path}?fx=10&baseline=0.1", "stereo")
    assert source.names == ("a/1", "a/2", "a/10", "b/1", "b/2", "b/10")
    assert len(source.rigs) == 2
    assert "1 left picture without a right picture (left/b/11.png)" in warnings_of(caplog)[0]


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pair(tmp_path, "a")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(InputError, match=r"cannot read folder '.*': Permission denied"):
        open_source(f"folder:{tmp_path}")


@pytest.mark.usefixtures("rectified")
def test_drives_without_a_calibration_and_recordings_too_short_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    matrix = "70 0 8 {} 0 70 6 0 0 0 1 0"
    for date, drive, count in (("d1", "long", 5), ("d1", "short", 2), ("d2", "lost", 3)):
        for camera in ("image_02", "image_03"):
            write_frames(tmp_path / date / drive / camera / "data", [f"{number}.png" for number in range(count)])
    (tmp_path / "d1" / "calib_cam_to_cam.txt").write_text(f"P_rect_02: {matrix.format(0)}\nP_rect_03: {matrix.format(-14)}\n")
    (tmp_path / "d1" / "long" / "image_02" / "data" / "10.png").write_bytes((tmp_path / "d1/long/image_02/data/0.png").read_bytes())
    triplets = open_views(f"kitti:{tmp_path}", "video")
    assert triplets.names == ("d1/long/0/1", "d1/long/0/2", "d1/long/0/3", "d1/long/0/4", "d1/long/1/1", "d1/long/1/2", "d1/long/1/3")
    assert "1 drive without a calibration file (d2/lost)" in warnings_of(caplog)[0]
    assert "2 recordings of fewer than 3 frames (d1/short/0/0, d1/short/1/0)" in warnings_of(caplog)[1]
    caplog.clear()
    assert len(open_views(f"kitti:{tmp_path}", "stereo")) == 7
    assert "1 left picture without a right picture" in warnings_of(caplog)[0]
