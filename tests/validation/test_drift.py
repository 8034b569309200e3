import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcrn_mobile.cli.validate import print_drift
from fcrn_mobile.data import Sample
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation import metrics
from fcrn_mobile.evaluation.budget import check, parse_limit
from fcrn_mobile.report.verdict import sentence
from fcrn_mobile.validation.drift import validate
from fcrn_mobile.validation.fidelity import Fidelity


class Constant:
    """A runtime that sees the same depth everywhere."""

    backend, input_size = "torch", (4, 4)

    def __init__(self, metres: float, path: Path, metadata: dict[str, str] | None = None) -> None:
        self.name, self.metres, self.path, self.metadata = f"{metres} m", metres, path, metadata or {}

    def predict(self, image: np.ndarray) -> np.ndarray:
        return np.full((2, 2), self.metres, np.float32)


@pytest.fixture
def wall(tmp_path) -> tuple[list[Sample], Path]:
    """Two frames of a wall 2 m away, and a file that stands for a model."""
    model = tmp_path / "model"
    model.write_bytes(b"12345")
    frame = Sample(image=np.zeros((4, 4, 3), np.uint8), depth=np.full((4, 4), 2, np.float32), name="wall")
    return [frame, frame], model


def run(wall, candidate: float, *limits: str, metadata: dict[str, str] | None = None):
    frames, path = wall
    reference, other = Constant(2.2, path), Constant(candidate, path, metadata)
    return validate(reference, [other], frames, metrics.protocol("full"), [parse_limit(text) for text in limits])


def test_drift_by_hand(wall) -> None:
    result = run(wall, 2.42, "abs_rel=0.2", "abs_rel=100%", "fidelity=0.05")
    (drift,) = result.candidates
    assert result.reference_metrics["abs_rel"] == pytest.approx(0.1, rel=1e-5)
    assert drift.change["abs_rel"] == pytest.approx(0.11, rel=1e-5)
    assert drift.fidelity.abs_rel == pytest.approx(0.1, rel=1e-5)
    assert [item.held for item in drift.checks] == [True, False, False]
    assert [item.value for item in drift.checks] == pytest.approx([0.11, 1.1, 0.1], rel=1e-4)
    assert drift.size_bytes == 5
    assert not result.held


def test_a_better_metric_does_not_excuse_lost_fidelity(wall) -> None:
    assert run(wall, 2.0, "abs_rel=1%").held
    assert not run(wall, 2.0, "fidelity=0.01").held


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_not_finite_breaks_every_budget(wall, value: float) -> None:
    assert run(wall, value).candidates[0].verdict == "broken"
    assert not run(wall, value, "fidelity=1000").held


def test_without_a_budget_the_recipe_s_own_counts(wall) -> None:
    recipe = {"fcrn_mobile.recipe": '{"budget": {"fidelity": "0.05"}}'}
    assert run(wall, 2.42).candidates[0].verdict == "no budget"
    assert run(wall, 2.42, metadata=recipe).candidates[0].verdict == "broken"
    assert run(wall, 2.42, "fidelity=0.2", metadata=recipe).candidates[0].verdict == "held"


def test_the_json_has_the_documented_keys(wall) -> None:
    value = run(wall, 2.42, "fidelity=0.2").to_json()
    assert set(value) == {"reference", "candidates", "warnings", "data", "protocol", "rule", "seconds", "versions"}
    assert set(value["reference"]) == {"name", "input_size", "metrics", "median_map", "fails"}
    (candidate,) = value["candidates"]
    documented = {"name", "path", "size_bytes", "metrics", "change", "fidelity", "budget", "overflow", "engine", "verdict", "per_image"}
    assert set(candidate) == documented
    assert set(candidate["per_image"][0]) == {"name", "fidelity", "boundary_drift", "reference", "candidate"}
    assert set(candidate["fidelity"]) == {"abs_rel", "psnr_db", "max_abs", "cosine", "boundary_drift", "rule", "unit"}
    assert set(candidate["budget"][0]) == {"metric", "limit", "value", "held"}


def test_fewer_right_pixels_are_a_worsening() -> None:
    limit = parse_limit("delta1=0.01")
    assert not check(limit, {"delta1": 0.8}, {"delta1": 0.7}, 0).held
    assert check(limit, {"delta1": 0.8}, {"delta1": 0.9}, 0).held


@pytest.mark.parametrize(
    "text",
    [
        "abs_rel",
        "speed=1",
        "abs_rel=much",
        "abs_rel=-1",
        "fidelity=0",
        "fidelity=5e-8",
        "delta1=0.000005%",
        "fidelity=nan",
        "=1",
        "abs_rel=inf",
    ],
)
def test_bad_budgets_are_named(text: str) -> None:
    with pytest.raises(InputError, match=f"budget '{text}'"):
        parse_limit(text)


@given(st.floats(1e-5, 1e6), st.booleans())
def test_budgets_are_read_back(amount: float, percent: bool) -> None:
    limit = parse_limit(f"abs_rel={amount!r}{'%' if percent else ''}")
    assert limit.relative == percent
    assert limit.amount == pytest.approx(amount / 100 if percent else amount)


@given(st.integers(0, 2**32 - 1))
def test_fidelity_by_hand(seed: int) -> None:
    generator = np.random.default_rng(seed)
    reference = generator.uniform(0.5, 9, (6, 8)).astype(np.float32)
    candidate = (reference + generator.normal(0, 0.1, (6, 8))).astype(np.float32)
    fidelity = Fidelity()
    fidelity.update(candidate, reference)
    values = fidelity.compute()
    error = candidate.astype(float) - reference
    assert values.abs_rel == pytest.approx(np.mean(np.abs(error) / reference))
    assert values.max_abs == pytest.approx(np.abs(error).max())
    assert values.psnr_db == pytest.approx(20 * np.log10(reference.max() / np.sqrt(np.mean(error**2))), rel=1e-6)
    c, r = candidate.ravel().astype(float), reference.ravel().astype(float)
    assert values.cosine == pytest.approx(c @ r / (np.linalg.norm(c) * np.linalg.norm(r)), rel=1e-9)


def test_depths_that_no_metric_tells_apart_do_not_drift() -> None:
    fidelity = Fidelity()
    fidelity.update(np.array([[-0.4, 0.0005, 2.2]], np.float32), np.array([[-0.1, -0.2, 2.0]], np.float32))
    assert fidelity.compute().abs_rel == pytest.approx(0.1 / 3, rel=1e-5)


class Overflowing(Constant):
    """A runtime in which values run over inside from a given frame on; its output stays finite, or does not."""

    def __init__(self, path: Path, first: int, shows: bool) -> None:
        super().__init__(2.2, path)
        self.first, self.shows, self.frame = first, shows, -1

    def predict(self, image: np.ndarray) -> np.ndarray:
        self.frame += 1
        depth = super().predict(image)
        if self.shows and self.frame >= self.first:
            depth[0, 0] = np.inf
        return depth

    def first_overflow(self, image: np.ndarray) -> str | None:
        return "conv_7" if self.frame >= self.first else None


@pytest.mark.parametrize(("first", "shows", "named"), [(0, False, True), (0, True, True), (1, True, True), (9, False, False)])
def test_an_overflow_is_named_in_every_report(first: int, shows: bool, named: bool, wall, capsys) -> None:
    frames, path = wall
    result = validate(Constant(2.2, path), [Overflowing(path, first, shows)], frames, metrics.protocol("full"))
    (drift,) = result.candidates
    assert drift.overflow == ("conv_7" if named else None)
    assert result.to_json()["candidates"][0]["overflow"] == drift.overflow
    print_drift(result)
    assert ("first tensor to overflow: conv_7" in capsys.readouterr().out) == named
    assert any("first tensor to overflow: conv_7" in reason for reason in sentence(drift, "m").reasons) == named
