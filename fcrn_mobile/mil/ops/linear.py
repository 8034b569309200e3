"""Matrix products and attention."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.ops.arguments import Operator
from fcrn_mobile.mil.ops.elementwise import to_integer


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


OPERATORS: dict[str, Operator] = {
    "einsum": einsum,
    "linear": linear,
    "matmul": matmul,
    "scaled_dot_product_attention": scaled_dot_product_attention,
}
