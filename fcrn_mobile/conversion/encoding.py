"""How a package stores a compressed weight: its grid, and how codes on it and other constants get into the package."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.package.pymil import changed, operations
from fcrn_mobile.quantize.blocks import along
from fcrn_mobile.quantize.grids import Grid, Integers, Table

if TYPE_CHECKING:
    import coremltools as ct

__all__ = ["Corrections", "Encoding", "float_weights", "weight_encodings", "with_constants"]

#: Constants that stand in for a model's own: result of an operator → its argument, or ``weight.ARGUMENT`` for one of the operator that
#: expands its weights → array.
Corrections = dict[str, dict[str, NDArray[Any]]]

#: Operators whose weights are corrected: 2-D convolutions and linear layers → number of axes of such a weight.
_RANKS = {"conv": 4, "linear": 2}


@dataclass(frozen=True)
class Encoding:
    """A compressed weight.

    Attributes:
        grid: the values that it may take.
        argument: name of the constant that holds the codes.
        packed: bits of a code where the codes are packed into bytes (palettes up to iOS 17), else None.
        dtype: of the codes, with the mark by which coremltools knows four and fewer bits.
        scale_dtype, scale_shape: of the scale as it is stored; None for a table.
    """

    grid: Grid
    argument: str
    packed: int | None
    dtype: "np.dtype[Any]"
    scale_dtype: "np.dtype[Any] | None" = None
    scale_shape: tuple[int, ...] | None = None

    def codes(self, values: Tensor) -> dict[str, NDArray[Any]]:
        """Constants of the expanding operator that make these values, which lie on the grid: C_out×C_in/groups×kh×kw or C_out×C_in."""
        codes = self.grid.codes(values).numpy()
        if self.packed is None:
            return {f"weight.{self.argument}": codes.astype(self.dtype)}
        bits = (codes.reshape(-1, 1).astype(np.int64) >> np.arange(self.packed)) & 1
        return {f"weight.{self.argument}": np.packbits(bits.astype(np.uint8), bitorder="little")}

    def scale(self) -> dict[str, NDArray[Any]]:
        """Constants of the expanding operator that give the scales of this grid."""
        assert isinstance(self.grid, Integers) and self.scale_shape is not None
        return {"weight.scale": self.grid.scale.numpy().astype(self.scale_dtype).reshape(self.scale_shape)}


def weight_encodings(model: "ct.models.MLModel") -> dict[str, Encoding]:
    """Compressed weights of 2-D convolutions and linear layers by the name of the operator's result.

    Left out: weights that several operators read, and those stored as sparse, as vectors of a table or by a quantized table.
    """
    encodings = {}
    for op in operations(model):
        var = op.inputs.get("weight")
        if var is not None and var.rank == _RANKS.get(op.op_type) and len(set(var.child_ops)) == 1:
            encoding = _encoding(var.op)
            if encoding is not None:
                encodings[op.outputs[0].name] = encoding
    return encodings


def float_weights(model: "ct.models.MLModel") -> dict[str, Tensor]:
    """Uncompressed weights of the same operators by the name of the result, float32, C_out×C_in/groups×kh×kw or C_out×C_in."""
    layers = (op for op in operations(model) if op.op_type in _RANKS and op.weight.op is not None and op.weight.rank == _RANKS[op.op_type])
    return {op.outputs[0].name: _tensor(op.weight) for op in layers if op.weight.op.op_type == "const"}


def with_constants(model: "ct.models.MLModel", constants: Mapping[str, Mapping[str, NDArray[Any]]]) -> "ct.models.MLModel":
    """The model with other constants; one that several operators share is given to each of them apart."""

    def replace(program: Any) -> None:
        for function in program.functions.values():
            for op in list(function.operations):
                for argument, value in constants.get(op.outputs[0].name, {}).items() if op.outputs else ():
                    _replace(function, op, argument, value)

    return changed(model, replace)


def _replace(function: Any, op: Any, argument: str, value: NDArray[Any]) -> None:
    from coremltools.converters.mil.mil import Builder

    owner, _, inner = argument.partition(".")
    target, key = (op.inputs[owner].op, inner) if inner else (op, owner)
    before = target.inputs[key]
    with function:
        const = Builder.const(val=value.astype(before.val.dtype), name=f"{before.name}_corrected", before_op=target)
    target.set_inputs(no_check_var_types=True, **{key: const})


def _encoding(op: Any) -> Encoding | None:
    if op.op_type == "constexpr_affine_dequantize":
        return _affine(op)
    if op.op_type == "constexpr_blockwise_shift_scale" and op.data.op.op_type == "const" and op.scale.op.op_type == "const":
        grid = _integers(op.data, _tensor(op.scale), None if op.offset is None else _tensor(op.offset))
        return Encoding(grid, "data", None, op.data.val.dtype, op.scale.val.dtype, op.scale.val.shape)
    if op.op_type == "constexpr_lut_to_dense" and op.lut.op.op_type == "const":
        return _table(op)
    return None


def _affine(op: Any) -> Encoding:
    data, scale, axis = op.quantized_data, op.scale.val, int(op.axis.val)
    # A scalar is one block, as a vector of one would be.
    scales, zeros = (along(torch.atleast_1d(_tensor(each)), data.rank, axis if each.rank else 0) for each in (op.scale, op.zero_point))
    grid = _integers(data, scales, zeros)
    return Encoding(grid, "quantized_data", None, data.val.dtype, scale.dtype, scale.shape)


def _table(op: Any) -> Encoding | None:
    lut = _tensor(op.lut)
    if lut.dim() == 1:  # up to iOS 17
        packed = round(np.log2(len(lut)))
        return Encoding(Table(lut.view(*[1] * op.outputs[0].rank, -1)), "indices", packed, op.indices.val.dtype)
    if lut.shape[-1] > 1 or any(count > 1 for count in lut.shape[1:-2]):
        return None
    return Encoding(Table(lut.squeeze(-1)), "indices", None, op.indices.val.dtype)


def _integers(data: Any, scale: Tensor, zero: Tensor | None) -> Integers:
    """Without a zero point, coremltools' integers are symmetric, and so is what hardware expects."""
    from coremltools.converters.mil.mil import types

    signed = not (types.is_int(data.dtype) and data.dtype.is_unsigned())
    zero = None if zero is None or not zero.any() else zero
    return Integers(scale, zero, data.dtype.get_bitwidth(), signed, symmetric=signed and zero is None)


def _tensor(var: Any) -> Tensor:
    return torch.from_numpy(np.asarray(var.val, np.float32))
