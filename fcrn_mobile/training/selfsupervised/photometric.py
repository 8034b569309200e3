"""How far a synthesised picture is from the real one, pixel by pixel, and which pixels count.

All pictures are N×C×H×W in 0..1, all errors N×1×H×W.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["least", "masked_mean", "moving", "photometric_error", "ssim"]

#: Stabilising constants of SSIM for values in 0..1 (Wang et al. 2004).
_C1, _C2 = 0.01**2, 0.03**2


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity in 3×3 blocks with equal weights, N×C×H×W, 1 where equal (Wang et al. 2004; blocks as in Godard et al. 2017).

    SSIM = (2μaμb + C1)(2σab + C2) / ((μa² + μb² + C1)(σa² + σb² + C2)). Pictures are mirrored beyond their borders.
    """
    a, b = (F.pad(image, (1, 1, 1, 1), mode="reflect") for image in (a, b))
    mean_a, mean_b = _block_mean(a), _block_mean(b)
    variance_a = _block_mean(a * a) - mean_a**2
    variance_b = _block_mean(b * b) - mean_b**2
    covariance = _block_mean(a * b) - mean_a * mean_b
    numerator = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    return numerator / ((mean_a**2 + mean_b**2 + _C1) * (variance_a + variance_b + _C2))


def photometric_error(synthesised: Tensor, real: Tensor, ssim_weight: float) -> Tensor:
    """α·(1 - SSIM)/2 + (1 - α)·|a - b|, mean of the channels (Godard et al. 2017, equation 2, α = 0.85; α = 0 is Zhou's L1)."""
    error = (1 - ssim_weight) * (synthesised - real).abs()
    if ssim_weight:
        error = error + ssim_weight * ((1 - ssim(synthesised, real)) / 2).clamp(0, 1)
    return error.mean(dim=1, keepdim=True)


def least(errors: Tensor) -> Tensor:
    """The smallest error over sources: a pixel hidden in one is seen in another (Godard et al. 2019, arXiv 1806.01260, equation 4).

    Args:
        errors: N×S×H×W.
    """
    return errors.amin(dim=1, keepdim=True)


def moving(reprojected: Tensor, unmoved: Tensor) -> Tensor:
    """Automask: pixels that a warp explains better than standing still does (Godard et al. 2019, equation 5).

    What doesn't change from frame to frame - a camera at rest, an object that moves along - says nothing about depth.

    Args:
        reprojected: errors of the warped sources, N×S×H×W, or the least of them.
        unmoved: errors of the sources as they are, likewise.

    Returns:
        bool, shaped as they are.
    """
    return reprojected < unmoved


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of N×1×H×W values where the bool mask holds, whatever stands elsewhere; 0 with zero gradient where it holds nowhere."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp_min(1)


def _block_mean(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, 3, stride=1)
