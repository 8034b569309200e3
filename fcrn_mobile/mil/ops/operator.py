"""What is known of one operator: how it runs, and every fact about it that some analysis needs. Nothing else is keyed by operators."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

from fcrn_mobile.mil.declared import Declared, Shape
from fcrn_mobile.systems import IOS17, opset

__all__ = ["IOS17_SET", "Nested", "Operator", "Results"]

#: Number of the operator set of iOS 17, from which on some operators read their inputs in another way (``Operator.versioned``).
IOS17_SET = opset(IOS17)

#: What results are, for floats read at run time; constants are as the program has them:
#:   ``moved``: values that are read, at other places, and zeros;
#:   ``picked``: such values, perhaps without their sign, chosen by their order: an odd, increasing function may come before or after;
#:   ``exact``: values that are read, constants, or whole numbers below the size of what is read: half precision holds them;
#:   ``scaled``: new numbers, but a positive multiple of all that is read gives the same multiple;
#:   ``computed``: other new numbers.
Results = Literal["moved", "picked", "exact", "scaled", "computed"]


@dataclass(frozen=True)
class Nested:
    """A block of operators inside an operator.

    Attributes:
        name: for people.
        takes: the argument, a list, whose values it is given; none if empty.
        gives_results: whether it hands back the operator's results, or else a truth.
    """

    name: str
    takes: str = ""
    gives_results: bool = False


@dataclass(frozen=True)
class Operator:
    """One operator of MIL.

    Attributes:
        run: MIL inputs by MIL's names → one tensor or a tuple of them; with ``blocks`` a generator, see ``control.py``.
        results: what they are, see ``Results``.
        fresh: whether the result is a tensor of its own, never a view of what is read, so that rounding may overwrite it.
        grows: the shape that it yields, or pads its input to, where that can be far larger than its inputs (coremltools, mil/ops/defs).
        macs: its multiply-accumulates; only products of matrices have any.
        lists: inputs that are lists of tensors even when only one is given.
        versioned: whether its function is told the number of the program's operator set as ``opset``, since versions of it differ.
        prepare: constants by name → the same in the layout that it runs fastest with.
        refusal: value of a constant input by name, None if left out or computed, and shapes of the values of an input by name, where
            the program's inputs have their default sizes → why Core ML does not load the operator, if so.
        misdeclared: whether coremltools infers its shape wrongly at times: of ``select`` from its branches alone, whatever shape the
            condition has; of ``matmul`` of a vector with a stack of matrices.
        weight_axes: axes of the output and of the input channels of its ``weight``.
        bias_axis: axis of the result along which its ``bias`` lies.
        spans: whether results that are not just moved cover the range of what is read, so that both share one range in int8.
        channelwise: whether a positive multiple of each channel of x (axis 1) gives the same multiple of that channel of the result.
        quantizable: whether coremltools gives it int8 inputs and outputs (its pass ``insert_prefix_quantize_dequantize_pair``).
        activation: whether it may follow such an operator before the output is quantized (``insert_suffix_quantize_dequantize_pair``).
        inserted: whether compression and half precision put it between operators of the network.
        free: whether engines fuse it with the operator before, or it only renames what is there.
        foreign: whether it is none of MIL's, but a model of another kind (``model.py``).
        blocks: of operators that it runs, as often as the values tell it to, or never.
        writes: whether it has no result, since it writes one into a state.
        since: the number of the operator set that brought it; 5 is the first that has any (iOS 15).
    """

    run: Callable[..., Any]
    results: Results
    _: KW_ONLY
    fresh: bool = False
    grows: Callable[[Declared], Shape] | None = None
    macs: Callable[[Declared], int] | None = None
    lists: tuple[str, ...] = ()
    versioned: bool = False
    prepare: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    refusal: Callable[[Callable[[str], Any], Callable[[str], list[Shape]]], str | None] | None = None
    misdeclared: bool = False
    weight_axes: tuple[int, int] | None = None
    bias_axis: int | None = None
    spans: bool = False
    channelwise: bool = False
    quantizable: bool = False
    activation: bool = False
    inserted: bool = False
    free: bool = False
    foreign: bool = False
    blocks: tuple[Nested, ...] = ()
    writes: bool = False
    since: int = 5

    @property
    def is_product(self) -> bool:
        """Whether it multiplies matrices or kernels and sums up."""
        return self.macs is not None

    @property
    def is_exact(self) -> bool:
        """Whether results of half-precision values are such again: rounding them changes nothing."""
        return self.results in ("moved", "picked", "exact")

    @property
    def is_homogeneous(self) -> bool:
        """Whether a positive multiple of all inputs gives the same multiple of the result."""
        return self.results in ("moved", "picked", "scaled")

    @property
    def shares_range(self) -> bool:
        """Whether what it reads and what it gives have one range in int8."""
        return self.spans or self.results == "moved"
