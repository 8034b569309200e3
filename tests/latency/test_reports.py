"""All reports here are made up: none is a measurement of a device."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.errors import InputError
from fcrn_mobile.latency.device_facts import report_facts, result_facts
from fcrn_mobile.latency.latency import statistics
from fcrn_mobile.latency.reports import differences, merged, read_report, read_reports, schema, timeline
from fcrn_mobile.palette import THERMAL
from fcrn_mobile.report.charts import latency_over_time, save_latency_over_time
from fcrn_mobile.report.html import Page
from tests.report.page import parsed

FIXTURES = Path(__file__).resolve().parents[2] / "ios_demo/DepthCore/Tests/DepthCoreTests/Fixtures"
DEVICE: dict[str, Any] = json.loads((FIXTURES / "bench_device.json").read_text())


def written(path: Path, change: Callable[[dict[str, Any]], None] = lambda content: None) -> Path:
    content = copy.deepcopy(DEVICE)
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_a_report_of_the_app_is_read_whole(tmp_path) -> None:
    report = read_report(FIXTURES / "bench_device.json")
    assert [(r.compute_units, r.mode) for r in report.results] == [
        ("all", "isolated"),
        ("cpuOnly", "isolated"),
        ("cpuAndNeuralEngine", "live"),
    ]
    assert report.results[0].recipe == DEVICE["results"][0]["recipe"]
    assert report.thermal == [(0.0, "nominal"), (31.25, "fair"), (60.5, "fair")]
    document = merged([report])
    assert document["reports"][0].items() >= DEVICE.items()
    assert document["differences"] == []

    def later(content: dict[str, Any]) -> None:
        content["results"][0]["of_a_later_version"] = 1

    assert read_report(written(tmp_path / "later.json", later)).results == report.results


def test_samples_lie_behind_their_models_start(tmp_path) -> None:
    (first, times), *_ = timeline(read_report(FIXTURES / "bench_device_v1.json"))
    assert first.started_s == 0.5
    assert times[0] == pytest.approx(0.5 + (211.5 + 12.1659) / 1000)
    assert times[-1] == pytest.approx(0.5 + (211.5 + sum(first.samples_ms)) / 1000)

    def without_starts(content: dict[str, Any]) -> None:
        for result in content["results"]:
            del result["started_s"], result["sample_times_s"]

    following = [times for _, times in timeline(read_report(written(tmp_path / "a.json", without_starts)))]
    assert (np.diff(np.concatenate(following)) > 0).all()


def test_a_report_of_the_first_version_is_read_by_its_own_schema(tmp_path) -> None:
    first = read_report(FIXTURES / "bench_device_v1.json")
    assert first.content["schema_version"] == 1
    assert report_facts(first) == []
    assert result_facts(first) == []
    (tmp_path / "a.json").write_text(json.dumps({**first.content, "schema_version": 2, "plan": {}}))
    with pytest.raises(InputError, match=r"\$\.plan"):
        read_report(tmp_path / "a.json")
    (tmp_path / "a.json").write_text(json.dumps({**first.content, "plan": {}}))
    assert read_report(tmp_path / "a.json").results == first.results


def test_samples_lie_where_the_file_says(tmp_path) -> None:
    (first, times), *_ = timeline(read_report(FIXTURES / "bench_device.json"))
    assert times.tolist() == first.sample_times_s

    def lose_one(content: dict[str, Any]) -> None:
        content["results"][1]["sample_times_s"].pop()

    with pytest.raises(InputError, match="result 2 has 12 samples but 11 times"):
        read_report(written(tmp_path / "a.json", lose_one))


def test_what_stands_beside_the_times_is_said(tmp_path) -> None:
    assert report_facts(read_report(FIXTURES / "bench_device.json")) == [
        "12 predictions for each result in 3 turns, a pause of 5 s before each",
        "battery 80 %, unplugged → unknown",
        "low-power mode was on: times are not those of the device at full speed",
    ]
    facts = result_facts(read_report(FIXTURES / "bench_device.json"))
    name = "fcrn-fp16 (example, all)"
    assert facts[:3] == [
        f"{name}: times of the model alone; bringing an image into its input, 0.75 ms, is not in them",
        f"{name}: cold load 212 ms, later 32 ms",
        f"{name}: operators by Core ML's plan: neuralEngine 1, cpu 1",
    ]

    def soak(content: dict[str, Any]) -> None:
        samples = [10.0] * 50 + [15.0] * 50
        times = [float(second) for second in range(1, 101)]
        content["results"][0] |= {"mode": "soak", "samples_ms": samples, "sample_times_s": times, **vars(statistics(samples))}

    facts = result_facts(read_report(written(tmp_path / "a.json", soak)))
    said = "median of the first 30 s 10.0 ms, of the last 15.0 ms (1.50 times) after 99 s"
    assert any(fact.endswith(said) and "soak" in fact for fact in facts)


def test_equal_models_on_two_devices_match(tmp_path) -> None:
    def other_device(content: dict[str, Any]) -> None:
        content["machine"]["processor"] = "made-up 2"

    reports = read_reports([written(tmp_path / "a.json"), written(tmp_path / "b.json", other_device)])
    assert differences(reports) == []


def _of_results(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for result in content["results"]:
            result.pop(key) if value is None else result.update({key: value})

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["machine"]["versions"].update(DepthDemo="0.2.0"), ["version of DepthDemo differs", "0.1.0, 0.2.0"]),
        (lambda c: c["machine"].update(versions={"fcrn-mobile": "1"}), ["version cannot be compared", "DepthDemo 0.1.0; fcrn-mobile 1"]),
        (_of_results("checkpoint_sha256", "f" * 64), ["model hash of 'fcrn-fp16' differs", "0123456789ab…, ffffffffffff…"]),
        (_of_results("checkpoint_sha256", None), ["model hash of 'fcrn-fp16' cannot be compared"]),
        (_of_results("recipe", None), ["recipe of 'fcrn-fp16' cannot be compared"]),
        (_of_results("recipe", {**DEVICE["results"][0]["recipe"], "precision": "int8"}), ["recipe of", 'precision is "fp16", "int8"']),
        (_of_results("model", "other"), ["no model in common", "fcrn-fp16; other"]),
    ],
)
def test_what_does_not_match_is_named_with_both_files(tmp_path, change: Callable[[dict[str, Any]], None], words: list[str]) -> None:
    (found,) = differences(read_reports([written(tmp_path / "a.json"), written(tmp_path / "b.json", change)]))
    for word in (*words, "a.json", "b.json"):
        assert word in found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("\ud800", "is not JSON"),
        ("[]", "is not a latency report"),
        ('{"schema_version": 3}', "schema version 3, this reads versions 1 and 2"),
        (json.dumps({**DEVICE, "results": []}), r"is not a latency report \(\$.results"),
        (json.dumps(DEVICE).replace("12.1659", "NaN"), "NaN is not a number"),
        (json.dumps(DEVICE).replace("12.1659", "99.5"), "of result 1 is .* but its samples give"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(tmp_path, text: str, words: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=words) as refusal:
        read_report(path)
    assert "\n" not in str(refusal.value)
    assert "a.json" in str(refusal.value)


def test_a_file_that_is_not_there_or_there_twice_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json"):
        read_report(tmp_path / "nowhere.json")
    with pytest.raises(InputError, match="named twice"):
        read_reports([written(tmp_path / "a.json"), tmp_path / "." / "a.json"])


def test_the_schema_knows_every_thermal_state_that_is_drawn() -> None:
    assert list(THERMAL) == schema()["properties"]["thermal"]["items"]["properties"]["state"]["enum"]


def test_the_page_shows_every_result_with_its_thermal_state_and_what_does_not_match(tmp_path) -> None:
    reports = read_reports([written(tmp_path / "a.json"), written(tmp_path / "b.json", _of_results("checkpoint_sha256", "f" * 64))])
    page = parsed(Page(devices=tuple(reports)))
    assert page.all("h1")[0].text == "Latency from 2 files: 6 results"
    assert "nothing on this page was measured here" in page.all("header")[0].text
    assert "model hash of 'fcrn-fp16' differs" in page.all("header")[0].text
    assert page.all("table")[0].text.count("made-up figures") == 6
    assert "cores, " not in page.all("footer")[0].text
    assert len(page.all("svg")) == 1


def test_a_chart_has_every_sample_and_the_colour_of_every_state(tmp_path) -> None:
    def heat(content: dict[str, Any]) -> None:
        content["thermal"] = [{"t_s": 20.0 * i, "state": state} for i, state in enumerate(THERMAL)]

    reports = read_reports([written(tmp_path / "a.json", heat)])
    svg = latency_over_time(reports)
    assert svg.count("<use") >= sum(len(result.samples_ms) for result in reports[0].results)
    for state, colour in THERMAL.items():
        assert colour in svg
        assert state in svg


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_picture_has_the_names_whatever_they_hold(tmp_path, suffix: str) -> None:
    def name(content: dict[str, Any]) -> None:
        content["results"][0].update(model="a $ b $ \\frac", samples_ms=[3.0], sample_times_s=[1.0], **vars(statistics([3.0])))

    save_latency_over_time([read_report(written(tmp_path / "a.json", name))], tmp_path / f"out{suffix}")
    assert (tmp_path / f"out{suffix}").stat().st_size > 1000
