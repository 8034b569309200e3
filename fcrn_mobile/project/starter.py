"""A first project file, from what lies in a folder: checkpoints, packages that were exported from them, recipes, images."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from fcrn_mobile.conversion.recipe import Recipe, read_recipe
from fcrn_mobile.data.grammar import encoded
from fcrn_mobile.data.spec import open_source
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint, load_checkpoint
from fcrn_mobile.network.forms import BUILTIN, CHECKPOINT
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.package.reading import metadata, read_specification
from fcrn_mobile.project.outdated import outdated
from fcrn_mobile.runs.folder import BEST
from fcrn_mobile.shipped import RECIPES

__all__ = ["starter"]

#: How many folders deep it is looked.
_DEPTH = 3
#: What is exported of a network that has no package yet.
_FIRST = ("fp16", "int8")
#: Where there is no data of one's own; the other part is there to correct on.
_SAMPLE = "sample#val"


def starter(folder: Path) -> str:
    """The text of ``depth.toml``.

    A network is a checkpoint in the folder (of a run its best one), or the built-in one if there is none. Its packages are those that
    were exported from it, by the recipes in the folder or those that come along; without any, two that are to be exported.
    """
    files = _files(folder)
    recipes = _recipes(folder, files) | {name: read_recipe(Path(name)) for name in RECIPES.names}
    hashes = {path: hash_of for path in files if path.suffix == ".mlpackage" and (hash_of := _origin(path))}
    lines = [
        "# What is shipped, and how far it may drift from the float network: 'fcrn-mobile check' exports, validates and reports.",
        f"data = {json.dumps(_data(folder, files))}  # to validate on; not what packages are corrected or calibrated on",
        'report = "depth-report"',
    ]
    networks = _networks(folder, files, hashes)
    for name, network in networks.items():
        own = [path for path, hash_of in hashes.items() if hash_of == network.sha256]
        shipped = {path.relative_to(folder).as_posix(): _maker(network, path, recipes) for path in own}
        lines += _model(name, shipped or {f"models/{_stem(network)}-{recipe}.mlpackage": recipe for recipe in _FIRST})
    origins = {network.sha256 for network in networks.values()}
    strangers = [path.relative_to(folder).as_posix() for path, hash_of in hashes.items() if hash_of not in origins]
    return "\n".join([*lines, *(f"# {path}: its checkpoint is not here" for path in strangers), ""])


def _model(reference: str, artefacts: Mapping[str, str]) -> list[str]:
    lines = ["", "[[models]]", f"reference = {json.dumps(reference)}"]
    for path, recipe in artefacts.items():
        maker = f"recipe = {json.dumps(recipe)}" if recipe else "# no recipe here makes it: it is validated as it is"
        lines += ["", "[[models.artefacts]]", f"path = {json.dumps(path)}", maker]
    return lines


def _files(folder: Path) -> list[Path]:
    """Files and packages, not too deep, none hidden, in order."""
    paths = []
    for place, folders, names in os.walk(folder):
        packages = [name for name in folders if name.endswith(".mlpackage")]
        paths += [Path(place, name) for name in (*names, *packages) if not name.startswith(".")]
        deeper = len(Path(place).relative_to(folder).parts) < _DEPTH
        folders[:] = [name for name in folders if deeper and name not in packages and not name.startswith(".")]
    return sorted(paths)


def _networks(folder: Path, files: Sequence[Path], hashes: Mapping[Path, str]) -> dict[str, Checkpoint]:
    """Float networks by what they are called on a command line."""
    paths = [path for path in files if path.suffix == CHECKPOINT]
    runs = {path.parent for path in paths if path.name == BEST}
    networks = {}
    for path in (path for path in paths if path.parent not in runs or path.name == BEST):
        try:
            networks[path.relative_to(folder).as_posix()] = load_checkpoint(str(path))
        except InputError:  # weights of something else
            continue
    builtin = load_checkpoint(BUILTIN)
    return networks if networks and builtin.sha256 not in hashes.values() else networks | {BUILTIN: builtin}


def _recipes(folder: Path, files: Sequence[Path]) -> dict[str, Recipe]:
    recipes = {}
    for path in (path for path in files if path.suffix == ".toml"):
        try:
            recipes[path.relative_to(folder).as_posix()] = read_recipe(path)
        except InputError:  # TOML of something else
            continue
    return recipes


def _origin(package: Path) -> str | None:
    """The hash of the checkpoint that a package was exported from; None if this tool did not."""
    try:
        return Metadata.from_dict(metadata(read_specification(package)[0])).checkpoint_sha256
    except InputError:
        return None


def _maker(network: Checkpoint, package: Path, recipes: Mapping[str, Recipe]) -> str:
    """The recipe that makes a package just as it is; empty if none does."""
    return next((name for name, recipe in recipes.items() if not outdated(network, recipe, package)), "")


def _stem(network: Checkpoint) -> str:
    """What the packages of a network are called: its file, or the folder of its run."""
    path = network.path
    return path.absolute().parent.name if path and path.name == BEST else network.name


def _data(folder: Path, files: Sequence[Path]) -> str:
    """Frames with depth in the folder, the part for validation; the built-in sample if there are none."""
    for place in sorted({path.parents[1] for path in files if path.parent.name == "rgb"}):
        spec = f"folder:{encoded(place.relative_to(folder).as_posix())}#val"
        try:
            open_source(f"folder:{encoded(str(place))}#val")
        except InputError:  # pictures of something else
            continue
        return spec
    return _SAMPLE
