"""Training on true depth: its loss, and the terms beside it."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fcrn_mobile.data.batches import TrainingBatch
from fcrn_mobile.data.module import DataModule
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.training.accuracy import batch_accuracy
from fcrn_mobile.training.checks import require_not_negative, require_one_of
from fcrn_mobile.training.loop import LoopSettings
from fcrn_mobile.training.losses import LOSSES, depth_loss
from fcrn_mobile.training.module import DepthTraining
from fcrn_mobile.training.objective import Objective
from fcrn_mobile.training.start import mean_depth
from fcrn_mobile.training.structure import TERMS

__all__ = ["Supervised", "SupervisedTraining"]


@dataclass(frozen=True)
class Supervised(Objective):
    """Learning from true depth.

    Attributes:
        loss: one of ``losses.LOSSES``.
        gradient, log_gradient, silog, normals, virtual_normals: weights of ``structure.TERMS`` beside the loss.

    Raises:
        InputError: a value that is not allowed.
    """

    name = "supervised"

    loss: str = "l1"
    gradient: float = 0.0
    log_gradient: float = 0.0
    silog: float = 0.0
    normals: float = 0.0
    virtual_normals: float = 0.0

    def __post_init__(self) -> None:
        require_one_of(self, "loss", LOSSES)
        require_not_negative(self, *TERMS)

    @property
    def terms(self) -> dict[str, float]:
        """Weights of the terms that are part of the loss, by name."""
        return {name: getattr(self, name) for name in TERMS if getattr(self, name)}

    def start(self, network: FCRN, data: DataModule[Any]) -> None:
        network.start_at(mean_depth(data.frames.source))

    def module(self, network: FCRN, hyper: LoopSettings, has_depth: bool) -> "SupervisedTraining":
        return SupervisedTraining(network, hyper, self)


class SupervisedTraining(DepthTraining):
    """Trains an FCRN on true depth; logs ``train/loss``, ``train/delta1``, ``lr`` and ``val/<metric>``.

    Args:
        network: trained in place.
        hyper: how.
        settings: by which loss.
    """

    def __init__(self, network: FCRN, hyper: LoopSettings, settings: Supervised) -> None:
        super().__init__(network, hyper)
        self.settings = settings

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        prediction = self.network(batch.images)
        loss = depth_loss(self.settings.loss, prediction, batch.depths, self.settings.terms)
        return self.checked(loss, batch.names, {"delta1": batch_accuracy(prediction, batch.depths)})
