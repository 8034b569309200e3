"""What the doctor found, for pages and code review tools."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fcrn_mobile.doctor.diagnosis import Diagnosis, diagnose
from fcrn_mobile.doctor.rules import Rule, rules
from fcrn_mobile.package.metadata import NO_CONFIGS, ModelConfigs
from fcrn_mobile.package.reading import SUFFIXES
from fcrn_mobile.report.sarif import SarifResult, SarifRule, sarif

__all__ = ["diagnoses", "to_sarif"]


def diagnoses(paths: Iterable[str], configs: ModelConfigs = NO_CONFIGS) -> tuple[Diagnosis, ...]:
    """Of the models among some files that are Core ML's."""
    return tuple(diagnose(Path(path), config=configs.of(path)) for path in paths if Path(path).suffix in SUFFIXES)


def to_sarif(diagnosis: Diagnosis) -> dict[str, Any]:
    """A SARIF log with every rule, and a result for each place of each finding."""
    results = [
        SarifResult(finding.rule.id, finding.rule.severity, f"{place}. {finding.rule.symptom}.", diagnosis.model, place=place.name)
        for finding in diagnosis.findings
        for place in finding.places
    ]
    return sarif(list(map(_rule, rules().values())), results, "fcrn-mobile doctor")


def _rule(rule: Rule) -> SarifRule:
    doubt = "" if rule.confirmed else " Nobody confirmed this."
    return SarifRule(rule.id, f"{rule.symptom}.{doubt}", f"{rule.remedy}.", rule.sources[0].url)
