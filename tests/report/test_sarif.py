"""SARIF against what the standard demands (2.1.0: required properties, enumerations, URIs), each clause written out here."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from fcrn_mobile.json_text import json_text
from fcrn_mobile.report.sarif import SarifResult, SarifRule, sarif


def required(properties: dict[str, object], *names: str) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(names)}


TEXT = {"type": "string", "minLength": 1}
MESSAGE = required({"text": TEXT}, "text")
RULE = required({"id": TEXT, "shortDescription": MESSAGE, "help": MESSAGE, "helpUri": {"type": "string", "format": "uri"}}, "id")
LOCATION = required(
    {
        "physicalLocation": required(
            {
                "artifactLocation": required({"uri": {"type": "string", "pattern": r"^[\w.~%/:@!$&'()*+,;=-]+$"}}, "uri"),
                "region": required({"startLine": {"type": "integer", "minimum": 1}}),
            }
        ),
        "logicalLocations": {"type": "array", "items": required({"fullyQualifiedName": TEXT})},
    }
)
RESULT = required(
    {
        "ruleId": TEXT,
        "ruleIndex": {"type": "integer", "minimum": -1},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": MESSAGE,
        "locations": {"type": "array", "items": LOCATION},
    },
    "message",
)
DRIVER = required({"name": TEXT, "rules": {"type": "array", "items": RULE, "uniqueItems": True}}, "name")
RUN = required({"tool": required({"driver": DRIVER}, "driver"), "results": {"type": "array", "items": RESULT}}, "tool")
LOG = required({"version": {"const": "2.1.0"}, "runs": {"type": "array", "items": RUN}}, "version", "runs")

RULES = [SarifRule("a", "First.", "Do this.", "https://example.org/a"), SarifRule("b", "Second.")]


def test_a_log_has_what_the_standard_demands() -> None:
    results = [
        SarifResult("b", "error", "wrong", "models/my model.mlpackage", place="main/conv_3"),
        SarifResult("a", "note", "also", Path("depth.toml"), line=7),
    ]
    log = json.loads(json_text(sarif(RULES, results)))
    assert list(Draft202012Validator(LOG).iter_errors(log)) == []
    run = log["runs"][0]
    assert [run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] for result in run["results"]] == ["b", "a"]
    first, second = (result["locations"][0] for result in run["results"])
    assert first["physicalLocation"] == {"artifactLocation": {"uri": "models/my%20model.mlpackage"}}
    assert first["logicalLocations"] == [{"fullyQualifiedName": "main/conv_3"}]
    assert second["physicalLocation"]["region"] == {"startLine": 7}


def test_no_findings_are_an_empty_list_and_not_none() -> None:
    """§3.14.23: results is an empty array where a scan found nothing, absent where there was none."""
    assert sarif(RULES, [])["runs"][0]["results"] == []


def test_an_absolute_path_names_its_scheme() -> None:
    (result,) = sarif(RULES, [SarifResult("a", "warning", "text", "/data/a b.mlpackage")])["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "file:///data/a%20b.mlpackage"


def test_a_rule_that_is_not_listed_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        sarif(RULES, [SarifResult("c", "note", "text", "x")])
