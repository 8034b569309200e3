"""Accuracy of a training batch: what is logged beside its loss."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.training import distributed

__all__ = ["THRESHOLD", "batch_accuracy"]

THRESHOLD = 1.25


@torch.no_grad()
def batch_accuracy(prediction: Tensor, target: Tensor) -> Tensor:
    """δ1 of a batch at the output's size: the share of valid pixels with max(p/d, d/p) < 1.25.

    Args:
        prediction: N×1×h×w metres.
        target: N×1×H×W metres, sampled by nearest neighbour to h×w as for the loss; valid where finite and > 0.

    Returns:
        A scalar from 0 to 1; 0 if no pixel is valid. In a run over several processes this process's share, whose mean over
        processes is the accuracy of the whole batch.
    """
    target = F.interpolate(target, size=prediction.shape[-2:], mode="nearest")
    valid = torch.isfinite(target) & (target > 0)
    # Without a division, a prediction that is not positive is no hit.
    hits = valid & (prediction < THRESHOLD * target) & (target < THRESHOLD * prediction)
    return hits.sum() / valid.sum().clamp_min(1) * distributed.share(valid.sum())
