"""A validation as gates in CI read it: a case for every budget, with the operator that a broken one comes from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fcrn_mobile.data.grammar import portable
from fcrn_mobile.data.phone import PhoneView
from fcrn_mobile.report.operators import Operators
from fcrn_mobile.report.sarif import SarifResult, SarifRule, sarif
from fcrn_mobile.report.verdict import amount, judged, not_finite
from fcrn_mobile.validation.baseline import Change
from fcrn_mobile.validation.result import Drift, Validation

__all__ = ["FINITE", "Case", "Outcome", "broken_operators", "gate_sarif"]

#: What a case is about whose figures are not finite numbers.
FINITE = "finite"
#: What to do about a broken budget.
_REMEDY = "'fcrn-mobile diagnose' shows every operator's part; a finer precision for the worst one, or 'fcrn-mobile tune', helps."


@dataclass(frozen=True)
class Case:
    """One budget of one candidate.

    Attributes:
        model, path: of the candidate.
        metric: that is bounded; ``FINITE``; empty for a candidate without any budget.
        limit: as written; empty where there is none.
        held: whether it is; None for a candidate without a budget.
        text: what is to be said about it.
        operator: the one that the drift comes from first of all; empty where it is held, or where operators cannot be compared.
    """

    model: str
    path: str
    metric: str
    limit: str
    held: bool | None
    text: str
    operator: str = ""


@dataclass(frozen=True)
class Outcome:
    """A validation with what a gate adds.

    Attributes:
        validation: as it is.
        operators: drift by operator of broken candidates, by path, see ``broken_operators``.
        changes: since the last run, see ``validation/baseline.py``.
        exported: artefacts that were made anew before → why.
        view: how the pictures were framed; None for as they are.
    """

    validation: Validation
    operators: Mapping[str, Operators] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    exported: Mapping[str, str] = field(default_factory=dict)
    view: PhoneView | None = None

    @property
    def moved(self) -> tuple[Change, ...]:
        """The changes that are seen."""
        return tuple(change for change in self.changes if change.is_seen)

    @property
    def still(self) -> tuple[str, ...]:
        """Candidates of the last run of which no change is seen."""
        moved = {change.model for change in self.moved}
        return tuple(dict.fromkeys(change.model for change in self.changes if change.model not in moved))

    @property
    def title(self) -> str:
        """What was measured on what."""
        return f"{self.validation.reference_name} on {portable(self.validation.data)}"

    @property
    def cases(self) -> tuple[Case, ...]:
        """All of them, candidate by candidate."""
        return tuple(case for candidate in self.validation.candidates for case in self._cases(candidate))

    def _cases(self, candidate: Drift) -> list[Case]:
        ops = self.operators.get(candidate.path)
        operator = ops.rows[0].name if ops and ops.rows else ""
        whence = f"; most of it comes from {operator} (alone {amount(ops.rows[0].own_drift)})" if ops and operator else ""
        if ops and not operator:
            whence = f"; operators: {ops.missing}"
        cases = []
        if candidate.not_finite:
            cases.append(Case(candidate.name, candidate.path, FINITE, "", False, not_finite(candidate) + whence, operator))
        for check in candidate.checks:
            text, limit = judged(check), check.limit
            own = ("", "") if check.held else (whence, operator)
            cases.append(Case(candidate.name, candidate.path, limit.metric, limit.text, check.held, text + own[0], own[1]))
        return cases or [Case(candidate.name, candidate.path, "", "", None, "no budget: drift is measured, not judged")]


def broken_operators(validation: Validation, attributed: Callable[[Validation], Operators]) -> dict[str, Operators]:
    """Drift by operator of every candidate that breaks its budget, by its path.

    Args:
        validation: of all candidates.
        attributed: drift by operator of a validation's only candidate, see ``operators``.
    """
    broken = [candidate for candidate in validation.candidates if candidate.verdict == "broken"]
    return {candidate.path: attributed(replace(validation, candidates=(candidate,))) for candidate in broken}


def gate_sarif(outcomes: Sequence[Outcome], project: Path | None = None, lines: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Broken budgets as SARIF, a rule for each metric.

    Args:
        outcomes: of the run.
        project: the file that names the artefacts; a result then points there, else to the artefact.
        lines: of that file which name them, by their paths.
    """
    rules: dict[str, SarifRule] = {}
    results = []
    for case in (case for outcome in outcomes for case in outcome.cases if case.held is False):
        rules[case.metric] = SarifRule(f"budget-{case.metric}", f"The budget on {case.metric} is broken.", _REMEDY)
        line = (lines or {}).get(case.path)
        message = f"{case.model}, {case.metric}: {case.text}"
        results.append(SarifResult(f"budget-{case.metric}", "error", message, project or case.path, line, case.operator))
    return sarif(list(rules.values()), results)
