"""A package written from memory is one that is read back; a file's name does not lead out of it."""

from pathlib import Path

import pytest

from fcrn_mobile.package.errors import MilError
from fcrn_mobile.package.reading import read_specification
from fcrn_mobile.package.writing import write_package
from fcrn_mobile.quiet import quiet_coremltools

with quiet_coremltools():
    from coremltools.proto.Model_pb2 import Model


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    model = Model(specificationVersion=7)
    model.mlProgram.version = 1
    write_package(tmp_path / "a.mlpackage", model.SerializeToString(), {"weights/weight.bin": b"abc"})
    read, folder = read_specification(tmp_path / "a.mlpackage")
    assert read == model and (folder / "weights/weight.bin").read_bytes() == b"abc"


@pytest.mark.parametrize("name", ["../../../../out", "/tmp/out"])
def test_no_file_is_written_outside(name: str, tmp_path: Path) -> None:
    with pytest.raises(MilError, match="outside"):
        write_package(tmp_path / "a.mlpackage", b"", {name: b""})
