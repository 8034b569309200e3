"""Training on true depth, and on what teachers say of it: its loss, and the terms beside it."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from fcrn_mobile.data.batches import TrainingBatch
from fcrn_mobile.data.canonical import resolved_camera
from fcrn_mobile.data.grammar import portable, split_off
from fcrn_mobile.data.mixture import open_mixture, parse_mixture, portable_mixture
from fcrn_mobile.data.module import DataModule
from fcrn_mobile.data.source import Source
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.training.accuracy import batch_accuracy
from fcrn_mobile.training.checks import require_not_negative, require_one_of
from fcrn_mobile.training.loop import LoopSettings
from fcrn_mobile.training.losses import LOSSES, depth_loss
from fcrn_mobile.training.module import DepthTraining
from fcrn_mobile.training.objective import Objective, Plan
from fcrn_mobile.training.start import mean_depth
from fcrn_mobile.training.structure import TERMS
from fcrn_mobile.training.teacher import Teacher, join_teachers, load_teachers, teacher_names

__all__ = ["Supervised", "SupervisedTraining"]


@dataclass(frozen=True)
class Supervised(Objective):
    """Learning from true depth.

    Attributes:
        loss: one of ``losses.LOSSES``.
        gradient, log_gradient, silog, normals, virtual_normals: weights of ``structure.TERMS`` beside the loss.
        teacher: checkpoints to learn from too, as ``teacher.join_teachers`` writes them; None for none.
        unlabelled: specs of pictures without depth, or whose depth is not to be looked at, as ``data.mixture`` writes them.
        teacher_weight: of the loss against the teachers, 0 to 1; that against the truth has the rest.
        teacher_flip, teacher_scales: how teachers predict, see ``teacher.Teacher``.

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
    teacher: str | None = None
    unlabelled: str | None = None
    teacher_weight: float = 0.5
    teacher_flip: bool = True
    teacher_scales: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        require_one_of(self, "loss", LOSSES)
        require_not_negative(self, *TERMS)
        if not 0 <= self.teacher_weight <= 1:
            raise InputError(f"teacher_weight is {self.teacher_weight}: give a number from 0 to 1")
        if not self.teacher_scales or not all(0.25 <= scale <= 4 for scale in self.teacher_scales):
            raise InputError(f"teacher_scales are {list(self.teacher_scales)}: give factors from 0.25 to 4")
        if self.unlabelled and not self.teacher:
            raise InputError(f"unlabelled '{self.unlabelled}' teaches nothing without a teacher: add --teacher CHECKPOINT")

    @property
    def terms(self) -> dict[str, float]:
        """Weights of the terms that are part of the loss, by name."""
        return {name: getattr(self, name) for name in TERMS if getattr(self, name)}

    @property
    def teachers(self) -> tuple[str, ...]:
        return teacher_names(self.teacher)

    def portable(self) -> "Supervised":
        if not self.teacher:
            return self
        teacher = join_teachers([portable(name) for name in self.teachers])
        return replace(self, teacher=teacher, unlabelled=portable_mixture(self.unlabelled) if self.unlabelled else None)

    def training_source(self, run: Plan, validation: Source) -> Source:
        if not self.teacher:
            return super().training_source(run, validation)
        whole = split_off(run.specs[1])[0]
        for part in parse_mixture(self.unlabelled) if self.unlabelled else ():
            if split_off(part.spec) in ((whole, ""), split_off(run.specs[1])):
                raise InputError(f"unlabelled '{part.spec}' holds the frames of validation: name another part of it, such as {whole}#train")
        return open_mixture(run.specs[0], resolved_camera(validation) if run.one_camera else None, self.unlabelled or "")

    def start(self, network: FCRN, data: DataModule[Any]) -> None:
        network.start_at(mean_depth(data.mixture.labelled if data.mixture else data.frames.source))

    def module(self, network: FCRN, hyper: LoopSettings, has_depth: bool) -> "SupervisedTraining":
        return SupervisedTraining(network, hyper, self)


class SupervisedTraining(DepthTraining):
    """Trains an FCRN on true depth; logs ``train/loss``, ``train/delta1``, ``lr`` and ``val/<metric>``, with teachers ``train/taught``.

    Args:
        network: trained in place.
        hyper: how.
        settings: by which loss.
        teacher: learned from too; None for that of the settings, which is read when training begins.
    """

    def __init__(self, network: FCRN, hyper: LoopSettings, settings: Supervised, teacher: Teacher | None = None) -> None:
        super().__init__(network, hyper)
        self.settings = settings
        self.teacher = teacher

    def on_fit_start(self) -> None:
        if self.settings.teacher and self.teacher is None:
            camera = resolved_camera(self.trainer.datamodule.frames.source)
            how = (self.settings.teacher_flip, self.settings.teacher_scales, self.device)
            self.teacher = Teacher(load_teachers(self.settings.teachers), camera, *how)

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        prediction = self.network(batch.images)
        loss = self._loss(prediction, batch.depths)
        parts = {"delta1": batch_accuracy(prediction, batch.depths)}
        if self.teacher is not None:
            height, width = prediction.shape[-2:]
            parts["taught"] = self._loss(prediction, self.teacher.depths(batch.images, batch.depths != 0, (height, width)))
            loss = torch.lerp(loss, parts["taught"], self.settings.teacher_weight)
        return self.checked(loss, batch.names, parts)

    def _loss(self, prediction: Tensor, depths: Tensor) -> Tensor:
        return depth_loss(self.settings.loss, prediction, depths, self.settings.terms)
