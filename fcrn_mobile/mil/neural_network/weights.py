"""Weights of a layer: single or half precision as they stand in the file, or quantized to 1 to 8 bits."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.mil.neural_network.builder import Builder
from fcrn_mobile.mil.neural_network.tensor import Shape, Tensor
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.package.wire import VALUES, stored

if TYPE_CHECKING:
    from coremltools.proto.NeuralNetwork_pb2 import WeightParams

__all__ = ["is_given", "values", "weight"]

#: Fewest bits of a type that MIL has → its name.
_UNSIGNED = {1: "UINT1", 2: "UINT2", 3: "UINT3", 4: "UINT4", 6: "UINT6", 8: "UINT8"}


def weight(builder: Builder, params: "WeightParams", shape: Shape, name: str = "weight", axis: int = 0) -> Tensor:
    """A constant of this shape; quantized ones become look-up tables, which are expanded when the program is bound.

    Args:
        builder: takes the operators.
        params: as the file has them.
        shape: that the layer wants.
        name: of the constant.
        axis: along which a linear quantization of several scales lies.

    Raises:
        MilError: other than so many values, or a quantization that says nothing.
    """
    if not params.HasField("quantization"):
        return builder.constant(_plain(params, shape), name=name)
    indices, table = _quantized(params, shape, axis)
    bits = next(bits for bits in _UNSIGNED if bits >= params.quantization.numberOfBits)
    stored = builder.constant(indices, _UNSIGNED[bits], f"{name}_indices")
    entries = builder.constant(table[..., None], name=f"{name}_table")
    return builder.expanded("constexpr_lut_to_dense", shape, name, indices=stored, lut=entries)


def values(params: "WeightParams", shape: Shape) -> NDArray[np.float32]:
    """The same at once, as an array; several scales lie along the first axis.

    Raises:
        MilError: as ``weight``.
    """
    if not params.HasField("quantization"):
        return _plain(params, shape).astype(np.float32)
    indices, table = _quantized(params, shape, axis=0)
    spread = np.broadcast_to(table, (*shape, table.shape[-1]))
    return np.take_along_axis(spread, indices[..., None].astype(np.int64), -1).reshape(shape)


def is_given(params: "WeightParams") -> bool:
    """Whether there are any values."""
    return any(len(field) for field in _fields(params).values())


def _fields(params: "WeightParams") -> dict[str, Any]:
    """The fields that hold values, those that were left in the file as bytes."""
    apart = stored(params)
    fields = {name: apart.get(number, getattr(params, name)) for name, number in VALUES.items()}
    floats = apart.get(VALUES["floatValue"])
    return fields if floats is None else fields | {"floatValue": floats.view(np.float32)}


def _plain(params: "WeightParams", shape: Shape) -> NDArray[Any]:
    """Values of half precision if they stand so, the field's own memory otherwise."""
    fields = _fields(params)
    half = fields["float16Value"]
    if len(half):
        array: NDArray[Any] = _bytes(half)[: len(half) // 2 * 2].view(np.float16)
    elif len(fields["rawValue"]) or len(fields["int8RawValue"]):
        raise MilError("its weights are quantized, but do not say how: export the model again")
    else:
        array = np.asarray(fields["floatValue"], np.float32)
    return _shaped(array, shape)


def _bytes(field: Any) -> NDArray[np.uint8]:
    """Bytes that can be written to, of a field or as they were read from the file."""
    return field if isinstance(field, np.ndarray) else np.frombuffer(bytearray(field), np.uint8)


def _quantized(params: "WeightParams", shape: Shape, axis: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Indices of the weight's shape, and tables of what they stand for: lengths of 1 or of ``axis``, then an entry per index."""
    quantization = params.quantization
    bits = int(quantization.numberOfBits)
    if not 1 <= bits <= 8:
        raise MilError(f"its weights are quantized to {bits} bits, known are 1 to 8: export the model again")
    fields = _fields(params)
    signed = bool(len(fields["int8RawValue"]))
    raw = _bytes(fields["int8RawValue" if signed else "rawValue"])
    # In two's complement, i + 128 is i with its highest bit the other way.
    indices = raw ^ np.uint8(128) if signed else _unpacked(raw, bits, math.prod(shape))
    kind = quantization.WhichOneof("QuantizationType")
    if kind == "lookupTableQuantization":
        tables = np.array(quantization.lookupTableQuantization.floatValue, np.float32)[None]
    elif kind == "linearQuantization":
        linear = quantization.linearQuantization
        scale, bias = np.array(linear.scale, np.float32), np.array(linear.bias, np.float32)
        first = -128 if signed else 0
        if not scale.size or bias.size not in (0, 1, scale.size):
            raise MilError(f"its weights are quantized with {scale.size} scales and {bias.size} biases: export the model again")
        tables = scale[:, None] * np.arange(first, first + 2**bits, dtype=np.float32) + (bias[:, None] if bias.size else np.float32(0))
    else:
        raise MilError("its weights are quantized, but neither linearly nor by a table: export the model again")
    if tables.shape[1] != 2**bits or (len(tables) > 1 and len(tables) != shape[axis]):
        raise MilError(f"its weights of {by(shape)} are quantized with {by(tables.shape)} values: export the model again")
    lengths = [1] * len(shape)
    lengths[axis] = len(tables)
    return _shaped(indices, shape), np.ascontiguousarray(tables.reshape(*lengths, -1), np.float32)


def _unpacked(raw: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.uint8]:
    """Numbers of so many bits, the first in the highest bits of the first byte."""
    if bits == 8:
        return raw
    if raw.size != math.ceil(count * bits / 8):
        return raw[:0]
    rows = np.unpackbits(raw, count=count * bits).reshape(count, bits)
    return (rows @ (1 << np.arange(bits - 1, -1, -1)).astype(np.uint8)).astype(np.uint8)


def _shaped(array: NDArray[Any], shape: Shape) -> NDArray[Any]:
    if array.size != math.prod(shape) or any(length < 0 for length in shape):
        raise MilError(f"its weights are {array.size} values where it takes {by(shape)}: export the model again")
    return array.reshape(shape)
