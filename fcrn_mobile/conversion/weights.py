"""The weights of an ML program: which operator reads them, and how they are stored."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.package.pymil import operations
from fcrn_mobile.quiet import quiet_coremltools

if TYPE_CHECKING:
    import coremltools as ct

__all__ = ["Weight", "is_constant", "is_weight", "package_weights", "plain", "read_weights", "summary"]

#: What coremltools appends to the names of the network; no part of what a recipe has to know.
_SUFFIX = re.compile(r"(_to_fp16|_cast_fp16|_quantized|_palettized|_sparsified)+$")
#: Constants smaller than this never leave the specification for the weights file, compressed or not (coremltools 9.0).
_SMALLEST = 10


@dataclass(frozen=True, eq=False)
class Weight:
    """A weight of the program.

    Attributes:
        name: of the constant, as the network's parameter is called.
        ops: unique names of the operators that read it.
        kind: type of the first of them, such as ``conv``.
        shape: C_out×C_in/groups×kh×kw of a convolution; C_in×C_out/groups×kh×kw of a transposed one.
        groups: of a convolution.
        stored: ``fp16``, ``int8``, ``palette4``, ``sparse-int8``, …
        sparsity: fraction of zeros, where they are not stored.
        values: None once it is compressed.
        constant: what coremltools calls the operator that gives it: a constant, or the one that expands it.
    """

    name: str
    ops: tuple[str, ...]
    kind: str
    shape: tuple[int, ...]
    groups: int
    stored: str
    sparsity: float | None
    values: NDArray[np.floating[Any]] | None
    constant: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All that a recipe may call it: the parameter's and the operators' names, with and without coremltools' suffixes."""
        return (self.name, *dict.fromkeys(name for op in self.ops for name in (plain(op), op)))

    @property
    def channel_axes(self) -> tuple[int, int]:
        """Axes of the output and of the input channels."""
        operator = OPERATORS.get(self.kind)
        return (operator and operator.weight_axes) or (0, 1)

    def to_json(self) -> dict[str, Any]:
        """Plain values: what became of it."""
        return {key: getattr(self, key) for key in ("name", "ops", "kind", "shape", "stored", "sparsity")}


def plain(name: str) -> str:
    """A name without what coremltools appended to it."""
    return _SUFFIX.sub("", name) or name


def summary(weights: Iterable[Weight]) -> dict[str, int]:
    """Number of weights by how they are stored, most frequent first."""
    return dict(Counter(weight.stored for weight in weights).most_common())


def package_weights(package: Path) -> list[Weight]:
    """The weights of a package on disk, as they are stored in it."""
    with quiet_coremltools():
        import coremltools as ct

        return read_weights(ct.models.MLModel(str(package), skip_model_load=True))[0]


def read_weights(model: "ct.models.MLModel") -> tuple[list[Weight], set[str]]:
    """The weights of a model, in the order of the program, and the names of all its operators and weights.

    A weight is a constant of floats that an operator reads, with at least two axes and ten elements.
    """
    weights: dict[str, Weight] = {}
    names: set[str] = set()
    for op in operations(model):
        if is_constant(op):
            continue
        names |= {name for full in (op.name, *(var.name for var in op.outputs)) for name in (full, plain(full))}
        for var in op.inputs.values():
            if is_weight(var) and var.name not in weights:
                weights[var.name] = _weight(var)
    return list(weights.values()), names | {weight.name for weight in weights.values()}


def is_constant(op: Any) -> bool:
    """Whether an operator of a PyMIL program gives a constant, stored as it is or compressed."""
    return bool(op.op_type == "const" or op.op_type.startswith("constexpr_"))


def is_weight(var: Any) -> bool:
    """Whether a variable of a PyMIL program is a constant of floats with at least two axes and ten elements."""
    from coremltools.converters.mil.mil import types

    if isinstance(var, list | tuple) or var is None or var.op is None or not types.is_tensor(var.sym_type):
        return False
    return is_constant(var.op) and types.is_float(var.dtype) and var.rank >= 2 and np.prod(var.shape) >= _SMALLEST


def _weight(var: Any) -> Weight:
    readers = list(dict.fromkeys(var.child_ops))
    groups = getattr(readers[0], "groups", None)
    stored, sparsity = _stored(var)
    return Weight(
        name=plain(var.name),
        ops=tuple(op.name for op in readers),
        kind=readers[0].op_type,
        shape=tuple(int(side) for side in var.shape),
        groups=int(groups.val) if groups is not None else 1,
        stored=stored,
        sparsity=sparsity,
        values=var.val if var.op.op_type == "const" else None,
        constant=var.op.name,
    )


def _stored(var: Any) -> tuple[str, float | None]:
    """How a value is stored, read from the operators that expand it, and its fraction of zeros if they are left out."""
    op = var.op
    if op.op_type == "const":
        return f"fp{var.dtype.get_bitwidth()}", None
    if op.op_type == "constexpr_affine_dequantize":
        return _integer(op.quantized_data), None
    if op.op_type == "constexpr_blockwise_shift_scale":
        return _integer(op.data), None
    if op.op_type in ("constexpr_lut_to_dense", "constexpr_lut_to_sparse"):
        return _palette(op), None
    if op.op_type == "constexpr_sparse_blockwise_shift_scale":
        return _integer(op.nonzero_data), None
    if op.op_type == "constexpr_sparse_to_dense":
        density = float(np.prod(op.nonzero_data.shape) / np.prod(var.shape))
        inner = op.nonzero_data.op.op_type
        return "sparse" if inner == "const" else f"sparse-{_stored(op.nonzero_data)[0]}", 1 - density
    return op.op_type, None


def _integer(var: Any) -> str:
    return f"int{var.dtype.get_bitwidth()}"


def _palette(op: Any) -> str:
    # Up to iOS 17 the table is a vector, later its axes are those of the weight, then entries, then vector elements.
    entries = op.lut.shape[0] if op.lut.rank == 1 else op.lut.shape[-2]
    quantized = "" if op.lut.op.op_type == "const" else "-int8"
    return f"palette{int(entries).bit_length() - 1}{quantized}"
