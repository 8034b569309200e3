"""Training without depth labels, as a Lightning module."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from fcrn_mobile.data.batches import ValidationBatch, ViewsBatch
from fcrn_mobile.data.source import Sample, valid_pixels
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.metrics import DepthMetrics, protocol
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.training.loop import LoopSettings
from fcrn_mobile.training.module import DepthTraining
from fcrn_mobile.training.selfsupervised.terms import Terms

__all__ = ["LEAST_COUNTED", "MeanLoss", "SelfSupervisedTraining"]

#: Below this share of counted pixels, over that many batches, a clip doesn't move.
LEAST_COUNTED = 0.01
_JUDGED_AFTER = 20


@dataclass
class MeanLoss:
    """The objective's loss on held-out views; it stands in for depth metrics where there is no depth.

    Attributes:
        total: sum of the losses of all scenes.
        scenes: how many.
    """

    total: float = 0.0
    scenes: int = 0

    def update(self, loss: float, scenes: int) -> None:
        """Take in the mean loss of a batch of scenes."""
        self.total += loss * scenes
        self.scenes += scenes

    def merge(self, other: "MeanLoss") -> None:
        """Take in another process's scenes."""
        self.total += other.total
        self.scenes += other.scenes

    def compute(self) -> dict[str, float | int]:
        """``loss`` and the number of ``scenes``."""
        return {"loss": self.total / max(self.scenes, 1), "scenes": self.scenes}


class SelfSupervisedTraining(DepthTraining):
    """Trains an FCRN on views; logs ``train/loss``, its parts, ``train/counted``, ``lr``, ``val/<metric>``.

    Args:
        network: trained in place; its configuration has an ``inverse_depth``.
        hyper: how.
        objective: the loss: a module of a depth network and a ``ViewsBatch`` that gives ``Terms`` and holds what only training needs.
        has_unit: whether the depth that is learned is in metres, not up to an unknown scale.
        measures_depth: whether validation frames have true depth; otherwise the objective's loss on views is what counts.
    """

    def __init__(self, network: FCRN, hyper: LoopSettings, objective: nn.Module, has_unit: bool, measures_depth: bool) -> None:
        self.has_unit = has_unit
        super().__init__(network, hyper, measures_depth)
        self.objective = objective
        self._counted, self._judged = 0.0, 0

    @property
    def trained(self) -> list[nn.Parameter]:
        return [*self.network.parameters(), *self.objective.parameters()]

    def new_validation(self) -> Any:
        if not self.measures_depth:
            return MeanLoss()
        return DepthMetrics(protocol(self.hyper.protocol, None if self.has_unit else "median"))

    def training_step(self, batch: ViewsBatch, batch_idx: int) -> Tensor:
        terms: Terms = self.objective(self.network, batch)
        counted = {} if terms.counted is None else {"counted": terms.counted}
        loss = self.checked(terms.loss, batch.names, terms.parts | counted)
        if terms.counted is not None:
            self._require_motion(float(terms.counted))
        return loss

    def validation_step(self, batch: ValidationBatch | ViewsBatch, batch_idx: int) -> None:
        if isinstance(batch, ViewsBatch):
            self.validation.update(float(self.objective(self.result, batch).loss), len(batch.names))  # type: ignore[call-arg, arg-type]
        else:
            super().validation_step(batch, batch_idx)

    def shown(self, prediction: NDArray[np.float32], sample: Sample) -> NDArray[np.float32]:
        """A prediction to be looked at: one without a unit is scaled to the truth's median, or to a median of 0.5."""
        if self.has_unit:
            return prediction
        valid = valid_pixels(sample.depth)
        median = float(np.median(sample.depth[valid])) if valid.any() else 0.5
        return prediction * np.float32(median / float(np.median(prediction)))

    def _require_motion(self, counted: float) -> None:
        """Stop when automasking finds nothing to learn from.

        Raises:
            InputError: the clip is static.
        """
        self._counted += counted
        self._judged += 1
        if self._judged < min(_JUDGED_AFTER, int(self.trainer.num_training_batches)):
            return
        share = self._counted / self._judged
        self._counted, self._judged = 0.0, 0
        if share < LEAST_COUNTED:
            raise InputError(
                f"automasking leaves {share:.2%} of the pixels: the camera stands still in this clip, or its frames are the same; "
                "give a clip from a moving camera, or a larger step (frames:PATH?step=FRAMES)"
            )
