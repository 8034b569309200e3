"""Reductions along axes, and cumulative sums.

Reductions of integers are integers: sums and products wrap around, means, roots and logarithms lose their fraction.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.ops.arguments import ints
from fcrn_mobile.mil.ops.elementwise import to_integer
from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.package.errors import MilError

__all__ = ["OPERATORS", "cumsum", "reduce_argmax", "reduce_argmin"]


def cumsum(x: Tensor, axis: Tensor | int = 0, exclusive: bool = False, reverse: bool = False) -> Tensor:
    """Sum of what stands before each element along an axis, itself included unless ``exclusive``; ``reverse`` starts at the end."""
    dim = int(axis) % x.dim()
    if reverse:
        x = x.flip(dim)
    if exclusive and x.shape[dim]:
        start = [0, 0] * (x.dim() - 1 - dim) + [1, 0]
        x = F.pad(x.narrow(dim, 0, x.shape[dim] - 1), start)
    out = torch.cumsum(x, dim, dtype=x.dtype)
    return out.flip(dim) if reverse else out


def reduce_argmax(x: Tensor, axis: Tensor | int = -1, keep_dims: bool = False, output_dtype: str = "int32") -> Tensor:
    """Position of the largest value along an axis, the first of equals; int32, which holds uint16 as well.

    Raises:
        MilError: an axis without elements, or an output type MIL does not have here.
    """
    _check_position(x, int(axis), output_dtype)
    return x.max(int(axis), keep_dims).indices.to(torch.int32)  # about three times as fast as argmax


def reduce_argmin(x: Tensor, axis: Tensor | int = -1, keep_dims: bool = False, output_dtype: str = "int32") -> Tensor:
    """Position of the smallest value along an axis, the first of equals; int32, which holds uint16 as well.

    Raises:
        MilError: an axis without elements, or an output type MIL does not have here.
    """
    _check_position(x, int(axis), output_dtype)
    return x.min(int(axis), keep_dims).indices.to(torch.int32)


def _l1_norm(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    return x.abs().sum(dims, keep, dtype=x.dtype)


def _l2_norm(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    if x.is_floating_point():
        return x.square().sum(dims, keep).sqrt_()
    square = x.long().square().sum(dims, keep)
    root = square.double().sqrt().long()
    return (root - (root * root > square).long()).to(x.dtype)  # the root of a large k² - 1 rounds up to k


def _log_sum(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    if x.is_floating_point():
        return x.sum(dims, keep).log_()
    return to_integer(x.sum(dims, keep, dtype=torch.float64).log_(), x.dtype)


def _log_sum_exp(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    if x.is_floating_point():
        return torch.logsumexp(x, dims, keep)
    return to_integer(torch.logsumexp(x.double(), dims, keep), x.dtype)


def _max(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    _refuse_empty("maximum", x, dims)
    return x.amax(dims, keep)


def _mean(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    if x.is_floating_point():
        return x.mean(dims, keep)
    _refuse_empty("mean of integers", x, dims)
    total = x.sum(dims, keep, dtype=torch.int64)
    return torch.div(total, x.numel() // max(total.numel(), 1), rounding_mode="trunc").to(x.dtype)


def _min(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    _refuse_empty("minimum", x, dims)
    return x.amin(dims, keep)


def _prod(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    for dim in sorted((dim % x.dim() for dim in dims), reverse=True):
        x = x.prod(dim, keep, dtype=x.dtype)
    return x


def _sum(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    return x.sum(dims, keep, dtype=x.dtype)


def _sum_square(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    return x.square().sum(dims, keep, dtype=x.dtype)


def _over_axes(reduce: Callable[[Tensor, list[int], bool], Tensor]) -> Callable[..., Tensor]:
    """The MIL operator of a reduction: over all axes by default, over none (each element by itself) if the list is empty."""

    def operator(x: Tensor, axes: Tensor | None = None, keep_dims: bool = False) -> Tensor:
        dims = list(range(x.dim())) if axes is None else ints(axes)
        return reduce(x, dims, keep_dims) if dims else reduce(x.unsqueeze(0), [0], False)

    return operator


def _refuse_empty(name: str, x: Tensor, dims: list[int]) -> None:
    if x.numel() == 0 and any(x.shape[dim] == 0 for dim in dims):
        raise MilError(
            f"the {name} of nothing is not defined: a tensor of shape {by(x.shape)} is reduced along axes {dims}; use a larger input"
        )


def _check_position(x: Tensor, axis: int, output_dtype: str) -> None:
    if output_dtype.lower() not in ("int32", "uint16"):
        raise MilError(f"positions of data type '{output_dtype}' are not one of int32, uint16: export the package again")
    _refuse_empty("position of an extreme", x, [axis])


OPERATORS = {
    "cumsum": Operator(cumsum, "scaled"),
    "reduce_argmax": Operator(reduce_argmax, "exact"),
    "reduce_argmin": Operator(reduce_argmin, "exact"),
    "reduce_l1_norm": Operator(_over_axes(_l1_norm), "scaled"),
    "reduce_l2_norm": Operator(_over_axes(_l2_norm), "scaled"),
    "reduce_log_sum": Operator(_over_axes(_log_sum), "computed"),
    "reduce_log_sum_exp": Operator(_over_axes(_log_sum_exp), "computed"),
    "reduce_max": Operator(_over_axes(_max), "picked"),
    "reduce_mean": Operator(_over_axes(_mean), "scaled"),
    "reduce_min": Operator(_over_axes(_min), "picked"),
    "reduce_prod": Operator(_over_axes(_prod), "computed"),
    "reduce_sum": Operator(_over_axes(_sum), "scaled"),
    "reduce_sum_square": Operator(_over_axes(_sum_square), "computed"),
}
