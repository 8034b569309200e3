"""Runs side by side: the settings in which they differ, and what does not compare for that."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from fcrn_mobile.errors import InputError
from fcrn_mobile.runs.history import History, read_run

__all__ = ["differences", "monitors", "read_runs", "reservations"]

#: Settings that make another thing of the metrics, and of an objective's own loss.
_OF_METRICS = ("val_data", "val_frames", "protocol")
_OF_OWN_LOSS = ("objective", "ssim", "smoothness", "scales", "explainability", "minimum", "automask")


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


def differences(runs: Sequence[History]) -> dict[str, list[Any]]:
    """Settings in which the runs are not all the same → their value in each run; None where a run has none."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    values = {name: [run.settings.get(name) for run in runs] for name in names}
    return {name: column for name, column in values.items() if any(value != column[0] for value in column)}


def monitors(runs: Sequence[History]) -> list[str]:
    """The metrics by which the runs chose their best epochs."""
    return list(dict.fromkeys(run.monitor.metric for run in runs))


def reservations(runs: Sequence[History], differing: Collection[str]) -> list[str]:
    """What does not compare, a sentence each.

    Args:
        runs: read by ``read_runs``.
        differing: names of the settings in which they differ.
    """
    sentences = []
    if apart := [name for name in _OF_METRICS if name in differing]:
        sentences.append(f"{' and '.join(apart)} {'differ' if len(apart) > 1 else 'differs'}: these metrics do not compare")
    if "loss" in monitors(runs) and any(name in differing for name in _OF_OWN_LOSS):
        sentences.append("loss is each run's own objective, and their settings differ: these losses do not compare")
    return sentences
