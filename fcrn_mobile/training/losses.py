"""Training losses over valid pixels. e = prediction - truth in metres; a pixel is valid where the truth is finite and > 0.

In a run over several processes a loss is this process's share: the mean over processes, which is what their averaged gradients
descend, equals the loss of one process with the whole batch.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.errors import require_known
from fcrn_mobile.training import distributed
from fcrn_mobile.training.structure import NEAREST, TERMS

__all__ = ["HUBER_DELTA", "LOSSES", "berhu", "depth_loss", "huber", "l1", "l2", "log_l1", "relative_l1"]

HUBER_DELTA = 1.0  # metres
_NO_TERMS: Mapping[str, float] = MappingProxyType({})


def berhu(prediction: Tensor, target: Tensor) -> Tensor:
    """Reverse Huber (Laina et al. 2016, equation 1): |e| up to c, (e²+c²)/(2c) beyond; c = 0.2·max|e| over the batch."""
    error = (prediction - target).abs()
    threshold = (0.2 * distributed.maximum(error.detach().max())).clamp_min(1e-6)
    return torch.where(error <= threshold, error, (error**2 + threshold**2) / (2 * threshold)).mean()


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean |e|."""
    return F.l1_loss(prediction, target)


def l2(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean e²."""
    return F.mse_loss(prediction, target)


def huber(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of e²/2 up to δ = 1 m and δ·(|e| - δ/2) beyond."""
    return F.huber_loss(prediction, target, delta=HUBER_DELTA)


def log_l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean |ln p - ln d|, the error behind log10 and δ; predictions below 1 mm count as 1 mm."""
    return (prediction.clamp_min(NEAREST).log() - target.log()).abs().mean()


def relative_l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean |e|/d, the error behind abs_rel."""
    return ((prediction - target).abs() / target).mean()


#: Loss over two equal-shaped vectors of valid pixels.
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "berhu": berhu,
    "l1": l1,
    "l2": l2,
    "huber": huber,
    "log-l1": log_l1,
    "relative-l1": relative_l1,
}


def depth_loss(name: str, prediction: Tensor, target: Tensor, weights: Mapping[str, float] = _NO_TERMS) -> Tensor:
    """A loss by name between a predicted and a true depth map.

    Args:
        name: one of ``LOSSES``.
        prediction: N×1×h×w metres.
        target: N×1×H×W metres; it is sampled by nearest neighbour to h×w, as the paper trains at the output's size.
        weights: of terms that are added, by their names in ``structure.TERMS``.

    Returns:
        A scalar; 0 with zero gradient if no pixel is valid.

    Raises:
        InputError: unknown name.
    """
    require_known("loss", name, LOSSES)
    target = F.interpolate(target, size=prediction.shape[-2:], mode="nearest")
    valid = torch.isfinite(target) & (target > 0)
    prediction = prediction.to(target.dtype)
    share = distributed.share(valid.sum())
    loss = LOSSES[name](prediction[valid], target[valid]) * share if share else prediction.sum() * 0.0
    for term, weight in weights.items():
        loss = loss + weight * TERMS[term](prediction, target, valid)
    return loss
