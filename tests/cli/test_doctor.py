"""``doctor`` on the command line: text, JSON, SARIF and exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.doctor.plants import PLANTS
from tests.journeys.command import Result, call, refused
from tests.report.test_sarif import LOG

__all__ = ["call"]


@pytest.fixture
def planted(tmp_path: Path) -> Callable[[str], str]:
    return lambda rule: str(PLANTS[rule].planted(tmp_path))


def test_findings_are_told_the_worst_first(call: Callable[..., Result], planted: Callable[[str], str]) -> None:
    package = planted("states-version")
    result = call("doctor", package)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{package}: 2 errors, 1 note: specification-version, states-version (of ")
    order = [line.split()[1].rstrip(":") for line in lines if line.startswith(("error ", "note ")) and ":" in line]
    assert order == ["specification-version", "states-version", "stateful"]
    assert "remedy  convert with minimum_deployment_target iOS18" in result.stdout
    assert "https://apple.github.io/coremltools/docs-guides/source/stateful-models.html" in result.stdout
    assert lines[-1] == "rests on published hazards; nothing ran on a device"


def test_strict_fails_on_errors_alone(call: Callable[..., Result], planted: Callable[[str], str]) -> None:
    assert call("doctor", planted("rank"), "--strict").returncode == 1
    assert call("doctor", planted("rank")).returncode == 0
    assert call("doctor", planted("softplus"), "--strict").returncode == 0


def test_what_nobody_confirmed_says_so(call: Callable[..., Result], planted: Callable[[str], str]) -> None:
    assert "(nobody confirmed this)" in call("doctor", planted("epsilon")).stdout
    assert "nobody confirmed" not in call("doctor", planted("softplus")).stdout


def test_json_has_rule_places_and_sources(call: Callable[..., Result], planted: Callable[[str], str]) -> None:
    package = planted("wide-kernel")
    facts = json.loads(call("doctor", package, "--json", "-").stdout)
    assert (facts["model"], facts["counts"]) == (package, {"warning": 1})
    (finding,) = facts["findings"]
    assert finding["rule"] == "wide-kernel"
    (place,) = finding["places"]
    assert place["what"] == "conv"
    assert "wider than 15" in place["detail"]
    assert {"ANEForge, per-operator quirks and capabilities"} < {source["name"] for source in finding["sources"]}


def test_sarif_has_a_result_for_every_place(call: Callable[..., Result], planted: Callable[[str], str], tmp_path: Path) -> None:
    assert call("doctor", planted("split-graph"), "--sarif", "out.sarif").returncode == 0
    log = json.loads((tmp_path / "out.sarif").read_text())
    assert list(Draft202012Validator(LOG).iter_errors(log)) == []
    assert [(result["ruleId"], result["level"]) for result in log["runs"][0]["results"]] == [
        ("off-engine", "warning"),
        ("split-graph", "note"),
    ]


def test_a_model_without_a_hazard_says_that_nothing_is_found(call: Callable[..., Result], tmp_path: Path) -> None:
    assert "nothing found (of " in call("doctor", str(PLANTS["softplus"].twin(tmp_path))).stdout


def test_what_cannot_be_read_is_bad_input(call: Callable[..., Result], tmp_path: Path) -> None:
    refused(call("doctor", "missing.mlpackage"), "no model at 'missing.mlpackage'")
    refused(call("doctor", str(PLANTS["softplus"].twin(tmp_path)), "--function", "other"), "has no function 'other'")
    refused(call("doctor", "builtin"), "give an existing .mlpackage or .mlmodel")
