"""How the weights of one operator are stored: a short name such as ``sparse50-palette4``, and options, read into typed parts."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fcrn_mobile.errors import InputError
from fcrn_mobile.systems import IOS16, IOS17, IOS18

__all__ = [
    "ACTIVATION_NAMES",
    "FLOATS",
    "LEARNED",
    "MIN_ELEMENTS",
    "OPTIONS",
    "TARGETS",
    "Linear",
    "Palette",
    "Scheme",
    "Sparsity",
    "newest",
    "parse_scheme",
]

#: Systems whose programs can hold compressed weights → their specification, oldest first.
TARGETS = {"iOS16": IOS16, "iOS17": IOS17, "iOS18": IOS18}
#: Precisions without compression.
FLOATS = ("fp32", "fp16")
#: Short names of weights whose activations are quantized too → the precision of the weights.
ACTIVATION_NAMES = {"w8a8": "int8", "a8": "fp16"}
#: What training can fine-tune a network for: its name → keys of the recipe that exports it.
LEARNED: dict[str, dict[str, Any]] = {
    "int8": {"precision": "int8"},
    "w8a8": {"precision": "w8a8"},
    "int4": {"precision": "int4", "block_size": 32, "otherwise": "int8"},
    "palette4": {"precision": "palette4", "granularity": "per_grouped_channel", "group_size": 8},
}
#: Weights with at most as many elements stay float16 in the recipe-wide precision: they cost accuracy and save nothing.
MIN_ELEMENTS = 512

#: Option → what it belongs to.
OPTIONS = {
    "granularity": "int8, int4 and palettes",
    "mode": "int8, int4 and palettes",
    "block_size": 'int8 and int4 with granularity = "per_block"',
    "group_size": 'palettes with granularity = "per_grouped_channel"',
    "vector_size": "palettes",
    "threshold": 'precision = "sparse"',
    "sparse_axis": "sparseN:M",
    "min_elements": "compressed weights",
    "otherwise": "schemes that do not fit every weight: blocks, grouped channels, vectors, sparseN:M",
}
_NAMES = (
    "fp32, fp16, int8, int4, palette8, palette6, palette4, palette3, palette2, palette1, sparse1 to sparse99 (percent), "
    "sparseN:M (N of M zero), sparse (with a threshold), joined ones such as sparse50-palette4, sparse50-int8 or palette4-int8; "
    "w8a8 or a8 for a whole recipe"
)
_NAME = re.compile(
    r"(?!-)(?P<sparse>sparse(?:(?P<percent>[1-9]\d?)|(?P<n>[1-9]\d?):(?P<m>[1-9]\d?))?)?"
    r"(?P<palette>(?:^|-)palette(?P<bits>[123468]))?"
    r"(?P<int>(?:^|-)int(?P<width>[48]))?"
)


@dataclass(frozen=True)
class Sparsity:
    """Small weights become zero; what is left is stored beside a bit mask.

    Attributes:
        fraction: of the weights that become zero, the smallest by magnitude; or None.
        n_m: the ``n`` smallest of every ``m`` along ``axis`` become zero; or None.
        threshold: magnitudes up to it become zero; or None.
        axis: of ``n_m``: 0 = output channels, 1 = input channels.
    """

    fraction: float | None = None
    n_m: tuple[int, int] | None = None
    threshold: float | None = None
    axis: int = 1


@dataclass(frozen=True)
class Palette:
    """Each weight is an index of ``bits`` bits into a table.

    Attributes:
        bits: 1, 2, 3, 4, 6 or 8.
        kmeans: table by k-means, else evenly between the smallest and the largest weight.
        group_size: output channels that share a table; None = the whole weight shares one.
        vector_size: weights that share an index (1 = each its own).
    """

    bits: int
    kmeans: bool = True
    group_size: int | None = None
    vector_size: int = 1


@dataclass(frozen=True)
class Linear:
    """Each weight is an integer times a scale. Beside a palette, it is the table's values that are quantized, per tensor.

    Attributes:
        bits: 8 or 4.
        granularity: what shares a scale: ``per_tensor``, ``per_channel`` (output channel), ``per_block``.
        block_size: input channels that share a scale under ``per_block``.
        symmetric: scale = max|w| / (2^(bits-1) - 1) and no zero point.
    """

    bits: int
    granularity: str = "per_channel"
    block_size: int | None = None
    symmetric: bool = True


@dataclass(frozen=True)
class Scheme:
    """One way to store a weight; no part at all means float.

    Attributes:
        name: the short name.
        sparsity, palette, linear: its parts, applied in this order.
        min_elements: weights with at most so many elements stay float.
        otherwise: for weights that it does not fit.
    """

    name: str
    sparsity: Sparsity | None = None
    palette: Palette | None = None
    linear: Linear | None = None
    min_elements: int = 0
    otherwise: "Scheme | None" = None

    @property
    def kind(self) -> str:
        """What the package stores, without amounts: ``fp16``, ``int8``, ``palette4``, ``sparse-int8``, …"""
        parts = [
            "sparse" if self.sparsity else "",
            f"palette{self.palette.bits}" if self.palette else "",
            f"int{self.linear.bits}" if self.linear else "",
        ]
        return "-".join(part for part in parts if part) or self.name

    def needs(self) -> tuple[str, str]:
        """The oldest system that runs it, and why (empty for the oldest of all)."""
        palette, linear = self.palette, self.linear
        reasons = {
            "joint compression": sum(part is not None for part in (self.sparsity, palette, linear)) > 1,
            "4-bit integers": linear is not None and linear.bits == 4,
            "scales per block": linear is not None and linear.granularity == "per_block",
            "3-bit palettes": palette is not None and palette.bits == 3,
            "grouped channels": palette is not None and palette.group_size is not None,
            "palettes of vectors": palette is not None and palette.vector_size > 1,
        }
        reason = next((text for text, holds in reasons.items() if holds), "")
        return ("iOS18", reason) if reason else ("iOS16", "")

    def blocks(self, shape: Sequence[int], axes: tuple[int, int]) -> tuple[int, ...] | None:
        """Scales or tables along each axis of a weight; None where they do not divide it.

        Args:
            shape: of the weight.
            axes: of its output and of its input channels.
        """
        size, (outputs, inputs) = list(shape), axes
        if self.palette:
            size[outputs] = self.palette.group_size or size[outputs]
        elif self.linear:
            size[outputs] = size[outputs] if self.linear.granularity == "per_tensor" else 1
            size[inputs] = self.linear.block_size or size[inputs]
        sides = list(zip(shape, size, strict=True))
        return tuple(length // part for length, part in sides) if not any(length % part for length, part in sides) else None

    def may_misfit(self) -> bool:
        """Whether there are weights whose shape it does not fit."""
        sparsity, palette, linear = self.sparsity, self.palette, self.linear
        return bool(
            (linear and linear.granularity == "per_block")
            or (palette and (palette.group_size is not None or palette.vector_size > 1))
            or (sparsity and sparsity.n_m)
        )


def parse_scheme(precision: object, options: dict[str, Any], min_elements: int = MIN_ELEMENTS) -> Scheme:
    """A scheme from its short name and options.

    Args:
        precision: such as ``int4`` or ``sparse50-palette4``.
        options: see ``OPTIONS``.
        min_elements: default of that option.

    Raises:
        InputError: unknown name, an option that means nothing for it, a value that is not allowed.
    """
    name, rest = str(precision), dict(options)
    if name in FLOATS:
        return _nothing_left(Scheme(name), rest)
    match = _NAME.fullmatch(name)
    if not name or not match:
        raise InputError(f"precision is '{precision}': use one of {_NAMES}")
    linear, palette, sparsity = None, None, None
    if match["palette"]:
        palette = _palette(int(match["bits"]), rest)
    if match["int"]:
        linear = Linear(int(match["width"]), "per_tensor") if palette else _linear(int(match["width"]), rest)
    if match["sparse"]:
        sparsity = _sparsity(match, rest)
    scheme = Scheme(name, sparsity, palette, linear, _integer(rest, "min_elements", 0, 2**31, min_elements))
    _check_parts(scheme)
    if scheme.may_misfit() and "otherwise" in rest:
        other = rest.pop("otherwise")
        try:
            scheme = Scheme(name, sparsity, palette, linear, scheme.min_elements, parse_scheme(other, {}, scheme.min_elements))
        except InputError as error:
            raise InputError(f"otherwise: {error}") from error
    return _nothing_left(scheme, rest)


def _linear(bits: int, options: dict[str, Any]) -> Linear:
    granularity = _choice(options, "granularity", ("per_tensor", "per_channel", "per_block"), "per_channel" if bits == 8 else "per_block")
    block_size = _integer(options, "block_size", 1, 65536, 32) if granularity == "per_block" else None
    return Linear(bits, granularity, block_size, _choice(options, "mode", ("symmetric", "asymmetric"), "symmetric") == "symmetric")


def _palette(bits: int, options: dict[str, Any]) -> Palette:
    grouped = _choice(options, "granularity", ("per_tensor", "per_grouped_channel"), "per_tensor") == "per_grouped_channel"
    group_size = _integer(options, "group_size", 1, 65536, 32) if grouped else None
    kmeans = _choice(options, "mode", ("kmeans", "uniform"), "kmeans") == "kmeans"
    return Palette(bits, kmeans, group_size, _integer(options, "vector_size", 1, 64, 1))


def _sparsity(match: "re.Match[str]", options: dict[str, Any]) -> Sparsity:
    axes = ("output", "input")
    if match["n"]:
        return Sparsity(n_m=(int(match["n"]), int(match["m"])), axis=axes.index(_choice(options, "sparse_axis", axes, "input")))
    if match["percent"]:
        return Sparsity(int(match["percent"]) / 100)
    threshold = options.pop("threshold", None)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold < float("inf"):
        raise InputError(f"threshold is {threshold!r}: precision 'sparse' takes a number from 0; or name a share, as in sparse50")
    return Sparsity(threshold=float(threshold))


def _check_parts(scheme: Scheme) -> None:
    """Refuse what would fit no weight or what coremltools cannot make."""
    sparsity, palette, linear = scheme.sparsity, scheme.palette, scheme.linear
    if sparsity and sparsity.n_m and sparsity.n_m[0] >= sparsity.n_m[1]:
        raise InputError(f"precision is '{scheme.name}': of sparseN:M, N has to be less than M")
    if palette and palette.vector_size > 1:
        if sparsity or not palette.kmeans:
            with_what = "sparse weights" if sparsity else 'mode = "uniform"'
            raise InputError(f"vector_size is {palette.vector_size}: {with_what} take no palette of vectors, leave it out")
        if palette.group_size and palette.group_size % palette.vector_size:
            raise InputError(f"vector_size is {palette.vector_size}: it has to divide group_size, {palette.group_size}")
    if palette and linear and (linear.bits != 8 or palette.bits < 4):
        raise InputError(f"precision is '{scheme.name}': tables of palette4, palette6 and palette8 may be int8, others not")


def _nothing_left(scheme: Scheme, rest: dict[str, Any]) -> Scheme:
    for key in rest:
        raise InputError(f"{key} means nothing here, with precision '{scheme.name}': it belongs to {OPTIONS[key]}")
    return scheme


def _choice(options: dict[str, Any], key: str, allowed: tuple[str, ...], default: str) -> str:
    value: str = options.pop(key, default)
    if value not in allowed:
        raise InputError(f"{key} is {value!r}: use one of {', '.join(allowed)}")
    return value


def _integer(options: dict[str, Any], key: str, least: int, most: int, default: int) -> int:
    value: int = options.pop(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(f"{key} is {value!r}: give a whole number from {least} to {most}")
    return value


def newest(targets: Iterable[str]) -> str:
    """The newest of some targets; the oldest of all if there are none."""
    return max(targets, key=TARGETS.__getitem__, default="iOS16")
