"""Fidelity of inverse depth, whose zero and unit mean nothing, by hand; metric depth stays as it was."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.cli.validate import print_drift
from fcrn_mobile.depth_contract import Depth, DepthContract
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.report.html import Page, render
from fcrn_mobile.validation.drift import validate
from fcrn_mobile.validation.fidelity import Fidelity, FidelityValues, boundary_drift
from tests.report.page import WHEN
from tests.validation.test_drift_images import Stream

#: A sky of exactly 0, as a ReLU gives it, above a wall and what stands before it.
SKY = np.array([[0, 0, 0, 0], [2, 2, 2, 2], [2, 2, 9, 9]], float)


def compared(candidate: np.ndarray, reference: np.ndarray, depth: Depth = "inverse") -> FidelityValues:
    fidelity = Fidelity(depth)
    return fidelity.update(candidate.astype(np.float32), reference.astype(np.float32))


def test_the_unit_is_the_mean_absolute_deviation_from_the_median() -> None:
    # Median 2; |r - 2| is 2 four times, 7 twice: s = 22 / 12.
    assert compared(SKY + 0.011, SKY).abs_rel == pytest.approx(0.011 / (22 / 12), rel=1e-5)
    # As depth, a sky of 0 counts as 1 mm: four of twelve pixels differ by ten times what they are.
    assert compared(SKY + 0.011, SKY, "metres").abs_rel == compared(SKY + 0.011, SKY, "scale").abs_rel > 3
    assert compared(SKY, SKY).abs_rel == 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100))
def test_scale_and_shift_of_both_change_nothing(seed: int, scale: float, shift: float) -> None:
    generator = np.random.default_rng(seed)
    reference = generator.normal(size=(5, 6))
    candidate = reference + 0.1 * generator.normal(size=(5, 6))
    one, other = Fidelity("inverse"), Fidelity("inverse")
    own = one.update(candidate, reference)  # type: ignore[arg-type] # float64, so that a large shift rounds nothing away
    moved = other.update(scale * candidate + scale * shift, scale * reference + scale * shift)  # type: ignore[arg-type]
    assert moved.abs_rel == pytest.approx(own.abs_rel, rel=1e-9)
    assert moved.boundary_drift == pytest.approx(own.boundary_drift, abs=1e-9)
    unit = np.mean(np.abs(reference - np.median(reference)))
    assert own.abs_rel == pytest.approx(np.mean(np.abs(candidate - reference)) / unit)


def test_an_edge_is_a_difference_of_ln_t_deviations() -> None:
    # One row, s = mean(0, 0, 0, 0, 1, 1) = 1/3 about the median 0.
    reference = np.array([[0, 0, 0, 0, 1, 1]], float)
    ratios = np.linspace(1.05, 1.25, 10)
    for step in (0.0, 0.02, 0.05, 0.07):
        candidate = reference + np.array([[0, step, step, step, step, step]])
        own = step > np.log(ratios) / 3  # a second edge, where the reference has none
        f1 = np.where(own, 2 * 1 / (1 + 2), 1.0)
        assert boundary_drift(candidate, reference, "inverse") == pytest.approx(1 - np.average(f1, weights=ratios), abs=1e-12)
    # Noise in a sky of 0 is no edge, as it would be beside 1 mm.
    noise = np.where(SKY == 0, 0.004 * np.indices(SKY.shape)[1], SKY)
    assert boundary_drift(noise, SKY, "inverse") == 0 < boundary_drift(noise, SKY)


@pytest.mark.filterwarnings("error")
def test_a_flat_map_has_no_unit() -> None:
    flat = np.full((2, 3), 4.0)
    equal, bent = compared(flat, flat), compared(flat + np.indices((2, 3))[1], flat)
    assert (equal.abs_rel, equal.boundary_drift) == (0, 0)
    assert (bent.abs_rel, bent.boundary_drift) == (math.inf, 1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stays_so(value: float) -> None:
    broken = SKY.copy()
    broken[0, 0] = value
    values = compared(broken, SKY)
    assert not math.isfinite(values.abs_rel)
    assert math.isnan(values.boundary_drift)


@dataclass
class Network:
    """Sees a gradient with a sky of 0, and everything farther by ``noise``."""

    path: Path
    depth: Depth
    noise: float = 0.0
    backend = "mil"
    input_size = (8, 12)

    def __post_init__(self) -> None:
        self.name, self.metadata, self.contract = f"net-{self.noise}", {}, DepthContract(depth=self.depth)

    def predict(self, image: np.ndarray) -> np.ndarray:
        rows = np.maximum(0, np.linspace(-2, 8, image.shape[0], dtype=np.float32))
        return np.repeat(rows[:, None], image.shape[1], axis=1) + np.float32(self.noise)


@pytest.mark.parametrize(
    ("depth", "rule", "unit"),
    [
        ("metres", "mean |candidate - reference| / reference of the depth maps", "metres"),
        (
            "inverse",
            "mean |candidate - reference| / mean |reference - its median| of the maps of inverse depth",
            "inverse depth",
        ),
    ],
)
def test_json_table_and_page_say_the_rule(tmp_path, capsys, depth: Depth, rule: str, unit: str) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"1")
    result = validate(Network(model, depth), [Network(model, depth, 0.01)], Stream(2), None)  # type: ignore[list-item, arg-type]
    (candidate,) = json.loads(json.dumps(result.to_json()))["candidates"]
    assert candidate["fidelity"]["rule"] == rule
    assert candidate["fidelity"]["unit"].startswith(unit)
    map_ = Network(model, depth).predict(np.zeros((120, 160, 3), np.uint8))
    expected = (
        0.01 / np.mean(np.abs(map_ - np.median(map_)))
        if depth == "inverse"
        else np.mean((np.maximum(map_ + 0.01, 1e-3) - np.maximum(map_, 1e-3)) / np.maximum(map_, 1e-3))
    )
    assert candidate["fidelity"]["abs_rel"] == pytest.approx(expected, rel=1e-3)
    print_drift(result)
    assert f"fidelity: {rule};" in capsys.readouterr().out
    assert f"Fidelity is the {rule}:" in render(Page(result), WHEN)


def test_inverse_depth_that_meets_the_truth_is_as_close_as_alone(tmp_path) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"1")
    pair = Network(model, "inverse"), [Network(model, "inverse", 0.01)]
    alone, beside = (validate(*pair, Stream(2), rule) for rule in (None, protocol("full")))  # type: ignore[arg-type]
    assert alone.candidates[0].fidelity == beside.candidates[0].fidelity
