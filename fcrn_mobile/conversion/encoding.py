"""What a package stores for a compressed weight: the values that it could hold, and how chosen ones and other constants get into it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.package.pymil import changed, operations

if TYPE_CHECKING:
    import coremltools as ct

#: Constants that stand in for a model's own: result of an operator → its argument, or ``weight.ARGUMENT`` for one of the operator that
#: expands its weights → array.
Corrections = dict[str, dict[str, NDArray[Any]]]


@dataclass(frozen=True)
class Steps:
    """Integers times a scale: step·(q - zero) with low ≤ q ≤ high.

    Attributes:
        step, zero: at the shape of the weight.
        low, high: of the integers.
        shape: of the scale as it is stored, extended to the rank of the weight: each entry belongs to a block of it.
    """

    step: Tensor
    zero: Tensor
    low: int
    high: int
    shape: tuple[int, ...]

    def matrix(self, groups: int) -> "Steps":
        """The same for the weight as G×C_out/G×K."""
        shape = (groups, self.step.shape[0] // groups, -1)
        return Steps(self.step.reshape(shape), self.zero.reshape(shape), self.low, self.high, self.shape)

    def column(self, k: int) -> "Steps":
        """The same for one column of that matrix."""
        return Steps(self.step[..., k], self.zero[..., k], self.low, self.high, self.shape)

    def nearest(self, values: Tensor) -> Tensor:
        """The values of the grid that are closest."""
        return (self.codes(values) - self.zero) * self.step

    def codes(self, values: Tensor) -> Tensor:
        """The integers of the closest values."""
        # The scale of nothing but zeros is zero.
        steps = torch.where(self.step > 0, values / self.step, torch.zeros(()))
        return (steps + self.zero).round().clamp(self.low, self.high)


@dataclass(frozen=True)
class Table:
    """Indices into a table.

    Attributes:
        entries: broadcastable to the shape of the weight, ×entries; constant along all axes but the first.
    """

    entries: Tensor

    def matrix(self, groups: int) -> "Table":
        """The same for the weight as G×C_out/G×K."""
        tables, count = self.entries.shape[0], self.entries.shape[-1]
        return Table(self.entries.reshape(groups if tables > 1 else 1, -1, 1, count))

    def column(self, k: int) -> "Table":
        """The same for one column of that matrix."""
        return Table(self.entries[..., 0, :])

    def nearest(self, values: Tensor) -> Tensor:
        """The values of the grid that are closest."""
        return self.entries.expand(*values.shape, -1).gather(-1, self.codes(values).unsqueeze(-1)).squeeze(-1)

    def codes(self, values: Tensor) -> Tensor:
        """The indices of the closest values."""
        return (values.unsqueeze(-1) - self.entries).abs().argmin(-1)


Grid = Steps | Table


@dataclass(frozen=True)
class Encoding:
    """A compressed weight.

    Attributes:
        grid: the values that it may take.
        argument: name of the constant that holds the codes.
        packed: bits of a code where the codes are packed into bytes (palettes up to iOS 17), else None.
        dtype: of the codes, with the mark by which coremltools knows four and fewer bits.
        scale_dtype: of the scale; None for a table.
        scale_rank: of the scale as it is stored.
    """

    grid: Grid
    argument: str
    packed: int | None
    dtype: "np.dtype[Any]"
    scale_dtype: "np.dtype[Any] | None" = None
    scale_rank: int = 0

    def data(self, values: Tensor) -> dict[str, NDArray[Any]]:
        """Constants of the expanding operator that make these values, which lie on the grid: C_out×C_in/groups×kh×kw."""
        codes = self.grid.codes(values).numpy()
        if self.packed is None:
            return {f"weight.{self.argument}": codes.astype(self.dtype)}
        bits = (codes.reshape(-1, 1).astype(np.int64) >> np.arange(self.packed)) & 1
        return {f"weight.{self.argument}": np.packbits(bits.astype(np.uint8), bitorder="little")}

    def scale(self) -> dict[str, NDArray[Any]]:
        """Constants of the expanding operator that give the scales of this grid."""
        grid = self.grid
        assert isinstance(grid, Steps)
        first = tuple(slice(None, None, length // count) for length, count in zip(grid.step.shape, grid.shape, strict=True))
        scale = grid.step[first].numpy().astype(self.scale_dtype)
        return {"weight.scale": scale if self.scale_rank == scale.ndim else scale.reshape(-1) if self.scale_rank else scale.reshape(())}


def stored_weights(model: "ct.models.MLModel") -> dict[str, Encoding]:
    """Compressed weights of 2-D convolutions by the name of the convolution's result.

    Left out: weights that several operators read, and those stored as sparse, as vectors of a table or by a quantized table.
    """
    found = {}
    for op in operations(model):
        var = op.inputs.get("weight")
        if op.op_type == "conv" and var is not None and var.rank == 4 and len(set(var.child_ops)) == 1:
            stored = _stored(var.op)
            if stored is not None:
                found[op.outputs[0].name] = stored
    return found


def float_weights(model: "ct.models.MLModel") -> dict[str, Tensor]:
    """Uncompressed weights of 2-D convolutions by the name of the convolution's result, float32, C_out×C_in/groups×kh×kw."""
    convs = (op for op in operations(model) if op.op_type == "conv" and op.weight.op is not None and op.weight.rank == 4)
    return {op.outputs[0].name: _tensor(op.weight) for op in convs if op.weight.op.op_type == "const"}


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
    held = target.inputs[key]
    with function:
        const = Builder.const(val=value.astype(held.val.dtype), name=f"{held.name}_corrected", before_op=target)
    target.set_inputs(no_check_var_types=True, **{key: const})


def _stored(op: Any) -> Encoding | None:
    if op.op_type == "constexpr_affine_dequantize":
        return _affine(op)
    if op.op_type == "constexpr_blockwise_shift_scale" and op.data.op.op_type == "const" and op.scale.op.op_type == "const":
        shape = op.data.val.shape
        zero = torch.zeros(()) if op.offset is None else _repeated(_tensor(op.offset), shape)
        grid = Steps(_repeated(_tensor(op.scale), shape), zero.expand(shape), *_limits(op.data, op.offset), op.scale.val.shape)
        return Encoding(grid, "data", None, op.data.val.dtype, op.scale.val.dtype, op.scale.val.ndim)
    if op.op_type == "constexpr_lut_to_dense" and op.lut.op.op_type == "const":
        return _table(op)
    return None


def _affine(op: Any) -> Encoding:
    data, scale, zero = op.quantized_data.val, _tensor(op.scale), _tensor(op.zero_point)
    shape = tuple(length if axis == int(op.axis.val) else 1 for axis, length in enumerate(data.shape))
    blocks = shape if scale.dim() else (1,) * data.ndim
    step = scale.view(blocks).expand(data.shape)
    zero = (zero.view(blocks) if zero.dim() else zero).expand(data.shape)
    grid = Steps(step, zero, *_limits(op.quantized_data, op.zero_point), blocks)
    return Encoding(grid, "quantized_data", None, data.dtype, op.scale.val.dtype, op.scale.val.ndim)


def _table(op: Any) -> Encoding | None:
    lut = _tensor(op.lut)
    if lut.dim() == 1:  # up to iOS 17
        packed = round(np.log2(len(lut)))
        return Encoding(Table(lut.view(1, 1, 1, 1, -1)), "indices", packed, op.indices.val.dtype)
    if lut.shape[-1] > 1 or any(count > 1 for count in lut.shape[1:-2]):
        return None
    tables, outputs = lut.shape[0], op.indices.val.shape[0]
    return Encoding(
        Table(lut.squeeze(-1).repeat_interleave(outputs // tables if tables > 1 else 1, dim=0)), "indices", None, op.indices.val.dtype
    )


def _limits(data: Any, zero: Any) -> tuple[int, int]:
    """Of the integers; without a zero point, coremltools' are symmetric, and so is what hardware expects."""
    from coremltools.converters.mil.mil import types

    bits, unsigned = data.dtype.get_bitwidth(), types.is_int(data.dtype) and data.dtype.is_unsigned()
    if unsigned:
        return 0, 2**bits - 1
    symmetric = zero is None or not np.any(zero.val)
    return -(2 ** (bits - 1)) + int(symmetric), 2 ** (bits - 1) - 1


def _repeated(parameters: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Parameters of blocks at the shape of the data, views where an axis has one block."""
    for axis, length in enumerate(shape):
        count = parameters.shape[axis]
        if count not in (1, length):
            parameters = parameters.repeat_interleave(length // count, dim=axis)
    return parameters.expand(shape)


def _tensor(var: Any) -> Tensor:
    return torch.from_numpy(np.asarray(var.val, np.float32))
