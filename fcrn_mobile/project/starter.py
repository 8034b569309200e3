"""A first project file, from what lies in a folder: checkpoints, packages that were exported from them, recipes, images."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from fcrn_mobile.conversion.artefact import recipe_of
from fcrn_mobile.conversion.recipe import Recipe, read_recipe
from fcrn_mobile.data.grammar import encoded
from fcrn_mobile.data.spec import open_source
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.budget import FIDELITY
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
#: Drift that is allowed where no recipe of a package's precision says another: that of int8.
_BUDGET = {FIDELITY: "0.05"}


def starter(folder: Path) -> str:
    """The text of ``depth.toml``.

    A network is a checkpoint in the folder (of a run its best one), or the built-in one if there is none. Its packages are those that
    were exported from it, by the recipes in the folder or those that come along; without any, two that are to be exported. Every one has a
    budget: its recipe's, or one that is written here.
    """
    files = _files(folder)
    recipes = _recipes(folder, files) | {name: read_recipe(Path(name)) for name in RECIPES.names}
    packages = {path: _metadata(path) for path in files if path.suffix == ".mlpackage"}
    hashes = {path: hash_of for path, written in packages.items() if (hash_of := Metadata.from_dict(written).checkpoint_sha256)}
    lines = [
        "# What is shipped, and how far it may drift from the float network: 'fcrn-mobile check' exports, validates and reports.",
        f"data = {json.dumps(_data(folder, files))}  # to validate on; not what packages are corrected or calibrated on",
        'report = "depth-report"',
    ]
    networks = _networks(folder, files, hashes)
    stems = _stems(networks)
    for name, network in networks.items():
        own = [path for path, hash_of in hashes.items() if hash_of == network.sha256]
        shipped = {path.relative_to(folder).as_posix(): _made(network, path, packages[path], recipes) for path in own}
        lines += _model(name, shipped or {f"models/{stems[name]}-{recipe}.mlpackage": [_recipe(recipe)] for recipe in _FIRST})
    strangers = [path for path in packages if hashes.get(path) not in _origins(networks)]
    lines += [f"# {path.relative_to(folder).as_posix()}: {_stranger(packages[path], path in hashes)}" for path in strangers]
    return "\n".join([*lines, ""])


def _stranger(written: Mapping[str, str], has_origin: bool) -> str:
    """Why a package has no table."""
    if not written:
        return "it cannot be read"
    why = "its checkpoint is not here" if has_origin else "it was not exported by fcrn-mobile"
    return f"{why}; to check it, name its float network as a reference"


def _model(reference: str, artefacts: Mapping[str, Sequence[str]]) -> list[str]:
    """The tables of a model; of its artefacts the lines below their paths."""
    lines = ["", "[[models]]", f"reference = {json.dumps(reference)}"]
    for path, settings in artefacts.items():
        lines += ["", "[[models.artefacts]]", f"path = {json.dumps(path)}", *settings]
    return lines


def _made(network: Checkpoint, package: Path, written: Mapping[str, str], recipes: Mapping[str, Recipe]) -> list[str]:
    """How a package is made, and what it is held to where its recipe does not say that."""
    before, maker = recipe_of(written, package), _maker(network, package, recipes)
    lines = [_recipe(maker) if maker else "# no recipe here makes it: it is validated as it is"]
    return lines if before.get("budget") else [*lines, _budget(before.get("precision", ""))]


def _recipe(name: str) -> str:
    return f"recipe = {json.dumps(name)}"


def _budget(precision: str) -> str:
    """A budget for a package whose recipe has none."""
    usual = read_recipe(Path(precision)).budget if precision in RECIPES.names else {}
    why = f"what the recipe {precision} allows" if usual else "a start: allow what the app can bear"
    return f"budget = {{ {', '.join(f'{metric} = {json.dumps(amount)}' for metric, amount in (usual or _BUDGET).items())} }}  # {why}"


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
    """Float networks by what they are called on a command line; of several files of the same weights the first."""
    paths = [path for path in files if path.suffix == CHECKPOINT]
    runs = {path.parent for path in paths if path.name == BEST}
    networks: dict[str, Checkpoint] = {}
    for path in (path for path in paths if path.parent not in runs or path.name == BEST):
        try:
            network = load_checkpoint(str(path))
        except InputError:  # weights of something else
            continue
        if network.sha256 not in _origins(networks):
            networks[path.relative_to(folder).as_posix()] = network
    builtin = load_checkpoint(BUILTIN)
    with_builtin = not networks or builtin.sha256 in hashes.values()
    return networks | {BUILTIN: builtin} if with_builtin and builtin.sha256 not in _origins(networks) else networks


def _origins(networks: Mapping[str, Checkpoint]) -> set[str]:
    """The SHA-256 by which packages name what they were exported from."""
    return {network.sha256 for network in networks.values()}


def _recipes(folder: Path, files: Sequence[Path]) -> dict[str, Recipe]:
    recipes = {}
    for path in (path for path in files if path.suffix == ".toml"):
        try:
            recipes[path.relative_to(folder).as_posix()] = read_recipe(path)
        except InputError:  # TOML of something else
            continue
    return recipes


def _metadata(package: Path) -> Mapping[str, str]:
    """What a package says of itself; empty if it, or what this tool wrote there, cannot be read."""
    try:
        written = metadata(read_specification(package)[0])
        Metadata.from_dict(written)
        recipe_of(written, package)
    except InputError:
        return {}
    return written


def _maker(network: Checkpoint, package: Path, recipes: Mapping[str, Recipe]) -> str:
    """The recipe that makes a package just as it is; empty if none does."""
    return next((name for name, recipe in recipes.items() if not outdated(network, recipe, package)), "")


def _stems(networks: Mapping[str, Checkpoint]) -> dict[str, str]:
    """What the packages of networks are called: a file, or the folder of a run; the whole path where that is one name for several."""
    short = {
        name: path.absolute().parent.name if (path := network.path) and path.name == BEST else network.name
        for name, network in networks.items()
    }
    taken = Counter(short.values())
    return {name: stem if taken[stem] == 1 else "-".join(Path(name).with_suffix("").parts) for name, stem in short.items()}


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
