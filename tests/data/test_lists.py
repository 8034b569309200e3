"""Sources that a list names: DenseDepth's csv and the lists of BTS."""

import csv
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.data import open_source
from fcrn_mobile.data.source import split_indices
from fcrn_mobile.errors import InputError

SIZE = (16, 12)


def write_image(path: Path, colour: tuple[int, int, int] = (200, 100, 50)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE, colour).save(path, quality=95)


def write_depth(path: Path, value: int, dtype: type[np.unsignedinteger]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = np.full(SIZE[::-1], value, dtype)
    raw[0, 0] = 0
    Image.fromarray(raw).save(path)


def write_kaggle(folder: Path, count: int = 1) -> None:
    """Kaggle's layout: data/nyu2_train.csv with 8-bit depth, data/nyu2_test.csv with 16-bit depth, rows from the parent on."""
    with (folder / "nyu2_train.csv").open("w", newline="") as train, (folder / "nyu2_test.csv").open("w", newline="") as test:
        for number in range(1, count + 1):
            row = [f"data/nyu2_train/living_room_0038_out/{number}.jpg", f"data/nyu2_train/living_room_0038_out/{number}.png"]
            write_image(folder.parent / row[0])
            write_depth(folder.parent / row[1], 51, np.uint8)
            csv.writer(train).writerow(row)
            row = [f"data/nyu2_test/{number:05d}_colors.png", f"data/nyu2_test/{number:05d}_depth.png"]
            write_image(folder.parent / row[0])
            write_depth(folder.parent / row[1], 2345, np.uint16)
            csv.writer(test).writerow(row)


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    write_kaggle(folder, 20)
    return folder


def test_8_bit_training_depth_spans_ten_metres_and_16_bit_test_depth_is_millimetres(kaggle: Path) -> None:
    train, test = open_source(f"csv:{kaggle}/nyu2_train.csv"), open_source(f"csv:{kaggle}/nyu2_test.csv")
    assert train.names[0] == "data/nyu2_train/living_room_0038_out/1.jpg"
    assert train[0].depth[5, 5] == pytest.approx(51 / 255 * 10)
    assert test[0].depth[5, 5] == pytest.approx(2.345)
    assert train[0].depth[0, 0] == test[0].depth[0, 0] == 0
    np.testing.assert_allclose(train[0].image[5, 5].astype(int), [200, 100, 50], atol=3)


def test_both_encodings_may_stand_in_one_csv(kaggle: Path) -> None:
    rows = [(kaggle / f"nyu2_{part}.csv").read_text().splitlines()[0] for part in ("train", "test")]
    (kaggle / "both.csv").write_text("\n".join(rows) + "\n\n")
    depths = [sample.depth[5, 5] for sample in (open_source(f"csv:{kaggle}/both.csv")[i] for i in (0, 1))]
    assert depths == pytest.approx([2.0, 2.345])


def test_full_8_bit_depth_is_ten_metres_and_valid(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    write_depth(tmp_path / "b.png", 255, np.uint8)
    (tmp_path / "rows.csv").write_text("a.png,b.png\n")
    assert open_source(f"csv:{tmp_path}/rows.csv")[0].depth.max() == np.float32(10)


def test_quoted_rows_files_beside_the_csv_and_a_relative_csv_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "one, two.png")
    write_depth(tmp_path / "d.png", 1000, np.uint16)
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerow(["one, two.png", "d.png"])
    monkeypatch.chdir(tmp_path)
    assert open_source("csv:rows.csv")[0].name == "one, two.png"


def test_a_csv_has_the_fixed_split_and_goes_to_loader_processes(kaggle: Path) -> None:
    whole, val = open_source(f"csv:{kaggle}/nyu2_train.csv"), open_source(f"csv:{kaggle}/nyu2_train.csv#val")
    assert val.names == tuple(whole.names[i] for i in split_indices(20)["val"])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(val))[1].depth, val[1].depth)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.png,d.png\na.png,gone.png\n", r"row 2 of '.*rows\.csv': no file 'gone\.png' in .* or .*: restore it or remove the row"),
        ("\nnowhere/a.png,d.png\n", r"row 2 of .*no file 'nowhere/a\.png'"),
        ("a.png\n", r"row 1 of .* is 'a\.png': it needs two files"),
        ("a.png,\n", r"row 1 of .* it needs two files"),
        ("a.png,d.png,3\n", r"row 1 of .* it needs two files"),
        ("", r"rows\.csv' has no rows"),
        ("a.png,d.png\n" * 2, r"lists 'a\.png' twice: keep one row"),
        ("x" * 200_000, r"is no csv"),
    ],
)
def test_bad_rows_are_named_by_number(rows: str, message: str, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    write_depth(tmp_path / "d.png", 1000, np.uint16)
    (tmp_path / "rows.csv").write_text(rows)
    with pytest.raises(InputError, match=message):
        open_source(f"csv:{tmp_path}/rows.csv")


def test_a_csv_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read '.*gone\.csv' .*give a csv with rows"):
        open_source(f"csv:{tmp_path}/gone.csv")
    write_image(tmp_path / "photo.jpg")
    with pytest.raises(InputError, match=r"photo\.jpg' is not a text file: give a csv"):
        open_source(f"csv:{tmp_path}/photo.jpg")


def test_files_that_vanish_or_do_not_fit_are_named_when_they_are_read(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    write_depth(tmp_path / "d.png", 0, np.uint16)
    (tmp_path / "rows.csv").write_text("a.png,d.png\n")
    source = open_source(f"csv:{tmp_path}/rows.csv")
    with pytest.raises(InputError, match=r"d\.png' has no valid pixel"):
        source[0]
    Image.new("RGB", SIZE).save(tmp_path / "d.png")
    with pytest.raises(InputError, match=r"d\.png' is a RGB image: depth must be a single-channel"):
        source[0]
    (tmp_path / "d.png").unlink()
    with pytest.raises(InputError, match=r"cannot read '.*d\.png'"):
        source[0]


def write_bts(root: Path) -> None:
    for scene, number in (("kitchen_0028b", 45), ("kitchen_0028b", 46), ("office_0001", 3)):
        write_image(root / scene / f"rgb_{number:05d}.jpg")
        write_depth(root / scene / f"sync_depth_{number:05d}.png", 1000 + number, np.uint16)


BTS_LINES = (
    "/kitchen_0028b/rgb_00045.jpg /kitchen_0028b/sync_depth_00045.png 518.8579\n"
    "kitchen_0028b/rgb_00046.jpg None 518.8579\n"
    "office_0001/rgb_00003.jpg office_0001/sync_depth_00003.png 518.8579\n"
)


def test_lists_are_relative_to_their_root_and_skip_frames_without_depth(tmp_path: Path) -> None:
    write_bts(tmp_path / "sync")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "train.txt").write_text(BTS_LINES)
    source = open_source(f"list:{tmp_path}/lists/train.txt?root={tmp_path}/sync")
    assert source.names == ("kitchen_0028b/rgb_00045.jpg", "office_0001/rgb_00003.jpg")
    assert [source[i].depth[5, 5] for i in (0, 1)] == pytest.approx([1.045, 1.003])


def test_lists_are_relative_to_their_own_folder_without_a_root(tmp_path: Path) -> None:
    write_bts(tmp_path)
    (tmp_path / "train.txt").write_text(BTS_LINES)
    assert len(open_source(f"list:{tmp_path}/train.txt")) == 2
    absolute = f"{tmp_path}/office_0001/rgb_00003.jpg {tmp_path}/office_0001/sync_depth_00003.png\n"
    (tmp_path / "absolute.txt").write_text(absolute)
    assert open_source(f"list:{tmp_path}/absolute.txt?scale=256")[0].depth[5, 5] == pytest.approx(1003 / 256)


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (
            BTS_LINES.replace("office_0001/rgb", "cellar/rgb"),
            "",
            r"row 3 of '.*train\.txt': no file 'cellar/rgb_00003\.jpg'.*\?root=FOLDER",
        ),
        (BTS_LINES.replace("sync_depth_00045", "sync_depth_1"), "", r"row 1 of .*no file '/kitchen_0028b/sync_depth_1\.png'"),
        ("rgb.jpg\n", "", r"row 1 of .* has 1 fields: it needs 'rgb\.jpg depth\.png focal'"),
        ("a b c d\n", "", r"row 1 of .* has 4 fields"),
        ("a.jpg None 518.8\n", "", r"train\.txt' has no pair"),
        (BTS_LINES * 2, "", r"lists 'kitchen_0028b/rgb_00045\.jpg' and others twice"),
        (BTS_LINES, "?root=/no/such/place", r"no folder '/no/such/place'"),
        (BTS_LINES, "?root=", r"option 'root' in .* has no value: write root=VALUE"),
        (BTS_LINES, "?focal=1", r"unknown option 'focal' in .*: allowed are root, scale, fx"),
        (BTS_LINES, "?scale=0", r"scale '0' in .*: give depth units per metre"),
    ],
)
def test_bad_lists_are_named(lines: str, options: str, message: str, tmp_path: Path) -> None:
    write_bts(tmp_path)
    (tmp_path / "train.txt").write_text(lines)
    with pytest.raises(InputError, match=message):
        open_source(f"list:{tmp_path}/train.txt{options}")
