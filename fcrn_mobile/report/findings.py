"""What the doctor found, for pages and code review tools."""

from typing import Any

from fcrn_mobile.doctor.diagnosis import Diagnosis
from fcrn_mobile.doctor.rules import Rule, rules
from fcrn_mobile.report.sarif import SarifResult, SarifRule, sarif

__all__ = ["to_sarif"]


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
