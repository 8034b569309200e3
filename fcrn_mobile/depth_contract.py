"""The contract of a depth model: what picture it takes and what its depth means. The only place that knows, checks and reads it.

An artefact of this project says it in its metadata. For a file from elsewhere it is a TOML: ``model.toml`` beside ``model.mlpackage``, or
the file of ``--model-config``::

    depth = "inverse"                 # "metres", "scale" (depth up to scale) or "inverse" (inverse depth up to scale and shift)
    output = "predicted_depth"        # which of several outputs is depth
    mean = [0.485, 0.456, 0.406]      # of pixels in 0..1; or scale and bias, of pixels in 0..255
    std = [0.229, 0.224, 0.225]
    sizes = [[518, 518]]              # height, width
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self, get_args

from fcrn_mobile.errors import InputError
from fcrn_mobile.toml_file import read_toml

__all__ = [
    "IN_UNITS",
    "RGB_255",
    "UNITS",
    "Channels",
    "Depth",
    "DepthContract",
    "Framing",
    "Layout",
    "Triple",
    "config_beside",
    "read_contract",
]

Channels = Literal["RGB", "BGR"]
Layout = Literal["channels-first", "channels-last"]
Framing = Literal["stretch", "crop", "letterbox"]
Depth = Literal["metres", "scale", "inverse"]

#: Meaning of depth → its units in metadata and for people.
UNITS: dict[Depth, str] = {"metres": "metres", "scale": "up to scale", "inverse": "inverse depth, up to scale and shift"}
#: The same as the end of a sentence about a model's depth.
IN_UNITS: dict[Depth, str] = {
    "metres": "in metres",
    "scale": "up to a scale",
    "inverse": "as inverse depth up to scale and shift",
}
#: What ``input_values`` in metadata says of an input that takes pixels as they are.
RGB_255 = "RGB, 0..255"

#: Three numbers, one of each channel.
Triple = tuple[float, float, float]
_CHOICES: dict[str, tuple[str, ...]] = {
    "channels": get_args(Channels),
    "layout": get_args(Layout),
    "framing": get_args(Framing),
    "depth": get_args(Depth),
}
#: Beyond this a number is none that anybody means.
_LARGEST = 1e30
#: What may be written in the place of mean and std.
_SCALED = ("scale", "bias")


@dataclass(frozen=True)
class DepthContract:
    """What a depth model takes and gives.

    Attributes:
        depth: ``metres``; ``scale``, depth up to a scale that nobody knows; ``inverse``, inverse depth (disparity) up to scale and shift,
            in which what is near is large.
        sizes: height and width of the pictures that it takes, in pixels, the usual one first; empty: any.
        multiple: of which both sides have to be.
        channels: their order.
        layout: of an input that is an array.
        mean, std: of an array input, which gets (pixel / 255 - mean) / std; three numbers in the order of ``channels``. None: the file's
            own input says what it takes, as an image input of Core ML does.
        framing: how a picture becomes one of the model's size: stretched, cut in the middle, or whole between bars.
        output: the one of several outputs that is depth; None: the only one.
        focal_length: of the camera that metres hold for, in pixels; None where it isn't known.
        focal_width: width in pixels of the pictures that ``focal_length`` holds for; None: that of the first of ``sizes``.

    Raises:
        InputError: a value that is not allowed, or two that contradict each other; names the key and what is allowed.
    """

    depth: Depth = "metres"
    sizes: tuple[tuple[int, int], ...] = ()
    multiple: int = 1
    channels: Channels = "RGB"
    layout: Layout = "channels-first"
    mean: Triple | None = None
    std: Triple | None = None
    framing: Framing = "stretch"
    output: str | None = None
    focal_length: float | None = None
    focal_width: int | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        for key, choices in _CHOICES.items():
            if getattr(self, key) not in choices:
                raise InputError(f"{key} is {getattr(self, key)!r:.80}: use one of {', '.join(choices)}")
        if self.output is not None and not (isinstance(self.output, str) and self.output):
            raise InputError(f"output is {self.output!r:.80}: give the name of the output that is depth")
        self._check_sizes()
        self._check_pixels()
        self._check_focal()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], base: Self | None = None) -> Self:
        """A contract from plain values, as TOML and JSON have them.

        Args:
            values: by field; lists for tuples; one number for three equal ones; ``scale`` and ``bias`` (pixels in 0..255, times scale, plus
                bias, as coremltools has them) in the place of mean and std.
            base: what holds where they say nothing; None: the fields' defaults, but what depth means has to be said.

        Raises:
            InputError: an unknown key, with the one that is probably meant, or as of the class.
        """
        names = [item.name for item in fields(cls)]
        for key in values:
            if key not in (*names, *_SCALED):
                near = get_close_matches(key, [*names, *_SCALED], 1)
                meant = f"did you mean '{near[0]}'? Allowed" if near else "allowed"
                raise InputError(f"unknown key '{key:.80}': {meant} are {', '.join([*names, *_SCALED])}")
        if base is None and "depth" not in values:
            raise InputError(
                'depth is missing: write depth = "metres", "scale" (up to scale) or "inverse" (inverse depth, up to scale and shift)'
            )
        settings = {} if base is None else {name: getattr(base, name) for name in names}
        own = {key: value for key, value in values.items() if key not in _SCALED}
        if isinstance(own.get("sizes"), list | tuple):
            own["sizes"] = tuple(tuple(size) if isinstance(size, list) else size for size in own["sizes"])
        own |= {key: _triple(own[key]) for key in ("mean", "std") if own.get(key) is not None}
        if any(key in values for key in _SCALED):
            own |= _normalisation(values)
        return cls(**settings | own)

    @classmethod
    def from_metadata(cls, written: Mapping[str, str | None]) -> Self | None:
        """The contract in an artefact's metadata, of any version of this project.

        Args:
            written: ``contract``, ``output_units``, ``camera`` and ``input_values``, where it says them; see ``package.metadata``.

        Returns:
            None where it says none of them.

        Raises:
            InputError: what it says is not readable, or not allowed.
        """
        texts = {key: text for key in ("contract", "output_units", "camera", "input_values") if (text := written.get(key)) is not None}
        if not texts:
            return None
        values: dict[str, Any] = {"depth": "metres"}
        if (units := texts.get("output_units")) is not None:
            values["depth"] = next((depth for depth, text in UNITS.items() if text == units), units)
        if texts.get("input_values") == RGB_255:
            values |= {"mean": 0.0, "std": 1 / 255}
        camera = _table(texts.get("camera")) or {}  # another maker's key of the same name says nothing
        if _is_number(camera.get("focal_px")) and camera["focal_px"] > 0 and _is_count(camera.get("width_px")):
            values |= {"focal_length": camera["focal_px"], "focal_width": camera["width_px"]}
        if (contract := _table(texts.get("contract", "{}"))) is None:
            raise InputError(f"contract is {texts['contract']!r:.80}, no table of JSON: export it again, or give --model-config FILE")
        return cls.from_dict(values | contract)

    def to_metadata(self) -> dict[str, str]:
        """What ``from_metadata`` reads back: ``output_units``, ``camera`` and, for what is not as usual, ``contract``."""
        texts = {"output_units": UNITS[self.depth]}
        if self.camera is not None:
            focal, width = self.camera
            texts["camera"] = json.dumps({"data": "", "focal_px": focal, "width_px": width})
        rest = {key: value for key, value in self.to_dict().items() if key not in ("depth", "focal_length", "focal_width")}
        return texts | ({"contract": json.dumps(rest)} if rest else {})

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``from_dict`` reads back, those that are as usual left out, the meaning of depth not."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        usual = {item.name: item.default for item in fields(self) if item.default is not MISSING and item.name != "depth"}
        return {key: _plain(value) for key, value in values.items() if key not in usual or value != usual[key]}

    @property
    def units(self) -> str:
        """What its depth is, for people and in metadata."""
        return UNITS[self.depth]

    @property
    def is_metric(self) -> bool:
        """Whether its depth is in metres."""
        return self.depth == "metres"

    @property
    def usual_size(self) -> tuple[int, int] | None:
        """The first of ``sizes``; None where any is taken."""
        return self.sizes[0] if self.sizes else None

    @property
    def camera(self) -> tuple[float, int] | None:
        """Focal length of the camera that metres hold for and the width of its pictures, both in pixels; None where it isn't known."""
        if self.focal_length is None:
            return None
        return self.focal_length, self.sizes[0][1] if self.focal_width is None else self.focal_width

    def allows(self, size: tuple[int, int]) -> bool:
        """Whether it takes pictures of a height and width."""
        return size in self.sizes if self.sizes else not any(side % self.multiple for side in size)

    @property
    def allowed(self) -> str:
        """The sizes that it takes, for messages."""
        return ", ".join("x".join(map(str, each)) for each in self.sizes) or f"multiples of {self.multiple}"

    def at(self, size: tuple[int, int]) -> Self:
        """The same for pictures of one height and width.

        Raises:
            InputError: it does not take them.
        """
        if not self.allows(size):
            raise InputError(f"--size {'x'.join(map(str, size))} is none that the model takes: use {self.allowed}")
        return replace(self, sizes=(size,), focal_width=self.camera[1] if self.camera else None)

    def _check_sizes(self) -> None:
        if not _is_count(self.multiple):
            raise InputError(f"multiple is {self.multiple!r:.80}: give a whole number of pixels from 1")
        if not isinstance(self.sizes, tuple):
            raise InputError(f"sizes is {self.sizes!r:.80}: give a list of [height, width]")
        for size in self.sizes:
            if not (isinstance(size, tuple) and len(size) == 2 and all(_is_count(side) for side in size)):
                raise InputError(f"sizes has {_plain(size)!r:.80}: give [height, width] in pixels for each, as in sizes = [[384, 512]]")
            if any(side % self.multiple for side in size):
                raise InputError(f"sizes has {_plain(size)!r}, whose sides are not multiples of {self.multiple}: correct sizes or multiple")

    def _check_pixels(self) -> None:
        if (self.mean is None) != (self.std is None):
            lone, other = ("std", "mean") if self.mean is None else ("mean", "std")
            raise InputError(f"{lone} is given without {other}: give both, or scale and bias")
        for key in ("mean", "std"):
            value = getattr(self, key)
            if value is not None and not (isinstance(value, tuple) and len(value) == 3 and all(_is_number(part) for part in value)):
                raise InputError(f"{key} is {_plain(value)!r:.80}: give three numbers, one of each channel, or one for all")
        if self.std is not None and 0 in self.std:
            raise InputError(f"std is {_plain(self.std)!r}: give numbers other than 0")

    def _check_focal(self) -> None:
        if self.focal_length is not None and not (_is_number(self.focal_length) and self.focal_length > 0):
            raise InputError(f"focal_length is {self.focal_length!r:.80}: give pixels, a number above 0")
        if self.focal_width is not None and not _is_count(self.focal_width):
            raise InputError(f"focal_width is {self.focal_width!r:.80}: give the width of the pictures in pixels, a whole number from 1")
        if self.focal_length is None and self.focal_width is not None:
            raise InputError("focal_width is given without focal_length: give both")
        if self.focal_length is not None and self.focal_width is None and not self.sizes:
            raise InputError("focal_length does not say at which width: give focal_width, or sizes")


def read_contract(path: Path, base: DepthContract | None = None) -> DepthContract:
    """Read a contract.

    Args:
        path: of a TOML file.
        base: what holds where it says nothing, as of the model's own metadata; None: it has to say what depth means.

    Raises:
        InputError: no such file, not TOML, an unknown key, or a value that is not allowed; names file, key and remedy.
    """
    values = read_toml(path, "model config", 'model.toml with depth = "inverse"')
    try:
        return DepthContract.from_dict(values, base)
    except InputError as error:
        raise InputError(f"model config '{path}': {error}") from error


def config_beside(model: Path) -> Path | None:
    """The model config that lies beside a model, ``model.toml`` beside ``model.mlpackage``; None where there is none."""
    path = model.with_suffix(".toml")
    return path if path.is_file() else None


def _triple(value: Any) -> Any:
    """Three numbers from a list, or from one for all; anything else as it is."""
    return (float(value),) * 3 if _is_number(value) else tuple(map(_float, value)) if isinstance(value, list | tuple) else value


def _normalisation(values: Mapping[str, Any]) -> dict[str, Triple]:
    """Mean and std from scale and bias: p·scale + bias = (p / 255 - mean) / std with std = 1 / (255·scale), mean = -bias·std."""
    if clash := [key for key in ("mean", "std") if values.get(key) is not None]:
        raise InputError(f"{clash[0]} is given beside scale or bias: give mean and std, or scale and bias")
    triples = {key: _triple(values.get(key, {"scale": 1.0, "bias": 0.0}[key])) for key in _SCALED}
    for key, triple in triples.items():
        if not (isinstance(triple, tuple) and len(triple) == 3 and all(_is_number(part) for part in triple)):
            raise InputError(f"{key} is {values[key]!r:.80}: give three numbers, one of each channel, or one for all")
    if 0 in triples["scale"]:
        raise InputError(f"scale is {values['scale']!r:.80}: give numbers other than 0")
    std = tuple(1 / (255 * part) for part in triples["scale"])
    mean = tuple(-bias * part for bias, part in zip(triples["bias"], std, strict=True))
    return {"mean": (mean[0], mean[1], mean[2]), "std": (std[0], std[1], std[2])}


def _table(text: str | None) -> dict[str, Any] | None:
    """What metadata hold as JSON; None where it is no table."""
    try:
        table = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return table if isinstance(table, dict) else None


def _plain(value: Any) -> Any:
    """Lists for tuples."""
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _float(value: Any) -> Any:
    return float(value) if _is_number(value) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
