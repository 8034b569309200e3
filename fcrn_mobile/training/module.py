"""The training step, validation metrics, optimizers and schedules, as a Lightning module."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from lightning import LightningModule
from numpy.typing import NDArray
from torch import Tensor, nn

from fcrn_mobile.data.batches import ValidationBatch
from fcrn_mobile.data.source import Sample
from fcrn_mobile.evaluation.metrics import DepthMetrics, protocol
from fcrn_mobile.network.fcrn import FCRN, DepthNetwork
from fcrn_mobile.network.quantized import Quantization
from fcrn_mobile.training import distributed
from fcrn_mobile.training.average import MovingAverage
from fcrn_mobile.training.batch_norm import reestimate
from fcrn_mobile.training.divergence import require_finite_loss, require_finite_weights
from fcrn_mobile.training.loop import LoopSettings
from fcrn_mobile.training.regularisation import regularise

__all__ = ["DepthTraining"]

_NO_PARTS: Mapping[str, Tensor] = MappingProxyType({})


class DepthTraining(LightningModule):
    """Trains a depth network; a subclass for every way of training has its ``training_step``.

    Args:
        network: trained in place.
        hyper: how.
        measures_depth: whether the frames of validation have true depth.
    """

    def __init__(self, network: DepthNetwork, hyper: LoopSettings, measures_depth: bool = True) -> None:
        super().__init__()
        self.network = network
        self.hyper = hyper
        self.measures_depth = measures_depth
        self.average = MovingAverage(network, hyper.ema) if hyper.ema else None
        self.validation = self.new_validation()
        self.save_hyperparameters(hyper.flat() | {"preset": network.config.preset})

    #: The epoch, counted from 0, with which the learning-rate schedule begins: another than the first in a run that was extended.
    first_epoch = 0

    @property
    def monitor(self) -> str:
        """The validation metric by which the best checkpoint is chosen; lower is better."""
        return self.hyper.monitor(self.measures_depth).metric

    @property
    def trained(self) -> list[nn.Parameter]:
        """What the optimizer changes."""
        return list(self.network.parameters())

    @property
    def averaged(self) -> DepthNetwork:
        """The moving average of the trained network, or that itself."""
        return self.average.network if self.average else self.network

    @property
    def result(self) -> FCRN:
        """The network that is validated and saved."""
        assert isinstance(self.averaged, FCRN)
        return self.averaged

    @property
    def quantization(self) -> Quantization | None:
        """What ``result`` is to be stored as; None for floats."""
        return None

    def checked(self, loss: Tensor, names: tuple[str, ...], parts: Mapping[str, Tensor] = _NO_PARTS) -> Tensor:
        """A batch's loss, logged with what belongs to it.

        Args:
            loss: scalar.
            names: of the batch's frames.
            parts: scalars by name.

        Raises:
            DivergenceError: the loss is not finite.
        """
        require_finite_loss(self, loss, names)
        how: dict[str, Any] = {"on_step": True, "on_epoch": True, "batch_size": len(names), "sync_dist": distributed.processes() > 1}
        self.log("train/loss", loss, prog_bar=True, **how)
        for name, value in parts.items():
            self.log(f"train/{name}", value.detach(), **how)
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"], on_step=True)
        return loss

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # What a step draws depends on seed, step and process alone, so that a run that goes on equals one that was never broken off.
        place = (self.hyper.manual_seed, self.current_epoch, batch_idx, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.average:
            self.average.update(self.network)

    def new_validation(self) -> DepthMetrics:
        """What gathers an epoch's validation."""
        return DepthMetrics(protocol(self.hyper.protocol))

    def shown(self, prediction: NDArray[np.float32], sample: Sample) -> NDArray[np.float32]:
        """A prediction h×w for a validation frame, as it is drawn beside the truth."""
        return prediction

    def on_validation_epoch_start(self) -> None:
        require_finite_weights(self)
        if self.hyper.reestimate_batch_norm and self.current_epoch + 1 == self.hyper.epochs:
            images: Iterator[Tensor] = self.trainer.datamodule.plain_images()
            reestimate(self.averaged, (each.to(self.device, memory_format=torch.channels_last) for each in images))
        self.validation = self.new_validation()

    def validation_step(self, batch: ValidationBatch, batch_idx: int) -> None:
        for prediction, depth, name in zip(self.result(batch.images), batch.depths, batch.names, strict=True):
            self.validation.update(prediction[0].float().cpu().numpy(), depth, name)

    def on_validation_epoch_end(self) -> None:
        own, *others = distributed.gather(self.validation)
        for other in others:
            own.merge(other)
        self.validation = own
        metrics = self.validation.compute()
        self.log_dict({f"val/{key}": float(value) for key, value in metrics.items() if not isinstance(value, str)})

    def configure_optimizers(self) -> Any:
        hyper = self.hyper
        optimizer: torch.optim.Optimizer
        if hyper.optimizer == "sgd":
            optimizer = torch.optim.SGD(self.trained, hyper.lr, momentum=hyper.momentum, weight_decay=hyper.weight_decay)
        else:
            optimizer = torch.optim.AdamW(self.trained, hyper.lr, weight_decay=hyper.weight_decay)
        if hyper.schedule == "plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=hyper.lr_patience)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": f"val/{self.monitor}"}}
        if hyper.schedule == "one-cycle":
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self._cycle(optimizer), "interval": "step"}}
        return optimizer

    def on_train_start(self) -> None:
        # The checkpoint that an extended run goes on from brings the schedule that has ended, and its last learning rate.
        if self.hyper.schedule == "one-cycle" and 0 < self.first_epoch == self.current_epoch:
            self.trainer.lr_scheduler_configs[0].scheduler = self._cycle(self.trainer.optimizers[0])
        # Not before, since Lightning may have put other batch norms in place of those with hooks.
        self.hooks = regularise(self.network, self.hyper)

    def on_train_end(self) -> None:
        for hook in self.hooks:
            hook.remove()

    def _cycle(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.OneCycleLR:
        steps = int(self.trainer.estimated_stepping_batches) // self.hyper.epochs * (self.hyper.epochs - self.first_epoch)
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, self.hyper.lr, total_steps=steps)
