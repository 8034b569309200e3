"""The training step, validation metrics, optimizers and schedules, as a Lightning module."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor

from fcrn_mobile.data.module import TrainingBatch, ValidationBatch
from fcrn_mobile.errors import InputError
from fcrn_mobile.metrics import DepthMetrics, protocol
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.training.losses import LOSSES, depth_loss

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("one-cycle", "plateau", "constant")
PRECISIONS = ("auto", "32", "bf16")


@dataclass(frozen=True)
class Hyperparameters:
    """How a network is trained.

    Attributes:
        epochs: passes over the training frames.
        batch_size: frames per step.
        loss: one of ``losses.LOSSES``.
        optimizer: ``adamw``, or ``sgd`` with ``momentum``.
        lr: learning rate; the peak of ``one-cycle``.
        schedule: ``one-cycle`` (Smith 2018, arXiv 1803.09820), ``plateau`` (×0.1 after ``lr_patience`` epochs without a
            better abs_rel) or ``constant``.
        lr_patience: of ``plateau``, epochs.
        momentum: of ``sgd``.
        weight_decay: of both optimizers.
        seed: of weights, order and augmentation.
        precision: ``32``, ``bf16`` (mixed), or ``auto``: bf16 for ResNets, float32 for EfficientNet-Lite, whose depthwise
            convolutions gain nothing from it.
        workers: loader processes.
        protocol: of the validation metrics.
        cache_mb: megabytes of decoded frames to keep, for training and for validation each, in every loader process; 0 keeps none.
    """

    epochs: int = 30
    batch_size: int = 8
    loss: str = "l1"
    optimizer: str = "adamw"
    lr: float = 1e-3
    schedule: str = "one-cycle"
    lr_patience: int = 2
    momentum: float = 0.9
    weight_decay: float = 1e-2
    seed: int = 1
    precision: str = "auto"
    workers: int = 0
    protocol: str = "eigen"
    cache_mb: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (("loss", tuple(LOSSES)), ("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if getattr(self, name) not in allowed:
                raise InputError(f"unknown {name} '{getattr(self, name)}': use one of {', '.join(allowed)}")
        for name in ("epochs", "batch_size", "lr"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name} is {getattr(self, name)}: give a positive number")
        if self.cache_mb < 0:
            raise InputError(f"cache_mb is {self.cache_mb}: give megabytes, or 0 for no cache")
        protocol(self.protocol)


class DepthTraining(LightningModule):
    """Trains an FCRN; logs ``train/loss``, ``lr`` and ``val/<metric>``.

    Args:
        network: trained in place.
        hyper: how.
    """

    def __init__(self, network: FCRN, hyper: Hyperparameters) -> None:
        super().__init__()
        self.network = network
        self.hyper = hyper
        self.validation = DepthMetrics(protocol(hyper.protocol))
        self.save_hyperparameters(asdict(hyper) | {"preset": network.config.preset})

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        loss = depth_loss(self.hyper.loss, self.network(batch.images), batch.depths)
        if not torch.isfinite(loss):
            raise InputError(f"loss is {loss.item()} on {', '.join(batch.names[:8])}: lower the learning rate or check these frames")
        self.log("train/loss", loss, prog_bar=True, on_step=True, on_epoch=True, batch_size=len(batch.names))
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"], on_step=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        self.validation = DepthMetrics(protocol(self.hyper.protocol))

    def validation_step(self, batch: ValidationBatch, batch_idx: int) -> None:
        for prediction, depth, name in zip(self.network(batch.images), batch.depths, batch.names, strict=True):
            self.validation.update(prediction[0].float().cpu().numpy(), depth, name)

    def on_validation_epoch_end(self) -> None:
        metrics = self.validation.compute()
        self.log_dict({f"val/{key}": float(value) for key, value in metrics.items() if not isinstance(value, str)})

    def configure_optimizers(self) -> Any:
        hyper = self.hyper
        optimizer: torch.optim.Optimizer
        if hyper.optimizer == "sgd":
            optimizer = torch.optim.SGD(self.parameters(), hyper.lr, momentum=hyper.momentum, weight_decay=hyper.weight_decay)
        else:
            optimizer = torch.optim.AdamW(self.parameters(), hyper.lr, weight_decay=hyper.weight_decay)
        if hyper.schedule == "plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=hyper.lr_patience)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val/abs_rel"}}
        if hyper.schedule == "one-cycle":
            steps = int(self.trainer.estimated_stepping_batches)
            cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, hyper.lr, total_steps=steps)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}
        return optimizer
