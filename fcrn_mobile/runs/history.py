"""What a run's folder tells about it, read without torch: its settings, its metrics over the epochs and those of its best checkpoint."""

import csv
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.training_record import TrainingRecord
from fcrn_mobile.runs.folder import BEST, METRICS, RECORD
from fcrn_mobile.runs.monitor import Monitor, monitor_of
from fcrn_mobile.runs.record import monitor_in, settings_of

__all__ = ["History", "kept_rows", "read_run"]

_ABS_REL = monitor_of(quantized=False, has_depth=True)


@dataclass(frozen=True)
class History:
    """One run.

    Attributes:
        name: of its folder; the path as given where two runs' folders have one name.
        folder: of the run.
        settings: name → value, as JSON has it.
        epochs: numbers of the finished epochs, from 1.
        curves: ``train/loss``, ``val/abs_rel``, … → a value per epoch; NaN where it was not logged.
        best: validation metrics of the best checkpoint.
        best_epoch: its epoch.
        monitor: what the run chose it by.
    """

    name: str
    folder: Path
    settings: dict[str, Any]
    epochs: list[int]
    curves: dict[str, list[float]]
    best: dict[str, Any]
    best_epoch: int
    monitor: Monitor = _ABS_REL

    @property
    def loss(self) -> str:
        """What its training loss is: the loss on true depth, or the objective without any."""
        objective = self.settings.get("objective", "supervised")
        return str(self.settings.get("loss", "?") if objective == "supervised" else objective)

    @property
    def last(self) -> dict[str, float]:
        """Validation metrics of the last epoch."""
        return {key.removeprefix("val/"): values[-1] for key, values in self.curves.items() if key.startswith("val/")}


def read_run(folder: Path, name: str) -> History:
    """The history of the run in a folder.

    Raises:
        InputError: it is no run's folder, no epoch of it is finished, or a file of it is damaged.
    """
    record = folder / RECORD
    if not record.is_file():
        raise InputError(f"'{folder}' is no run's folder (it has no run.json): give what 'fcrn-mobile train' got as --out")
    best = folder / BEST
    rows = _rows(folder / METRICS)
    try:
        run = json.loads(record.read_text(encoding="utf-8"))
        monitor = monitor_in(run, rows)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"run '{folder}' cannot be read ({error}): run.json is damaged") from error
    epochs, curves = _curves(rows, monitor)
    if not epochs or not best.is_file():
        command = f"train --resume {shlex.quote(str(folder))}"
        raise InputError(f"run '{folder}' has no finished epoch: wait for its first, or continue it with {command}")
    try:
        with safe_open(best, framework="numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
        training = TrainingRecord.from_json(json.loads(metadata["training"]))
        metrics = json.loads(metadata["metrics"])
        if training.epoch is None:
            raise KeyError("epoch")
        return History(name, folder, settings_of(run, training), epochs, curves, metrics, training.epoch, monitor)
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise InputError(f"run '{folder}' cannot be read ({error}): best.safetensors is damaged") from error


def kept_rows(path: Path, step: int) -> list[dict[str, str]]:
    """Rows of a metrics.csv that were logged before a step, without their empty cells.

    Raises:
        InputError: it is damaged.
    """
    return [row for row in _rows(path) if int(row["step"]) < step]


def _rows(path: Path) -> list[dict[str, str]]:
    """Rows of a metrics.csv with their filled cells; none if there is no file. Half a line, as a killed process leaves it, is left out."""
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            whole = [row for row in csv.DictReader(file) if None not in row and None not in row.values()]
        rows = [{key: cell for key, cell in row.items() if cell} for row in whole]
        for row in rows:
            int(row["epoch"]), int(row["step"]), [float(cell) for cell in row.values()]
    except (ValueError, KeyError, csv.Error) as error:
        raise InputError(f"'{path}' is not what training wrote ({error}): restore or delete it") from error
    return rows


def _curves(rows: Sequence[Mapping[str, str]], monitor: Monitor) -> tuple[list[int], dict[str, list[float]]]:
    """Finished epochs and the metrics of each; an epoch is finished when its validation was logged."""
    by_epoch: dict[int, dict[str, float]] = {}
    for row in rows:
        values = {key.removesuffix("_epoch"): float(cell) for key, cell in row.items() if key.startswith("val/") or key.endswith("_epoch")}
        by_epoch.setdefault(int(row["epoch"]), {}).update(values)
    finished = sorted(epoch for epoch, values in by_epoch.items() if f"val/{monitor.metric}" in values)
    names = sorted({name for epoch in finished for name in by_epoch[epoch]})
    return [epoch + 1 for epoch in finished], {name: [by_epoch[epoch].get(name, math.nan) for epoch in finished] for name in names}
