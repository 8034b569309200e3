"""Recovery from quantization: training towards what the float network gives, as a Lightning module.

The loss is the drift that a budget ``fidelity`` bounds: the mean relative difference from the float network's depth, on the same augmented
image. True depth plays no part in it. It would reward another network than the reference, which counts as drift however well it scores;
and so training needs images alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fcrn_mobile.data.batches import TrainingBatch, ValidationBatch
from fcrn_mobile.evaluation.metrics import DepthMetrics, protocol
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.network.quantized import Quantization
from fcrn_mobile.training import distributed
from fcrn_mobile.training.divergence import require_finite_loss
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.module import DepthTraining
from fcrn_mobile.training.quantization import QuantizationAware

#: Relative differences are taken from no less than this depth, in metres, as the budget's are.
_NEAREST = 1e-3


@dataclass
class DriftMetrics(DepthMetrics):
    """Depth metrics, and ``fidelity``: the mean over images of the relative difference from the float network."""

    drift: float = 0.0

    def merge(self, other: DepthMetrics) -> None:
        super().merge(other)
        self.drift += other.drift if isinstance(other, DriftMetrics) else 0.0

    def compute(self) -> dict[str, float | int | str]:
        return super().compute() | {"fidelity": self.drift / len(self.per_image)}


class QuantizationTraining(DepthTraining):
    """Fine-tunes a network on the grid of its package; logs ``train/loss``, ``lr``, ``val/fidelity`` and ``val/<metric>``.

    Args:
        network: the float network: start and reference; not changed.
        hyper: how, and for which ``quantization``.

    Raises:
        InputError: a weight that the scheme does not fit.
    """

    network: QuantizationAware

    def __init__(self, network: FCRN, hyper: Hyperparameters) -> None:
        super().__init__(QuantizationAware(network, hyper.quantization), hyper)
        self.reference = deploy(network)
        self._validated: FCRN | None = None

    @property
    def trained(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.network.parameters() if parameter.requires_grad]

    @property
    def result(self) -> FCRN:
        """The network as its package will compute."""
        return self._aware.finished()

    @property
    def quantization(self) -> Quantization:
        return self._aware.quantization()

    @property
    def _aware(self) -> QuantizationAware:
        average = self.average.network if self.average else self.network
        assert isinstance(average, QuantizationAware)
        return average

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        with torch.no_grad():
            target = self.reference(batch.images)
        loss = relative_difference(self.network(batch.images), target).mean()
        require_finite_loss(self, loss, batch.names)
        several = distributed.processes() > 1
        self.log("train/loss", loss, prog_bar=True, on_step=True, on_epoch=True, batch_size=len(batch.names), sync_dist=several)
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"], on_step=True)
        return loss

    def new_validation(self) -> DriftMetrics:
        return DriftMetrics(protocol(self.hyper.protocol))

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self._validated = self.result

    def validation_step(self, batch: ValidationBatch, batch_idx: int) -> None:
        assert self._validated is not None and isinstance(self.validation, DriftMetrics)
        predictions = self._validated(batch.images)
        self.validation.drift += float(relative_difference(predictions, self.reference(batch.images)).sum())
        for prediction, depth, name in zip(predictions, batch.depths, batch.names, strict=True):
            self.validation.update(prediction[0].float().cpu().numpy(), depth, name)

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self._validated = None


def relative_difference(prediction: Tensor, reference: Tensor) -> Tensor:
    """Mean |p - r| / max(r, 1 mm) of each image: N×1×h×w and N×1×h×w → N."""
    return ((prediction - reference).abs() / reference.clamp_min(_NEAREST)).mean((1, 2, 3))
