"""Zips as people have them: read as the folder is, or refused in one line that says why."""

import struct
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fcrn_mobile.data import open_source
from fcrn_mobile.data.archive import Archive
from fcrn_mobile.data.skipping import skip_bad
from fcrn_mobile.errors import InputError

#: Offsets of flags and compression method behind the signatures of a local header and of an entry of the directory.
LOCAL, CENTRAL = (b"PK\x03\x04", 6, 8), (b"PK\x01\x02", 8, 10)


def png(array: np.ndarray) -> bytes:
    content = BytesIO()
    Image.fromarray(array).save(content, "PNG")
    return content.getvalue()


RGB, DEPTH = png(np.full((12, 16, 3), 90, np.uint8)), png(np.full((12, 16), 1500, np.uint16))
MEMBERS = {"rgb/a.png": RGB, "depth/a.png": DEPTH, "rgb/b.png": RGB, "depth/b.png": DEPTH}


def write_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo("placeholder")
            info.filename = name  # as it is: the constructor would put other slashes in on Windows
            info.compress_type = method
            archive.writestr(info, content)
    return path


def patch(path: Path, names: set[str], flags: int = 0, method: int | None = None) -> None:
    """Set flags and method of some members in both of their headers, as a packer that has them would write."""
    data = bytearray(path.read_bytes())
    for signature, flags_at, method_at in (LOCAL, CENTRAL):
        place = data.find(signature)
        while place >= 0:
            length, name_at = (26, 30) if signature == LOCAL[0] else (28, 46)
            (size,) = struct.unpack_from("<H", data, place + length)
            if bytes(data[place + name_at : place + name_at + size]).decode() in names:
                (old,) = struct.unpack_from("<H", data, place + flags_at)
                struct.pack_into("<H", data, place + flags_at, old | flags)
                if method is not None:
                    struct.pack_into("<H", data, place + method_at, method)
            place = data.find(signature, place + 4)
    path.write_bytes(data)


def test_backslashes_dots_and_leading_slashes_are_read(tmp_path: Path) -> None:
    members = {"set\\rgb\\a.png": RGB, "set\\depth\\a.png": DEPTH, "set\\depth\\": b"", "./set/rgb/b.JPG": RGB, "/set/depth/b.PNG": DEPTH}
    source = open_source(f"folder:{write_zip(tmp_path / 'windows.zip', members)}")
    assert source.names == ("a", "b")
    assert all(source[i].depth[0, 0] == 1.5 for i in (0, 1))


def test_what_macos_adds_is_no_picture(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = {"set/rgb/a.png": RGB, "set/depth/a.png": DEPTH, "set/.DS_Store": b"x"}
    added = {"__MACOSX/set/rgb/._a.png": b"x", "__MACOSX/set/depth/a.png": b"x", "set/rgb/._a.png": b"x"}
    assert open_source(f"folder:{write_zip(tmp_path / 'mac.zip', own | added)}").names == ("a",)
    assert not caplog.records


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_way_that_python_packs_is_read(method: int, tmp_path: Path) -> None:
    assert open_source(f"folder:{write_zip(tmp_path / 'a.zip', MEMBERS, method)}")[1].depth[0, 0] == 1.5


def test_a_member_written_twice_counts_as_it_was_written_last(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"rgb/a.png": RGB, "depth/a.png": png(np.full((12, 16), 9, np.uint16))})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("depth/a.png", DEPTH)
    assert open_source(f"folder:{path}")[0].depth[0, 0] == 1.5


@pytest.mark.parametrize(
    ("flags", "method", "message"),
    [
        (1, None, r"'rgb/a\.png' in '.*a\.zip' is encrypted: unpack the \.zip with its password"),
        (0, 9, r"is compressed with Deflate64, which Python cannot read: unpack the \.zip and give the folder"),
        (0, 95, "compressed with XZ"),
        (1, 99, "is encrypted"),
        (0, 77, "compressed with method 77"),
    ],
)
def test_what_python_cannot_unpack_is_refused_on_opening(flags: int, method: int | None, message: str, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", MEMBERS)
    patch(path, set(MEMBERS), flags, method)
    with pytest.raises(InputError, match=message):
        open_source(f"folder:{path}")


def test_one_such_member_spoils_its_own_frame_alone(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", MEMBERS)
    patch(path, {"depth/a.png"}, method=9)
    source = open_source(f"folder:{path}")
    with pytest.raises(InputError, match=r"'depth/a\.png' in .* Deflate64"):
        source[0]
    assert skip_bad(source, lambda _: None, lambda *_: None)[0].names == ("b",)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_named(method: int, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", MEMBERS, method)
    data = bytearray(path.read_bytes())
    start = data.find(b"rgb/b.png") + len(b"rgb/b.png") + 12
    data[start : start + 12] = bytes(255 - byte for byte in data[start : start + 12])
    path.write_bytes(data)
    source = open_source(f"folder:{path}")
    assert source[0].name == "a"
    with pytest.raises(InputError, match=r"'rgb/b\.png' in '.*a\.zip' is damaged .*: pack the \.zip again"):
        source[1]


@settings(max_examples=150, deadline=None)
@given(
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    kept=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_no_damage_ends_in_anything_but_the_frame_or_one_line(
    method: int, changes: list[tuple[float, int]], kept: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write_zip(tmp_path_factory.mktemp("zips") / "a.zip", {"rgb/a.png": RGB, "depth/a.png": DEPTH}, method)
    data = bytearray(path.read_bytes())
    for place, byte in changes:
        data[int(place * len(data))] = byte
    path.write_bytes(data[: round(kept * len(data))])
    try:
        archive = Archive(path)
        for file in archive.files:
            archive.read(file)
    except InputError as error:
        assert "\n" not in str(error)


def test_other_archives_are_no_zip(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"\x1f\x8b" + bytes(100))
    with pytest.raises(InputError, match=r"a\.tar\.gz' is not a readable \.zip .*: give a folder or \.zip"):
        open_source(f"folder:{tmp_path}/a.tar.gz")
