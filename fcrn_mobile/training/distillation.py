"""Recovery from quantization: training towards what the float network gives, as a Lightning module.

The loss is the drift that a budget ``fidelity`` bounds: the mean relative difference from the float network's depth, on the same augmented
image. True depth plays no part in it. It would reward another network than the reference, which counts as drift however well it scores;
and so training needs images alone.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fcrn_mobile.data.batches import TrainingBatch, ValidationBatch
from fcrn_mobile.data.cameras import TrainingCamera
from fcrn_mobile.data.module import DataModule
from fcrn_mobile.data.spec import recorded_camera
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.metrics import DepthMetrics, protocol
from fcrn_mobile.network.checkpoints import load_checkpoint
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.network.quantized import Quantization
from fcrn_mobile.network.training_record import METRES
from fcrn_mobile.quantize.scheme import LEARNED
from fcrn_mobile.runs.monitor import Monitor, monitor_of
from fcrn_mobile.training.checks import require_one_of
from fcrn_mobile.training.loop import REGULARISATION, LoopSettings
from fcrn_mobile.training.module import DepthTraining
from fcrn_mobile.training.objective import Objective, Plan
from fcrn_mobile.training.quantization import NONE, QuantizationAware
from fcrn_mobile.training.structure import TERMS

__all__ = ["DriftMetrics", "FineTuning", "QuantizationTraining", "relative_difference"]

#: Relative differences are taken from no less than this depth, in metres, as the budget's are.
_NEAREST = 1e-3
#: Settings of a run that differ in fine-tuning, unless they are given.
_DEFAULTS: dict[str, Any] = {"epochs": 10, "weight_decay": 0.0}
#: Settings that it rules out, and why.
_RULED_OUT = dict.fromkeys((*REGULARISATION, "reestimate_batch_norm"), "which trains a network for deployment") | dict.fromkeys(
    ("loss", "objective", "teacher", "unlabelled", *TERMS), "whose loss is the drift from the float network"
)


@dataclass
class DriftMetrics(DepthMetrics):
    """Depth metrics, and ``fidelity``: the mean over images of the relative difference from the float network."""

    drift: float = 0.0

    def merge(self, other: DepthMetrics) -> None:
        super().merge(other)
        self.drift += other.drift if isinstance(other, DriftMetrics) else 0.0

    def compute(self) -> dict[str, float | int | str]:
        return super().compute() | {"fidelity": self.drift / len(self.per_image)}


@dataclass(frozen=True)
class FineTuning(Objective):
    """Learning to compute as the float network does, on the grid of a package.

    Attributes:
        quantization: one of ``quantize.scheme.LEARNED``.

    Raises:
        InputError: another one.
    """

    name = "supervised"  # what it starts from was; in a record, ``quantization`` tells the two apart

    quantization: str

    def __post_init__(self) -> None:
        require_one_of(self, "quantization", (NONE, *LEARNED))

    @classmethod
    def completed(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A run's settings that were given, and those that differ in fine-tuning where they ask for it.

        Raises:
            InputError: there is no checkpoint to start from, or a setting that a quantization rules out.
        """
        scheme = values.get("quantization", NONE)
        if scheme == NONE:
            return values
        if values.get("resume") is None:
            raise InputError(
                f"--quantization {scheme} fine-tunes a float network: give it with --resume, as builtin or a .safetensors file"
            )
        for key, reason in _RULED_OUT.items():
            if key in values:
                option = f"--{key.replace('_', '-')}"
                raise InputError(f"{option} does not go with --quantization {scheme}, {reason}: leave it out")
        return _DEFAULTS | values

    def units(self, run: Plan) -> str:
        """Those of the float network."""
        return METRES if run.start is None else load_checkpoint(run.start).units

    def camera(self, run: Plan, data: DataModule[Any]) -> TrainingCamera:
        """That of the float network, whose depth it learns."""
        if run.start is None:
            return super().camera(run, data)
        record = load_checkpoint(run.start).training
        return recorded_camera(record.camera, record.data)

    def monitor(self, has_depth: bool) -> Monitor:
        return monitor_of(quantized=True, has_depth=has_depth)

    def module(self, network: FCRN, hyper: LoopSettings, has_depth: bool) -> "QuantizationTraining":
        return QuantizationTraining(network, hyper, self)


class QuantizationTraining(DepthTraining):
    """Fine-tunes a network on the grid of its package; logs ``train/loss``, ``lr``, ``val/fidelity`` and ``val/<metric>``.

    Args:
        network: the float network: start and reference; not changed.
        hyper: how.
        settings: for which quantization.

    Raises:
        InputError: a weight that the scheme does not fit.
    """

    def __init__(self, network: FCRN, hyper: LoopSettings, settings: FineTuning) -> None:
        super().__init__(QuantizationAware(network, settings.quantization), hyper)
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
        assert isinstance(self.averaged, QuantizationAware)
        return self.averaged

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        with torch.no_grad():
            reference = self.reference(batch.images)
        return self.checked(relative_difference(self.network(batch.images), reference).mean(), batch.names)

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
