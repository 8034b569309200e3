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
from fcrn_mobile.runs.monitor import Monitor, monitor_of

METRICS_FILE = "metrics.csv"
#: Of a run's records: what is no setting, or follows from others.
_NO_SETTINGS = ("command", "epoch", "step", "track", "processes", "transforms", "monitor")

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
    def last(self) -> dict[str, float]:
        """Validation metrics of the last epoch."""
        return {key.removeprefix("val/"): values[-1] for key, values in self.curves.items() if key.startswith("val/")}


def read_runs(folders: Sequence[Path]) -> list[History]:
    """The histories of several runs.

    Raises:
        InputError: fewer than two folders, one given twice, or one that ``read_run`` refuses.
    """
    if len(folders) < 2:
        raise InputError(f"one run alone has nothing to be compared with: give two or more folders, not only '{folders[0]}'")
    places = [folder.absolute() for folder in folders]
    for folder, place in zip(folders, places, strict=True):
        if places.count(place) > 1:
            raise InputError(f"run '{folder}' is given twice: give different ones")
    names = [place.name for place in places]
    return [read_run(folder, str(folder) if names.count(name) > 1 else name) for folder, name in zip(folders, names, strict=True)]


def read_run(folder: Path, name: str) -> History:
    """The history of the run in a folder.

    Raises:
        InputError: it is no run's folder, no epoch of it is finished, or a file of it is damaged.
    """
    record = folder / "run.json"
    if not record.is_file():
        raise InputError(f"'{folder}' is no run's folder (it has no run.json): give what 'fcrn-mobile train' got as --out")
    best = folder / "best.safetensors"
    rows = _rows(folder / METRICS_FILE)
    try:
        run = json.loads(record.read_text())
        monitor = _monitor(run, rows)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"run '{folder}' cannot be read ({error}): run.json is damaged") from error
    epochs, curves = _curves(rows, monitor)
    if not epochs or not best.is_file():
        command = f"train --resume {shlex.quote(str(folder))}"
        raise InputError(f"run '{folder}' has no finished epoch: wait for its first, or continue it with {command}")
    try:
        with safe_open(best, framework="numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
        training = json.loads(metadata["training"])
        metrics = json.loads(metadata["metrics"])
        return History(name, folder, _settings(run, training), epochs, curves, metrics, int(training["epoch"]), monitor)
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise InputError(f"run '{folder}' cannot be read ({error}): best.safetensors is damaged") from error


def differences(runs: Sequence[History]) -> dict[str, list[Any]]:
    """Settings in which the runs are not all the same → their value in each run; None where a run has none."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    values = {name: [run.settings.get(name) for run in runs] for name in names}
    return {name: column for name, column in values.items() if any(value != column[0] for value in column)}


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


def _monitor(run: Mapping[str, Any], rows: Sequence[Mapping[str, str]]) -> Monitor:
    """What a run recorded as its monitor; in older records, which said nothing, what its metrics and settings tell."""
    recorded = run.get("monitor")
    if recorded:
        return Monitor(**recorded)
    quantized = run.get("hyper", {}).get("quantization", "none") != "none"
    return monitor_of(quantized, has_depth=any("val/abs_rel" in row for row in rows) or not any("val/loss" in row for row in rows))


def _curves(rows: Sequence[Mapping[str, str]], monitor: Monitor) -> tuple[list[int], dict[str, list[float]]]:
    """Finished epochs and the metrics of each; an epoch is finished when its validation was logged."""
    by_epoch: dict[int, dict[str, float]] = {}
    for row in rows:
        values = {key.removesuffix("_epoch"): float(cell) for key, cell in row.items() if key.startswith("val/") or key.endswith("_epoch")}
        by_epoch.setdefault(int(row["epoch"]), {}).update(values)
    finished = sorted(epoch for epoch, values in by_epoch.items() if f"val/{monitor.metric}" in values)
    names = sorted({name for epoch in finished for name in by_epoch[epoch]})
    return [epoch + 1 for epoch in finished], {name: [by_epoch[epoch].get(name, math.nan) for epoch in finished] for name in names}


def _settings(run: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    """What run.json says, and of the training record what that lacks: numbers of frames, versions, data by its portable name."""
    return _flat(run) | _flat({key: value for key, value in training.items() if key != "hyperparameters"})


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and key not in _NO_SETTINGS:
            flat |= {f"version of {name}" if key == "versions" else name: item for name, item in _flat(value).items()}
        # A list without anything, such as no extension, is what records lacked before there was any.
        elif key not in _NO_SETTINGS and value is not None and value != []:
            flat[key] = value
    return flat
