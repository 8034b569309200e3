"""Core ML's files on disk: an ``.mlmodel``, or an ``.mlpackage`` with manifest, specification and weights; the functions it holds."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcrn_mobile.file_hash import sha256_of
from fcrn_mobile.package.blob import POINTER
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.package.wire import apart
from fcrn_mobile.quiet import quiet_coremltools

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Block, Function, Operation
    from coremltools.proto.Model_pb2 import FeatureDescription, Model

__all__ = [
    "SUFFIXES",
    "default_function",
    "every_operation",
    "feature_descriptions",
    "file_within",
    "function_block",
    "metadata",
    "package_hash",
    "read_specification",
    "require_function",
    "specification_apart",
    "specification_file",
    "state_descriptions",
]

#: How Core ML's files end.
SUFFIXES = (".mlpackage", ".mlmodel")

#: Protobuf reads no larger message.
_LARGEST_SPECIFICATION = 2**31 - 1
_LARGEST_MANIFEST = 2**24
_AGAIN = "copy or export the package again"


def read_specification(package: Path) -> tuple["Model", Path]:
    """Parse the specification of a model, whatever kind of model it is.

    Args:
        package: the .mlpackage folder, or the .mlmodel file.

    Returns:
        The protobuf, and the folder its blob file names are relative to.

    Raises:
        MilError: missing, neither package nor model, or damaged.
    """
    model_file = specification_file(package)
    return _parsed(_read(model_file, _LARGEST_SPECIFICATION), package, model_file), model_file.parent


@contextmanager
def specification_apart(package: Path) -> Iterator[tuple["Model", Path]]:
    """As ``read_specification``, but for large weights of neural networks: within the context ``wire.stored`` reads those.

    Raises:
        MilError: as there.
    """
    model_file = specification_file(package)
    _check_length(model_file, _LARGEST_SPECIFICATION)
    with quiet_coremltools():
        from coremltools.proto.Model_pb2 import Model
    with apart(model_file, Model.DESCRIPTOR) as content:
        yield _parsed(content, package, model_file), model_file.parent


def _parsed(content: bytes, package: Path, model_file: Path) -> "Model":
    with quiet_coremltools():
        from coremltools.proto.Model_pb2 import Model
    from google.protobuf.message import DecodeError

    model = Model()
    if content.startswith(POINTER):
        raise MilError(f"'{model_file}' only points to a file in Git LFS: fetch that first (git lfs pull)")
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise MilError(f"'{package}' holds a damaged specification ({error}): copy or export it again") from error
    if model.WhichOneof("Type") is None:
        raise MilError(f"'{package}' holds a specification without a model: copy or export it again")
    return model


def specification_file(package: Path) -> Path:
    """The file of a model's specification: of an .mlpackage folder the one that its manifest names, an .mlmodel itself.

    Raises:
        MilError: missing, or neither package nor model.
    """
    return package if package.suffix == ".mlmodel" and _is_file(package) else package / "Data" / _root(package)


def function_block(model: "Model", where: str, name: str | None = None) -> tuple["Function", "Block"]:
    """A function of the program, and its operations.

    Args:
        model: the specification.
        where: names the model in messages.
        name: the function; None for the package's default.

    Raises:
        MilError: no such function, or one without operations for the operator set it asks for.
    """
    name = name or default_function(model)
    require_function(model, where, name)
    function = model.mlProgram.functions[name]
    if function.opset not in function.block_specializations:
        others = _listed(function.block_specializations)
        raise MilError(f"function {name[:80]!r} of '{where}' asks for operator set {function.opset[:80]!r}, it has {others}: export again")
    return function, function.block_specializations[function.opset]


def require_function(model: "Model", where: str, name: str) -> None:
    """Pass if a program has a function of that name.

    Raises:
        MilError: it has none; says those that there are.
    """
    functions = model.mlProgram.functions
    if name not in functions:
        raise MilError(f"'{where}' has no function {name[:80]!r}: choose one of its functions ({_listed(functions)})")


def default_function(model: "Model") -> str:
    """Name of the function that runs when none is asked for."""
    return str(model.description.defaultFunctionName) or "main"


def feature_descriptions(model: "Model", function_name: str | None = None) -> tuple[list["FeatureDescription"], list["FeatureDescription"]]:
    """Inputs and outputs of a function, as the package declares them to callers.

    Packages of several functions describe each of them (``description.functions``), others describe their only one.
    """
    described = _description(model, function_name)
    return list(described.input), list(described.output)


def state_descriptions(model: "Model", function_name: str | None = None) -> list["FeatureDescription"]:
    """What a function keeps from one prediction to the next, as the package declares it to callers."""
    return list(_description(model, function_name).state)


def every_operation(block: "Block") -> "Iterator[Operation]":
    """All operators of a block, those of nested blocks behind the one that they are in."""
    for operation in block.operations:
        yield operation
        for nested in operation.blocks:
            yield from every_operation(nested)


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


def package_hash(package: Path) -> str:
    """SHA-256, in hexadecimal digits, of what a package holds: names and bytes of all files below ``Data``, in order of their names.

    The manifest is left out, whose identifiers are drawn anew whenever a package is saved.
    """
    data = package / "Data"
    parts: list[Path | bytes] = []
    for path in sorted(path for path in data.rglob("*") if path.is_file()):
        parts += [f"{path.relative_to(data).as_posix()}\0{path.stat().st_size}\0".encode(), path]
    return sha256_of(parts)


def file_within(folder: Path, name: str, what: str) -> Path:
    """The path of a file that a package names, once it is sure that it lies inside ``folder``.

    Args:
        folder: where it has to be, links resolved.
        name: relative path as the package gives it.
        what: named in messages.

    Raises:
        MilError: it lies elsewhere, by its name or behind a symbolic link.
    """
    if not name.isprintable():
        raise MilError(f"{what} has a name that no file has: {_AGAIN}")
    try:
        path = (folder / name).resolve()
        inside = path.is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name that is no path
        raise MilError(f"{what} cannot be followed ({error}): {_AGAIN}") from error
    if not inside:
        raise MilError(
            f"{what} lies outside '{folder}', at '{path}': copy the package with its links followed (cp -RL), or export it again"
        )
    return path


def _description(model: "Model", function_name: str | None) -> Any:
    name = function_name or default_function(model)
    return next((function for function in model.description.functions if function.name == name), model.description)


def _root(package: Path) -> str:
    """Where the manifest says that the specification is, below ``Data``; it is there, and a file."""
    _check_folder(package)
    manifest_file = file_within(package, "Manifest.json", f"the manifest of '{package}'")
    if not _is_file(manifest_file):
        raise MilError(f"'{package}' has no Manifest.json: give the whole .mlpackage folder, or export it again")
    try:
        manifest = json.loads(_read(manifest_file, _LARGEST_MANIFEST))
        root = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MilError(f"'{package}' has no readable Manifest.json ({type(error).__name__}: {str(error)[:80]}): export it again") from error
    if not isinstance(root, str) or not root:
        raise MilError(f"'{package}' has a Manifest.json that names no model: export it again")
    if not _is_file(file_within(package, str(Path("Data") / root), f"the model {root[:80]!r} of '{package}'")):
        raise MilError(f"'{package}' lacks {root[:80]!r}, which its manifest names: copy or export it again")
    return root


def _check_folder(package: Path) -> None:
    try:
        if package.is_file():
            with package.open("rb") as stream:
                zipped = stream.read(4) == b"PK\x03\x04"
            remedy = "unpack it first (unzip)" if zipped else "give an .mlpackage folder or an .mlmodel file"
            raise MilError(f"'{package}' is a {'zip archive' if zipped else 'file'}, not an .mlpackage folder: {remedy}")
        if not package.is_dir():
            raise MilError(f"no model at '{package}': give an existing .mlpackage or .mlmodel")
        if not (package / "Manifest.json").exists() and (package / "coremldata.bin").exists():
            raise MilError(f"'{package}' is a compiled model (.mlmodelc): give the .mlpackage it was compiled from")
    except OSError as error:
        raise MilError(f"cannot read '{package}' ({error.strerror}): make it readable") from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the file system, a folder without permission
        return False


def _read(path: Path, most: int) -> bytes:
    """The whole file.

    Raises:
        MilError: unreadable, or larger than ``most`` bytes.
    """
    _check_length(path, most)
    try:
        return path.read_bytes()
    except OSError as error:
        raise MilError(f"cannot read '{path}' ({error.strerror}): make it readable") from error


def _check_length(path: Path, most: int) -> None:
    """Pass if a file can be read, and is no larger than ``most`` bytes."""
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise MilError(f"cannot read '{path}' ({error.strerror}): make it readable") from error
    if size > most:
        raise MilError(f"'{path}' has {size} bytes, the limit is {most}: it is damaged, export the package again")


def _listed(names: Any) -> str:
    shown = [repr(name[:80]) for name in sorted(names)]
    return ", ".join(shown[:12]) + (f" and {len(shown) - 12} more" if len(shown) > 12 else "") if shown else "none"
