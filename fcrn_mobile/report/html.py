"""A validation, a benchmark or a whole project as one page of HTML that needs nothing else: no network, pictures inside.

It is whole without scripts; its own one lays the reference over a candidate's depth and reads depth under the pointer.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from fcrn_mobile import palette
from fcrn_mobile.data.grammar import portable
from fcrn_mobile.data.phone import PhoneView
from fcrn_mobile.doctor.diagnosis import Diagnosis
from fcrn_mobile.evaluation.formulas import in_tables
from fcrn_mobile.evaluation.metrics import EvaluationProtocol
from fcrn_mobile.latency.device_facts import report_facts, result_facts
from fcrn_mobile.latency.latency import Latency, machine
from fcrn_mobile.latency.reports import DeviceReport, differences
from fcrn_mobile.report import charts, verdict
from fcrn_mobile.report.columns import COSINE, EDGES, OWN, PSNR, SIZE, Column, largest, metric_columns
from fcrn_mobile.report.operators import Operators, OpRow
from fcrn_mobile.report.ranks import deciding, ranks
from fcrn_mobile.report.scenes import Scene
from fcrn_mobile.report.strips import strips
from fcrn_mobile.report.templating import number, template
from fcrn_mobile.runtimes.backends import is_on_device
from fcrn_mobile.runtimes.runtime import distinct_names
from fcrn_mobile.validation.baseline import Change
from fcrn_mobile.validation.result import Drift, Validation

__all__ = ["Page", "labels", "render"]

#: Operators in the table; the largest own drifts.
_MOST_OPS = 15


@dataclass(frozen=True)
class Page:
    """What goes on a page; what is left out has no section.

    Attributes:
        validation: drift of candidates.
        scenes: frames to show, see ``scenes.show``; of this validation.
        latencies: measured on this machine.
        notes: on the latencies, a sentence each, such as how two compare; what makes them doubtful is added.
        devices: reports of latency from files; never beside what was measured here.
        ops: drift by operator of the candidate that drifts most.
        diagnoses: published hazards in the candidates.
        view: how the pictures were framed; None for as they are.
        exported: candidates that were made anew before → why.
        changes: of the candidates since the last run, those that are seen.
        still: candidates without one.
        models: a page for each model of a project, in the place of ``validation`` and of what belongs to it.
    """

    validation: Validation | None = None
    scenes: tuple[Scene, ...] = ()
    latencies: tuple[Latency, ...] = ()
    notes: tuple[str, ...] = ()
    devices: tuple[DeviceReport, ...] = ()
    ops: Operators | None = None
    diagnoses: tuple[Diagnosis, ...] = ()
    view: PhoneView | None = None
    exported: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    still: tuple[str, ...] = ()
    models: tuple["Page", ...] = ()


def render(page: Page, when: datetime) -> str:
    """The page as text.

    Args:
        page: at least a validation, latencies, devices or models.
        when: date of the report.
    """
    models = [_sections(each) for each in page.models]
    sections = _sections(page)
    context: dict[str, Any] = sections | {
        "when": when.strftime("%Y-%m-%d %H:%M %Z").strip(),
        "machine": machine(),
        "models": models,
        "project": verdict.of_all([each.validation for each in page.models if each.validation]) if models else None,
        "drifts": [drift for each in (sections, *models) if (drift := each["drift"])],
        "words": verdict.WORDS,
        "level": 2,
    }
    return template("report.html").render(context)


def _sections(page: Page) -> dict[str, Any]:
    """What the templates of a page, or of one model's part of it, take."""
    return {
        "page": page,
        "drift": _drift(page) if page.validation else None,
        "latency": _latency(page) if page.latencies else None,
        "devices": _devices(page.devices) if page.devices else None,
        "ops": _ops(page.ops.rows) if page.ops else [],
    }


def labels(validation: Validation) -> list[str]:
    """What the candidates are called: their names, with the folder where two have the same."""
    candidates = validation.candidates
    return distinct_names([candidate.name for candidate in candidates], [Path(candidate.path) for candidate in candidates])


def _drift(page: Page) -> dict[str, Any]:
    validation, shown = page.validation, page.scenes
    assert validation is not None
    names = labels(validation)
    farthest = deciding(validation)
    return {
        "reference": validation.reference_name,
        "state": verdict.state(validation),
        "doubtful": validation.standing is not None and validation.standing.fails,
        "headline": verdict.headline(validation, names),
        "sentences": verdict.sentences(validation, names),
        "engines": validation.engines,
        "on_device": validation.on_device,
        "data": portable(validation.data),
        "protocol": _protocol(validation.rule),
        "focus": str(validation.focus),
        "names": names,
        "keys": [(name, *charts.style(index)) for index, name in enumerate(names)],
        "rows": _rows(validation),
        "recipes": _recipes(validation),
        "scenes": strips(shown, names, validation.depth),
        "fidelity": validation.fidelity_formula,
        "fit_notes": validation.fit_notes,
        "inverse": validation.depth == "inverse",
        "has_truth": validation.rule is not None,
        "chosen_by": names[validation.candidates.index(farthest)],
        "per_image": charts.drift_per_image(validation, list(ranks(farthest).values()) if shown else ()),
        "sizes": charts.size_against_drift(validation) if len(names) > 1 else None,
        "unplotted": sum(not math.isfinite(image.fidelity) for candidate in validation.candidates for image in candidate.per_image),
    }


def _rows(validation: Validation) -> list[dict[str, Any]]:
    """The table: a quantity per row, a candidate per column; each cell with its change from the reference where that means something."""

    def row(label: str, hint: str, base: str, cells: list[dict[str, Any]], long: bool = False) -> dict[str, Any]:
        return {"label": label, "hint": hint, "reference": base, "cells": cells, "long": long}

    candidates = validation.candidates
    columns = [OWN, PSNR, largest(validation.depth), COSINE, EDGES, SIZE, *metric_columns(validation, in_tables())]
    verdicts = [_text(verdict.WORDS[each.verdict], each.verdict if each.verdict in ("broken", "held") else "") for each in candidates]
    figures = [
        row(
            column.label or column.key,
            column.hint,
            number(column.reference(validation), column.form) if column.reference else "",
            [_figure(each, column) for each in candidates],
        )
        for column in columns
    ]
    engines = [_text(each.engine, "long") for each in candidates]
    return [row("verdict", "", "", verdicts), *figures, row("ran on", "", validation.reference_engine, engines, long=True)]


def _text(text: str, kind: str) -> dict[str, Any]:
    return {"text": text, "change": None, "kind": kind}


def _figure(candidate: Drift, column: Column) -> dict[str, Any]:
    change, value = candidate.change.get(column.key), column.value(candidate)
    broken = any(check.limit.metric == column.key and not check.held for check in candidate.checks)
    broken |= change is not None and not math.isfinite(value)
    text = number(value, column.form)
    return {"text": text, "change": None if change is None else number(change, f"+{column.form}"), "kind": "broken" if broken else ""}


def _protocol(rule: EvaluationProtocol | None) -> str:
    if rule is None:
        return "none: the data hold no depth, so that fidelity alone is measured"
    return f"{rule.describe()}; alignment {rule.alignment}"


def _recipes(validation: Validation) -> list[tuple[str, list[str]]]:
    """Setting → its value per candidate; empty if no candidate says how it was made."""
    recipes = [candidate.recipe for candidate in validation.candidates]
    settings = list(dict.fromkeys(key for recipe in recipes for key in recipe))
    return [(key, [_setting(recipe[key]) if key in recipe else "" for recipe in recipes]) for key in settings]


def _setting(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={portable(item) if key == 'data' else _setting(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list) and all(isinstance(item, int) for item in value):
        return "×".join(map(str, value))
    if isinstance(value, list):
        return "; ".join(_setting(item) for item in value)
    if value is None:
        return "the checkpoint's"
    return value if isinstance(value, str) else json.dumps(value)


def _latency(page: Page) -> dict[str, Any]:
    colours = _model_colours(page)
    return {
        "headline": verdict.shortest(page.latencies),
        "notes": [*page.notes, *(warning for latency in page.latencies for warning in latency.warnings())],
        "keys": [(f"{latency.model} ({latency.backend})", colour) for latency, colour in zip(page.latencies, colours, strict=True)],
        "histograms": charts.latency_histograms(page.latencies, colours),
        "on_device": any(is_on_device(latency.backend) for latency in page.latencies),
    }


def _devices(reports: Sequence[DeviceReport]) -> dict[str, Any]:
    rows = [(report, result) for report in reports for result in report.results]
    files = "one file" if len(reports) == 1 else f"{len(reports)} files"
    return {
        "headline": f"Latency from {files}: {len(rows)} {'result' if len(rows) == 1 else 'results'}",
        "differences": differences(reports),
        "rows": [(report, result, *charts.style(index)) for index, (report, result) in enumerate(rows)],
        "facts": [(report, [*report_facts(report), *result_facts(report)]) for report in reports],
        "over_time": charts.latency_over_time(reports),
        "thermal": any(report.thermal for report in reports),
    }


def _model_colours(page: Page) -> list[str]:
    """A model that is a candidate too keeps its colour."""
    if page.validation is None:
        return [charts.style(index)[0] for index in range(len(page.latencies))]
    candidates = [candidate.name for candidate in page.validation.candidates]
    colours = {name: charts.style(index)[0] for index, name in enumerate(candidates)}
    return [colours.get(latency.model, palette.REFERENCE) for latency in page.latencies]


def _ops(ops: Sequence[OpRow]) -> list[dict[str, Any]]:
    """The largest own drifts, each with its share of the largest for the bar."""
    worst = sorted(ops, key=lambda op: -op.own_drift if math.isfinite(op.own_drift) else -math.inf)[:_MOST_OPS]
    largest = max((op.own_drift for op in worst if math.isfinite(op.own_drift)), default=0.0) or 1.0
    return [{"op": op, "share": 100 * min(op.own_drift / largest, 1) if math.isfinite(op.own_drift) else 100} for op in worst]
