"""``fcrn-mobile compare``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, print_table, write_json
from fcrn_mobile.cli.outputs import PICTURES, OutputFile
from fcrn_mobile.evaluation.formulas import shown
from fcrn_mobile.whole_file import written_whole

if TYPE_CHECKING:
    from fcrn_mobile.runs.history import History

__all__ = ["command"]


@click.command("compare", cls=Command)
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN RUN...")
@click.option("--figure", type=OutputFile(*PICTURES), metavar="FILE.png", help="Draw the curves of all runs; .svg and .pdf too.")
@click.option("--force", is_flag=True, help="Overwrite the file of --figure.")
@json_option
def command(runs: tuple[Path, ...], figure: Path | None, force: bool, json_out: str | None) -> None:
    """Training runs side by side: the settings that differ, the best and last metrics, and the curves."""
    from fcrn_mobile.runs.comparison import differences, read_runs

    histories = read_runs(runs)
    differing = differences(histories)
    if figure:
        from fcrn_mobile.report.curves import save_curves

        with written_whole(figure, force) as file:
            save_curves(histories, file)
    if json_out:
        write_json(json_out, {"runs": [_describe(run) for run in histories], "differences": differing})
    if json_out != "-":
        _print(histories, differing)
        if figure:
            print(f"written: {figure}")


def _print(runs: "list[History]", differing: dict[str, list[Any]]) -> None:
    from fcrn_mobile.runs.comparison import monitors, reservations

    names = [run.name for run in runs]
    if differing:
        rows = [[name, *map(_text, values)] for name, values in differing.items()]
        print_table("Settings that differ", ["setting", *names], rows)
    else:
        print("no setting differs")
    print()
    chosen_by = monitors(runs)
    metrics = [name for name in dict.fromkeys((*chosen_by, *shown())) if any(name in run.best for run in runs)]
    one = len(chosen_by) == 1
    best = [(run, f"{run.best_epoch} of {run.epochs[-1]}", [] if one else [run.monitor.metric]) for run in runs]
    print_table(
        f"Validation, best epoch by {chosen_by[0]}" if one else "Validation, each run's best epoch by its own metric",
        ["run", "best epoch", *([] if one else ["by"]), *metrics],
        [[run.name, epoch, *by, *_numbers(run.best, metrics)] for run, epoch, by in best],
    )
    print()
    last = [[run.name, str(run.epochs[-1]), *_numbers(run.last, metrics)] for run in runs]
    print_table("Validation, last epoch", ["run", "epoch", *metrics], last)
    for line in reservations(runs, differing):
        print(line)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _numbers(values: dict[str, Any], metrics: list[str]) -> list[str]:
    return [f"{values[key]:.4f}" if key in values else "–" for key in metrics]


def _describe(run: "History") -> dict[str, Any]:
    return {
        "name": run.name,
        "folder": str(run.folder),
        "settings": run.settings,
        "epochs": run.epochs[-1],
        "monitor": asdict(run.monitor),
        "best_epoch": run.best_epoch,
        "best": run.best,
        "last": run.last,
        "curves": {"epoch": run.epochs, **run.curves},
    }
