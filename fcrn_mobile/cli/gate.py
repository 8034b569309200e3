"""``--junit``, ``--markdown``, ``--sarif`` and ``--baseline``: what gates in CI read."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.common import write_json
from fcrn_mobile.cli.outputs import OutputFile
from fcrn_mobile.whole_file import write_whole

if TYPE_CHECKING:
    from fcrn_mobile.report.gate import Outcome
    from fcrn_mobile.validation.baseline import Baseline

__all__ = ["SUMMARY", "Gate", "gate_options", "print_changes"]

#: GitHub's variable with the file that a job's summary is appended to.
SUMMARY = "GITHUB_STEP_SUMMARY"


def gate_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options, to be given to ``Gate.taken_from``."""
    baseline = click.Path(path_type=Path)
    for option in (
        click.option("--baseline", type=baseline, metavar="OLD.json", help="Compare with the last run's --json, if it measured the same."),
        click.option("--sarif", type=OutputFile(overwrites=True), metavar="FILE", help="Write broken budgets as SARIF 2.1.0."),
        click.option("--markdown", type=OutputFile(overwrites=True), metavar="FILE", help=f"Write a summary; to ${SUMMARY}, too, if set."),
        click.option("--junit", type=OutputFile(overwrites=True), metavar="FILE", help="Write JUnit XML, a test case for each budget."),
    ):
        command = option(command)
    return command


@dataclass(frozen=True)
class Gate:
    """What a command line asks for; see ``gate_options``."""

    junit: Path | None = None
    markdown: Path | None = None
    sarif: Path | None = None
    baseline: Path | None = None

    @classmethod
    def taken_from(cls, options: dict[str, Any]) -> "Gate":
        """The gate's options among a command's, where they are left out from then on."""
        return cls(**{name: options.pop(name) for name in cls.__dataclass_fields__})

    @property
    def names_operators(self) -> bool:
        """Whether something is written that names operators."""
        return bool(self.junit or self.markdown or self.sarif or os.environ.get(SUMMARY))

    def read_baseline(self) -> "Baseline | None":
        """The last run.

        Raises:
            InputError: as of ``read_baseline``.
        """
        from fcrn_mobile.validation.baseline import read_baseline

        return read_baseline(self.baseline) if self.baseline else None

    def write(self, outcomes: "Sequence[Outcome]", project: Path | None = None, lines: Mapping[str, int] | None = None) -> None:
        """All that is asked for; arguments as of ``gate_sarif``."""
        from fcrn_mobile.report.gate import gate_sarif
        from fcrn_mobile.report.junit import junit
        from fcrn_mobile.report.markdown import markdown

        for path, render in ((self.junit, junit), (self.markdown, markdown)):
            if path:
                write_whole(path, render(outcomes))
        if self.sarif:
            write_json(str(self.sarif), gate_sarif(outcomes, project, lines))
        if summary := os.environ.get(SUMMARY):
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(markdown(outcomes))


def print_changes(outcome: "Outcome") -> None:
    """What changed since the last run, a line per figure, and which candidates did not."""
    for change in outcome.moved:
        print(f"{change.model}: {change.figure} was {change.before:.4f}, is {change.now:.4f}")
    for name in outcome.still:
        print(f"{name}: as in the last run")
