"""Depth maps of every kind of file, against values written by NumPy, Pillow and OpenEXR themselves."""

import io
import logging
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.data import open_source
from fcrn_mobile.data.depth_maps import decode_depth, save_depth_png, warn_of_units
from fcrn_mobile.data.once import forget_warnings
from fcrn_mobile.errors import InputError

METRES = np.linspace(0.5, 9, 12).reshape(3, 4).astype(np.float32)


@pytest.fixture(autouse=True)
def another_run() -> None:
    forget_warnings()


def saved(array: np.ndarray, form: str, **settings: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, form, **settings)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def pfm(array: np.ndarray, order: str) -> bytes:
    """As the format's description says: rows from the bottom up, the sign of the scale is the byte order."""
    height, width = array.shape
    header = f"Pf\n{width} {height}\n{-1.0 if order == '<' else 1.0}\n".encode()
    return header + array[::-1].astype(f"{order}f4").tobytes()


def exr(channels: dict[str, np.ndarray]) -> bytes:
    OpenEXR = pytest.importorskip("OpenEXR")  # noqa: N806
    file = io.BytesIO()
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, channels).write(file)
    return file.getvalue()


def float_tiff_64(array: np.ndarray) -> bytes:
    """A TIFF of 64-bit floats, which Pillow does not read: one strip, tags by hand (TIFF 6.0)."""
    height, width = array.shape
    pixels = array.astype("<f8").tobytes()
    tags = [(256, 3, width), (257, 3, height), (258, 3, 64), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 3, height)]
    tags += [(279, 4, len(pixels)), (339, 3, 3)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)


FLOATS: dict[str, Callable[[], bytes]] = {
    "npy float32": lambda: npy(METRES),
    "npy float64": lambda: npy(METRES.astype(np.float64)),
    "npy in Fortran's order": lambda: npy(np.asfortranarray(METRES)),
    "npy with a channel behind": lambda: npy(METRES[..., None]),
    "npy with a channel before": lambda: npy(METRES[None]),
    "tiff": lambda: saved(METRES, "TIFF"),
    "tiff lzw": lambda: saved(METRES, "TIFF", compression="tiff_lzw"),
    "tiff deflate": lambda: saved(METRES, "TIFF", compression="tiff_deflate"),
    "pfm little-endian": lambda: pfm(METRES, "<"),
    "pfm big-endian": lambda: pfm(METRES, ">"),
    "exr Z": lambda: exr({"Z": METRES}),
    "exr Y": lambda: exr({"Y": METRES}),
    "exr Z among colours": lambda: exr({"Z": METRES, "R": METRES * 0, "G": METRES * 0, "B": METRES}),
    "exr of Blender": lambda: exr({"ViewLayer.Depth.V": METRES, "ViewLayer.Combined.R": METRES * 0}),
    "exr of three equal channels": lambda: exr({"R": METRES, "G": METRES, "B": METRES}),
}


@pytest.mark.parametrize("kind", FLOATS)
def test_floats_are_metres_whatever_file_holds_them(kind: str) -> None:
    depth = decode_depth(FLOATS[kind](), "a")
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, METRES)


@pytest.mark.parametrize("kind", FLOATS)
def test_floats_in_other_units_follow_what_the_user_says(kind: str) -> None:
    np.testing.assert_allclose(decode_depth(FLOATS[kind](), "a", 100), METRES / 100, rtol=1e-6)


def test_floats_stay_metres_where_the_unit_is_that_of_a_data_sets_integers() -> None:
    np.testing.assert_array_equal(decode_depth(npy(METRES), "a", 256, remedy="restore it"), METRES)


@pytest.mark.parametrize("half", [lambda: npy(METRES.astype(np.float16)), lambda: exr({"Z": METRES.astype(np.float16)})])
def test_half_floats_are_metres(half: Callable[[], bytes]) -> None:
    np.testing.assert_array_equal(decode_depth(half(), "a"), METRES.astype(np.float16).astype(np.float32))


def test_what_no_sensor_saw_is_zero() -> None:
    depth = np.array([[np.nan, np.inf, -np.inf], [-1, 1e10, 2]])
    np.testing.assert_array_equal(decode_depth(npy(depth), "a"), [[0, 0, 0], [0, 0, 2]])
    millimetres = np.array([[0, 65535, 1500]])
    for channels in ("Z", "RGB"):
        data = exr(dict.fromkeys(channels, depth.astype(np.float32)))
        np.testing.assert_array_equal(decode_depth(data, "a"), [[0, 0, 0], [0, 0, 2]])
    for data in (saved(millimetres.astype(np.uint16), "PNG"), npy(millimetres.astype(np.uint16)), npy(millimetres - [[3, 0, 0]])):
        np.testing.assert_array_equal(decode_depth(data, "a"), np.array([[0, 0, 1.5]], np.float32))


INTEGERS: dict[str, Callable[[np.ndarray], bytes]] = {
    "png": lambda array: saved(array.astype(np.uint16), "PNG"),
    "tiff": lambda array: saved(array.astype(np.uint16), "TIFF"),
    "tiff 32": lambda array: saved(array.astype(np.int32), "TIFF"),
    "npy uint16": lambda array: npy(array.astype(np.uint16)),
    "npy big-endian": lambda array: npy(array.astype(">u2")),
    "npy int64": npy,
}


@pytest.mark.parametrize("kind", INTEGERS)
def test_integers_are_millimetres_unless_the_user_says_otherwise(kind: str) -> None:
    array = np.array([[0, 1000], [2500, 40000]])
    np.testing.assert_array_equal(decode_depth(INTEGERS[kind](array), "a"), np.array([[0, 1], [2.5, 40]], np.float32))
    np.testing.assert_array_equal(decode_depth(INTEGERS[kind](array), "a", 250), np.array([[0, 4], [10, 160]], np.float32))


BYTES: dict[str, Callable[[np.ndarray], bytes]] = {
    "png": lambda array: saved(array, "PNG"),
    "jpeg": lambda array: saved(array, "JPEG"),
    "tiff": lambda array: saved(array, "TIFF"),
    "npy": npy,
    "npy signed": lambda array: npy(array.view(np.int8)),
}


@pytest.mark.parametrize("kind", BYTES)
def test_eight_bits_are_refused_until_someone_says_their_unit(kind: str) -> None:
    data = BYTES[kind](np.full((8, 8), 100, np.uint8))
    with pytest.raises(InputError) as error:
        decode_depth(data, "room/depth/a.png")
    for word in ("'room/depth/a.png'", "8 bits", "?scale=UNITS_PER_METRE"):
        assert word in str(error.value)
    np.testing.assert_array_equal(decode_depth(data, "a", 25), np.full((8, 8), 4, np.float32))
    np.testing.assert_array_equal(decode_depth(data, "a", None, 50), np.full((8, 8), 2, np.float32))
    with pytest.raises(InputError, match=r"'a' .* 8 bits.*: restore it"):
        decode_depth(data, "a", 256, remedy="restore it")


def lists(folder: Path) -> None:
    (folder / "l.txt").write_text("rgb/a.png depth/a.png 500\n")
    (folder / "c.csv").write_text("rgb/a.png,depth/a.png\n")
    for kind in ("rgb", "depth"):
        (folder / f"{kind}.txt").write_text(f"0.0 {kind}/a.png\n")


@pytest.mark.parametrize("spec", ["folder:{}", "list:{}/l.txt", "kitti:{}", "tum:{}"])
def test_no_source_takes_eight_bits_for_the_units_of_sixteen(spec: str, tmp_path) -> None:
    for kind, array in (("rgb", np.zeros((12, 16, 3), np.uint8)), ("depth", np.full((12, 16), 100, np.uint8))):
        (tmp_path / kind).mkdir()
        Image.fromarray(array).save(tmp_path / kind / "a.png")
    lists(tmp_path)
    with pytest.raises(InputError, match=r"depth/a\.png' has depth of 8 bits.*scale=UNITS_PER_METRE"):
        open_source(spec.format(tmp_path))[0]
    # DenseDepth's lists say the unit of their 8 bits, and a user's own word counts.
    np.testing.assert_allclose(open_source(f"csv:{tmp_path}/c.csv")[0].depth, 1000 / 255, rtol=1e-6)
    if spec.startswith(("folder", "list")):
        assert (open_source(spec.format(tmp_path) + "?scale=25")[0].depth == 4).all()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: b"hello", ["no depth map", ".npy", ".exr"]),
        (lambda: saved(np.zeros((4, 4, 3), np.uint8), "PNG"), ["RGB image", "single-channel"]),
        (lambda: float_tiff_64(METRES), ["no depth map", "32-bit floats"]),
        (lambda: saved(np.random.default_rng(0).integers(0, 9000, (40, 40)).astype(np.uint16), "PNG")[:900], ["damaged"]),
        (lambda: npy(np.zeros((2, 3, 4))), ["2×3×4", "H×W"]),
        (lambda: npy(np.zeros((0, 4))), ["0×4", "H×W"]),
        (lambda: npy(np.float32(1)), ["no dimension"]),
        (lambda: npy(np.zeros((2, 2), bool)), ["bool"]),
        (lambda: npy(np.zeros((2, 2), complex)), ["complex"]),
        (lambda: npy(METRES)[:-5], [".npy", "write it again"]),
        (lambda: npy(METRES).replace(b"(3, 4)", b"(9999999999999, 4)"), [".npy", "write it again"]),
        (lambda: b"PF\n1 1\n-1.0\n" + bytes(12), ["in colour", "Pf"]),
        (lambda: npy(METRES).replace(b"(3, 4)", b"(((((("), [".npy", "write it again"]),
        (lambda: b"PK\x03\x04 and no more", ["a zip", ".npy"]),
        (lambda: exr({"Z": METRES})[:200], ["damaged EXR"]),
        (lambda: exr({"Z": METRES})[:-9], ["damaged EXR", "Unable to"]),
        (lambda: exr({"R": METRES, "G": METRES * 2, "B": METRES}), ["B, G, R", "Z"]),
    ],
)
def test_what_is_no_depth_map_is_named(data: Callable[[], bytes], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError) as error:
        decode_depth(data(), "room.x")
    for word in ("'room.x'", *words):
        assert word in str(error.value)
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


def test_several_arrays_are_no_depth_map() -> None:
    file = io.BytesIO()
    np.savez(file, a=METRES, b=METRES)
    with pytest.raises(InputError, match=r"'a\.npz' is a zip, .* of several arrays: give an \.npy with one"):
        decode_depth(file.getvalue(), "a.npz")


def test_without_the_library_an_exr_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(InputError, match=r"'a\.exr'.*fcrn-mobile\[exr\]"):
        decode_depth(b"\x76\x2f\x31\x01", "a.exr")


@pytest.mark.parametrize(("metres", "warned"), [(0.19, True), (0.21, False), (3, False), (99, False), (101, True)])
def test_a_median_that_few_scenes_have_is_said_once(metres: float, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    depth = np.full((5, 5), metres, np.float32)
    depth[0] = 0  # nothing seen: not of the median
    depth[1] = np.linspace(0.001, 10_000, 5)
    for name in ("first.npy", "second.npy"):
        warn_of_units(depth, name)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == warned
    assert all("'first.npy'" in line and f"{metres:g} m" in line and "?scale=" in line for line in warnings)


@pytest.mark.parametrize("form", ["folder", "nyu-h5"])
def test_every_source_warns_of_units_that_cannot_be(form: str, tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a", "b"):
        image, depth = np.zeros((12, 16, 3), np.uint8), np.full((12, 16), 1500, np.float32)
        if form == "nyu-h5":
            with h5py.File(tmp_path / f"{name}.h5", "w") as file:
                file["rgb"], file["depth"] = image.transpose(2, 0, 1), depth
            continue
        for kind in ("rgb", "depth"):
            (tmp_path / kind).mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / f"rgb/{name}.png")
        np.save(tmp_path / f"depth/{name}.npy", depth)
    source = open_source(f"{form}:{tmp_path}")
    for index in range(len(source)):
        assert source[index].depth[0, 0] == 1500
    (line,) = caplog.messages
    assert "a." in line
    assert "1.5e+03 m" in line


def test_depth_png_holds_millimetres(tmp_path) -> None:
    save_depth_png(np.array([[1.2345, np.nan, -1, 100, np.inf, -np.inf]], np.float32), tmp_path / "d.png")
    assert np.asarray(Image.open(tmp_path / "d.png")).tolist() == [[1234, 0, 0, 65534, 0, 0]]
