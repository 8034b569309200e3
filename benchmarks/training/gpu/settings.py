"""What is trained and how: the keys of ``fcrn-mobile train --config`` that a training from one packed file knows."""

import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fcrn_mobile.network.fcrn import FCRNConfig, preset
from fcrn_mobile.training.losses import LOSSES
from fcrn_mobile.training.structure import TERMS

#: Keys of which this training knows one value, and keys that are about reading and showing files.
FIXED = {
    "optimizer": "adamw",
    "schedule": "one-cycle",
    "objective": "supervised",
    "quantization": "none",
    "accumulate": 1,
    "protocol": "eigen",
    "devices": 1,
    "nodes": 1,
    "hue": 0.0,
    "gamma": 0.0,
    "cut_depth": 0.0,
    "cut_out": 0.0,
    "stochastic_depth": 0.0,
    "drop_out": 0.0,
    "drop_coarse": 0.0,
    "reestimate_batch_norm": False,
}
PASSED_OVER = ("data", "val_data", "out", "track", "workers", "cache_mb", "print_freq", "lr_patience", "momentum")


@dataclass(frozen=True)
class Settings:
    """As ``training.hyperparameters.Hyperparameters`` and ``training.run.Settings``, with their names, meanings and defaults.

    ``precision`` ``auto`` is mixed bfloat16 on a GPU and float32 on a CPU. ``encoder_weights`` ``imagenet`` are those of the packed file.
    """

    preset: str = "fcrn-lite0"
    decoder: str | None = None
    laterals: str | None = None
    widths: tuple[int, ...] | None = None
    input_size: tuple[int, int] | None = None
    encoder_weights: str = "imagenet"
    epochs: int = 30
    batch_size: int = 8
    loss: str = "l1"
    lr: float = 1e-3
    weight_decay: float = 1e-2
    clip_norm: float = 0.0
    ema: float = 0.0
    manual_seed: int = 1
    precision: str = "auto"
    resize: float = 1.0
    max_scale: float = 1.5
    max_degrees: float = 5.0
    jitter: float = 0.4
    random_crop: bool = True
    gradient: float = 0.0
    log_gradient: float = 0.0
    silog: float = 0.0
    normals: float = 0.0
    virtual_normals: float = 0.0

    def __post_init__(self) -> None:
        for name, allowed in (("loss", LOSSES), ("precision", ("auto", "32", "bf16")), ("encoder_weights", ("imagenet", "random"))):
            if getattr(self, name) not in allowed:
                raise SystemExit(f"unknown {name} '{getattr(self, name)}': use one of {', '.join(allowed)}")
        if min(self.epochs, self.batch_size, self.lr) <= 0:
            raise SystemExit("epochs, batch_size and lr: give positive numbers")

    @property
    def terms(self) -> dict[str, float]:
        """Weights of the terms that are part of the loss, by name."""
        return {name: getattr(self, name) for name in TERMS if getattr(self, name)}

    def network(self) -> FCRNConfig:
        """The preset with its changes."""
        changes = {name: getattr(self, name) for name in ("decoder", "laterals", "widths", "input_size") if getattr(self, name) is not None}
        return preset(self.preset, **changes)

    def record(self) -> dict[str, Any]:
        """Hyper-parameters as a checkpoint's training record names them."""
        network = ("preset", "decoder", "laterals", "widths", "input_size", "encoder_weights")
        return {name: value for name, value in asdict(self).items() if name not in network} | FIXED


def read_settings(path: Path | None, changes: str = "") -> Settings:
    """Settings from a configuration, and from lines of TOML that win over it.

    Raises:
        SystemExit: unreadable, an unknown key, or one of ``FIXED`` with another value.
    """
    try:
        values = (tomllib.loads(path.read_text()) if path else {}) | tomllib.loads(changes)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SystemExit(f"configuration '{path}' or --set {changes!r}: {error}") from error
    known = {field.name for field in fields(Settings)}
    for key, value in values.items():
        if key in FIXED and value != FIXED[key]:
            raise SystemExit(f"{key} is {value!r}: this training knows {FIXED[key]!r} alone")
        if key not in known and key not in FIXED and key not in PASSED_OVER:
            raise SystemExit(f"unknown key '{key}': allowed are {', '.join(sorted(known))}")
    own = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items() if key in known}
    return Settings(**own)
