"""A check as a page: what ``validate --html`` shows of each model, and the latencies of all."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fcrn_mobile.data.source import Source
from fcrn_mobile.latency.latency import Latency
from fcrn_mobile.package.metadata import ModelConfigs
from fcrn_mobile.report.findings import diagnoses
from fcrn_mobile.report.gate import Outcome
from fcrn_mobile.report.html import Page
from fcrn_mobile.report.ranks import deciding
from fcrn_mobile.report.scenes import show
from fcrn_mobile.runtimes import Runtime

__all__ = ["ProjectPage"]


@dataclass
class ProjectPage:
    """The page of a project while its models are checked; matplotlib draws it.

    Attributes:
        models: pages of those that are done.
    """

    models: list[Page] = field(default_factory=list)

    def add(self, outcome: Outcome, frames: Source, reference: Runtime, candidates: Sequence[Runtime], configs: ModelConfigs) -> None:
        """Add a model.

        Args:
            outcome: of its validation. The page has operators of the candidate that drifts most where it broke its budget.
            frames: that were validated.
            reference, candidates: run the frames that the page shows.
            configs: model configs of candidates that have one.

        Raises:
            InputError: as of ``doctor.diagnosis.diagnose``.
        """
        validation = outcome.validation
        page = Page(
            validation,
            show(frames, reference, candidates, validation),
            ops=outcome.operators.get(deciding(validation).path),
            diagnoses=diagnoses((candidate.path for candidate in validation.candidates), configs),
            view=outcome.view,
            exported=outcome.exported,
            changes=outcome.moved,
            still=outcome.still,
        )
        self.models.append(page)

    def whole(self, latencies: Sequence[Latency]) -> Page:
        """All of it; of a single model its own page."""
        page = self.models[0] if len(self.models) == 1 else Page(models=tuple(self.models))
        return replace(page, latencies=tuple(latencies))
