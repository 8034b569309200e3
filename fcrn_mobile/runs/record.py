"""A run's record, and what its checkpoints say of their training, as settings by name."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fcrn_mobile.network.training_record import TrainingRecord
from fcrn_mobile.runs.monitor import Monitor, monitor_of

__all__ = ["monitor_in", "settings_of"]

#: What is no setting, or follows from others.
_NO_SETTINGS = ("command", "epoch", "step", "track", "processes", "transforms", "monitor", "camera")


def monitor_in(run: Mapping[str, Any], rows: Sequence[Mapping[str, str]]) -> Monitor:
    """What a run recorded as its monitor; in older records, which said nothing, what its metrics and settings tell."""
    recorded = run.get("monitor")
    if recorded:
        return Monitor(**recorded)
    quantized = run.get("hyper", {}).get("quantization", "none") != "none"
    return monitor_of(quantized, has_depth=any("val/abs_rel" in row for row in rows) or not any("val/loss" in row for row in rows))


def settings_of(run: Mapping[str, Any], training: TrainingRecord) -> dict[str, Any]:
    """What run.json says, and of the training record what that lacks: numbers of frames, versions, data by its portable name."""
    return _flat(run) | _flat(replace(training, hyperparameters=None).to_json())


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and key not in _NO_SETTINGS:
            flat |= {f"version of {name}" if key == "versions" else name: item for name, item in _flat(value).items()}
        # A list without anything, such as no extension, and labels as they are, are what records lacked before there was anything else.
        elif key not in _NO_SETTINGS and value is not None and value != [] and (key, value) != ("one_camera", False):
            flat[key] = value
    return flat
