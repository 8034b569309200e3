"""Outcomes as JUnit XML, Markdown and SARIF: whatever names and numbers hold."""

import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from fcrn_mobile.evaluation.budget import Check, parse_limit
from fcrn_mobile.evaluation.formulas import compared
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.report.gate import Outcome, gate_sarif
from fcrn_mobile.report.junit import junit
from fcrn_mobile.report.markdown import markdown
from fcrn_mobile.report.operators import Operators, OpRow
from fcrn_mobile.validation.baseline import Change
from fcrn_mobile.validation.fidelity import FidelityValues
from fcrn_mobile.validation.result import Drift, ImageDrift, Validation

METRICS = dict.fromkeys(compared(), 0.5)


def drift(name: str, fidelity: float, *limits: str) -> Drift:
    checks = tuple(Check(parse_limit(text), fidelity) for text in limits)
    values = FidelityValues(fidelity, 40.0, 0.1, 0.99)
    change = dict.fromkeys(METRICS, 0.0)
    images = (ImageDrift("0", fidelity, 0.5, 0.5),)
    return Drift(name, f"models/{name}.mlpackage", 2_000_000, METRICS, change, values, checks, engine="mil, float16", per_image=images)


def validation(*candidates: Drift, **others: object) -> Validation:
    made = Validation("net", 4_000_000, METRICS | {"images": 3}, candidates, "folder:/home/me/rooms#val", protocol("eigen", "none"), 1.5)
    return replace(made, **others)  # type: ignore[arg-type] # fields of it


ODD = "a|b<c>*\x00\x1b\udcff"


def broken() -> Outcome:
    judged = [drift("held", 0.01, "fidelity=0.02"), drift(ODD, 0.3, "fidelity=0.02"), drift("lost", math.nan, "fidelity=1")]
    _, odd, lost = judged
    ops = {odd.path: Operators(ODD, (OpRow("decoder_0_conv", 0.2, 3.0),), 3), lost.path: Operators("lost", missing="no match")}
    changes = (Change("held", "fidelity", math.nan, 0.01),)
    return Outcome(validation(*judged, drift("free", 0.1)), ops, changes, {"models/held.mlpackage": "it was not there"})


def test_junit_counts_names_and_parses() -> None:
    (suite,) = ElementTree.fromstring(junit([broken()]))
    counts = {"tests": "5", "errors": "0", "failures": "3", "skipped": "1", "time": "1.500"}
    assert suite.attrib == {"name": "net on folder:rooms#val"} | counts
    cases = [(case.get("classname"), case.get("name"), [child.tag for child in case]) for case in suite]
    odd = "a|b<c>*\ufffd\ufffd\ufffd"
    assert cases == [
        ("held", "fidelity=0.02", []),
        (odd, "fidelity=0.02", ["failure"]),
        ("lost", "finite", ["failure"]),
        ("lost", "fidelity=1", ["failure"]),
        ("free", "budget", ["skipped"]),
    ]
    first, second, _ = suite.findall("testcase/failure")
    assert "decoder_0_conv" in (first.get("message") or "")
    assert (first.text or "").splitlines()[1:] == ["metric: fidelity", "operator: decoder_0_conv"]
    assert (second.text or "").splitlines()[2] == "operator: not known"
    assert "operators: no match" in (second.get("message") or "")


def test_an_outcome_of_unknown_time_has_zero_seconds() -> None:
    (suite,) = ElementTree.fromstring(junit([Outcome(validation(drift("a", 0.01), seconds=math.nan))]))
    assert suite.get("time") == "0.000"


def test_markdown_has_tables_of_equal_columns_and_no_private_folders() -> None:
    text = markdown([broken()])
    text.encode("utf-8")
    rows = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("|")]
    assert [row.count("|") for row in rows] == [7] * 7 + [6] * 3
    assert "/home/me" not in text
    assert "| held | fidelity | nan | 0.0100 | – |" in text
    assert "models/held.mlpackage was exported: it was not there" in text
    assert "most of it comes from decoder_0_conv" in text
    assert "not run on a device" in text


def test_only_changes_that_are_seen_are_told() -> None:
    figures = [("a", 0.01, 0.010004), ("b", 0.01, 0.010004), ("b", 0.01, 0.0101), ("c", math.nan, math.nan)]
    changes = tuple(Change(model, "fidelity", before, now) for model, before, now in figures)
    outcome = Outcome(validation(drift("a", 0.01)), changes=changes)
    assert (outcome.moved, outcome.still) == ((changes[2],), ("a", "c"))
    text = markdown([outcome])
    assert "As in the last run: a, c." in text and text.count("| b |") == 1 and "| a | fidelity |" not in text
    still = markdown([Outcome(validation(drift("a", 0.01)), changes=changes[:1])])
    assert "As in the last run: a." in still and "figure" not in still


def test_markdown_of_pictures_alone_has_no_metric() -> None:
    alone = validation(replace(drift("a", 0.01), metrics={}, change={}), rule=None, reference_metrics={"images": 3})
    assert "abs_rel" not in markdown([Outcome(alone)])


def test_sarif_points_to_the_line_of_the_project() -> None:
    (log,) = gate_sarif([broken()], Path("depth.toml"), {"models/lost.mlpackage": 3})["runs"]
    assert [rule["id"] for rule in log["tool"]["driver"]["rules"]] == ["budget-fidelity", "budget-finite"]
    lines = [result["locations"][0]["physicalLocation"].get("region", {}).get("startLine") for result in log["results"]]
    assert lines == [None, 3, 3]
    assert log["results"][0]["locations"][0]["logicalLocations"] == [{"fullyQualifiedName": "decoder_0_conv"}]
    (alone,) = gate_sarif([broken()])["runs"]
    assert alone["results"][1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "models/lost.mlpackage"
