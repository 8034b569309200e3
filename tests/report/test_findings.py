"""What the doctor found, on a page and in a SARIF log."""

from dataclasses import replace
from pathlib import Path

from fcrn_mobile.doctor.diagnosis import diagnose
from fcrn_mobile.doctor.rules import rules
from fcrn_mobile.report.findings import diagnoses, to_sarif
from fcrn_mobile.report.html import render
from tests.doctor.plants import PLANTS
from tests.report.page import WHEN, validated


def test_a_log_has_every_rule_and_a_result_for_each_place(tmp_path: Path) -> None:
    (run,) = to_sarif(diagnose(PLANTS["split-graph"].planted(tmp_path)))["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [*rules()]
    assert [result["ruleId"] for result in run["results"]] == ["off-engine", "split-graph"]
    assert all(rule["helpUri"] == rules()[rule["id"]].sources[0].url for rule in run["tool"]["driver"]["rules"])


def test_only_core_ml_models_are_looked_at(tmp_path: Path) -> None:
    package = str(PLANTS["softplus"].planted(tmp_path))
    assert [diagnosis.model for diagnosis in diagnoses(["net.onnx", package, "builtin"])] == [package]


def test_a_page_names_the_hazards_of_each_candidate(tmp_path: Path) -> None:
    page = validated(tmp_path, {"int8": [1.1, 1.2]})
    assert "Published hazards" not in render(page, WHEN)
    planted, clean = (diagnose(make(tmp_path)) for make in (PLANTS["epsilon"].planted, PLANTS["epsilon"].twin))
    text = render(replace(page, diagnoses=(planted, clean)), WHEN)
    section = text.split("<h2>Published hazards</h2>")[1].split("<h2>")[0]
    assert section.count("<table") == 1
    assert "warning, not confirmed" in section
    assert rules()["epsilon"].symptom in section
    assert "nothing found" in section
