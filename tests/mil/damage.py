"""Ways to damage a package that works, and the check that it is then refused in one line."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.cli.main import run
from fcrn_mobile.mil import MilError, Program
from fcrn_mobile.package.reading import read_specification
from fcrn_mobile.quiet import quiet_coremltools
from tests.mil.build import mb, save_program

with quiet_coremltools():
    from coremltools.converters.mil.backend.mil.helper import create_tensor_value
    from coremltools.proto.Model_pb2 import Model

MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"

Damage = Callable[[Path], Any]


def sound_package(folder: Path) -> Path:
    """A package that works: convolution with stored weights, reshape, fill, tile, sum."""

    def body(x0: Any) -> Any:
        weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
        y = mb.conv(x=x0, weight=weight, pad_type="custom", pad=mb.const(val=[1, 1, 1, 1], name="conv_pad"), name="conv")
        y = mb.relu(x=y, name="relu")
        y = mb.reshape(x=y, shape=mb.const(val=[4, 64], name="flat_shape"), name="flat")
        filled = mb.fill(shape=mb.const(val=[4, 8], name="filled_shape"), value=1.0, name="filled")
        tiled = mb.tile(x=filled, reps=mb.const(val=[1, 8], name="tiled_reps"), name="tiled")
        return mb.add(x=y, y=tiled, name="sum")

    return save_program(folder, body, [np.zeros((1, 3, 8, 8), np.float32)])


def copied(sound: Path, folder: Path) -> Path:
    package = folder / "damaged.mlpackage"
    shutil.copytree(sound, package)
    return package


def refusal(package: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str = "run") -> str:
    """The one line of the error, the same from the library and from the command line (which exits with 2)."""
    with pytest.raises(MilError) as caught:
        Program.load(package)
    line = str(caught.value)
    assert line.isprintable()
    assert 20 < len(line) < 700
    out = ["--out", str(package.parent / "out")] if command == "run" else []
    monkeypatch.setattr(sys, "argv", ["fcrn-mobile", command, str(package), *out])
    with pytest.raises(SystemExit) as stopped:
        run()
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    assert printed.err == f"fcrn-mobile: {' '.join(line.split())}\n"
    assert printed.out == ""
    return line


def check_refusal(
    case: tuple[Damage, str], sound: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of a sound package with a damage is refused in a line that matches."""
    damage, message = case
    package = copied(sound, folder)
    damage(package)
    line = refusal(package, capsys, monkeypatch)
    assert re.search(message, line), line


def rewritten(name: str, content: bytes | Callable[[bytes], bytes]) -> Damage:
    """Other content of a file."""

    def damage(package: Path) -> None:
        path = package / name
        path.write_bytes(content if isinstance(content, bytes) else content(path.read_bytes()))

    return damage


def removed(name: str) -> Damage:
    return lambda package: (package / name).unlink()


def replaced_by(name: str, make: Callable[[Path], Any]) -> Damage:
    """Something else at the path of a file."""

    def damage(package: Path) -> None:
        (package / name).unlink()
        make(package / name)

    return damage


def manifest(change: Callable[[dict[str, Any]], Any]) -> Damage:
    def damage(package: Path) -> None:
        content = json.loads((package / "Manifest.json").read_text())
        changed = change(content)
        (package / "Manifest.json").write_text(json.dumps(content if changed is None else changed))

    return damage


def model_path(path: Any) -> Damage:
    return manifest(lambda content: content["itemInfoEntries"]["model"].update(path=path))


def specification(change: Callable[[Any], Any]) -> Damage:
    """Another specification, still a valid protobuf."""

    def damage(package: Path) -> None:
        model, _ = read_specification(package)
        change(model)
        (package / MODEL).write_bytes(model.SerializeToString())

    return damage


def block_of(model: Any) -> Any:
    function = model.mlProgram.functions["main"]
    return function.block_specializations[function.opset]


def operation(name: str, change: Callable[[Any], Any]) -> Damage:
    """Another operator of this result name."""
    return specification(lambda model: change(next(o for o in block_of(model).operations if o.outputs[0].name == name)))


def stored(change: Callable[[Any], Any]) -> Damage:
    """Another value of the constant in the weights file."""

    def damage(model: Any) -> None:
        for proto in block_of(model).operations:
            if proto.type == "const" and proto.attributes["val"].WhichOneof("value") == "blobFileValue":
                change(proto.attributes["val"])

    return specification(damage)


def constant(name: str, value: np.ndarray) -> Damage:
    """Another value of a constant."""

    def change(proto: Any) -> None:
        proto.attributes["val"].CopyFrom(create_tensor_value(value))

    return operation(name, change)


def dimensions(declared: Any, *lengths: int) -> None:
    del declared.tensorType.dimensions[:]
    for length in lengths:
        declared.tensorType.dimensions.add().constant.size = length
    declared.tensorType.rank = len(lengths)


def resized_weights(*lengths: int) -> Damage:
    """Another declared shape of the constant in the weights file."""

    def change(model: Any) -> None:
        for proto in block_of(model).operations:
            if proto.type == "const" and proto.attributes["val"].WhichOneof("value") == "blobFileValue":
                dimensions(proto.attributes["val"].type, *lengths)
                dimensions(proto.outputs[0].type, *lengths)

    return specification(change)


def a_link_to(outside: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(outside)


def moved_outside(name: str) -> Damage:
    """The file behind a symbolic link, its content unchanged."""

    def damage(package: Path) -> None:
        outside = package.parent / "outside"
        (package / name).rename(outside)
        (package / name).symlink_to(outside)

    return damage


def other_type(kind: str) -> Damage:
    def damage(package: Path) -> None:
        model = Model()
        getattr(model, kind).SetInParent()
        (package / MODEL).write_bytes(model.SerializeToString())

    return damage


def nested(depth: int) -> bytes:
    """A specification whose program's only value is a list of lists, this deep."""
    data = b""
    for _ in range(depth):
        # ListValue.values (1) in ImmediateValue.list (3) in Value.immediateValue (3)
        for tag in (b"\x0a", b"\x1a", b"\x1a"):
            data = tag + _length(data) + data
    # Value in an entry of Program.attributes (4) in Model.mlProgram (502)
    for tag in (b"\x12", b"\x22", b"\xb2\x1f"):
        data = tag + _length(data) + data
    return data


def _length(data: bytes) -> bytes:
    size, encoded = len(data), b""
    while size > 127:
        encoded, size = encoded + bytes([size & 127 | 128]), size >> 7
    return encoded + bytes([size])
