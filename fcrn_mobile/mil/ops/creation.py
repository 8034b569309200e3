"""Tensors out of shapes and numbers."""

import math

import torch
from torch import Tensor

from fcrn_mobile.mil.declared import Declared, Shape
from fcrn_mobile.mil.ops.arguments import ints
from fcrn_mobile.mil.ops.operator import Operator

__all__ = ["OPERATORS", "fill", "fill_like", "range_1d", "shape"]


def fill(shape: Tensor, value: Tensor | bool | float = 0.0) -> Tensor:
    """A tensor of this shape with one value everywhere."""
    return _full(ints(shape), value)


def fill_like(ref_tensor: Tensor, value: Tensor | bool | float = 0.0) -> Tensor:
    """A tensor of the reference's shape with one value everywhere."""
    return _full(list(ref_tensor.shape), value)


def range_1d(start: Tensor, end: Tensor, step: Tensor) -> Tensor:
    """start, start + step, … below (with a negative step: above) the end; ⌈(end - start) / step⌉ numbers."""
    first, last, stride = start.item(), end.item(), step.item()
    count = max(math.ceil((last - first) / stride), 0)
    return (start + torch.arange(count, dtype=start.dtype) * step).to(start.dtype)


def shape(x: Tensor) -> Tensor:
    """The lengths of all axes, int32."""
    return torch.tensor(x.shape, dtype=torch.int32)


def _full(lengths: list[int], value: Tensor | bool | float) -> Tensor:
    element = value if isinstance(value, Tensor) else torch.tensor(value)
    return element.reshape(()).expand(lengths).clone()


def _range_shape(declared: Declared) -> Shape:
    step = declared.number("step", 1)
    return (int((declared.number("end", 0) - declared.number("start", 0)) / step),) if step else ()


OPERATORS = {
    "fill": Operator(fill, "exact", grows=lambda declared: declared.lengths("shape")),
    "fill_like": Operator(fill_like, "exact", since=6),
    "range_1d": Operator(range_1d, "computed", grows=_range_shape),
    "shape": Operator(shape, "exact"),
}
