"""Drift of edges: the boundary F1 of a candidate's output with the reference's own as the truth, by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.evaluation.budget import check_without_truth, parse_limit
from fcrn_mobile.validation.fidelity import Fidelity, boundary_drift


def by_hand(candidate: np.ndarray, reference: np.ndarray) -> float:
    """1 - F1, pair by pair as the article writes it."""
    ratios = np.linspace(1.05, 1.25, 10)
    scores = []
    for ratio in ratios:
        edges = []
        for depth in (reference, candidate):
            height, width = depth.shape
            pairs = [((y, x), (y + down, x + 1 - down)) for down in (0, 1) for y in range(height - down) for x in range(width - 1 + down)]
            edges.append({(a, b) for pair in pairs for a, b in (pair, pair[::-1]) if depth[b] / depth[a] > ratio})
        true, own = edges
        scores.append(2 * len(true & own) / (len(true) + len(own)) if true or own else 1.0)
    return 1 - float(np.average(scores, weights=ratios))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_article_s_formula(seed: int) -> None:
    generator = np.random.default_rng(seed)
    reference = generator.uniform(1, 1.4, (4, 5))
    candidate = reference * generator.uniform(0.9, 1.1, (4, 5))
    assert boundary_drift(candidate, reference) == pytest.approx(by_hand(candidate, reference), abs=1e-12)


def test_a_blurred_edge_drifts_and_a_factor_does_not() -> None:
    step = np.repeat([[1.0, 1, 1, 2, 2, 2]], 4, axis=0)
    assert boundary_drift(7 * step, step) == 0
    assert boundary_drift(1 / step, 1 / step) == 0
    blurred = np.repeat([[1.0, 1, 1.25, 1.6, 2, 2]], 4, axis=0)
    # Every threshold has one edge in the reference, three in the candidate, one of them at its place, of the largest but two: 1.25 < t.
    assert boundary_drift(blurred, step) == pytest.approx(by_hand(blurred, step))
    assert 0.4 < boundary_drift(blurred, step) < 0.7
    assert boundary_drift(np.ones_like(step), step) == 1
    assert boundary_drift(np.ones_like(step), np.full_like(step, 3)) == 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_has_no_edges_to_judge(value: float) -> None:
    step = np.repeat([[1.0, 1, 2, 2]], 2, axis=0)
    broken = step.copy()
    broken[0, 0] = value
    assert math.isnan(boundary_drift(broken, step))


def test_it_is_a_budget_that_needs_no_truth() -> None:
    limit = parse_limit("boundary_drift=20%")
    assert (limit.metric, limit.amount, limit.relative) == ("boundary_drift", 0.2, False)
    check_without_truth([limit], "images:a")
    fidelity = Fidelity()
    step = np.repeat([[1.0, 1, 2, 2]], 2, axis=0).astype(np.float32)
    for candidate in (step, np.ones_like(step)):
        fidelity.update(candidate, step)
    assert fidelity.compute().figures["boundary_drift"] == pytest.approx(0.5)
