import pickle
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from fcrn_mobile.data import Sample, open_source
from fcrn_mobile.data.grammar import portable
from fcrn_mobile.data.images import read_image
from fcrn_mobile.data.source import evenly, split_indices, valid_pixels
from fcrn_mobile.errors import InputError


def write_pair(folder: Path, name: str, size: tuple[int, int] = (16, 12), millimetres: int = 1500) -> None:
    (folder / "rgb").mkdir(parents=True, exist_ok=True)
    (folder / "depth").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 100, 50)).save(folder / "rgb" / f"{name}.png")
    Image.fromarray(np.full(size[::-1], millimetres, np.uint16)).save(folder / "depth" / f"{name}.png")


def test_a_folder_and_its_zip_hold_the_same_frames(tmp_path) -> None:
    for name in ("b", "a", "c"):
        write_pair(tmp_path / "set", name)
    (tmp_path / "set" / "rgb" / "lonely.png").write_bytes((tmp_path / "set" / "rgb" / "a.png").read_bytes())
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in (tmp_path / "set").rglob("*.png"):
            archive.write(file, file.relative_to(tmp_path))
    folder, archived = open_source(f"folder:{tmp_path}/set"), open_source(f"folder:{tmp_path}/set.zip")
    assert folder.names == archived.names == ("a", "b", "c")
    for a, b in zip((folder[i] for i in range(3)), (archived[i] for i in range(3)), strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.depth, np.full((12, 16), 1.5, np.float32))
        np.testing.assert_array_equal(a.depth, b.depth)
    assert pickle.loads(pickle.dumps(archived))[0].name == "a"


def test_forked_loader_processes_read_one_zip_without_disturbing_each_other(tmp_path) -> None:
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for number in range(400):
            for kind, array in (
                ("rgb", rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)),
                ("depth", rng.integers(1, 9000, (24, 32)).astype(np.uint16)),
            ):
                content = BytesIO()
                Image.fromarray(array).save(content, "PNG")
                archive.writestr(f"{kind}/{number:03d}.png", content.getvalue())
    source = open_source(f"folder:{tmp_path}/set.zip")
    alone = [source[i] for i in range(len(source))]
    loader = DataLoader(source, batch_size=None, num_workers=2, multiprocessing_context="fork", collate_fn=unchanged)
    for one, other in zip(alone, loader, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.depth, other.depth)


def unchanged(sample: Sample) -> Sample:
    return sample


def test_other_depth_units_are_an_option(tmp_path) -> None:
    write_pair(tmp_path, "a", millimetres=512)
    assert open_source(f"folder:{tmp_path}?scale=256")[0].depth[0, 0] == 2.0


def test_the_sample_travels_in_the_package() -> None:
    source = open_source("sample")
    assert len(source) == 24
    frame = source[0]
    assert frame.image.dtype == np.uint8
    assert frame.image.shape[:2] == frame.depth.shape
    assert 0.3 < np.median(frame.depth[frame.depth > 0]) < 10


def test_splits_are_fixed_complete_and_disjoint() -> None:
    parts = split_indices(795)
    assert len(parts["val"]) == 119
    assert sorted(parts["val"] + parts["train"]) == list(range(795))
    assert parts == split_indices(795)
    whole = open_source("sample")
    assert set(open_source("sample#train").names) | set(open_source("sample#val").names) == set(whole.names)


def test_real_training_images_are_read(real_frames) -> None:
    assert len(real_frames) == 119
    frame = real_frames[0]
    assert frame.image.shape == (240, 320, 3)
    assert 0.5 < float(frame.depth.min()) <= float(frame.depth.max()) < 10.5


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nyu", "unknown data 'nyu': use one of sample"),
        ("folder:", "unknown data"),
        ("folder:/no/such/place", "/no/such/place"),
        (f"folder:/tmp/{'x' * 300}", "File name too long"),
        (f"list:/tmp/a.txt?root=/tmp/{'x' * 300}", "File name too long"),
        ("kitti:/tmp/\0", "embedded null byte"),
        ("sample#test", "#train or #val"),
        ("sample?scale=3", "unknown option 'scale'"),
        ("folder:/tmp?scale=x", "scale 'x'"),
        ("folder:/tmp?root=x", "unknown option 'root'"),
        (
            "nyu-mat:",
            "unknown data 'nyu-mat:': use one of sample, folder:PATH[?scale=UNITS_PER_METRE], nyu-mat:PATH[?splits=FILE], nyu-h5:PATH",
        ),
        ("scannet:/tmp", "csv:PATH, list:PATH[?root=FOLDER&scale=UNITS_PER_METRE], kitti:PATH, tum:PATH[?max_difference=SECONDS]"),
        ("sample:/tmp", "unknown data"),
    ],
)
def test_a_bad_spec_is_named(spec: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        open_source(spec)
    assert message in str(error.value)


def test_bad_frames_are_named(tmp_path) -> None:
    with pytest.raises(InputError, match="no RGB-D pairs"):
        open_source(f"folder:{tmp_path}")
    (tmp_path / "broken.zip").write_text("not a zip")
    with pytest.raises(InputError, match=r"not a readable \.zip"):
        open_source(f"folder:{tmp_path}/broken.zip")
    write_pair(tmp_path, "empty", millimetres=0)
    with pytest.raises(InputError, match=r"empty\.png' has no valid pixel"):
        open_source(f"folder:{tmp_path}")[0]
    write_pair(tmp_path, "empty", millimetres=65535)
    with pytest.raises(InputError, match="no valid pixel"):
        open_source(f"folder:{tmp_path}")[0]
    Image.new("RGB", (20, 20)).save(tmp_path / "rgb" / "empty.png")
    with pytest.raises(InputError, match="register depth"):
        open_source(f"folder:{tmp_path}")[0]


def test_a_damaged_image_is_named(tmp_path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"photo\.jpg' is (a damaged|not an) image"):
        read_image(path)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("sample", "sample"),
        ("folder:/a/b/c.zip#val", "folder:c.zip#val"),
        ("folder:relative/set?scale=256", "folder:set?scale=256"),
        ("nyu-mat:/a/x.mat?splits=/b/s.mat#train", "nyu-mat:x.mat?splits=s.mat#train"),
        ("list:/a/b.txt?root=/d/e&scale=256", "list:b.txt?root=e&scale=256"),
        ("/home/me/resnet18.pth", "resnet18.pth"),
    ],
)
def test_a_record_names_files_without_their_folders(spec: str, expected: str) -> None:
    assert portable(spec) == expected


def write_float(path: Path, metres: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, metres)
    elif path.suffix == ".pfm":
        path.write_bytes(b"Pf\n%d %d\n-1.0\n" % metres.shape[::-1] + metres[::-1].astype("<f4").tobytes())
    else:
        Image.fromarray(metres).save(path)


@pytest.mark.parametrize("suffix", [".npy", ".pfm", ".tiff"])
def test_depth_of_floats_is_metres_in_every_form_that_lists_files(suffix: str, tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    (tmp_path / "depth" / "a.png").unlink()
    metres = np.linspace(1, 3, 12 * 16, dtype=np.float32).reshape(12, 16)
    write_float(tmp_path / "depth" / f"a{suffix}", metres)
    (tmp_path / "rows.txt").write_text(f"rgb/a.png depth/a{suffix} 500\n")
    (tmp_path / "rows.csv").write_text(f"rgb/a.png,depth/a{suffix}\n")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in ("rgb/a.png", f"depth/a{suffix}"):
            archive.write(tmp_path / file, file)
    for spec in (f"folder:{tmp_path}", f"folder:{tmp_path}/set.zip", f"list:{tmp_path}/rows.txt", f"csv:{tmp_path}/rows.csv"):
        np.testing.assert_array_equal(open_source(spec)[0].depth, metres)
    np.testing.assert_allclose(open_source(f"folder:{tmp_path}?scale=2")[0].depth, metres / 2, rtol=1e-6)


def test_depth_of_8_bits_needs_a_scale_in_a_folder_and_a_list(tmp_path: Path) -> None:
    write_pair(tmp_path, "a")
    Image.fromarray(np.full((12, 16), 51, np.uint8)).save(tmp_path / "depth" / "a.png")
    (tmp_path / "rows.txt").write_text("rgb/a.png depth/a.png 500\n")
    for spec in (f"folder:{tmp_path}", f"list:{tmp_path}/rows.txt"):
        with pytest.raises(InputError, match=r"a\.png' .*\?scale=UNITS_PER_METRE"):
            open_source(spec)[0]
        assert open_source(f"{spec}?scale=25.5")[0].depth[0, 0] == 2.0


@pytest.mark.parametrize(("length", "most", "places"), [(0, 3, []), (2, 3, [0, 1]), (9, 3, [0, 4, 8]), (5, 1, [0])])
def test_places_are_spread_evenly(length: int, most: int, places: list[int]) -> None:
    assert evenly(length, most) == places


def test_valid_pixels_are_finite_and_above_0() -> None:
    depth = np.array([[0.5, 0, -1], [np.nan, np.inf, -np.inf]], np.float32)
    np.testing.assert_array_equal(valid_pixels(depth), [[True, False, False], [False, False, False]])
