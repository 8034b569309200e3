"""Depth and ego-motion from a video (Zhou et al. 2017, arXiv 1704.07813; Godard et al. 2019, arXiv 1806.01260)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fcrn_mobile.data.batches import ViewsBatch
from fcrn_mobile.data.views import Views
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig
from fcrn_mobile.training.checks import require_not_negative
from fcrn_mobile.training.selfsupervised.geometry import pose_matrix, scale_intrinsics, warp
from fcrn_mobile.training.selfsupervised.objective import FromViews, resample
from fcrn_mobile.training.selfsupervised.photometric import least, masked_mean, moving, photometric_error
from fcrn_mobile.training.selfsupervised.pose import PoseNetwork
from fcrn_mobile.training.selfsupervised.regularisers import explainability_regulariser, normalised, second_order_smoothness
from fcrn_mobile.training.selfsupervised.scales import InverseDepths
from fcrn_mobile.training.selfsupervised.terms import Terms

__all__ = ["RANGE", "Video", "VideoLoss", "video_loss"]

#: α and β of a video's inverse depth, in a unit of length that nobody knows (Zhou et al. 2017, section 3.5).
RANGE = (10.0, 0.01)


@dataclass(frozen=True)
class Video(FromViews):
    """Learning from a video. ``ssim`` is 0 for Zhou's L1, 0.85 for Godard's error.

    Attributes:
        explainability: weight of the masks' regulariser; 0 for no masks.
        minimum: take each pixel's least error over the neighbouring frames, not their mean.
        automask: leave out pixels that standing still explains better.
    """

    name = "video"
    own_smoothness = 0.01  # from 0.1 on it wipes out the edges of furniture
    has_unit = False

    explainability: float = 0.0
    minimum: bool = True
    automask: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_not_negative(self, "explainability")
        if self.explainability and self.minimum:
            raise InputError("explainability weighs every neighbour's error, of which minimum takes one: add --mean")

    def loss(self, config: FCRNConfig) -> "VideoLoss":
        return VideoLoss(config, self)

    def inverse_depth(self, views: Views) -> tuple[float, float]:
        return RANGE


class VideoLoss(nn.Module):
    """View synthesis of a frame from its neighbours; holds the pose network.

    The loss is the mean over scales of photometric error + λ/2ˢ · smoothness. Coarse maps are enlarged to the finest size before they
    warp (Godard et al. 2019, section 3.2), so that low resolution doesn't make holes.

    Args:
        config: of the depth network; its ``inverse_depth`` is set.
        options: what the loss is made of; its smoothness is second-order.
        sources: neighbours per frame.
    """

    def __init__(self, config: FCRNConfig, options: Video, sources: int = 2) -> None:
        super().__init__()
        self.options = options
        self.heads = InverseDepths(config, options.scales)
        self.pose = PoseNetwork(sources, explains=options.explainability > 0)

    def forward(self, network: FCRN, batch: ViewsBatch) -> Terms:
        """The loss of a batch."""
        inverse = self.heads(network, batch.images[:, 0])
        # Coordinates of several hundred pixels have no place in 8 bits of mantissa.
        with torch.autocast(batch.images.device.type, enabled=False):
            size = (inverse[0].shape[-2], inverse[0].shape[-1])
            pictures = resample(batch.images, size)
            intrinsics = scale_intrinsics(batch.intrinsics, (batch.images.shape[-2], batch.images.shape[-1]), size)
            twists, logits = self.pose(pictures)
            return video_loss(pictures, intrinsics, inverse, pose_matrix(twists), self.options, logits)


def video_loss(
    pictures: Tensor,
    intrinsics: Tensor,
    inverse: list[Tensor],
    poses: Tensor,
    options: Video,
    logits: Tensor | None = None,
) -> Terms:
    """The loss of given depths and poses.

    Args:
        pictures: N×(1+S)×3×h×w, the target first.
        intrinsics: of them, N×4.
        inverse: inverse depths of the target, N×1×h/2ˢ×w/2ˢ, the finest first.
        poses: from the target's camera to each source's, N×S×4×4.
        options: what the loss is made of.
        logits: of explainability masks, N×S×h×w.
    """
    target, sources = pictures[:, :1], pictures[:, 1:]
    count = sources.shape[1]
    targets = target.expand_as(sources).flatten(0, 1)  # N·S×3×h×w
    unmoved = photometric_error(sources.flatten(0, 1), targets, options.ssim).view(-1, count, *pictures.shape[-2:])
    photometric, smoothness, counted = [], [], []
    for scale, values in enumerate(inverse):
        depth = 1 / F.interpolate(values, size=pictures.shape[-2:], mode="bilinear", align_corners=False)
        warped = warp(sources.flatten(0, 1), depth.repeat_interleave(count, 0), poses.flatten(0, 1), intrinsics.repeat_interleave(count, 0))
        errors = photometric_error(warped.image, targets, options.ssim).view_as(unmoved)
        # What a source doesn't show is as good as not moved: nothing is gained by turning the camera away.
        errors = torch.where(warped.valid.view_as(unmoved), errors, unmoved)
        error, mask = _combine(errors, unmoved, options, logits)
        photometric.append(masked_mean(error, mask))
        smoothness.append(second_order_smoothness(normalised(values)) / 2**scale)
        counted.append(mask.float().mean())
    parts = {"photometric": torch.stack(photometric).mean(), "smoothness": torch.stack(smoothness).mean()}
    loss = parts["photometric"] + options.smoothing * parts["smoothness"]
    if logits is not None:
        parts["explainability"] = explainability_regulariser(logits)
        loss = loss + options.explainability * parts["explainability"]
    return Terms(loss, parts, torch.stack(counted).mean())


def _combine(errors: Tensor, unmoved: Tensor, options: Video, logits: Tensor | None) -> tuple[Tensor, Tensor]:
    """Errors and unmoved errors, N×S×h×w → errors N×S×h×w or N×1×h×w, and which of them count."""
    if options.minimum:
        errors, unmoved = least(errors), least(unmoved)
    mask = moving(errors, unmoved) if options.automask else torch.ones_like(errors, dtype=torch.bool)
    return (errors if logits is None else torch.sigmoid(logits) * errors), mask
