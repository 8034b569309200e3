"""A project made and judged: what is out of date is exported, everything is validated, latencies are measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fcrn_mobile
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe, read_recipe
from fcrn_mobile.data.source import Source
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.metrics import EvaluationProtocol
from fcrn_mobile.latency.latency import Latency, measure
from fcrn_mobile.latency.plan import Subject, subjects
from fcrn_mobile.mil.arithmetic import FLOAT32
from fcrn_mobile.network.forms import open_network
from fcrn_mobile.package.metadata import ModelConfigs
from fcrn_mobile.progress import Progress
from fcrn_mobile.project.outdated import outdated
from fcrn_mobile.project.project_file import Artefact, Model, Project
from fcrn_mobile.report.gate import Outcome, broken_operators
from fcrn_mobile.report.operators import operators
from fcrn_mobile.runtimes import Runtime, open_runtime
from fcrn_mobile.runtimes.opening import backend_named, model_suffix
from fcrn_mobile.validation.baseline import Baseline
from fcrn_mobile.validation.drift import validate
from fcrn_mobile.validation.phone import phone_frames

if TYPE_CHECKING:
    from fcrn_mobile.project.page import ProjectPage

__all__ = ["ProjectCheck", "check"]


@dataclass(frozen=True)
class ProjectCheck:
    """What a check found.

    Attributes:
        outcomes: of each model of the project, in its order.
        latencies: measured on this machine.
    """

    outcomes: tuple[Outcome, ...]
    latencies: tuple[Latency, ...] = ()

    @property
    def held(self) -> bool:
        """Whether no artefact broke its budget."""
        return all(outcome.validation.held for outcome in self.outcomes)

    def to_json(self) -> dict[str, Any]:
        """As the command line writes it; ``--baseline`` reads it back."""
        return {
            "held": self.held,
            "validations": [_json(outcome) for outcome in self.outcomes],
            "latencies": self.latencies,
            "versions": {"fcrn-mobile": fcrn_mobile.__version__},
        }


def check(
    project: Project,
    source: Source,
    rule: EvaluationProtocol | None,
    progress: Progress,
    baseline: Baseline | None = None,
    page: "ProjectPage | None" = None,
) -> ProjectCheck:
    """Export what is out of date, validate all, measure latencies; in the project's folder, which is the current one.

    Args:
        project: what is to be checked.
        source: frames of its data.
        rule: the metrics' protocol; None for pictures without depth.
        progress: shows how far each step is.
        baseline: of the last run, to compare with; a model that it does not have is new.
        page: that every model is added to.

    Raises:
        InputError: as of ``export``, ``validate``, ``Baseline.require_same`` and ``latency.plan``.
    """
    exported = [_export(model, progress) for model in project.models]
    opened = [_open(project, model) for model in project.models]
    names = [reference.name for reference, _ in opened]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"two references are called '{twice}' in reports: give each file another name")
    views = [phone_frames(source, candidates, project.framing) if project.framing else None for _, candidates in opened]
    for (reference, candidates), view in zip(opened, views, strict=True):
        if baseline and reference.name in baseline.runs:
            baseline.require_same(reference, candidates, project.data, rule, source.names, view)
    plan = [(subject, bench.runs) for bench in project.benches for subject in _subjects(project, bench.backend)]
    outcomes = []
    for model, (reference, candidates), reasons, view in zip(project.models, opened, exported, views, strict=True):
        frames = view or source
        with progress(f"validate {reference.name}") as on_frame:
            budgets = [project.limits(artefact) for artefact in model.artefacts]
            validation = validate(reference, candidates, frames, rule, (), project.data, on_frame, budgets=budgets)
        with progress("operators") as on_image:
            ops = broken_operators(
                validation,
                partial(operators, frames, model.reference, arithmetic=project.policy, on_image=on_image, configs=_configs(model)),
            )
        outcomes.append(Outcome(validation, ops, baseline.changes(validation) if baseline else (), reasons, view))
        if page:
            page.add(outcomes[-1], frames, reference, candidates, _configs(model))
    return ProjectCheck(tuple(outcomes), tuple(_measured(plan, progress)))


def _export(model: Model, progress: Progress) -> dict[str, str]:
    """Make the artefacts of a model that are out of date; their paths → why."""
    recipes = {artefact.path: _recipe(artefact) for artefact in model.artefacts if artefact.recipe}
    if not recipes:
        return {}
    network = open_network(model.reference)
    reasons = {path: outdated(network, recipe, Path(path)) for path, recipe in recipes.items()}
    for path in (path for path, reason in reasons.items() if reason):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with progress(f"export {path}") as on_image:
            export(network, recipes[path], Path(path), force=True, on_image=on_image)
    return {path: reason for path, reason in reasons.items() if reason}


def _recipe(artefact: Artefact) -> Recipe:
    return read_recipe(Path(artefact.recipe)).calibrated_on(artefact.calibration or None)


def _open(project: Project, model: Model) -> tuple[Runtime, list[Runtime]]:
    """The reference and the artefacts of a model."""
    configs = _configs(model)
    candidates = [
        open_runtime(artefact.path, project.backend, project.policy, model_config=configs.of(artefact.path)) for artefact in model.artefacts
    ]
    return open_runtime(model.reference, arithmetic="float32"), candidates


def _configs(*models: Model) -> ModelConfigs:
    artefacts = (artefact for model in models for artefact in model.artefacts if artefact.model_config)
    return ModelConfigs({Path(artefact.path): Path(artefact.model_config) for artefact in artefacts})


def _subjects(project: Project, backend: str) -> list[Subject]:
    """Every model that a backend runs."""
    models = [name for model in project.models for name in (model.reference, *(artefact.path for artefact in model.artefacts))]
    suffix = None if backend == "auto" else backend_named(backend).suffix
    fitting = [model for model in models if suffix in (None, model_suffix(model))]
    return subjects(fitting, [backend], FLOAT32, None, (), configs=_configs(*project.models))


def _measured(plan: Sequence[tuple[Subject, int]], progress: Progress) -> Iterator[Latency]:
    with progress("bench") as on_model:
        for done, (subject, runs) in enumerate(plan, 1):
            yield measure(subject.opener(), runs)
            on_model(done, len(plan))


def _json(outcome: Outcome) -> dict[str, Any]:
    framing = {"framing": outcome.view.to_json()} if outcome.view else {}
    added = {"exported": outcome.exported, "operators": outcome.operators, "changes": outcome.changes}
    return outcome.validation.to_json() | framing | added
