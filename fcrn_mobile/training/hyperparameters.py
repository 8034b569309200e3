"""How a network is trained: frozen dataclasses in which a bad value is an error, and one table of their settings by name."""

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.training.checks import require_below, require_not_negative, require_one_of, require_positive
from fcrn_mobile.training.distillation import FineTuning
from fcrn_mobile.training.objective import Objective
from fcrn_mobile.training.quantization import NONE
from fcrn_mobile.training.selfsupervised.stereo import Stereo
from fcrn_mobile.training.selfsupervised.video import Video
from fcrn_mobile.training.supervised import Supervised

#: Objectives by the setting ``objective``; ``FineTuning`` is chosen by the setting ``quantization``.
OBJECTIVES: dict[str, type[Supervised | Video | Stereo]] = {kind.name: kind for kind in (Supervised, Video, Stereo)}
OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("one-cycle", "plateau", "constant")
PRECISIONS = ("auto", "32", "bf16")


@dataclass(frozen=True)
class Hyperparameters:
    """How a network is trained.

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
        manual_seed: of weights, order and augmentation.
        precision: ``32``, ``bf16`` (mixed), or ``auto``: bf16 for ResNets, float32 for EfficientNet-Lite, whose depthwise
            convolutions gain nothing from it.
        resize: frames are resized to this many times the input size before the augmentation's crop.
        max_scale: upper bound of the augmentation's uniform scale factor (lower bound 1), by which depth is divided.
        max_degrees: largest rotation either way.
        jitter: strength of the colour jitter, 0 to 1.
        random_crop: crop anywhere instead of in the centre.
        workers: loader processes; 0 loads in the training process.
        cache_mb: megabytes of decoded frames to keep, for training and for validation each, in every loader process; 0 keeps none.
        protocol: of the validation metrics.
        print_freq: batches between two logged training losses.
        objective: what depth is learned from, and by which loss.

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
    manual_seed: int = 1
    precision: str = "auto"
    resize: float = 1.0
    max_scale: float = 1.5
    max_degrees: float = 5.0
    jitter: float = 0.4
    random_crop: bool = True
    workers: int = 0
    cache_mb: int = 0
    protocol: str = "eigen"
    print_freq: int = 10
    objective: Objective = field(default_factory=Supervised)

    def __post_init__(self) -> None:
        for name, allowed in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("precision", PRECISIONS)):
            require_one_of(self, name, allowed)
        require_positive(self, "epochs", "batch_size", "lr", "accumulate", "print_freq")
        require_not_negative(self, "lr_patience", "momentum", "weight_decay", "manual_seed", "workers", "cache_mb")
        require_not_negative(self, "clip_norm", "ema", "max_degrees", "jitter")
        for name in ("resize", "max_scale"):
            if not 1 <= getattr(self, name) <= 10:
                raise InputError(f"{name} is {getattr(self, name)}: give a factor from 1 to 10")
        require_below(1, self, "ema", "momentum")
        require_below(1.0001, self, "jitter")
        protocol(self.protocol)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Hyperparameters":
        """From settings by name, as ``flat`` gives them; what is missing takes its default.

        Raises:
            InputError: a value that is not allowed, or a setting that the objective has no use for.
            TypeError: an unknown setting.
        """
        others = {name: value for name, value in values.items() if name not in _OF_OBJECTIVES}
        return cls(**others, objective=_objective(values))

    def flat(self) -> dict[str, Any]:
        """All settings by name; those of other objectives have their defaults."""
        own = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "objective"}
        return own | _OF_OBJECTIVES | self.objective.flat()


#: Settings of objectives → default.
_OF_OBJECTIVES = {"objective": Supervised.name, "quantization": NONE} | {
    item.name: item.default for kind in (Video, Stereo, Supervised) for item in fields(kind)
}


def setting_kinds() -> dict[str, Any]:
    """The settings by name → the kind of their values."""
    kinds = {name: kind for settings in (Hyperparameters, FineTuning, *OBJECTIVES.values()) for name, kind in _kinds(settings).items()}
    return kinds | {"objective": str}


def _kinds(settings: type) -> dict[str, Any]:
    hints = typing.get_type_hints(settings)
    return {item.name: hints[item.name] for item in fields(settings)}


def _objective(values: Mapping[str, Any]) -> Objective:
    """The objective that settings ask for; those of all others are looked at too."""
    name, quantization = values.get("objective", Supervised.name), values.get("quantization", NONE)
    if name not in OBJECTIVES:
        raise InputError(f"unknown objective '{name}': use one of {', '.join(OBJECTIVES)}")
    objectives = {
        key: kind(**{item.name: values[item.name] for item in fields(kind) if item.name in values}) for key, kind in OBJECTIVES.items()
    }
    supervised = objectives[Supervised.name]
    if name != Supervised.name and isinstance(supervised, Supervised) and supervised.terms:
        raise InputError(f"{next(iter(supervised.terms))} needs true depth, and objective '{name}' has none: leave it out")
    return objectives[name] if quantization == NONE else FineTuning(quantization)
