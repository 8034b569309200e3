"""KITTI in its depth-completion and flat layouts, and three of its real frames."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.data import open_source
from fcrn_mobile.data.source import split_indices
from fcrn_mobile.errors import InputError

DRIVE, OTHER_DRIVE = "2011_09_26_drive_0001_sync", "2011_09_26_drive_0002_sync"


def write_image(path: Path, size: tuple[int, int] = (40, 16)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (10, 20, 30)).save(path)


def write_sparse(path: Path, metres: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = np.zeros((16, 40), np.uint16)
    raw[8::2, ::4] = round(metres * 256)
    Image.fromarray(raw).save(path)


def write_completion(root: Path) -> None:
    """Ground truth below train/ and val/, velodyne points beside it, raw images in another tree by date and drive."""
    for part, drive, frames in (("train", DRIVE, (5, 6)), ("val", OTHER_DRIVE, (5,))):
        for camera in ("image_02", "image_03"):
            for frame in frames:
                write_sparse(root / part / drive / "proj_depth" / "groundtruth" / camera / f"{frame:010d}.png", 10 + frame)
                write_sparse(root / part / drive / "proj_depth" / "velodyne_raw" / camera / f"{frame:010d}.png", 70)
            for frame in range(7):
                write_image(root / "raw" / "2011_09_26" / drive / camera / "data" / f"{frame:010d}.png")


def test_ground_truth_finds_its_raw_image_by_drive_camera_and_frame(tmp_path: Path) -> None:
    write_completion(tmp_path)
    source = open_source(f"kitti:{tmp_path}")
    assert source.names == tuple(
        f"{drive}/{camera}/{frame:010d}"
        for drive, frames in ((DRIVE, (5, 6)), (OTHER_DRIVE, (5,)))
        for camera in ("image_02", "image_03")
        for frame in frames
    )
    depth = source[1].depth
    assert np.unique(depth).tolist() == [0, 16]
    assert np.argwhere(depth > 0)[0].tolist() == [8, 0]
    assert source[0].image.shape == (16, 40, 3)


def test_train_and_val_are_the_layouts_own(tmp_path: Path) -> None:
    write_completion(tmp_path)
    assert {name.split("/")[0] for name in open_source(f"kitti:{tmp_path}#train").names} == {DRIVE}
    assert {name.split("/")[0] for name in open_source(f"kitti:{tmp_path}#val").names} == {OTHER_DRIVE}


def test_images_may_lie_beside_the_depth_and_without_a_data_folder(tmp_path: Path) -> None:
    write_sparse(tmp_path / DRIVE / "proj_depth" / "groundtruth" / "image_02" / "0000000005.png", 12.5)
    write_image(tmp_path / DRIVE / "image_02" / "0000000005.png")
    assert open_source(f"kitti:{tmp_path}")[0].depth.max() == 12.5


def test_the_selected_validation_frames_pair_across_their_names(tmp_path: Path) -> None:
    for frame in (5, 8):
        stem = f"{DRIVE}_{{}}_{frame:010d}_image_02.png"
        write_image(tmp_path / "image" / stem.format("image"))
        write_sparse(tmp_path / "groundtruth_depth" / stem.format("groundtruth_depth"), frame)
        write_sparse(tmp_path / "velodyne_raw" / stem.format("velodyne_raw"), 70)
    source = open_source(f"kitti:{tmp_path}")
    assert source.names == tuple(f"{DRIVE}_image_{frame:010d}_image_02" for frame in (5, 8))
    assert [float(source[i].depth.max()) for i in (0, 1)] == [5, 8]


def test_a_flat_layout_has_the_fixed_split_and_goes_to_loader_processes(tmp_path: Path) -> None:
    for frame in range(20):
        write_image(tmp_path / "image" / f"{frame:03d}.png")
        write_sparse(tmp_path / "depth" / f"{frame:03d}.png", 1 + frame)
    write_image(tmp_path / "image" / "lonely.png")
    val = open_source(f"kitti:{tmp_path}#val")
    assert val.names == tuple(f"{i:03d}" for i in split_indices(20)["val"])
    assert pickle.loads(pickle.dumps(val))[0].depth.max() == 1 + int(val.names[0])


def test_real_frames_have_the_range_and_sparsity_that_lidar_has(real_data: Path) -> None:
    folder = real_data / "kitti_3"
    source = open_source(f"kitti:{folder}")
    assert source.names == ("000", "001", "002")
    samples = [source[i] for i in range(3)]
    assert all(sample.image.shape == (375, 1242, 3) for sample in samples)
    depths = np.stack([sample.depth for sample in samples])
    raw = np.stack([np.asarray(Image.open(folder / "depth" / f"{name}.png")) for name in source.names])
    np.testing.assert_array_equal(depths, raw / np.float32(256))
    assert depths[depths > 0].min() == pytest.approx(5.13, abs=0.01)
    assert depths.max() == pytest.approx(84.89, abs=0.01)
    assert np.mean(depths == 0) == pytest.approx(0.805, abs=0.002)


def test_folders_without_pairs_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no data at '/no/such/place'"):
        open_source("kitti:/no/such/place")
    write_sparse(tmp_path / "train" / DRIVE / "proj_depth" / "groundtruth" / "image_02" / "0000000005.png", 10)
    with pytest.raises(InputError, match=r"no pairs in .*\(0 images, 1 depth maps\): it needs DRIVE/image_02/data"):
        open_source(f"kitti:{tmp_path}")
    write_image(tmp_path / OTHER_DRIVE / "image_02" / "data" / "0000000005.png")
    with pytest.raises(InputError, match=r"\(1 images, 1 depth maps\)"):
        open_source(f"kitti:{tmp_path}")
    write_image(tmp_path / DRIVE / "image_02" / "data" / "0000000005.png", size=(42, 16))
    with pytest.raises(InputError, match=r"is 40×16 but its image is 42×16"):
        open_source(f"kitti:{tmp_path}")[0]
    with pytest.raises(InputError, match=r"split '#val' of .* is empty"):
        open_source(f"kitti:{tmp_path}#val")
    with pytest.raises(InputError, match=r"unknown option 'scale' in .*: allowed are fx"):
        open_source(f"kitti:{tmp_path}?scale=1000")
