"""Outcomes as Markdown: what a pull request or a job's summary shows."""

import math
from collections.abc import Sequence

from fcrn_mobile.data.grammar import portable
from fcrn_mobile.report.columns import OWN, SIZE, metric_columns
from fcrn_mobile.report.gate import Outcome
from fcrn_mobile.report.verdict import WORDS, headline
from fcrn_mobile.text import counted, printable
from fcrn_mobile.validation.baseline import Change
from fcrn_mobile.validation.result import Validation

__all__ = ["markdown"]

#: Of the metrics against the truth, the one that is shown.
_ABS_REL = "abs_rel"


def markdown(outcomes: Sequence[Outcome]) -> str:
    """A section for each validation: the verdict, a table of candidates, what is broken, what changed since the last run."""
    return printable("\n".join(_section(outcome) for outcome in outcomes))


def _section(outcome: Outcome) -> str:
    validation = outcome.validation
    rule = validation.rule.text if validation.rule else "fidelity alone, no true depth"
    images = validation.reference_metrics["images"]
    lines = [f"### {_cell(headline(validation, [candidate.name for candidate in validation.candidates]))}", ""]
    lines += [f"{counted(images, 'image')} of {_cell(portable(validation.data))}, {rule}. Candidates ran on {validation.ran_on}.", ""]
    lines += [f"{outcome.view}.", ""] if outcome.view else []
    lines += [*_candidates(validation), ""]
    lines += [f"- **{_cell(case.model)}**, {case.metric}: {_cell(case.text)}" for case in outcome.cases if case.held is False]
    lines += [f"- {_cell(path)} was exported: {_cell(reason)}" for path, reason in outcome.exported.items()]
    lines += [f"- warning: {_cell(warning)}" for warning in validation.warnings]
    lines += [f"- {_cell(note)}" for note in validation.fit_notes]
    if outcome.changes:
        rows = [[each.model, each.figure, f"{each.before:.4f}", f"{each.now:.4f}", _change(each)] for each in outcome.moved]
        lines += ["", "Since the last run:", "", *(_table(["model", "figure", "then", "now", "change"], rows) if rows else [])]
        lines += ["", f"As in the last run: {', '.join(map(_cell, outcome.still))}."] if outcome.still else []
    return "\n".join([*lines, ""])


def _candidates(validation: Validation) -> list[str]:
    """The table of models; without true depth it has no metric."""
    columns = [SIZE, *metric_columns(validation, [_ABS_REL]), OWN]
    rows = [[f"{validation.reference_name} (reference)", *(column.of_reference(validation) for column in columns), "", ""]]
    for candidate in validation.candidates:
        budget = ", ".join(check.limit.text for check in candidate.checks)
        figures = (column.of(candidate, " ({})") for column in columns)
        rows.append([candidate.name, *figures, budget, WORDS[candidate.verdict]])
    return _table(["model", *(column.title for column in columns), "budget", "verdict"], rows)


def _change(change: Change) -> str:
    difference = change.now - change.before
    return f"{difference:+.4f}" if math.isfinite(difference) else "–"


def _table(columns: list[str], rows: list[list[str]]) -> list[str]:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *([_cell(cell) for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").split())
