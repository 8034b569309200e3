"""What keeps depth and masks sensible where pictures alone don't decide."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.training.selfsupervised.geometry import shift

__all__ = ["edge_aware_smoothness", "explainability_regulariser", "left_right_consistency", "normalised", "second_order_smoothness"]


def normalised(inverse_depth: Tensor) -> Tensor:
    """Inverse depth over its own mean: shrinking the scene then makes it no smoother (Wang et al. 2018, arXiv 1712.00175).

    Args:
        inverse_depth: N×1×H×W, positive.
    """
    return inverse_depth / inverse_depth.mean(dim=(2, 3), keepdim=True)


def second_order_smoothness(values: Tensor) -> Tensor:
    """L1 norm of the second derivatives: mean |∂xx| + |∂xy| + |∂yx| + |∂yy| (Zhou et al. 2017, section 3.4, on its maps).

    Args:
        values: N×1×H×W, at least 3×3.
    """
    dx, dy = values.diff(dim=-1), values.diff(dim=-2)
    parts = (dx.diff(dim=-1), dx.diff(dim=-2), dy.diff(dim=-1), dy.diff(dim=-2))
    return torch.stack([part.abs().mean() for part in parts]).sum()


def edge_aware_smoothness(values: Tensor, image: Tensor) -> Tensor:
    """Mean |∂x d|·exp(-|∂x I|) + mean |∂y d|·exp(-|∂y I|): free to jump where the picture does (Godard et al. 2017, equation 3).

    Args:
        values: d, N×1×H×W.
        image: I, N×C×H×W; its gradient is the mean over channels.
    """
    total = values.new_zeros(())
    for dim in (-1, -2):
        edges = image.diff(dim=dim).abs().mean(dim=1, keepdim=True)
        total = total + (values.diff(dim=dim).abs() * torch.exp(-edges)).mean()
    return total


def explainability_regulariser(logits: Tensor) -> Tensor:
    """Cross-entropy of masks with the constant label 1: mean -ln E, so that E = 0 is no way out (Zhou et al. 2017, section 3.3).

    Args:
        logits: of the masks E = sigmoid(logits), any shape.
    """
    return F.softplus(-logits).mean()


def left_right_consistency(left: Tensor, right: Tensor) -> Tensor:
    """Mean |d_l(p) - d_r(p - d_l(p))| plus the same seen from the right (Godard et al. 2017, equation 4).

    Args:
        left, right: disparities as fractions of the width, N×1×H×W, both positive.
    """
    from_right = shift(right, -left).image
    from_left = shift(left, right).image
    return (left - from_right).abs().mean() + (right - from_left).abs().mean()
