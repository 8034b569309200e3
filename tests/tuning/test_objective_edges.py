"""Costs of options and what they sum up to, on weights that are stored by hand."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fcrn_mobile.latency.constants import FITTED, Coefficients, latency_ms
from fcrn_mobile.latency.work import Work, matrix
from fcrn_mobile.mil.operation import Operation
from fcrn_mobile.tuning.candidates import Candidate
from fcrn_mobile.tuning.measured import Sensitivities
from fcrn_mobile.tuning.objective import estimated_latency, mean_bits, options, worth_measuring
from fcrn_mobile.tuning.variants import Variant, Variants
from tests.validation.programs import depth_program, step

INT8, INT4 = Candidate("int8", "int8"), Candidate("int4", "int4")
#: Float weights: of a 10 and b 30 elements.
FLOATS = {"a": torch.arange(10.0).view(10, 1), "b": torch.arange(30.0).view(30, 1)}
MEGABYTE = 1_000_000


def stored(name: str, size: int, error: float = 0.0, macs: float = 0.0) -> Variant:
    values = FLOATS[name].clone()
    values[0] += error
    return Variant(values, size, (Work(macs, float(size), 0.0),))


def variants(**candidates: dict[str, Variant]) -> Variants:
    operations: Sequence[Operation] = [step("linear", f"op_{name}", "image", weight=weight) for name, weight in FLOATS.items()]
    program = depth_program(*operations)
    readers = {name: (f"op_{name}",) for name in FLOATS}
    half = {"a": stored("a", 20), "b": stored("b", 60)}
    works = (Work(0.0, 80.0 * MEGABYTE, 0.0),)
    return Variants(program, program, Path("half"), readers, readers, {"fp16": half} | candidates, works)


def found(**drifts: dict[str, list[float]]) -> Sensitivities:
    return Sensitivities(Path("none"), {}, drifts)


BOTH = {"int8": {"a": stored("a", 11), "b": stored("b", 31)}, "int4": {"b": stored("b", 16)}}
DRIFTS = {"int8": {"a": [0.1, 0.3], "b": [0.2, 0.2]}, "int4": {"b": [0.4, float("nan")]}}


@pytest.mark.parametrize(
    ("objective", "costs"),
    [
        ("size", {"a": [20, 11], "b": [60, 31, 16]}),
        # Bits of a weight times its share of all elements.
        ("bits", {"a": [16 * 10 / 40, 8 * 10 / 40], "b": [16 * 30 / 40, 8 * 30 / 40, 4 * 30 / 40]}),
    ],
)
def test_costs_have_the_objective_s_unit(objective: str, costs: dict[str, list[float]]) -> None:
    made = options(variants(**BOTH), (INT8, INT4), found(**DRIFTS), objective)
    assert {name: [option.cost for option in row] for name, row in made.items()} == costs
    assert {name: [option.name for option in row] for name, row in made.items()} == {"a": ["fp16", "int8"], "b": ["fp16", "int8", "int4"]}


def test_noise_is_the_mean_of_squares_and_not_the_square_of_the_mean() -> None:
    made = options(variants(**BOTH), (INT8, INT4), found(**DRIFTS), "size")
    assert [option.noise for option in made["a"]] == [0.0, pytest.approx((0.1**2 + 0.3**2) / 2)]
    assert [option.noise for option in made["b"]] == [0.0, pytest.approx(0.04), float("inf")]


def chips() -> list[Coefficients]:
    return [Coefficients(**fit["constants"]) for fit in json.loads(FITTED.read_text())["chips"].values()]


def mean_latency(*works: Work, floor: bool = False) -> float:
    """Over the chips, by the estimate itself."""
    times = [latency_ms(matrix(works), chip) - (0 if floor else chip.floor_ms) for chip in chips()]
    return sum(times) / len(times)


def test_latency_costs_follow_the_bytes_that_are_moved() -> None:
    large = {
        "fp16": {"a": stored("a", 20 * MEGABYTE), "b": stored("b", 60 * MEGABYTE)},
        "int8": {"a": stored("a", 11 * MEGABYTE), "b": stored("b", 31 * MEGABYTE)},
    }
    made = options(variants(**large), (INT8,), found(int8=DRIFTS["int8"]), "latency-estimate")
    for name, sizes in (("a", (20, 11)), ("b", (60, 31))):
        expected = [mean_latency(Work(0.0, size * MEGABYTE, 0.0)) + 1e-12 * size * MEGABYTE for size in sizes]
        assert [option.cost for option in made[name]] == pytest.approx(expected, rel=1e-9)


def test_of_equal_latencies_the_smaller_one_costs_less() -> None:
    computing = {
        "fp16": {"a": stored("a", 20, macs=1e12), "b": stored("b", 60, macs=1e12)},
        "int8": {"a": stored("a", 11, macs=1e12), "b": stored("b", 31, macs=1e12)},
    }
    made = options(variants(**computing), (INT8,), found(int8=DRIFTS["int8"]), "latency-estimate")
    for row in made.values():
        assert row[1].cost < row[0].cost
        assert row[1].cost == pytest.approx(row[0].cost, rel=1e-9)


def test_bits_are_averaged_over_elements() -> None:
    made = variants(**BOTH)
    assert mean_bits(made, (INT8, INT4), {"a": "fp16", "b": "fp16"}) == 16
    assert mean_bits(made, (INT8, INT4), {"a": "int8", "b": "int4"}) == (8 * 10 + 4 * 30) / 40
    assert mean_bits(made, (INT8, INT4), {"a": "fp16", "b": "int8"}) == (16 * 10 + 8 * 30) / 40


def test_an_estimate_changes_with_the_choice() -> None:
    large = {
        "fp16": {"a": stored("a", 20 * MEGABYTE), "b": stored("b", 60 * MEGABYTE)},
        "int8": {"a": stored("a", 11 * MEGABYTE), "b": stored("b", 31 * MEGABYTE)},
    }
    made = variants(**large)
    whole = mean_latency(*made.works, floor=True)
    assert estimated_latency(made, {"a": "fp16", "b": "fp16"}) == pytest.approx(whole)
    saved = mean_latency(Work(0.0, 60.0 * MEGABYTE, 0.0)) - mean_latency(Work(0.0, 31.0 * MEGABYTE, 0.0))
    assert saved > 0
    assert estimated_latency(made, {"a": "fp16", "b": "int8"}) == pytest.approx(whole - saved)


@dataclass(frozen=True)
class Case:
    """Candidates of weight a as (bytes, error), and which of them are worth a run."""

    rows: dict[str, tuple[int, float]]
    kept: list[str]


@pytest.mark.parametrize(
    "case",
    [
        Case({"int8": (11, 0.1), "int4": (6, 0.3)}, ["int8", "int4"]),
        Case({"int8": (11, 0.3), "int4": (6, 0.1)}, ["int4"]),  # smaller, fewer bits, and more exact
        Case({"int8": (6, 0.1), "int4": (11, 0.3)}, ["int8", "int4"]),  # more bytes and error, but fewer bits
        Case({"int8": (11, 0.3), "int8-too": (11, 0.3)}, ["int8"]),  # of twins the first by name
        Case({"int8": (11, 0.3), "int8-too": (11, 0.2)}, ["int8-too"]),
        Case({"int8": (11, 0.2), "int8-too": (10, 0.2)}, ["int8-too"]),
        Case({"int8": (1, 0.0)}, ["int8"]),
        Case({"sparse50": (19, 0.1)}, ["sparse50"]),
        Case({"sparse50": (21, 0.1)}, []),  # as many bits as float16's 20 bytes, which err by nothing
    ],
)
def test_what_another_beats_in_everything_is_not_measured(case: Case) -> None:
    candidates = [Candidate(name, name.partition("-")[0]) for name in case.rows]
    made: dict[str, Any] = {name: {"a": stored("a", size, error)} for name, (size, error) in case.rows.items()}
    kept = worth_measuring(variants(**made), candidates)
    assert {name: weights for name, weights in kept.items() if weights} == {name: ["a"] for name in case.kept}
    assert set(kept) == set(case.rows)


def test_errors_are_those_of_the_weight_s_values() -> None:
    """Weight b of candidate int8 errs by 3 in one element, of int4 by nothing: against its own float values."""
    made = variants(int8={"b": stored("b", 31, error=3.0)}, int4={"b": stored("b", 16)})
    assert worth_measuring(made, (INT8, INT4)) == {"int8": [], "int4": ["b"]}
    missing = worth_measuring(variants(int8={"b": stored("b", 31)}), (INT8, INT4))
    assert missing == {"int8": ["b"]}
    assert isinstance(made.stored["fp16"]["a"].values, Tensor)
