"""How a network is trained: a frozen dataclass in which a bad value is an error."""

from dataclasses import dataclass

from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.quantize.scheme import LEARNED
from fcrn_mobile.training.losses import LOSSES
from fcrn_mobile.training.quantization import NONE
from fcrn_mobile.training.structure import TERMS

OPTIMIZERS = ("adamw", "sgd")
OBJECTIVES = ("supervised", "video", "stereo")
SCHEDULES = ("one-cycle", "plateau", "constant")
PRECISIONS = ("auto", "32", "bf16")

_POSITIVE = ("epochs", "batch_size", "lr", "accumulate", "print_freq", "scales")
_NOT_NEGATIVE = (
    "lr_patience",
    "momentum",
    "weight_decay",
    "manual_seed",
    "workers",
    "cache_mb",
    "clip_norm",
    "ema",
    "max_degrees",
    "jitter",
    "ssim",
    "smoothness",
    "explainability",
    *TERMS,
)


@dataclass(frozen=True)
class Hyperparameters:
    """How a network is trained.

    Attributes:
        epochs: passes over the training frames.
        batch_size: frames per step and device.
        objective: ``supervised`` by true depth, or without any by ``video`` or ``stereo``, see ``selfsupervised``.
        loss: one of ``losses.LOSSES``; of ``supervised``.
        gradient, log_gradient, silog, normals: weights of ``structure.TERMS`` beside the loss; of ``supervised``.
        quantization: ``none``, or one of ``scheme.LEARNED`` to fine-tune for; then the loss is the drift, see ``distillation``.
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
        ssim: of ``video`` and ``stereo``, the weight of SSIM in the photometric error beside L1, 0 to 1.
        smoothness: of both, the weight of the smoothness term at the finest scale, halved at each coarser one; None for the
            objective's own.
        scales: of both, how many scales of the decoder get a loss, at most.
        explainability: of ``video``, the weight of the explainability masks' regulariser; 0 for no masks.
        minimum: of ``video``, take each pixel's least error over the neighbouring frames, not their mean.
        automask: of ``video``, leave out pixels that don't change from frame to frame.

    Raises:
        InputError: a value that is not allowed.
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
    objective: str = "supervised"
    quantization: str = NONE
    ssim: float = 0.85
    smoothness: float | None = None
    scales: int = 4
    explainability: float = 0.0
    minimum: bool = True
    automask: bool = True
    gradient: float = 0.0
    log_gradient: float = 0.0
    silog: float = 0.0
    normals: float = 0.0

    def __post_init__(self) -> None:
        for name, allowed in (
            ("objective", OBJECTIVES),
            ("quantization", (NONE, *LEARNED)),
            ("loss", tuple(LOSSES)),
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in allowed:
                raise InputError(f"unknown {name} '{getattr(self, name)}': use one of {', '.join(allowed)}")
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}: give a positive number")
        for name in _NOT_NEGATIVE:
            if getattr(self, name) is not None and not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}: give 0 or a positive number")
        for name in ("resize", "max_scale"):
            if not 1 <= getattr(self, name) <= 10:
                raise InputError(f"{name} is {getattr(self, name)}: give a factor from 1 to 10")
        for name, limit in (("ema", 1), ("momentum", 1), ("jitter", 1.0001), ("ssim", 1.0001)):
            if getattr(self, name) >= limit:
                raise InputError(f"{name} is {getattr(self, name)}: give a number below 1")
        if self.terms and self.objective != "supervised":
            raise InputError(f"{next(iter(self.terms))} needs true depth, and objective '{self.objective}' has none: leave it out")
        if self.explainability and self.minimum:
            raise InputError("explainability weighs every neighbour's error, of which minimum takes one: add --mean")
        protocol(self.protocol)

    @property
    def terms(self) -> dict[str, float]:
        """Weights of the terms that are part of the loss, by name."""
        return {name: getattr(self, name) for name in TERMS if getattr(self, name)}
