"""Matrix products and attention."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.declared import Declared, Shape, broadcast
from fcrn_mobile.mil.ops.elementwise import to_integer
from fcrn_mobile.mil.ops.operator import Operator

__all__ = ["OPERATORS", "einsum", "linear", "matmul", "scaled_dot_product_attention"]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """X …×I, weight O×I, bias O → …×O, of x's data type."""
    if x.dtype == weight.dtype and (bias is None or bias.dtype == x.dtype):
        return F.linear(x, weight, bias)
    # iOS 17 and later: weights of another type. Float64 holds every int32.
    wide = x.dtype if x.is_floating_point() else torch.float64
    out = F.linear(x.to(wide), weight.to(wide), None if bias is None else bias.to(wide))
    return out if x.is_floating_point() else to_integer(out, x.dtype)


def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    """X …×M×K, y …×K×N → …×M×N, leading axes broadcast; a vector is a row on the left, a column on the right, and never transposed."""
    if transpose_x and x.dim() > 1:
        x = x.mT
    if transpose_y and y.dim() > 1:
        y = y.mT
    if x.dtype != y.dtype:
        wide = torch.promote_types(x.dtype, y.dtype)
        x, y = x.to(wide), y.to(wide)
    return torch.matmul(x, y)


def einsum(values: tuple[Tensor, ...], equation: str) -> Tensor:
    """Sum of products after an equation; axes of length 1 are broadcast."""
    return torch.einsum(equation, *values)


def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """softmax(query·keyᵀ/√E + mask)·value; query B×…×L×E, key B×…×S×E, value B×…×S×V → B×…×L×V.

    The mask, broadcast to B×…×L×S, is added; a boolean one is 0 where it is true and -inf elsewhere. Where it leaves a row nothing
    to attend to, the formula of coremltools gives NaN, while torch's operator would give 0.
    """
    if attn_mask is None:
        return F.scaled_dot_product_attention(query, key, value)
    if attn_mask.dim() < 2:
        attn_mask = attn_mask.reshape(1, -1)
    out = F.scaled_dot_product_attention(query, key, value, attn_mask)
    open_rows = attn_mask.any(-1) if attn_mask.dtype == torch.bool else attn_mask.amax(-1) > -torch.inf
    return out if open_rows.all() else out.masked_fill(~open_rows.unsqueeze(-1), torch.nan)


def _linear_shape(declared: Declared) -> Shape:
    return (*declared.shape("x")[:-1], *declared.shape("weight")[:1])


def _linear_macs(declared: Declared) -> int:
    weight = declared.shape("weight")
    return math.prod(declared.result) * weight[-1] if weight else 0


def _matmul_shape(declared: Declared) -> Shape:
    x, y = declared.shape("x"), declared.shape("y")
    if len(x) < 2 or len(y) < 2:
        return ()
    rows = x[-1] if declared.number("transpose_x", 0) else x[-2]
    columns = y[-2] if declared.number("transpose_y", 0) else y[-1]
    return (*broadcast(x[:-2], y[:-2]), rows, columns)


def _matmul_macs(declared: Declared) -> int:
    x = declared.shape("x")
    if not x:
        return 0
    return math.prod(declared.result) * (x[-2] if declared.number("transpose_x", 0) and len(x) > 1 else x[-1])


def _einsum_shape(declared: Declared) -> Shape:
    lengths = _einsum_lengths(declared)
    return tuple(lengths.get(index, 1) for index in declared.text("equation").partition("->")[2].strip())


def _einsum_macs(declared: Declared) -> int:
    """Every combination of its indices once."""
    lengths = _einsum_lengths(declared)
    return math.prod(lengths.values()) if lengths else 0


def _einsum_lengths(declared: Declared) -> dict[str, int]:
    """Index of the equation → its length."""
    lengths: dict[str, int] = {}
    for indices, shape in zip(declared.text("equation").partition("->")[0].split(","), declared.shapes("values"), strict=False):
        for index, length in zip(indices.strip(), shape, strict=False):
            lengths[index] = max(length, lengths.get(index, length))
    return lengths


def _attention_shape(declared: Declared) -> Shape:
    """That of the weights, which are larger than what it yields."""
    return (*declared.shape("query")[:-1], *declared.shape("key")[-2:-1])


def _attention_macs(declared: Declared) -> int:
    """query·keyᵀ, then weights·value: both sum over every key."""
    key = declared.shape("key")
    return (math.prod(declared.shape("query")) + math.prod(declared.result)) * key[-2] if len(key) > 1 else 0


OPERATORS = {
    "einsum": Operator(einsum, "computed", grows=_einsum_shape, macs=_einsum_macs, lists=("values",)),
    "linear": Operator(
        linear, "computed", fresh=True, grows=_linear_shape, macs=_linear_macs, weight_axes=(0, 1), bias_axis=-1, quantizable=True
    ),
    "matmul": Operator(matmul, "computed", fresh=True, grows=_matmul_shape, macs=_matmul_macs, misdeclared=True),
    "scaled_dot_product_attention": Operator(
        scaled_dot_product_attention, "computed", fresh=True, grows=_attention_shape, macs=_attention_macs, since=8
    ),
}
