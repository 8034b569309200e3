"""The files of an ``.mlpackage`` on disk: manifest, specification, weights folder."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from fcrn_mobile.mil.errors import MilError
from fcrn_mobile.quiet import quiet_coremltools

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Block
    from coremltools.proto.Model_pb2 import Model


def read_specification(package: Path) -> tuple["Model", Path]:
    """Parse the model specification of a package.

    Args:
        package: the .mlpackage folder.

    Returns:
        The protobuf, and the folder its blob file names are relative to.

    Raises:
        MilError: missing, not a package, damaged, or not an ML program.
    """
    model_file = _model_file(package)
    with quiet_coremltools():
        from coremltools.proto.Model_pb2 import Model
    from google.protobuf.message import DecodeError

    model = Model()
    try:
        model.ParseFromString(model_file.read_bytes())
    except (OSError, DecodeError) as error:
        raise MilError(f"'{package}' holds a damaged specification ({error}): export it again") from error
    if model.WhichOneof("Type") != "mlProgram":
        raise MilError(f"'{package}' is a {model.WhichOneof('Type')} model: only ML programs run here; convert it to mlprogram")
    return model, model_file.parent


def main_block(model: "Model", package: Path) -> "Block":
    """The operations of the function ``main``."""
    functions = model.mlProgram.functions
    if "main" not in functions:
        raise MilError(f"'{package}' has no function 'main': it holds {', '.join(functions) or 'none'}")
    function = functions["main"]
    block: Block = function.block_specializations[function.opset]
    return block


def metadata(model: "Model") -> dict[str, str]:
    """What the author wrote: description, author, license, version, and the user-defined keys."""
    written = model.description.metadata
    return {
        "description": written.shortDescription,
        "author": written.author,
        "license": written.license,
        "version": written.versionString,
        **dict(sorted(written.userDefined.items())),
    }


def _model_file(package: Path) -> Path:
    if not package.exists():
        raise MilError(f"no package at '{package}': give an existing .mlpackage")
    if not package.is_dir():
        raise MilError(f"'{package}' is a file, not an .mlpackage folder: export it again, or unpack it first")
    try:
        manifest = json.loads((package / "Manifest.json").read_text())
        root = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MilError(f"'{package}' has no readable Manifest.json: export it again") from error
    model_file: Path = package / "Data" / root
    if not model_file.is_file():
        raise MilError(f"'{package}' lacks '{root}', which its manifest names: export it again")
    return model_file
