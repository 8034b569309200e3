"""What the self-supervised objectives share: views to learn from, and what their losses take and give."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from fcrn_mobile.data.cameras import UNKNOWN, TrainingCamera
from fcrn_mobile.data.grammar import portable
from fcrn_mobile.data.mixture import parse_mixture
from fcrn_mobile.data.module import DataModule, views_data
from fcrn_mobile.data.spec import open_source, open_views, training_camera, without_depth
from fcrn_mobile.data.views import ViewAugmentation, Views
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig
from fcrn_mobile.network.training_record import METRES, UP_TO_SCALE
from fcrn_mobile.training.checks import require_below, require_not_negative, require_positive
from fcrn_mobile.training.loop import LoopSettings
from fcrn_mobile.training.objective import Objective, Plan
from fcrn_mobile.training.selfsupervised.module import SelfSupervisedTraining

__all__ = ["FromViews", "resample"]


@dataclass(frozen=True)
class FromViews(Objective):
    """Learning without true depth, from pictures of one scene.

    Attributes:
        ssim: weight of SSIM in the photometric error, 0 to 1, the rest is L1.
        smoothness: weight of the smoothness term at the finest scale, halved at each coarser one; None for the objective's own.
        scales: of the decoder that get a loss, at most.
        own_smoothness: what the objective's paper or trials give.
        has_unit: whether its depth is in metres, not up to an unknown scale.

    Raises:
        InputError: a value that is not allowed.
    """

    own_smoothness: ClassVar[float]
    has_unit: ClassVar[bool]

    ssim: float = 0.85
    smoothness: float | None = None
    scales: int = 4

    def __post_init__(self) -> None:
        require_positive(self, "scales")
        require_not_negative(self, "ssim", "smoothness")
        require_below(1.0001, self, "ssim")

    @property
    def smoothing(self) -> float:
        """Weight of the smoothness term."""
        return self.own_smoothness if self.smoothness is None else self.smoothness

    @abstractmethod
    def loss(self, config: FCRNConfig) -> nn.Module:
        """A module that holds what only training needs; it gives ``Terms`` of a depth network and a ``ViewsBatch``."""

    @abstractmethod
    def inverse_depth(self, views: Views) -> tuple[float, float]:
        """α and β of the inverse depth α·sigmoid(x) + β of a network for views like these."""

    def data(self, run: Plan) -> DataModule[Views]:
        """Views to train on, and what to validate with: depth if ``val_data`` has it, else the objective's own loss on views."""
        hyper, (train, val) = run.hyper, run.specs
        if len(parse_mixture(train)) > 1:
            raise InputError(f"objective '{self.name}' learns from one source of views, not from '{run.data}': give --data once")
        loss_only = run.val_data is None or without_depth(val)
        views = open_views(train, self.name)
        val_views, truth = (open_views(val, self.name), None) if loss_only else (None, open_source(val))
        return views_data(views, val_views, truth, _augmentation(run), hyper.loading)

    def transforms(self, run: Plan) -> list[str]:
        return _augmentation(run).steps

    def network(self, config: FCRNConfig, data: DataModule[Any]) -> FCRNConfig:
        """The configuration with a depth that is positive, in the range that the objective's paper gives."""
        return replace(config, inverse_depth=self.inverse_depth(data.frames.source[0]))

    def units(self, run: Plan) -> str:
        return METRES if self.has_unit else UP_TO_SCALE

    def camera(self, run: Plan, data: DataModule[Any]) -> TrainingCamera:
        return training_camera(portable(run.specs[0])).at(data.frames.source[0].size[1]) if self.has_unit else UNKNOWN

    def module(self, network: FCRN, hyper: LoopSettings, has_depth: bool) -> SelfSupervisedTraining:
        return SelfSupervisedTraining(network, hyper, self.loss(network.config), self.has_unit, has_depth)


def resample(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """N×V×3×H×W pictures at another height × width, without aliasing."""
    if pictures.shape[-2:] == size:
        return pictures
    flat = F.interpolate(pictures.flatten(0, 1), size=size, mode="bilinear", align_corners=False, antialias=True)
    return flat.unflatten(0, pictures.shape[:2])


def _augmentation(run: Plan) -> ViewAugmentation:
    return ViewAugmentation(run.network.input_size, run.hyper.jitter)
