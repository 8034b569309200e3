"""The hash of files is that of their bytes in a row, however large they are."""

import hashlib
from pathlib import Path

import pytest

from fcrn_mobile.file_hash import sha256_of


def test_files_and_bytes_count_as_one(tmp_path: Path) -> None:
    large = bytes(range(256)) * 5000  # more than is read at a time
    (tmp_path / "a").write_bytes(large)
    (tmp_path / "b").write_bytes(b"")
    assert sha256_of([b"x", tmp_path / "a", tmp_path / "b", b"y"]) == hashlib.sha256(b"x" + large + b"y").hexdigest()
    assert sha256_of([]) == hashlib.sha256().hexdigest()
    with pytest.raises(FileNotFoundError):
        sha256_of([tmp_path / "c"])
