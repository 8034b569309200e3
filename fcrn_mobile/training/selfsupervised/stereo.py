"""Depth from rectified stereo pairs with left-right consistency (Godard et al. 2017, arXiv 1609.03677)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fcrn_mobile.data.batches import ViewsBatch
from fcrn_mobile.data.views import Views
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig
from fcrn_mobile.training.selfsupervised.geometry import shift
from fcrn_mobile.training.selfsupervised.objective import FromViews, resample
from fcrn_mobile.training.selfsupervised.photometric import photometric_error
from fcrn_mobile.training.selfsupervised.regularisers import edge_aware_smoothness, left_right_consistency
from fcrn_mobile.training.selfsupervised.scales import InverseDepths
from fcrn_mobile.training.selfsupervised.terms import Terms

__all__ = ["CONSISTENCY", "FARTHEST", "LARGEST_DISPARITY", "Stereo", "StereoLoss", "stereo_loss"]

#: Weight of the left-right consistency, as in the paper.
CONSISTENCY = 1.0
#: The largest disparity as a share of the width (section 3.3), and the farthest depth in metres.
LARGEST_DISPARITY, FARTHEST = 0.3, 100.0


@dataclass(frozen=True)
class Stereo(FromViews):
    """Learning from rectified stereo pairs; settings as in the paper."""

    name = "stereo"
    own_smoothness = 0.1
    has_unit = True

    def loss(self, config: FCRNConfig) -> "StereoLoss":
        return StereoLoss(config, self)

    def inverse_depth(self, views: Views) -> tuple[float, float]:
        """In 1/m: the nearest point of a rig has the largest disparity."""
        return LARGEST_DISPARITY * views.size[1] / (views.intrinsics.fx * views.baseline), 1 / FARTHEST


class StereoLoss(nn.Module):
    """Either picture from the other, by disparities of both that the left one alone predicts; depth is in metres.

    The right picture's disparity has a head of its own that only training needs.

    Args:
        config: of the depth network; its ``inverse_depth`` is set.
        options: what the loss is made of.
    """

    def __init__(self, config: FCRNConfig, options: Stereo) -> None:
        super().__init__()
        self.options = options
        self.heads = InverseDepths(config, options.scales, maps=2)

    def forward(self, network: FCRN, batch: ViewsBatch) -> Terms:
        """The loss of a batch."""
        inverse = self.heads(network, batch.images[:, 0])
        with torch.autocast(batch.images.device.type, enabled=False):
            # f·B/W: a depth of that many metres has a disparity of the whole width.
            reach = (batch.intrinsics[:, 0] * batch.baselines / batch.images.shape[-1]).view(-1, 1, 1, 1)
            return stereo_loss(batch.images, [reach * values for values in inverse], self.options)


def stereo_loss(pictures: Tensor, disparities: list[Tensor], options: Stereo) -> Terms:
    """The loss of given disparities, the sum over scales (equation 1).

    Args:
        pictures: left and right, N×2×3×H×W.
        disparities: left and right as fractions of the width, N×2×h×w, the finest first.
        options: what the loss is made of.
    """
    sums = {"photometric": pictures.new_zeros(()), "smoothness": pictures.new_zeros(()), "consistency": pictures.new_zeros(())}
    for scale, disparity in enumerate(disparities):
        left, right = resample(pictures, (disparity.shape[-2], disparity.shape[-1])).unbind(1)
        left_disparity, right_disparity = disparity.split(1, dim=1)
        for picture, other, moved, own in (
            (left, right, -left_disparity, left_disparity),
            (right, left, right_disparity, right_disparity),
        ):
            error = photometric_error(shift(other, moved).image, picture, options.ssim)
            sums["photometric"] = sums["photometric"] + error.mean()
            sums["smoothness"] = sums["smoothness"] + edge_aware_smoothness(own, picture) / 2**scale
        sums["consistency"] = sums["consistency"] + left_right_consistency(left_disparity, right_disparity)
    loss = sums["photometric"] + options.smoothing * sums["smoothness"] + CONSISTENCY * sums["consistency"]
    return Terms(loss, sums)
