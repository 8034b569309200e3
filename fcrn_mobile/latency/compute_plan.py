"""Where Core ML planned to run a program's operators, as a Mac or the app wrote it, set beside the published rules.

A plan is what ``MLComputePlan`` says before anything runs: which units could take an operator, and which one it is meant for.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcrn_mobile.errors import InputError, brief, require_known
from fcrn_mobile.latency.placement import Placed, Placement
from fcrn_mobile.text import counted

__all__ = ["ENGINE", "UNITS", "Comparison", "ComputePlan", "PlannedOperator", "compare", "describe", "read_plans"]

ENGINE = "neuralEngine"
UNITS = (ENGINE, "gpu", "cpu")
_REMEDY = "give the app's benchmark JSON, or what docs/how-to/compute-plans.md writes on a Mac"


@dataclass(frozen=True)
class PlannedOperator:
    """An operator of a plan.

    Attributes:
        operator: MIL's name of it.
        output: name of its first result in the program; empty where nothing was said.
        unit: that it is meant for; None where nothing was said.
        supported: units that could take it; empty where nothing was said.
    """

    operator: str
    output: str
    unit: str | None
    supported: tuple[str, ...] = ()

    @property
    def on_engine(self) -> bool:
        """Whether the Neural Engine takes it: by what it could take where that was said, else by what is meant for it."""
        return ENGINE in self.supported if self.supported else self.unit == ENGINE


@dataclass(frozen=True)
class ComputePlan:
    """A plan: the file it is from with the units asked for, and its operators."""

    name: str
    operators: tuple[PlannedOperator, ...]


@dataclass(frozen=True)
class Comparison:
    """A plan beside the rules, over the operators that both have.

    Attributes:
        name: of the plan.
        right: operators whose verdict was ``runs`` on the engine's, or ``falls back`` on others'.
        missed: said to run, or nothing published, and the engine does not take them.
        false_alarms: said to fall back, and the engine takes them.
        fallbacks: said to fall back, and the engine does not take them: part of ``right``.
        unpublished: nothing published, and the engine takes them: neither right nor wrong.
        unmatched: operators of the plan that the package does not have, and of the package that the plan does not have.
    """

    name: str
    right: tuple[str, ...]
    missed: tuple[str, ...]
    false_alarms: tuple[str, ...]
    fallbacks: tuple[str, ...]
    unpublished: tuple[str, ...]
    unmatched: tuple[int, int]

    @property
    def operators(self) -> int:
        """That both have."""
        return len(self.right) + len(self.missed) + len(self.false_alarms) + len(self.unpublished)

    @property
    def precision(self) -> float | None:
        """Share of operators said to fall back that do; None where none was said to."""
        return _share(len(self.fallbacks), len(self.fallbacks) + len(self.false_alarms))

    @property
    def recall(self) -> float | None:
        """Share of operators that fall back that were said to; None where none does."""
        return _share(len(self.fallbacks), len(self.fallbacks) + len(self.missed))

    def to_json(self) -> dict[str, Any]:
        """With counts and shares, the basis named."""
        shares = {"operators": self.operators, "precision": self.precision, "recall": self.recall}
        return {"basis": "compute plan of Core ML, beside published rules", **vars(self), **shares}


def read_plans(path: Path, model: str) -> list[ComputePlan]:
    """Plans of a file: the one of a Mac, or those of the app's results of a model whose units include the Neural Engine.

    Args:
        path: JSON; ``{"operators": […]}``, or a benchmark report whose results have such ``operators``.
        model: name without suffix, as the app's results have it.

    Raises:
        InputError: it cannot be read, is of another form, or has no plan of the model in which the engine could take part.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read '{path}' ({error.strerror}): {_REMEDY}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is not JSON ({brief(error, 120)}): {_REMEDY}") from error
    if not isinstance(content, dict):
        raise InputError(f"'{path}' is no compute plan: {_REMEDY}")
    entries = [(str(path), content)] if "operators" in content else _of_results(content, path, model)
    plans = [ComputePlan(name, tuple(_operators(entry, path))) for name, entry in entries]
    useful = [plan for plan in plans if any(op.on_engine for op in plan.operators)]
    if not useful:
        raise InputError(f"no plan in '{path}' names the Neural Engine: plan with compute units all or cpuAndNeuralEngine")
    return useful


def _of_results(content: dict[str, Any], path: Path, model: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and plan of each result of a model that has one."""
    results = content.get("results")
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        raise InputError(f"'{path}' is no compute plan: {_REMEDY}")
    planned = [result for result in results if result.get("operators")]
    if not planned:
        raise InputError(f"'{path}' has results without operators: measure again with an app that writes a plan")
    own = [result for result in planned if str(result.get("model", "")).removesuffix(".mlpackage") == model]
    if not own:
        names = ", ".join(dict.fromkeys(str(result.get("model")) for result in planned))
        raise InputError(f"'{path}' has no plan of '{model}', but of {names}: give the package that it was made of, under that name")
    return [(f"{path}, {result.get('compute_units', 'units not said')}", result) for result in own]


def _operators(entry: dict[str, Any], path: Path) -> list[PlannedOperator]:
    """Operators that were planned; constants are not."""
    rows = entry["operators"]
    if not isinstance(rows, list) or not rows:
        raise InputError(f"a plan in '{path}' lists no operators: {_REMEDY}")
    return [_operator(row, path) for row in rows if not (isinstance(row, dict) and _kind(row) == "const")]


def _operator(row: Any, path: Path) -> PlannedOperator:
    if not isinstance(row, dict) or not isinstance(row.get("operator"), str):
        raise InputError(f"a plan in '{path}' has an operator without its name, 'operator': {_REMEDY}")
    output, unit, supported = row.get("output") or "", row.get("unit"), row.get("supported") or []
    if not isinstance(output, str) or not isinstance(supported, list):
        raise InputError(f"a plan in '{path}' has an 'output' that is no text or 'supported' that is no list, at a {_kind(row)}: {_REMEDY}")
    for name in [*supported, *([unit] if unit is not None else [])]:
        require_known(f"compute unit in '{path}'", str(name), UNITS)
    return PlannedOperator(_kind(row), output, unit, tuple(supported))


def _kind(row: dict[str, Any]) -> str:
    """MIL's name, without the version that Core ML puts before it (``ios17.conv``)."""
    return str(row.get("operator")).rpartition(".")[2]


def compare(placement: Placement, plan: ComputePlan) -> Comparison:
    """Where the published rules were right about a plan.

    Raises:
        InputError: the plan and the package have no operator in common.
    """
    judged = [op for op in plan.operators if op.unit is not None or op.supported]
    planned = {op.output: op for op in judged if op.output}
    both = [(rule, planned[rule.name]) for rule in placement.operators if rule.name in planned]
    if not both:
        raise InputError(f"'{plan.name}' and the package have no operator in common: give the package that the plan was made of")

    def names(verdicts: Sequence[str], on_engine: bool) -> tuple[str, ...]:
        return tuple(_named(rule) for rule, op in both if rule.verdict in verdicts and op.on_engine == on_engine)

    fallbacks = names(("falls back",), False)
    return Comparison(
        name=plan.name,
        right=names(("runs",), True) + fallbacks,
        missed=names(("runs", "unknown"), False),
        false_alarms=names(("falls back",), True),
        fallbacks=fallbacks,
        unpublished=names(("unknown",), True),
        unmatched=(len(judged) - len(both), len(placement.operators) - len(both)),
    )


def describe(comparisons: Iterable[Comparison]) -> list[str]:
    """Lines about plans: where the rules were right, and their precision and recall over all of the plans."""
    each, lines = list(comparisons), []
    for one in each:
        lines.append(f"{one.name}: the rules were right about {len(one.right)} of {one.operators} operators that both have")
        for title, operators in (("missed", one.missed), ("false alarms", one.false_alarms), ("nothing published, runs", one.unpublished)):
            if operators:
                shown = ", ".join(operators[:6]) + (", …" if len(operators) > 6 else "")
                lines.append(f"  {title}: {len(operators)}: {shown}")
        if any(one.unmatched):
            lines.append(f"  not compared: {one.unmatched[0]} operators of the plan alone, {one.unmatched[1]} of the package alone")
    fallbacks, missed, alarms = (sum(len(getattr(one, key)) for one in each) for key in ("fallbacks", "missed", "false_alarms"))
    precision, recall = (_shown(_share(fallbacks, fallbacks + others), fallbacks + others) for others in (alarms, missed))
    return [*lines, f"'falls back', over {counted(len(each), 'plan')}: precision {precision}, recall {recall}"]


def _named(rule: Placed) -> str:
    return f"{rule.operator} {rule.name}"


def _share(count: int, whole: int) -> float | None:
    return count / whole if whole else None


def _shown(share: float | None, whole: int) -> str:
    return "not known (none)" if share is None else f"{share:.0%} of {whole}"
