"""An ``.mlpackage`` written from what is in memory."""

import json
from collections.abc import Mapping
from pathlib import Path

from fcrn_mobile.package.reading import file_within, read_specification, specification_file

__all__ = ["add_metadata", "write_package"]

_FOLDER, _MODEL = "com.apple.CoreML", "model.mlmodel"


def write_package(package: Path, specification: bytes, files: Mapping[str, bytes]) -> None:
    """Write a package where there is none.

    Args:
        package: the folder to make.
        specification: the serialised ``Model``.
        files: what it refers to, by the path below its folder, such as ``weights/weight.bin``.

    Raises:
        MilError: a path that leads out of the folder.
    """
    folder = package / "Data" / _FOLDER
    folder.mkdir(parents=True)
    (folder / _MODEL).write_bytes(specification)
    for name, content in files.items():
        path = file_within(folder, name, f"the file {name[:80]!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    entry = {"author": _FOLDER, "description": "", "name": _MODEL, "path": f"{_FOLDER}/{_MODEL}"}
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": {"model": entry}, "rootModelIdentifier": "model"}
    (package / "Manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def add_metadata(package: Path, values: Mapping[str, str]) -> None:
    """Add user-defined metadata to a package, in the place of those of the same keys.

    Raises:
        MilError: it is no package, or damaged.
    """
    model, _ = read_specification(package)
    model.description.metadata.userDefined.update(values)
    specification_file(package).write_bytes(model.SerializeToString())
