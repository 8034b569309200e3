"""What to export: a frozen dataclass read from TOML, in which an unknown key or a bad value is an error."""

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.unpooling import Form

PRECISIONS = ("fp32", "fp16", "int8")
OUTPUTS = ("image", "array")
TARGETS = ("iOS16", "iOS17", "iOS18")
COMPUTE_UNITS = ("all", "cpuAndNeuralEngine", "cpuAndGPU", "cpuOnly")

#: Settings that mean nothing to an artefact of another kind.
COREML_ONLY = ("output", "target", "compute_units")

_CHOICES = {"precision": PRECISIONS, "output": OUTPUTS, "target": TARGETS, "compute_units": COMPUTE_UNITS, "form": ("four", "fused")}


@dataclass(frozen=True)
class Recipe:
    """How one artefact is made.

    Attributes:
        name: of the artefact.
        precision: ``fp32``; ``fp16`` weights and arithmetic; ``int8`` weights (per output channel, symmetric) with fp16
            arithmetic.
        input_size: height and width in pixels; None takes the checkpoint's.
        output: ``image`` = one-channel Float16 image of metres (what Vision hands over as a pixel buffer); ``array`` =
            1×1×h×w multi-array of metres.
        target: oldest system that must run it.
        compute_units: what the app should ask Core ML for; written into the metadata.
        form: exact form of the 5×5 convolutions over unpooled maps: ``four`` (fewest multiplications) or ``fused``
            (fewest operators).
        budget: drift that ``validate`` holds the artefact to, as ``{"fidelity": "0.05"}``.
    """

    name: str = "fcrn"
    precision: str = "fp16"
    input_size: tuple[int, int] | None = None
    output: str = "image"
    target: str = "iOS16"
    compute_units: str = "cpuAndNeuralEngine"
    form: Form = "four"
    budget: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as written into the artefact's metadata."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: no such file, not TOML, an unknown key, or a value that is not allowed; names file, key and remedy.
    """
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise InputError(f"no recipe at '{path}': give an existing .toml file, such as export/fp16.toml") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read recipe '{path}': {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"recipe '{path}' is not valid TOML: {error}") from error
    return make_recipe(values, str(path))


def make_recipe(values: dict[str, Any], origin: str) -> Recipe:
    """A recipe from plain values; ``origin`` is named in errors."""
    known = {f.name for f in fields(Recipe)}
    for key in values:
        if key not in known:
            raise InputError(f"recipe '{origin}': unknown key '{key}': allowed are {', '.join(sorted(known))}")
    for key, choices in _CHOICES.items():
        if key in values and values[key] not in choices:
            raise InputError(f"recipe '{origin}': {key} is '{values[key]}': use one of {', '.join(choices)}")
    values = dict(values)
    if not isinstance(values.get("name", ""), str):
        raise InputError(f"recipe '{origin}': name is {values['name']!r}: give a text")
    if "input_size" in values:
        values["input_size"] = _size(values["input_size"], origin)
    if "budget" in values:
        values["budget"] = _budget(values["budget"], origin)
    return Recipe(**values)


def _size(value: object, origin: str) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(side, int) and 32 <= side <= 4096 for side in value):
        return value[0], value[1]
    raise InputError(f"recipe '{origin}': input_size is {value!r}: give [height, width] in pixels, each from 32 to 4096")


def _budget(value: object, origin: str) -> dict[str, str]:
    if isinstance(value, dict) and all(isinstance(amount, str | int | float) for amount in value.values()):
        return {metric: str(amount) for metric, amount in value.items()}
    raise InputError(f"recipe '{origin}': budget is {value!r}: write a table such as budget = {{ fidelity = \"0.05\" }}")
