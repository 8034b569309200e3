"""What to export: a frozen dataclass read from TOML, in which an unknown key or a bad value is an error."""

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from fcrn_mobile.conversion.correct_table import Correct, make_correct
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.budget import check_half, parse_limit
from fcrn_mobile.network.unpooling import Form
from fcrn_mobile.package.metadata import COMPUTE_UNITS
from fcrn_mobile.quantize.scheme import ACTIVATION_NAMES, FLOATS, OPTIONS, TARGETS, Scheme, newest, parse_scheme
from fcrn_mobile.shipped import RECIPES
from fcrn_mobile.toml_file import known_keys

__all__ = ["COREML_ONLY", "OUTPUTS", "Calibration", "Override", "Recipe", "Settings", "make_recipe", "make_scale", "read_recipe"]

OUTPUTS = ("image", "array")
_METHODS = ("minmax", "percentile", "mse")

#: What only Core ML can do: an artefact of another kind is refused with it.
_COMPRESSION = ("options", "ops", "activations", "calibration", "correct")
#: Settings that are not true of an artefact of another kind.
COREML_ONLY = ("output", "target", "compute_units", *_COMPRESSION)

_CHOICES = {
    "output": OUTPUTS,
    "target": tuple(TARGETS),
    "compute_units": tuple(COMPUTE_UNITS),
    "form": ("four", "fused"),
    "activations": ("fp16", "int8"),
}


@dataclass(frozen=True)
class Override:
    """The precision of some operators.

    Attributes:
        match: names of operators or of their weights, with ``*``, ``?`` and ``[…]`` as in file names.
        precision, options: as in the recipe; every weight that matches is compressed, however small (``min_elements`` = 0).
            Empty: this says nothing about weights.
        activations: ``fp16`` or ``int8``; empty: ``fp16`` beside a float precision, else as the recipe has them.
    """

    match: tuple[str, ...]
    precision: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    activations: str = ""

    @cached_property
    def scheme(self) -> Scheme:
        """How the weights that match are stored."""
        return parse_scheme(self.precision, self.options, min_elements=0)

    def to_json(self) -> dict[str, Any]:
        """Plain values, what is empty left out."""
        names = {"precision": self.precision, "activations": self.activations}
        return {"match": list(self.match)} | {key: value for key, value in names.items() if value} | self.options

    def matches(self, names: Collection[str]) -> bool:
        """Whether one of an operator's names is meant."""
        return any(fnmatchcase(name, pattern) for pattern in self.match for name in names)


@dataclass(frozen=True)
class Calibration:
    """Images on which the range of activations is measured.

    Attributes:
        data: a data spec; empty: still to be named, by ``--calibration``.
        images: how many of them.
        seed: chooses which.
        method: how a range follows from the values seen.
        percentile: of the magnitudes, that ``method = "percentile"`` keeps.
    """

    data: str = ""
    images: int = 24
    seed: int = 0
    method: str = "minmax"
    percentile: float = 99.99


@dataclass(frozen=True)
class Settings:
    """What a recipe says, as it is written.

    Attributes:
        name: of the artefact.
        precision: ``fp32``; ``fp16`` weights and arithmetic; else compressed weights and float16 arithmetic, see ``scheme.py``.
        input_size: height and width in pixels; None takes the checkpoint's.
        input_sizes: several, all in one package that shares its weights; the usual one first. Empty: ``input_size`` alone.
        output: ``image`` = one-channel Float16 image of metres (what Vision hands over as a pixel buffer); ``array`` =
            1×1×h×w multi-array of metres.
        target: oldest system that must run it; left empty, it becomes the oldest that can.
        compute_units: what the app should ask Core ML for; written into the metadata.
        form: exact form of the 5×5 convolutions over unpooled maps: ``four`` (fewest multiplications) or ``fused``
            (fewest operators).
        budget: drift that ``validate`` holds the artefact to, as ``{"fidelity": "0.05"}``.
        options: of the precision, see ``scheme.OPTIONS``.
        ops: operators that differ from ``precision``; the last one that matches counts.
        activations: ``fp16``, or ``int8`` with ranges from ``calibration``.
        calibration: None without quantized activations or corrections that need images.
        correct: corrections of compressed weights without training; None = none.
        scale: by which depth is multiplied, so that it is in metres: of a network whose depth is known up to a scale, or for another camera
            than the one of its training data; None = as it is.
    """

    name: str = "fcrn"
    precision: str = "fp16"
    input_size: tuple[int, int] | None = None
    output: str = "image"
    target: str = ""
    compute_units: str = "cpuAndNeuralEngine"
    form: Form = "four"
    budget: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    ops: tuple[Override, ...] = ()
    activations: str = "fp16"
    calibration: Calibration | None = None
    correct: Correct | None = None
    input_sizes: tuple[tuple[int, int], ...] = ()
    scale: float | None = None

    @cached_property
    def scheme(self) -> Scheme:
        """How weights without an override are stored."""
        return parse_scheme(ACTIVATION_NAMES.get(self.precision, self.precision), self.options)

    @property
    def equalises(self) -> bool:
        """Whether ranges of channels are balanced before weights are compressed."""
        return self.correct is not None and self.correct.equalise

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """Every scheme that may be used."""
        schemes = (self.scheme, *(override.scheme for override in self.ops if override.precision))
        return schemes + tuple(scheme.otherwise for scheme in schemes if scheme.otherwise)

    def needs(self) -> list[tuple[str, str]]:
        """Target and reason of all that asks for one."""
        needs = [(target, f"{scheme.name} ({reason})") for scheme in self.schemes for target, reason in [scheme.needs()]]
        return [*needs, ("iOS17", "int8 activations")] if self.activations == "int8" else needs

    def check(self) -> None:
        """Refuse settings that mean nothing together.

        Raises:
            InputError: names them.
        """
        if self.activations != "int8" and any(override.activations for override in self.ops):
            raise InputError('activations of [[ops]] mean nothing here: they belong to activations = "int8" for the whole recipe')
        if self.calibration and self.activations != "int8" and self.correct is None:
            raise InputError('calibration means nothing here: it belongs to activations = "int8" or to a table [correct]')
        if self.correct and all(scheme.name in FLOATS for scheme in self.schemes):
            raise InputError(f"correct means nothing here: precision '{self.precision}' leaves nothing to correct, use a compressed one")
        if self.activations == "int8" and self.scheme.name == "fp32":
            raise InputError('activations is \'int8\': precision "fp32" keeps them float32, use "fp16", "a8", "int8" or "w8a8"')
        if self.input_size and self.input_sizes and self.input_size != self.input_sizes[0]:
            raise InputError(f"input_size is {list(self.input_size)}, the first of input_sizes is another: leave input_size out")
        for target, what in self.needs():
            if self.target and TARGETS[target] > TARGETS[self.target]:
                raise InputError(
                    f"target is '{self.target}', but {what} needs {target}: write target = \"{target}\", or use what runs on "
                    f"{self.target}: fp16, int8, palettes of 8, 6, 4, 2 or 1 bits per tensor, sparse"
                )


class Recipe(Settings):
    """How one artefact is made: settings that mean something together, with the activations and the target that follow from them."""

    def __init__(self, *values: Any, **named: Any) -> None:
        """Values as of ``Settings``.

        Raises:
            InputError: a combination that means nothing.
        """
        settings = Settings(*values, **named)
        if settings.precision in ACTIVATION_NAMES:
            settings = replace(settings, activations="int8")
        settings.check()
        if not settings.target:
            settings = replace(settings, target=newest(target for target, _ in settings.needs()))
        super().__init__(**{f.name: getattr(settings, f.name) for f in fields(settings)})

    def scheme_for(self, names: Collection[str]) -> Scheme:
        """How the weights of the operator that has these names are stored."""
        return next((override.scheme for override in reversed(self.ops) if override.precision and override.matches(names)), self.scheme)

    def quantizes_activations(self, names: Collection[str]) -> bool:
        """Whether the operator that has these names is to read and give int8."""
        last = next((override for override in reversed(self.ops) if override.matches(names)), None)
        own = "" if last is None else last.activations or ("fp16" if last.precision in FLOATS else "")
        return (own or self.activations) == "int8"

    def calibrated_on(self, data: str | None, images: int | None = None, seed: int | None = None) -> "Recipe":
        """The same with images of another data spec, another number of them, or others; None leaves what it says.

        Raises:
            InputError: nothing in the recipe looks at images, or a value that is not allowed.
        """
        changes = {key: value for key, value in (("data", data), ("images", images), ("seed", seed)) if value is not None}
        if not changes:
            return self
        values = {key: value for key, value in asdict(self.calibration or Calibration()).items() if value != ""}
        try:
            return replace(self, calibration=_calibration(values | changes))
        except InputError as error:
            settings = ", ".join(f"calibration.{key} = {value!r}" for key, value in changes.items())
            raise InputError(f"recipe '{self.name}' with {settings}: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """Plain values, as written into the artefact's metadata; ``make_recipe`` reads them back."""
        names = [f.name for f in fields(self) if f.name not in (*_COMPRESSION, "input_sizes", "scale")]
        values = {name: getattr(self, name) for name in names} | self.options
        if self.input_sizes:
            values["input_sizes"] = self.input_sizes
        if self.scale is not None:
            values["scale"] = self.scale
        if self.ops:
            values["ops"] = [override.to_json() for override in self.ops]
        if self.activations == "int8":
            values["activations"] = "int8"
        if self.correct:
            values["correct"] = self.correct.to_json()
        if self.calibration:
            values["calibration"] = {key: value for key, value in asdict(self.calibration).items() if value != ""}
        return values


def read_recipe(path: Path) -> Recipe:
    """Read a recipe: a file, or by name one that comes with the tool, such as ``int8``.

    Raises:
        InputError: no such file, not TOML, an unknown key, or a value that is not allowed; names file, key and remedy.
    """
    return make_recipe(RECIPES.read(path), str(path))


def make_recipe(values: dict[str, Any], origin: str) -> Recipe:
    """A recipe from plain values; ``origin`` is named in errors."""
    try:
        return _recipe(values)
    except InputError as error:
        raise InputError(f"recipe '{origin}': {error}") from error


def _recipe(values: dict[str, Any]) -> Recipe:
    settings = [f.name for f in fields(Recipe) if f.name != "options"]
    values = {key: value for key, value in known_keys(values, (*settings, *OPTIONS)).items() if value is not None}
    for key, choices in _CHOICES.items():
        if key in values and values[key] not in choices:
            raise InputError(f"{key} is '{values[key]}': use one of {', '.join(choices)}")
    for key in ("name", "precision"):
        if not isinstance(values.get(key, ""), str):
            raise InputError(f"{key} is {values[key]!r}: give a text")
    read = {
        "input_size": _size,
        "input_sizes": _sizes,
        "scale": make_scale,
        "budget": _budget,
        "ops": _overrides,
        "calibration": _calibration,
        "correct": make_correct,
    }
    values |= {key: read[key](values[key]) for key in read if key in values}
    options = {key: values.pop(key) for key in OPTIONS if key in values}
    recipe = Recipe(**values, options=options)
    if any(scheme.name != "fp32" for scheme in recipe.schemes):
        for metric, amount in recipe.budget.items():
            check_half(parse_limit(f"{metric}={amount}"))
    return recipe


def _overrides(value: object) -> tuple[Override, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, dict) for item in value):
        raise InputError(f'ops is {value!r}: write a table [[ops]] with match = "…" and precision = "…" for each')
    overrides = []
    for number, item in enumerate(value, 1):
        try:
            overrides.append(_override(item))
        except InputError as error:
            raise InputError(f"[[ops]] number {number}: {error}") from error
    return tuple(overrides)


def _override(values: dict[str, Any]) -> Override:
    values = dict(known_keys(values, ("match", "precision", "activations", *OPTIONS)))
    match, activations = values.pop("match", None), values.pop("activations", "")
    precision = values.pop("precision", "" if activations and not values else None)
    patterns = (match,) if isinstance(match, str) else match
    if not isinstance(patterns, list | tuple) or not patterns or not all(isinstance(item, str) and item for item in patterns):
        raise InputError(f'match is {match!r}: give a name or pattern such as "*depthwise*", or a list of them')
    if not isinstance(precision, str):
        raise InputError(f'precision is {precision!r}: give the precision of these weights, such as "fp16"')
    if activations not in ("", *_CHOICES["activations"]):
        raise InputError(f"activations is {activations!r}: use one of {', '.join(_CHOICES['activations'])}")
    override = Override(tuple(patterns), precision, values, activations)
    if precision or not activations:
        _ = override.scheme  # raises on what is wrong with it, while it is known which override it is
    return override


def _calibration(value: object) -> Calibration:
    allowed = [f.name for f in fields(Calibration)]
    if not isinstance(value, dict):
        raise InputError(f"calibration is {value!r}: write a table [calibration] with {', '.join(allowed)}")
    known_keys(value, allowed)
    calibration = Calibration(**value)
    if not isinstance(calibration.data, str) or ("data" in value and not calibration.data):
        raise InputError(f'calibration.data is {calibration.data!r}: give a data spec such as "sample" or "folder:PATH"')
    for key, least in (("images", 1), ("seed", 0)):
        number = getattr(calibration, key)
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise InputError(f"calibration.{key} is {number!r}: give a whole number from {least}")
    if calibration.method not in _METHODS:
        raise InputError(f"calibration.method is {calibration.method!r}: use one of {', '.join(_METHODS)}")
    share = calibration.percentile
    if isinstance(share, bool) or not isinstance(share, int | float) or not 50 <= share <= 100:
        raise InputError(f"calibration.percentile is {share!r}: give a number from 50 to 100, such as 99.99")
    return calibration


def _size(value: object) -> tuple[int, int]:
    if isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(side, int) and 32 <= side <= 4096 for side in value):
        return value[0], value[1]
    raise InputError(f"input_size is {value!r}: give [height, width] in pixels, each from 32 to 4096")


def make_scale(value: object) -> float:
    """A factor of depth.

    Raises:
        InputError: no number above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InputError(f"scale is {value!r}: give what depth is multiplied by, a number above 0 such as 1.25")
    return float(value)


def _sizes(value: object) -> tuple[tuple[int, int], ...]:
    if not isinstance(value, list | tuple):
        raise InputError(f"input_sizes is {value!r}: give a list such as [[224, 320], [320, 224]]")
    try:
        sizes = tuple(_size(size) for size in value)
    except InputError as error:
        raise InputError(f"input_sizes: {error}") from error
    if len(set(sizes)) < max(len(sizes), 2):
        raise InputError(f"input_sizes is {value!r}: give two different sizes or more, or input_size for one")
    return sizes


def _budget(value: object) -> dict[str, str]:
    if isinstance(value, dict) and all(isinstance(amount, str | int | float) for amount in value.values()):
        budget = {metric: str(amount) for metric, amount in value.items()}
        for metric, amount in budget.items():
            parse_limit(f"{metric}={amount}")  # raises on what nothing could be held to
        return budget
    raise InputError(f'budget is {value!r}: write a table such as budget = {{ fidelity = "0.05" }}')
