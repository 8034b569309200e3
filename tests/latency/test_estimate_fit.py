"""The fit gives what is stored, its errors and intervals are those of what was left out, and a user's report moves its chip."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fit
import numpy as np
import pytest
import samples
from hypothesis import given, settings
from hypothesis import strategies as st
from model import Fit, Problem

from fcrn_mobile.errors import InputError
from fcrn_mobile.latency.constants import FITTED, Coefficients, chip_fits, chips, latency_ms
from fcrn_mobile.latency.estimate import estimate
from fcrn_mobile.latency.latency import summarise
from fcrn_mobile.latency.reports import report
from fcrn_mobile.latency.stability import WarmUp
from fcrn_mobile.latency.work import Work, matrix
from fcrn_mobile.latency.worker import Opened
from fcrn_mobile.mil.graph import read_graph

STORED: dict[str, Any] = json.loads(FITTED.read_text())
RESULTS: dict[str, Any] = json.loads(fit.RESULTS.read_text())
CHIPS = chips()


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem(samples.published_samples(), CHIPS)


@pytest.fixture(scope="module")
def whole(problem: Problem) -> Fit:
    return problem.fit(np.ones(len(problem.samples), bool))


def stored_left_out() -> np.ndarray:
    return np.array([row["left_out_ms"] for row in RESULTS["latencies"]])


def test_the_fit_gives_the_stored_constants_again(problem: Problem, whole: Fit) -> None:
    assert set(problem.names) == STORED["chips"].keys()
    for name in problem.names:
        constants, direct = problem.coefficients(whole, name)
        assert constants.to_json() == pytest.approx(STORED["chips"][name]["constants"], rel=1e-2, abs=1e-5)
        assert direct == pytest.approx(STORED["chips"][name]["direct_floor_ms"], rel=1e-2)


def test_the_fit_estimates_by_the_formula_that_inspect_uses(problem: Problem, whole: Fit) -> None:
    estimates = problem.estimates(whole.chips)
    for sample, value in zip(problem.samples, estimates, strict=True):
        constants, direct = problem.coefficients(whole, sample.chip)
        constants = replace(constants, floor_ms=direct if sample.direct else constants.floor_ms)
        assert latency_ms(sample.operators, constants) == pytest.approx(value, rel=1e-9)


def test_leaving_a_network_out_leaves_it_out_on_every_chip(problem: Problem, whole: Fit) -> None:
    network = np.array([s.network for s in problem.samples])
    without = problem.estimates(problem.fit(network != "resnet-50", whole).chips)[network == "resnet-50"]
    assert without == pytest.approx(stored_left_out()[network == "resnet-50"], rel=1e-2)
    slower = Problem([replace(s, ms=3 * s.ms) if s.network == "resnet-50" else s for s in problem.samples], CHIPS)
    again = slower.estimates(slower.fit(network != "resnet-50", whole).chips)[network == "resnet-50"]
    assert again == pytest.approx(without, rel=1e-6), "what is left out changes nothing"


def test_stored_errors_are_those_of_what_was_left_out(problem: Problem) -> None:
    errors = np.abs(stored_left_out() / problem.ms - 1)
    for name, chip in STORED["chips"].items():
        own = errors[problem.chip == problem.names.index(name)]
        assert (chip["median_error"], chip["worst_error"]) == pytest.approx((np.median(own), own.max()), abs=2e-3)
        assert chip["rows"] == len(own)


def test_the_aims_are_met() -> None:
    for name in ("A14", "A15"):
        assert STORED["chips"][name]["median_error"] <= 0.2
        assert STORED["chips"][name]["worst_error"] <= 0.6
    for name in ("all", "maps", "classifiers", "A13", "A14", "A15"):
        assert 0.75 <= RESULTS["errors"][name]["coverage"] <= 0.85


def test_coverage_counts_what_lies_between_bounds_of_the_other_networks(problem: Problem) -> None:
    ratios, networks = np.array([0.5, 0.9, 1.0, 1.1, 1.2, 4.0, 4.0]), list("abcdeff")
    low, high = fit.bounds(ratios[:5])
    assert (low, high) == (0.5, 1.2), "with few, the whole range"
    assert fit.held(ratios, networks) == [False, True, True, True, True, False, False]
    for name, chip in STORED["chips"].items():
        for sort, entry in chip["intervals"].items():
            again = fit.interval(problem, stored_left_out(), name, sort)
            assert again == pytest.approx(entry, rel=2e-2, abs=2e-3) if isinstance(again, float) else again["chips"] == entry["chips"]
            assert (again["low"], again["high"], again["coverage"]) == pytest.approx(
                (entry["low"], entry["high"], entry["coverage"]), abs=2e-2
            )


@given(st.lists(st.floats(0.2, 5), min_size=30, max_size=60))
@settings(max_examples=50, deadline=None)
def test_bounds_hold_four_fifths_and_the_estimate(ratios: list[float]) -> None:
    low, high = fit.bounds(np.array(ratios))
    assert low <= 1 <= high
    assert np.mean([low <= ratio <= high for ratio in ratios]) >= 0.8 - 1 / len(ratios)


@pytest.mark.parametrize("name", [name for name in STORED["chips"] if "half_tops" in CHIPS[name]])
def test_no_chip_is_estimated_faster_than_it_is_rated(name: str) -> None:
    rated_ms = 2 * 1000.0 * 1e9 / (CHIPS[name]["half_tops"] * 1e12) * 1e3
    heavy = matrix([Work(1000.0 * 1e9, 2, 0)])
    assert latency_ms(heavy, Coefficients(**STORED["chips"][name]["constants"])) >= rated_ms * 0.999


def test_a_chip_with_one_latency_follows_the_others(problem: Problem) -> None:
    """Twice as slow in its one latency, it is slower in all it does, and the others are as they were."""
    few = [s for s in problem.samples if s.chip != "M3" or s.network == "fastvit-ma36"]
    slow = [replace(s, ms=2 * s.ms) if s.chip == "M3" else s for s in few]
    (one, before), (two, after) = ((p.fit(np.ones(len(few), bool)).chips, p) for p in (Problem(few, CHIPS), Problem(slow, CHIPS)))
    m3 = before.names.index("M3")
    assert np.all(two[m3] > one[m3])
    assert before.estimates(one)[before.chip != m3] == pytest.approx(after.estimates(two)[before.chip != m3], rel=0.05)


def test_every_unused_latency_says_why_and_every_source_exists() -> None:
    import tomllib

    sources, used = tomllib.loads(samples.SOURCES.read_text()), [row for row in samples.rows() if not row["unused"]]
    assert all(source["url"].startswith("https://") and source["name"] for source in sources.values())
    for row in samples.rows():
        assert row["source"] in sources
        assert float(row["ms"]) > 0
        assert row["unused"] or (row["network"] and row["grade"] in "AB" and row["chip"] in CHIPS)
    assert len(samples.rows()) >= 357
    assert len(used) >= 250


@pytest.fixture
def measured(tmp_path: Path, packages: dict[str, Path]) -> Callable[..., Path]:
    """A report of a package that took so many milliseconds on a phone."""

    def write(ms: float, processor: str = "iPhone14,5", units: str = "all") -> Path:
        shutil.copytree(packages["fp16"], tmp_path / "net.mlpackage", dirs_exist_ok=True)
        opened = Opened("net", "coreml", {}, units, None, 0.0)
        content = report([summarise(opened, WarmUp(99.0, 10, True), [(ms,)] * 20, None)])
        content["machine"]["processor"] = processor
        (tmp_path / "report.json").write_text(json.dumps(content))
        return tmp_path / "report.json"

    return write


def test_a_report_moves_the_estimate_of_its_chip_towards_what_was_measured(
    measured: Callable[..., Path],
    packages: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    problem: Problem,
    whole: Fit,
) -> None:
    estimated = next(chip.ms for chip in estimate(read_graph(packages["fp16"])).chips if chip.chip == "A15")
    floor = chip_fits()["A15"].constants.floor_ms
    (own,) = samples.own_samples(measured(3.0), tmp_path)
    assert (own.chip, own.network, own.ms, own.sort) == ("A15", "net", 3.0, "map")
    after = Problem([*problem.samples, own], CHIPS)
    fit.changed(problem, whole, after, after.fit(np.ones(len(after.samples), bool)), [own])
    first = capsys.readouterr().out.splitlines()[1].split()
    assert first[:2] == ["A15", "net"]
    published, old, new = map(float, first[2:])
    assert (published, old) == (3.0, pytest.approx(problem.estimates(whole.chips).min() if estimated is None else estimated, rel=2e-2))
    assert abs(np.log(new / 3.0)) < abs(np.log(old / 3.0))
    assert new > floor


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"processor": "iPhone99,1"}, "iPhone99,1"),
        ({"processor": "AMD EPYC"}, "AMD EPYC"),
        ({"units": "cpuOnly"}, "all or cpuAndNeuralEngine"),
    ],
)
def test_a_report_that_says_nothing_of_the_engine_is_refused(
    measured: Callable[..., Path], tmp_path: Path, change: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        samples.own_samples(measured(3.0, **change), tmp_path)


def test_a_report_whose_package_is_not_there_is_refused(measured: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="put the package"):
        samples.own_samples(measured(3.0), tmp_path / "elsewhere")
