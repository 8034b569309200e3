import copy
import json
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from fcrn_mobile.latency.latency import Latency
from fcrn_mobile.latency.reports import report

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "ios_demo/DepthCore/Tests/DepthCoreTests/Fixtures"
SCHEMA = json.loads((ROOT / "benchmarks/schema/bench-v2.json").read_text())
RESULT = SCHEMA["$defs"]["result"]
HOST_ONLY = {"$comment": "Written by fcrn-mobile bench only."}
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)


def stored(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FIXTURES / name).read_text())
    return content


def both(properties: dict[str, Any]) -> set[str]:
    """Keys that the app knows too."""
    return {key for key, rule in properties.items() if not rule.items() >= HOST_ONLY.items()}


def latency() -> Latency:
    samples = [4.0, 2.0, 3.0]
    return Latency("m", "mil", "d", "cpuOnly", samples, 3.0, 3.0, 3.8, 3.9, 3.98, 2.0, 4.0, 1000 / 3, 12.0, 1 << 20)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", ["bench_device.json", "bench_host.json"])
def test_reports_that_swift_reads_and_writes_fit_the_schema(name: str) -> None:
    VALIDATOR.validate(stored(name))


def test_reports_of_the_first_version_fit_its_schema() -> None:
    first = Draft202012Validator(json.loads((ROOT / "benchmarks/schema/bench-v1.json").read_text()))
    first.validate(stored("bench_device_v1.json"))
    assert not first.is_valid(stored("bench_device.json"))


def test_a_report_of_the_command_line_fits_the_schema() -> None:
    VALIDATOR.validate(json.loads(json.dumps(report([latency()]))))


def test_no_writer_uses_a_key_that_the_schema_does_not_explain() -> None:
    device = stored("bench_device.json")
    assert set(device) <= set(SCHEMA["properties"])
    assert set(device["results"][0]) <= set(RESULT["properties"])
    written = report([latency()])
    assert set(written) <= set(SCHEMA["properties"])
    assert set(written["machine"]) <= set(SCHEMA["$defs"]["machine"]["properties"])
    assert set(asdict(latency())) <= set(RESULT["properties"])


def test_every_required_key_is_one_that_the_command_line_writes() -> None:
    assert set(RESULT["required"]) <= {field.name for field in fields(Latency)}
    assert set(SCHEMA["$defs"]["machine"]["required"]) <= set(report([latency()])["machine"])


def test_the_fixtures_of_the_app_use_all_that_the_schema_has_for_it() -> None:
    device, host = stored("bench_device.json"), stored("bench_host.json")
    assert set(device) | set(host) == both(SCHEMA["properties"])
    assert set(device["results"][0]) | set(host["results"][0]) == both(RESULT["properties"])
    assert set(device["machine"]) | set(host["machine"]) == set(SCHEMA["$defs"]["machine"]["properties"])


def test_statistics_of_reports_are_those_of_their_samples() -> None:
    for result in (*stored("bench_device.json")["results"], *stored("bench_host.json")["results"]):
        samples = result["samples_ms"]
        assert result["median_ms"] == np.median(samples)
        assert result["p99_ms"] == np.percentile(samples, 99)
        assert result["fps"] == 1000 / np.median(samples)


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *way, last = path.split(".")
        inner: Any = document
        for step in way:
            inner = inner[int(step) if step.isdigit() else step]
        inner[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("schema_version", 3),
        _set("plan.rounds", 0),
        _set("power.0.battery_level", 1.5),
        _set("results.0.operators.0.unit", "ane"),
        _set("results.0.load_kind", "tepid"),
        _set("results", []),
        _set("created", "yesterday"),
        _set("machine.cores", 0),
        _set("machine.versions", {}),
        _set("thermal.0.state", "hot"),
        _set("results.0.compute_units", "gpu"),
        _set("results.0.samples_ms", []),
        _set("results.0.samples_ms", [1.0, 0.0]),
        _set("results.0.p95_ms", None),
        _set("results.0.mode", "fast"),
        _set("results.0.checkpoint_sha256", "abc"),
        _set("results.0.recipe", "fp16"),
        lambda document: document.pop("machine"),
        lambda document: document["results"][0].pop("load_ms"),
    ],
)
def test_a_report_that_cannot_be_read_does_not_fit(change: Callable[[dict[str, Any]], None]) -> None:
    document = copy.deepcopy(stored("bench_device.json"))
    change(document)
    assert not VALIDATOR.is_valid(document)


def test_a_later_key_does_not_break_readers() -> None:
    document = stored("bench_device.json")
    document["results"][0]["of_a_later_version"] = 1
    VALIDATOR.validate(document)
