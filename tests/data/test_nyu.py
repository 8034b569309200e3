"""NYU Depth V2 in its official file and as one HDF5 file a frame, both written by h5py in their real layouts."""

import pickle
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from torch.utils.data import DataLoader

from fcrn_mobile.data import Sample, open_source
from fcrn_mobile.data.source import split_indices
from fcrn_mobile.errors import InputError

COUNT, HEIGHT, WIDTH = 30, 12, 16
TRAIN = np.arange(1, COUNT + 1, 2)  # 1, 3, …: MATLAB counts from 1
TEST = np.arange(2, COUNT + 1, 2)


def frame(number: int, height: int = HEIGHT, width: int = WIDTH) -> tuple[np.ndarray, np.ndarray]:
    """H×W×3 picture and H×W metres whose every pixel is another."""
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8), rng.uniform(0.5, 9, (height, width)).astype(np.float32)


def write_mat(path: Path, count: int = COUNT, **changed: np.ndarray | None) -> Path:
    """What MATLAB's v7.3 format makes of height×width×3×N images: the axes in reverse."""
    images, depths = zip(*(frame(number) for number in range(count)), strict=True)
    arrays = {"images": np.stack(images, axis=-1).transpose(), "depths": np.stack(depths, axis=-1).transpose()} | changed
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, array in arrays.items():
            if array is not None:
                file.create_dataset(key, data=array, chunks=(1, *array.shape[1:]), compression="gzip")
    return path


def write_splits(path: Path, train: np.ndarray = TRAIN, test: np.ndarray = TEST) -> Path:
    savemat(path, {"trainNdxs": train[:, np.newaxis], "testNdxs": test[:, np.newaxis]})
    return path


def write_h5(path: Path, number: int, **changed: np.ndarray | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image, depth = frame(number)
    with h5py.File(path, "w") as file:
        for key, array in ({"rgb": image.transpose(2, 0, 1), "depth": depth} | changed).items():
            if array is not None:
                file[key] = array


def assert_is_frame(sample: Sample, number: int) -> None:
    image, depth = frame(number)
    np.testing.assert_array_equal(sample.image, image)
    np.testing.assert_array_equal(sample.depth, depth)
    assert sample.image.flags.c_contiguous
    assert sample.depth.dtype == np.float32


def test_matlabs_axes_are_turned_back(tmp_path: Path) -> None:
    source = open_source(f"nyu-mat:{write_mat(tmp_path / 'labeled.mat')}")
    with h5py.File(tmp_path / "labeled.mat") as file:
        assert file["images"].shape == (COUNT, 3, WIDTH, HEIGHT)
    assert source.names[:2] == ("0000", "0001")
    for number in (0, 7, COUNT - 1):
        assert_is_frame(source[number], number)


def test_the_official_split_has_a_fixed_validation_part_of_train_and_nothing_overlaps(tmp_path: Path) -> None:
    write_mat(tmp_path / "labeled.mat")
    write_splits(tmp_path / "splits.mat")
    parts = {name: open_source(f"nyu-mat:{tmp_path}/labeled.mat#{name}").names for name in ("train", "val", "test")}
    assert parts["test"] == tuple(f"{number - 1:04d}" for number in TEST)
    assert sorted(parts["train"] + parts["val"]) == [f"{number - 1:04d}" for number in TRAIN]
    assert parts["val"] == tuple(f"{TRAIN[i] - 1:04d}" for i in split_indices(len(TRAIN))["val"])
    assert len(parts["val"]) == 2
    assert_is_frame(open_source(f"nyu-mat:{tmp_path}/labeled.mat#test")[0], 1)


def test_another_splits_file_can_be_named(tmp_path: Path) -> None:
    write_mat(tmp_path / "labeled.mat")
    (tmp_path / "else where").mkdir()
    write_splits(tmp_path / "else where" / "own.mat", TRAIN, np.array([30, 4]))
    for place in (f"{tmp_path}/else where/own.mat", f"{tmp_path}/else%20where/own.mat"):
        assert open_source(f"nyu-mat:{tmp_path}/labeled.mat?splits={place}#test").names == ("0003", "0029")


def test_depth_that_is_no_distance_becomes_invalid(tmp_path: Path) -> None:
    depths = np.stack([frame(number)[1] for number in range(2)], axis=-1).transpose().copy()
    depths[0, 0, :4] = [np.nan, np.inf, -1, 0]
    write_mat(tmp_path / "labeled.mat", 2, depths=depths)
    depth = open_source(f"nyu-mat:{tmp_path}/labeled.mat")[0].depth
    assert depth[:4, 0].tolist() == [0, 0, 0, 0]
    assert (depth > 0).sum() == HEIGHT * WIDTH - 4


@pytest.mark.parametrize("form", ["nyu-mat", "nyu-h5"])
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_loader_processes_read_the_same_frames(form: str, context: str, tmp_path: Path) -> None:
    if context == "fork" and sys.platform == "win32":
        pytest.skip("Windows cannot fork")
    write_mat(tmp_path / "labeled.mat", 8)
    for number in range(8):
        write_h5(tmp_path / "frames" / "train" / "room" / f"{number:05d}.h5", number)
    source = open_source(f"nyu-mat:{tmp_path}/labeled.mat" if form == "nyu-mat" else f"nyu-h5:{tmp_path}/frames")
    assert_is_frame(source[0], 0)
    assert_is_frame(pickle.loads(pickle.dumps(source))[5], 5)
    loader = DataLoader(source, batch_size=None, num_workers=2, multiprocessing_context=context, collate_fn=unchanged)
    for number, sample in enumerate(loader):
        assert_is_frame(sample, number)


def unchanged(sample: Sample) -> Sample:
    return sample


def test_one_file_a_frame_splits_by_folder(tmp_path: Path) -> None:
    places = ["train/kitchen_0001/00001", "train/kitchen_0001/00006", "train/office_0002/00001", "val/official/00001"]
    for number, place in enumerate(places):
        write_h5(tmp_path / f"{place}.h5", number)
    assert open_source(f"nyu-h5:{tmp_path}").names == tuple(places)
    assert open_source(f"nyu-h5:{tmp_path}#train").names == tuple(places[:3])
    val = open_source(f"nyu-h5:{tmp_path}#val")
    assert val.names == ("val/official/00001",)
    assert_is_frame(val[0], 3)


def test_one_file_a_frame_without_the_two_folders_has_the_fixed_split(tmp_path: Path) -> None:
    for number in range(20):
        write_h5(tmp_path / "scene" / f"{number:05d}.h5", number)
    source = open_source(f"nyu-h5:{tmp_path}")
    assert open_source(f"nyu-h5:{tmp_path}#val").names == tuple(source.names[i] for i in split_indices(20)["val"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": None}, r"has no 'images' but depths: it needs 'images', N×3×W×H uint8"),
        ({"depths": None}, r"has no 'depths' but images"),
        ({"images": np.zeros((3, HEIGHT, WIDTH, 3), np.uint8)}, r"'images' of .* is 3×12×16×3 uint8: it needs N×3×W×H"),
        ({"images": np.zeros((3, 3, WIDTH, HEIGHT), np.float32)}, r"is 3×3×16×12 float32"),
        ({"depths": np.zeros((3, HEIGHT, WIDTH), np.float32)}, r"'depths' of .* is 3×12×16 float32: it needs 3×16×12 floats"),
        ({"depths": np.zeros((3, WIDTH, HEIGHT), np.uint16)}, r"is 3×16×12 uint16"),
    ],
)
def test_a_mat_file_of_another_layout_is_named(changed: dict[str, np.ndarray | None], message: str, tmp_path: Path) -> None:
    write_mat(tmp_path / "labeled.mat", 3, **changed)
    with pytest.raises(InputError, match=message):
        open_source(f"nyu-mat:{tmp_path}/labeled.mat")


def test_damaged_mat_files_are_named(tmp_path: Path) -> None:
    whole = write_mat(tmp_path / "labeled.mat")
    cut = tmp_path / "cut.mat"
    cut.write_bytes(whole.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"cut\.mat' should be the official .* but is truncated: download it again"):
        open_source(f"nyu-mat:{cut}")
    write_splits(tmp_path / "old.mat")
    with pytest.raises(InputError, match=r"old\.mat' .* damaged or not HDF5"):
        open_source(f"nyu-mat:{tmp_path}/old.mat")
    with pytest.raises(InputError, match=r"no file '.*gone\.mat': give the official nyu_depth_v2_labeled\.mat"):
        open_source(f"nyu-mat:{tmp_path}/gone.mat")
    write_mat(tmp_path / "dark.mat", 3, depths=np.zeros((3, WIDTH, HEIGHT), np.float32))
    with pytest.raises(InputError, match=r"frame 0001 of .*dark\.mat' has no valid pixel"):
        open_source(f"nyu-mat:{tmp_path}/dark.mat")[1]


def test_damage_inside_one_frame_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = write_mat(tmp_path / "labeled.mat", 3)
    with h5py.File(path) as file:
        chunk = file["images"].id.get_chunk_info(1)
        start = chunk.byte_offset + 512  # offsets count from behind the user block
    content = bytearray(path.read_bytes())
    content[start : start + 64] = b"\xff" * 64
    path.write_bytes(bytes(content))
    source = open_source(f"nyu-mat:{path}")
    assert_is_frame(source[0], 0)
    with pytest.raises(InputError, match=r"labeled\.mat' should be .* damaged"):
        source[1]


def test_bad_splits_are_named(tmp_path: Path) -> None:
    spec = f"nyu-mat:{write_mat(tmp_path / 'labeled.mat')}"
    with pytest.raises(InputError, match=r"no file '.*splits\.mat'.*\?splits=FILE"):
        open_source(f"{spec}#test")
    splits = write_splits(tmp_path / "splits.mat", TRAIN, np.array([2, COUNT + 1]))
    with pytest.raises(InputError, match=rf"'testNdxs' of .* must be frame numbers from 1 to {COUNT}"):
        open_source(f"{spec}#test")
    write_splits(splits, np.array([0, 1]), TEST)
    with pytest.raises(InputError, match=r"'trainNdxs' of .* must be frame numbers from 1"):
        open_source(f"{spec}#train")
    for strange in (np.array([1.5, 2.0]), np.array([np.nan, 2.0]), np.array(["one", "two"])):
        write_splits(splits, strange, TEST)
        with pytest.raises(InputError, match=r"'trainNdxs' of .* must be frame numbers from 1"):
            open_source(f"{spec}#train")
    write_splits(splits, TRAIN, np.array([2, 3]))
    with pytest.raises(InputError, match="has frame 3 in train and test"):
        open_source(f"{spec}#train")
    savemat(splits, {"trainNdxs": TRAIN})
    with pytest.raises(InputError, match=r"splits\.mat' has no 'testNdxs'"):
        open_source(f"{spec}#train")
    splits.write_bytes(b"no MATLAB here" * 20)
    with pytest.raises(InputError, match=r"splits\.mat' is not a MATLAB v5 file"):
        open_source(f"{spec}#train")
    splits.write_bytes(write_mat(tmp_path / "other.mat", 2).read_bytes())
    with pytest.raises(InputError, match=r"splits\.mat' is not a MATLAB v5 file"):
        open_source(f"{spec}#train")
    write_splits(splits)
    with pytest.raises(InputError, match=r"unknown split '#all' in .*: use #test, #train or #val"):
        open_source(f"{spec}#all")


@pytest.mark.parametrize("kept", [0, 50, 128, 200, 400])
def test_cut_splits_are_named_wherever_they_end(kept: int, tmp_path: Path) -> None:
    spec = f"nyu-mat:{write_mat(tmp_path / 'labeled.mat', 2)}"
    splits = write_splits(tmp_path / "splits.mat")
    splits.write_bytes(splits.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"splits\.mat'"):
        open_source(f"{spec}#train")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rgb": None}, r"00001\.h5' has no 'rgb' but depth"),
        ({"depth": None}, r"00001\.h5' has no 'depth' but rgb"),
        ({"rgb": np.zeros((HEIGHT, WIDTH, 3), np.uint8)}, r"'rgb' of .* is 12×16×3 uint8: it needs 3×H×W uint8"),
        ({"depth": np.ones((1, HEIGHT, WIDTH), np.float32)}, r"'depth' of .* is 1×12×16 float32: it needs H×W metres"),
        ({"depth": np.ones((HEIGHT, WIDTH), np.uint16)}, r"is 12×16 uint16"),
        ({"depth": np.ones((HEIGHT, WIDTH + 2), np.float32)}, r"is 18×12 but its image is 16×12"),
        ({"depth": np.zeros((HEIGHT, WIDTH), np.float32)}, r"has no valid pixel"),
    ],
)
def test_a_frame_file_of_another_layout_is_named(changed: dict[str, np.ndarray | None], message: str, tmp_path: Path) -> None:
    write_h5(tmp_path / "train" / "room" / "00001.h5", 0, **changed)
    with pytest.raises(InputError, match=message):
        open_source(f"nyu-h5:{tmp_path}")[0]


def test_missing_and_damaged_frame_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.h5 file in"):
        open_source(f"nyu-h5:{tmp_path}")
    with pytest.raises(InputError, match="no data at '/no/such/place'"):
        open_source("nyu-h5:/no/such/place")
    file = tmp_path / "train" / "room" / "00001.h5"
    write_h5(file, 0)
    with pytest.raises(InputError, match=r"split '#val' of .* is empty"):
        open_source(f"nyu-h5:{tmp_path}#val")
    source = open_source(f"nyu-h5:{tmp_path}")
    file.write_bytes(file.read_bytes()[:-300])
    with pytest.raises(InputError, match=r"00001\.h5' should be a frame of rgb and depth but is truncated"):
        source[0]
    file.unlink()
    with pytest.raises(InputError, match=r"no file '.*00001\.h5'"):
        source[0]
