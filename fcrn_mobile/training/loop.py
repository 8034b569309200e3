"""Settings of the training loop, which every objective shares."""

from dataclasses import asdict, dataclass
from typing import Any

from fcrn_mobile.data.loading import Loading
from fcrn_mobile.data.transforms import AugmentationSettings
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.runs.monitor import Monitor, monitor_of
from fcrn_mobile.training.checks import require_below, require_not_negative, require_one_of, require_positive

__all__ = ["OPTIMIZERS", "PRECISIONS", "REGULARISATION", "SCHEDULES", "LoopSettings"]

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("one-cycle", "plateau", "constant")
PRECISIONS = ("auto", "32", "bf16")
#: Settings of ``regularisation``.
REGULARISATION = ("stochastic_depth", "drop_out", "drop_coarse")


@dataclass(frozen=True)
class LoopSettings(AugmentationSettings):
    """How a network is trained, whatever it learns from; the augmentation of views, which have no depth, has ``jitter`` alone.

    Attributes:
        epochs: passes over the training frames.
        batch_size: frames per step and device.
        optimizer: ``adamw``, or ``sgd`` with ``momentum``.
        lr: learning rate; the peak of ``one-cycle``.
        schedule: ``one-cycle`` (Smith 2018, arXiv 1803.09820), ``plateau`` (×0.1 after ``lr_patience`` epochs without a
            better abs_rel) or ``constant``.
        lr_patience: of ``plateau``, epochs.
        momentum: of ``sgd``.
        weight_decay: of both optimizers.
        accumulate: batches whose gradients are averaged before each step.
        clip_norm: largest norm of all gradients together, to which larger ones are scaled down; 0 leaves them.
        ema: decay per step of an exponential moving average of the weights, which is then what is validated and saved; 0 keeps
            the weights themselves.
        reestimate_batch_norm: measure the batch norms' statistics of what is validated and saved anew after the last epoch, on an epoch's
            training images without augmentation and with nothing left out, see ``batch_norm``.
        manual_seed: of weights, order and augmentation.
        precision: ``32``, ``bf16`` (mixed), or ``auto``: bf16 for ResNets, float32 for EfficientNet-Lite, whose depthwise
            convolutions gain nothing from it.
        stochastic_depth, drop_out, drop_coarse: probabilities of what ``regularisation`` leaves out in training; 0 for nothing.
        workers: loader processes; 0 loads in the training process.
        cache_mb: megabytes of decoded frames to keep, for training and for validation each, in every loader process; 0 keeps none.
        protocol: of the validation metrics.
        print_freq: batches between two logged training losses.

    Raises:
        InputError: a value that is not allowed.
    """

    epochs: int = 30
    batch_size: int = 8
    optimizer: str = "adamw"
    lr: float = 1e-3
    schedule: str = "one-cycle"
    lr_patience: int = 2
    momentum: float = 0.9
    weight_decay: float = 1e-2
    accumulate: int = 1
    clip_norm: float = 0.0
    ema: float = 0.0
    reestimate_batch_norm: bool = False
    manual_seed: int = 1
    precision: str = "auto"
    stochastic_depth: float = 0.0
    drop_out: float = 0.0
    drop_coarse: float = 0.0
    workers: int = 0
    cache_mb: int = 0
    protocol: str = "eigen"
    print_freq: int = 10

    def __post_init__(self) -> None:
        for name, allowed in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("precision", PRECISIONS)):
            require_one_of(self, name, allowed)
        require_positive(self, "epochs", "batch_size", "lr", "accumulate", "print_freq")
        require_not_negative(self, "lr_patience", "momentum", "weight_decay", "manual_seed", "workers", "cache_mb")
        require_not_negative(self, "clip_norm", "ema", "max_degrees", "jitter", "gamma")
        for name in ("resize", "max_scale"):
            if not 1 <= getattr(self, name) <= 10:
                raise InputError(f"{name} is {getattr(self, name)}: give a factor from 1 to 10")
        require_not_negative(self, *REGULARISATION)
        require_below(1, self, "ema", "momentum", *REGULARISATION)
        require_below(1.0001, self, "jitter")
        for name, most in (("hue", 0.5), ("cut_depth", 1), ("cut_out", 1)):
            if not 0 <= getattr(self, name) <= most:
                raise InputError(f"{name} is {getattr(self, name)}: give a number from 0 to {most}")
        protocol(self.protocol)

    @property
    def loading(self) -> Loading:
        """How training loads its data."""
        return Loading(self.batch_size, self.workers, self.manual_seed, self.cache_mb)

    def flat(self) -> dict[str, Any]:
        """The settings by name."""
        return asdict(self)

    def monitor(self, has_depth: bool) -> Monitor:
        """What chooses the best checkpoint; ``has_depth`` tells whether validation frames come with true depth."""
        return monitor_of(quantized=False, has_depth=has_depth)
