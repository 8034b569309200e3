"""The boundary metric against a loop over pairs, on planted edges, around holes, and pooled."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from fcrn_mobile.evaluation.metrics import DepthMetrics, metrics_from_moments, pixel_moments, protocol, valid_mask

RATIOS = np.linspace(1.05, 1.25, 10)


def by_hand(images: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> float:
    """Depth Pro's formula, pair by pair in all four directions, over the pairs of all images: prediction, truth, what counts."""
    scores = []
    for threshold in RATIOS:
        true = predicted = both = 0
        for p, d, counted in images:
            for row, column in np.ndindex(d.shape):
                for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                    there = row + down, column + right
                    if not (0 <= there[0] < d.shape[0] and 0 <= there[1] < d.shape[1] and counted[row, column] and counted[there]):
                        continue
                    hides = float(d[there]) / float(d[row, column]) > threshold
                    says_so = float(p[there]) / float(p[row, column]) > threshold
                    true, predicted, both = true + hides, predicted + says_so, both + (hides and says_so)
        precision, recall = both / max(predicted, 1), both / max(true, 1)
        scores.append(2 * precision * recall / (precision + recall) if both else 0.0)
    return float(np.average(scores, weights=RATIOS))


def f1(prediction: np.ndarray, depth: np.ndarray, name: str = "full") -> float:
    return DepthMetrics(protocol(name)).update(prediction.astype(np.float32), depth.astype(np.float32), "a")["boundary_f1"]


def scene(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Boxes before a wall, 5 m away, whose sides stand off by 4 to 200 %."""
    depth = np.full(shape, 5.0)
    for _ in range(12):
        top, left = rng.integers(0, shape[0] - 3), rng.integers(0, shape[1] - 3)
        depth[top : top + rng.integers(2, 9), left : left + rng.integers(2, 9)] = rng.uniform(1.7, 4.8)
    return depth


@pytest.mark.parametrize("name", ["full", "eigen", "laina"])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_the_published_formula(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    metrics, images = DepthMetrics(protocol(name)), []
    for index, shape in enumerate([(24, 32), (18, 40)]):
        depth = scene(rng, shape).astype(np.float32)
        depth[rng.random(shape) < 0.05] = rng.choice([0, np.nan, np.inf, -1, 11])
        prediction = (scene(rng, shape) * rng.uniform(0.97, 1.03, shape)).astype(np.float32)
        prediction = np.where(rng.random(shape) < 0.7, np.nan_to_num(depth, nan=3, posinf=3).clip(1, 10), prediction)
        images.append((prediction, depth, valid_mask(depth, protocol(name))))
        assert metrics.update(prediction, depth, str(index))["boundary_f1"] == pytest.approx(by_hand(images[-1:]), rel=1e-12)
    pooled = by_hand(images)
    expected = pooled if name == "laina" else np.mean([by_hand([image]) for image in images])
    assert 0.1 < pooled < 0.9
    assert metrics.compute()["boundary_f1"] == pytest.approx(expected, rel=1e-12)


def box(at: int = 20) -> np.ndarray:
    depth = np.full((48, 64), 4.0)
    depth[10:30, at : at + 20] = 2.0
    return depth


def test_planted_edges() -> None:
    assert f1(box(), box()) == pytest.approx(1.0, rel=1e-12)
    # A factor is no fault, and none of it is clipped.
    assert f1(box() * 2.4, box()) == f1(box() * 0.3, box()) == pytest.approx(1.0, rel=1e-12)
    # A column beside: the 2·20 pairs of left and right are lost, of 2·20 above and below 2·19 are common.
    assert f1(box(21), box()) == pytest.approx(38 / 80, rel=1e-12)
    # What is far in the truth and near in the prediction is at the right place and the wrong way round.
    assert f1(8 / box(), box()) == 0.0
    assert f1(np.full((48, 64), 4.0), box()) == 0.0


def test_the_more_blurred_the_worse() -> None:
    values = [f1(gaussian_filter(box(), sigma), box()) for sigma in (0.0, 0.5, 0.8, 1.6, 3.2)]
    assert values[0] == pytest.approx(1)
    assert all(sharp > blurred + 0.05 for sharp, blurred in pairwise(values))


def test_noise_where_the_truth_is_flat_costs_precision() -> None:
    odd = np.indices((48, 64)).sum(axis=0) % 2
    # A pair is one edge at every threshold: 48·63 + 47·64 of them where 80 are true.
    assert f1(box() * np.where(odd, 1.0, 1.3), box()) == pytest.approx(2 * 80 / (80 + 48 * 63 + 47 * 64), rel=1e-12)
    assert f1(box() * np.where(odd, 1.0, 1.04), box()) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(("ratio", "hit"), [(1.06, 1), (1.24, 9), (1.26, 10)])
def test_stronger_edges_weigh_more(ratio: float, hit: int) -> None:
    """A step counts at the thresholds below it; at the others neither map has an edge, which gives 0."""
    step = np.where(np.arange(16) < 8, 2.0, 2.0 * ratio)[None].repeat(4, 0)
    assert f1(step, step) == pytest.approx(RATIOS[:hit].sum() / RATIOS.sum(), rel=1e-12)


def test_a_ratio_that_equals_the_threshold_is_no_edge() -> None:
    step = np.where(np.arange(16) < 8, 2.0, 2.5)[None].repeat(4, 0)  # 1.25 exactly
    assert f1(step, step) == pytest.approx(RATIOS[:9].sum() / RATIOS.sum(), rel=1e-12)


@pytest.mark.filterwarnings("error")
def test_what_a_hole_or_the_crop_hides_is_neither_hit_nor_miss() -> None:
    holed = box()
    holed[:, 40:42] = [0.0, np.nan]  # the pair of the right side is gone
    wrong = box()
    wrong[10:30, 40] = 2.0  # and so is this error of the prediction
    assert f1(wrong, holed) == pytest.approx(1.0, rel=1e-12)
    assert f1(wrong, box()) < 1
    outside = box()
    outside[:4] *= 2  # an edge above the crop of 48×64, which begins at row 4
    assert f1(outside, box(), "eigen") == pytest.approx(1.0, rel=1e-12)
    assert f1(outside, box()) < 1


def test_no_edge_at_all_is_nought_and_a_nan_is_no_edge() -> None:
    flat = np.full((6, 8), 2.0)
    assert f1(flat, flat) == 0.0
    broken = box()
    broken[10:30, 20:40] = np.nan
    assert f1(broken, box()) == 0.0
    assert math.isnan(metrics_from_moments(np.full_like(pixel_moments(box(), box()), math.nan))["boundary_f1"])
