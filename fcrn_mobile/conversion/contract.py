"""What the iOS app relies on in a package, checked before it is copied into the app.

The rules, their order and their words are those of ``ModelContract`` in ``ios_demo/DepthCore``; both are tested with the same cases.
"""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from fcrn_mobile.conversion.recipe import OUTPUTS
from fcrn_mobile.depth_contract import Framing, config_beside
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.check import read_function
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.network.training_record import METRES, UP_TO_SCALE
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.package.metadata import COMPUTE_UNITS, Metadata, key, model_contract
from fcrn_mobile.package.reading import metadata
from fcrn_mobile.package.writing import add_metadata
from fcrn_mobile.whole_file import written_whole

if TYPE_CHECKING:
    from coremltools.proto.FeatureTypes_pb2 import FeatureDescription

__all__ = ["Port", "check", "check_place", "framing_named", "install", "read_ports", "told", "violations"]

_EXPORT = "export it with fcrn-mobile"
_AGAIN = "export it again"
_NO_UNITS = f"{_EXPORT}, or say depth in a model config"


@dataclass(frozen=True)
class Port:
    """An input or output as the app sees it.

    Attributes:
        name: as callers use it.
        kind: picture in colour, one-channel Float16 picture, multi-array, or anything else.
        shape: height × width of a picture, all of an array.
    """

    name: str
    kind: Literal["colour", "half", "array", "other"]
    shape: tuple[int, ...] = ()


def read_ports(package: Path) -> tuple[list[Port], list[Port], dict[str, str]]:
    """Inputs, outputs and metadata of a package.

    Raises:
        MilError: it is no package, or damaged.
    """
    function = read_function(package)
    return [_port(item) for item in function.inputs], [_port(item) for item in function.outputs], metadata(function.model)


def violations(inputs: Sequence[Port], outputs: Sequence[Port], metadata: Mapping[str, str]) -> list[str]:
    """What keeps a model out of the app, one line each with its remedy; empty where the app can show its depth.

    The first is what the app itself says of the model.
    """
    written = Metadata.from_dict(metadata)
    recipe = _recipe(written)
    return [*_input(inputs), *_metadata(written), *_settings(recipe, inputs), *_output(outputs, recipe)]


def told(package: Path, model_config: Path | None = None, framing: Framing | None = None) -> dict[str, str]:
    """Metadata that the app needs beside those of a package: its framing, the camera of its metres, and what a model config says.

    Args:
        package: an .mlpackage.
        model_config: a TOML; None: the file beside a package that says nothing itself.
        framing: of pictures in the app; None: as the contract says, but ``crop`` instead of ``stretch``, so that proportions stay.

    Raises:
        InputError: it is no package, or the model config cannot be.
    """
    written = read_ports(package)[2]
    file = model_config or (config_beside(package) if Metadata.from_dict(written) == Metadata() else None)
    try:
        contract = model_contract(package, written, file)
    except InputError:
        if file:
            raise
        return {}  # ``violations`` says why
    if contract is None:
        return {}
    own = "crop" if contract.framing == "stretch" else contract.framing
    facts = Metadata(**contract.to_metadata()).to_dict()
    # Said even where it is as usual: silence is not what was asked for.
    added = {key("contract"): json.dumps(json.loads(facts.get(key("contract"), "{}")) | {"framing": framing or own})}
    if contract.camera and not Metadata.from_dict(written).camera:
        added[key("camera")] = facts[key("camera")]
    return (facts if file else {}) | added


def framing_named(name: str | None) -> Framing | None:
    """The framing of that name; None for none.

    Raises:
        InputError: there is none of that name.
    """
    framing = next((each for each in get_args(Framing) if each == name), None)
    if name is not None and framing is None:
        raise InputError(f"--framing {name!r:.80} is none: use one of {', '.join(get_args(Framing))}")
    return framing


def check(package: Path, added: Mapping[str, str] | None = None) -> list[str]:
    """Read a package to its last weight, and say what keeps it out of the app.

    Args:
        package: an .mlpackage.
        added: metadata that it will have beside its own, see ``told``.

    Returns:
        ``violations``; empty where it fits.

    Raises:
        InputError: it is no package, or damaged.
    """
    if package.suffix != ".mlpackage":
        raise InputError(f"'{package}' is no .mlpackage: give what fcrn-mobile export wrote with --out NAME.mlpackage")
    inputs, outputs, written = read_ports(package)
    faults = violations(inputs, outputs, {**written, **(added or {})})
    if not faults:
        Program.load(package)
    return faults


def check_place(package: Path, models: Path, force: bool = False) -> Path:
    """Where a package will lie in the app's folder of models.

    Raises:
        InputError: no such folder, or a package of that name lies there.
    """
    if not models.is_dir():
        raise InputError(f"no folder '{models}': start in a clone of the repository, or name the app's Models folder with --models")
    target = models / package.name
    if target.exists() and not force:
        raise InputError(f"'{target}' exists: overwrite it with --force, or rename the package")
    return target


def install(package: Path, models: Path, force: bool = False, added: Mapping[str, str] | None = None) -> Path:
    """Copy a package that was checked into the app's folder of models; it appears there whole or not at all.

    Args:
        package: an .mlpackage.
        models: the folder, such as ``ios_demo/Models``.
        force: overwrite a package of the same name.
        added: metadata that the copy has beside its own, see ``told``.

    Returns:
        Where it is now.

    Raises:
        InputError: no such folder, or a package of that name lies there.
    """
    target = check_place(package, models, force)
    with written_whole(target, force) as partial:
        shutil.copytree(package, partial)
        if added:
            add_metadata(partial, added)
    return target


def _port(described: "FeatureDescription") -> Port:
    try:
        feature = Feature.from_description(described)
    except MilError:
        return Port(described.name, "other")
    if feature.kind == "array":
        return Port(feature.name, "array", feature.shape)
    if feature.kind == "image" and min(feature.shape) > 0:
        if feature.dtype in ("RGB", "BGR"):
            return Port(feature.name, "colour", feature.shape)
        if feature.dtype == "GRAYSCALE_FLOAT16":
            return Port(feature.name, "half", feature.shape)
    return Port(feature.name, "other")


def _input(inputs: Sequence[Port]) -> list[str]:
    if len(inputs) != 1:
        return [f"it takes {len(inputs)} inputs ({_names(inputs)}), not one picture: {_EXPORT}"]
    if inputs[0].kind != "colour":
        return [f"its input '{inputs[0].name}' is not a colour picture of fixed size: {_EXPORT}"]
    return []


def _metadata(written: Metadata) -> list[str]:
    faults = []
    units = written.output_units
    if not units:
        faults.append(f"its metadata lack '{key('output_units')}': {_NO_UNITS}")
    elif units not in (METRES, UP_TO_SCALE):
        faults.append(f"its depth is in '{units}', neither in metres nor up to scale: {_EXPORT}")
    if written.contract and not _has_framing(written.contract):
        faults.append(f"its contract '{written.contract[:80]}' cannot be read: {_AGAIN}")
    checkpoint = written.checkpoint_sha256
    if checkpoint and not re.fullmatch("[0-9a-f]{64}", checkpoint):
        faults.append(f"its checkpoint hash '{checkpoint[:80]}' is not a SHA-256: {_AGAIN}")
    return faults


def _has_framing(contract: str) -> bool:
    """Whether JSON says how a picture is framed, or leaves that as usual."""
    try:
        terms = json.loads(contract)
    except (ValueError, RecursionError):
        return False
    return isinstance(terms, dict) and terms.get("framing") in (None, *get_args(Framing))


def _recipe(written: Metadata) -> dict[str, Any] | str | None:
    """The settings, or what is wrong with them; None where there are none, as of other makers."""
    if not written.recipe:
        return None
    try:
        settings = written.settings()
    except (ValueError, RecursionError):
        return _unreadable("it is not JSON")
    except TypeError as error:
        return _unreadable(str(error))
    for setting, allowed in {"name": None, "precision": None, "output": OUTPUTS, "compute_units": COMPUTE_UNITS}.items():
        value = settings.get(setting)
        if value is None:
            return _unreadable(f"'{setting}' is missing")
        if not isinstance(value, str) or (allowed and value not in allowed):
            return _unreadable(f"'{setting}' is {value!r:.80}")
    budget = settings.get("budget")
    if budget is not None and not (isinstance(budget, dict) and all(isinstance(amount, str) for amount in budget.values())):
        return _unreadable(f"'budget' is {budget!r:.80}")
    sides = settings.get("input_size")
    if sides is not None and not (isinstance(sides, list) and len(sides) == 2 and all(type(side) is int and side > 0 for side in sides)):
        return _unreadable(f"'input_size' is {sides!r:.80}, not [height, width]")
    return settings


def _settings(recipe: dict[str, Any] | str | None, inputs: Sequence[Port]) -> list[str]:
    if isinstance(recipe, str):
        return [recipe]
    size = recipe and recipe.get("input_size")
    if size and len(inputs) == 1 and inputs[0].kind == "colour" and tuple(size) != inputs[0].shape:
        return [f"it takes {_by(inputs[0].shape)} pixels, its recipe says {_by(size)}: {_AGAIN}"]
    return []


def _output(outputs: Sequence[Port], recipe: dict[str, Any] | str | None) -> list[str]:
    if len(outputs) != 1:
        return [f"it gives {len(outputs)} outputs ({_names(outputs)}), not one depth map: {_EXPORT}"]
    (output,) = outputs
    if output.kind not in ("half", "array"):
        return [f"its output '{output.name}' is neither a Float16 picture nor an array: {_EXPORT}"]
    if output.kind == "array":
        *outer, height, width = (0, 0, *output.shape)[-max(len(output.shape), 2) :]
        if min(height, width) < 1 or any(length != 1 for length in outer):
            return [f"its output has the shape {list(output.shape)}, not 1×1×height×width: {_EXPORT}"]
    kind = "image" if output.kind == "half" else "array"
    if isinstance(recipe, dict) and recipe["output"] != kind:
        return [f"it gives an {kind}, its recipe says {recipe['output']}: {_AGAIN}"]
    return []


def _unreadable(reason: str) -> str:
    return f"its recipe cannot be read ({reason}): {_AGAIN}"


def _names(ports: Sequence[Port]) -> str:
    return ", ".join(port.name for port in ports)


def _by(size: Sequence[int]) -> str:
    height, width = size
    return f"{width}×{height}"
