"""Figures of the table of candidates: what each is called, how it is written and where it comes from.

The terminal, Markdown and the page choose among them and lay them out.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fcrn_mobile.depth_contract import Depth
from fcrn_mobile.evaluation.budget import BOUNDARY, FIDELITY
from fcrn_mobile.evaluation.formulas import compared
from fcrn_mobile.validation.result import Drift, Validation

__all__ = ["COSINE", "EDGES", "OWN", "PSNR", "SIZE", "Column", "largest", "metric_columns", "unit"]


@dataclass(frozen=True)
class Column:
    """A figure of candidates.

    Attributes:
        key: by which budgets and changes name it.
        title: at the head of a narrow column.
        hint: what stands beside the label where there is room: the unit, or which way is better.
        value: of a candidate.
        reference: of the reference; None where it has no such figure.
        form: of the number.
        label: where there is room; else the key.
    """

    key: str
    title: str
    hint: str
    value: Callable[[Drift], float]
    reference: Callable[[Validation], float] | None = None
    form: str = ".4f"
    label: str = ""

    def of_reference(self, validation: Validation) -> str:
        """The reference's figure; empty where it has none."""
        return format(self.reference(validation), self.form) if self.reference else ""

    def of(self, candidate: Drift, change: str = " {}") -> str:
        """A candidate's figure, with its change from the reference laid out so where it has one."""
        difference = candidate.change.get(self.key)
        return format(self.value(candidate), self.form) + ("" if difference is None else change.format(format(difference, f"+{self.form}")))


SIZE = Column("size", "MB", "MB", lambda c: c.size_bytes / 1e6, lambda v: v.reference_size_bytes / 1e6, ".1f")
OWN = Column(FIDELITY, FIDELITY, "to the reference's map", lambda c: c.fidelity.abs_rel)
EDGES = Column(BOUNDARY, "edges", "1 − F1 of edges", lambda c: c.fidelity.boundary_drift)
PSNR = Column("psnr_db", "dB", "dB", lambda c: c.fidelity.psnr_db, form=".1f", label="PSNR")
COSINE = Column("cosine", "cosine", "", lambda c: c.fidelity.cosine, form=".6f")


def largest(meaning: Depth) -> Column:
    """The largest difference from the reference's output."""
    return Column("max_abs", "max", unit(meaning), lambda c: c.fidelity.max_abs, label="largest difference")


def unit(meaning: Depth) -> str:
    """Of a depth map's values, short; empty for other than metres."""
    return "m" if meaning == "metres" else ""


def metric_columns(validation: Validation, keys: list[str]) -> list[Column]:
    """Metrics against the truth by name; none where there is no true depth."""
    return [_metric(key) for key in keys] if validation.rule else []


def _metric(key: str) -> Column:
    hint = compared()[key].hint
    return Column(key, key, hint, lambda candidate: candidate.metrics[key], lambda validation: validation.reference_metrics[key])
