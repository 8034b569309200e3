"""A model held against every rule."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fcrn_mobile.doctor import app, engine, loading, size, values
from fcrn_mobile.doctor.rules import SEVERITIES, Rule, Severity, rules
from fcrn_mobile.doctor.subject import Place, Subject
from fcrn_mobile.text import counted

__all__ = ["BASIS", "Diagnosis", "Finding", "diagnose", "examine"]

#: What findings rest on.
BASIS = "published hazards; nothing ran on a device"
#: Places that a line of text names.
_MOST_SHOWN = 3

_WRITTEN = {**loading.DETECTIONS, **values.DETECTIONS, **engine.DETECTIONS, **size.DETECTIONS, **app.DETECTIONS}


@dataclass(frozen=True)
class Finding:
    """A rule that applies, and where."""

    rule: Rule
    places: tuple[Place, ...]

    @property
    def where(self) -> str:
        """The first places, as text."""
        shown = [str(place) for place in self.places[:_MOST_SHOWN]]
        more = len(self.places) - len(shown)
        return "; ".join(shown) + (f"; and {more} more" if more else "")

    def to_json(self) -> dict[str, Any]:
        """Rule and places in one object."""
        rule = self.rule
        return {
            "rule": rule.id,
            "group": rule.group,
            "severity": rule.severity,
            "confirmed": rule.confirmed,
            "symptom": rule.symptom,
            "remedy": rule.remedy,
            "sources": rule.sources,
            "places": self.places,
        }


@dataclass(frozen=True)
class Diagnosis:
    """What was found in a model.

    Attributes:
        model: its path.
        findings: the worst first.
        rules: how many it was held against.
    """

    model: str
    findings: tuple[Finding, ...]
    rules: int

    @property
    def name(self) -> str:
        """Of its file."""
        return Path(self.model).name

    @property
    def counts(self) -> dict[Severity, int]:
        """Findings by severity, those without any left out."""
        numbers = Counter(finding.rule.severity for finding in self.findings)
        return {severity: numbers[severity] for severity in SEVERITIES if numbers[severity]}

    @property
    def has_errors(self) -> bool:
        """Whether something does not load, or is wrong."""
        return "error" in self.counts

    def __str__(self) -> str:
        counts = ", ".join(counted(count, severity) for severity, count in self.counts.items())
        worst = [finding.rule.id for finding in self.findings if finding.rule.severity != "note"]
        return (counts or "nothing found") + (f": {', '.join(worst)}" if worst else "") + f" (of {self.rules} rules)"

    def to_json(self) -> dict[str, Any]:
        """With the words that keep it from being taken for a measurement."""
        return {"model": self.model, "basis": BASIS, "rules": self.rules, "counts": self.counts, "findings": self.findings}


def diagnose(path: Path, function: str | None = None, config: Path | None = None, size: tuple[int, int] | None = None) -> Diagnosis:
    """Hold a model on disk against every rule, without running it but for the shapes of one that takes several sizes.

    Args:
        path: the .mlpackage folder or .mlmodel file.
        function: of a package with several; None takes its default.
        config: its model config.
        size: height and width of the pictures, of those that it takes; None: its default.

    Raises:
        MilError: it cannot be read at all, has no such function, or does not take ``size`` or run here at it.
        InputError: a contract that cannot be.
    """
    return examine(Subject.read(path, function, config, size))


def examine(subject: Subject) -> Diagnosis:
    """The same of a model that has been read."""
    listed = rules().values()
    findings = [Finding(rule, places) for rule in listed if (places := tuple(_detection(rule)(subject)))]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.rule.severity))
    return Diagnosis(str(subject.path), tuple(findings), len(listed))


def _detection(rule: Rule) -> Callable[[Subject], Iterator[Place]]:
    """What finds the places of a rule: a function of its name, or the case of placement that it stands for."""
    return _WRITTEN[rule.id] if rule.case is None or rule.id in _WRITTEN else partial(engine.of_case, case=rule.case)
