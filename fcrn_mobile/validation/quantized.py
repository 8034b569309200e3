"""Quantized activations of a package: the pairs of ``quantize`` and ``dequantize`` before its operators."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from fcrn_mobile.mil import Program
from fcrn_mobile.mil.operation import Operation, Reference, TensorInfo
from fcrn_mobile.mil.ops import OPERATORS

__all__ = ["Producers", "Rewired", "gains", "producers", "quantize_inputs", "quantizer"]

#: Name of a tensor → the operator that gives it.
Producers = Mapping[str, Operation]

#: Scales are stored in half precision: factors that differ less are equal.
_NEAR = 5e-3


@dataclass(frozen=True)
class Rewired:
    """An operator that reads quantized inputs.

    Attributes:
        inserted: the operators that quantize them, in order; empty if it reads none.
        operation: the operator itself, reading their results.
    """

    inserted: tuple[Operation, ...]
    operation: Operation


def producers(program: Program) -> dict[str, Operation]:
    """Which operator gives each tensor of a program."""
    return {info.name: operation for operation in program.operations for info in operation.outputs}


def quantizer(name: str, given_by: Producers) -> Operation | None:
    """The ``quantize`` that a dequantized tensor comes from; None if it is none."""
    operation = given_by.get(name)
    if operation is None or operation.kind != "dequantize":
        return None
    while operation is not None and operation.kind != "quantize":
        # Operators on integers in between, such as pooling, read one tensor.
        operation = given_by.get(min(operation.references, default=""))
    return operation


def quantize_inputs(
    ours: Operation, theirs: Operation, given_by: Producers, factors: Mapping[str, float], shapes: Mapping[str, tuple[int, ...]]
) -> Rewired:
    """Put the quantization of another program's operator before ours.

    Args:
        ours: of a float program.
        theirs: its counterpart in a program with quantized activations.
        given_by, factors: that program's tensors, see ``producers`` and ``gains``.
        shapes: of the float program's tensors by name.
    """
    inserted: dict[str, tuple[Operation, Operation]] = {}

    def rewire(own: Any, other: Any) -> Any:
        if isinstance(own, tuple) and isinstance(other, tuple) and len(own) == len(other):
            return tuple(rewire(a, b) for a, b in zip(own, other, strict=True))
        if not (isinstance(own, Reference) and isinstance(other, Reference)):
            return own
        down = quantizer(other.name, given_by)
        if down is None:
            return own
        # The network's input is the one tensor that no operator gives: N×C×H×W.
        factor = max(factors.get(name, 1.0) for name in down.references)
        pair = _pair(own.name, shapes.get(own.name, (-1, -1, -1, -1)), down, factor)
        inserted[own.name] = pair
        return Reference(pair[1].name)

    arguments = {key: rewire(argument, theirs.arguments.get(key)) for key, argument in ours.arguments.items()}
    return Rewired(tuple(operation for pair in inserted.values() for operation in pair), replace(ours, arguments=arguments))


def gains(program: Program) -> dict[str, float]:
    """By which factor tensors of a program are larger than the float program's.

    coremltools lets a quantized addition run on multiples: it dequantizes both inputs with their scales divided by that of the second
    one, and quantizes the sum accordingly (its pass ``insert_prefix_quantize_dequantize_pair``).

    Returns:
        Name of a tensor → its factor, where it is not 1.
    """
    factors: dict[str, float] = {}
    given_by = producers(program)
    for operation in program.operations:
        read = [factors.get(name, 1.0) for name in sorted(operation.references)] or [1.0]
        factor = read[0] if max(read) < (1 + _NEAR) * min(read) else 1.0
        if operation.kind == "dequantize":
            down = quantizer(operation.name, given_by)
            scales = [o.arguments.get("scale") if o else None for o in (operation, down)]
            if all(isinstance(scale, Tensor) and scale.numel() == 1 for scale in scales):
                factor *= float(scales[0]) / float(scales[1])  # type: ignore[arg-type] # both are tensors
        elif operation.kind != "quantize" and not OPERATORS[operation.kind].is_homogeneous:
            factor = 1.0
        if abs(factor - 1) > _NEAR:
            factors |= {info.name: factor for info in operation.outputs}
    return factors


def _pair(name: str, shape: tuple[int, ...], like: Operation, factor: float) -> tuple[Operation, Operation]:
    """Quantize and dequantize of a tensor as a ``quantize`` does it whose input is larger by a factor."""
    steps, values = f"{name}_quantized", f"{name}_dequantized"
    parameters = {key: value for key, value in like.arguments.items() if key in ("scale", "zero_point", "axis")}
    parameters["scale"] = parameters["scale"] / factor
    into = {"input": Reference(name), "output_dtype": like.arguments["output_dtype"], **parameters}
    down = Operation("quantize", into, (TensorInfo(steps, like.outputs[0].dtype, shape),))
    up = Operation("dequantize", {"input": Reference(steps), **parameters}, (TensorInfo(values, "FLOAT32", shape),))
    return down, up
