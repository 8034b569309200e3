import csv
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.align import median_scale
from fcrn_mobile.evaluation.formulas import METRICS
from fcrn_mobile.evaluation.metrics import PROTOCOLS, DepthMetrics, align, protocol, valid_mask


def by_hand(p: np.ndarray, d: np.ndarray) -> dict[str, float]:
    """The textbook formulas over flat arrays of valid pixels."""
    p, d = p.astype(np.float64), d.astype(np.float64)
    e = np.log(p) - np.log(d)
    ratio = np.maximum(p / d, d / p)
    inverse = 1 / (p / 1000) - 1 / (d / 1000)
    return {
        "abs_rel": (abs(p - d) / d).mean(),
        "sq_rel": ((p - d) ** 2 / d).mean(),
        "rmse": np.sqrt(((p - d) ** 2).mean()),
        "rmse_log": np.sqrt((e**2).mean()),
        "log10": abs(np.log10(p) - np.log10(d)).mean(),
        "silog": 100 * np.std(e),
        "mae": abs(p - d).mean(),
        "irmse": np.sqrt((inverse**2).mean()),
        "imae": abs(inverse).mean(),
        "delta1": (ratio < 1.25).mean(),
        "delta2": (ratio < 1.25**2).mean(),
        "delta3": (ratio < 1.25**3).mean(),
    }


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), shape=st.tuples(st.integers(8, 20), st.integers(8, 20)))
def test_one_image_equals_the_textbook(seed: int, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.3, 9.5, shape).astype(np.float32)
    depth[rng.random(shape) < 0.3] = 0
    depth[0, 0], depth[0, 1], depth[0, 2] = 1.0, np.nan, np.inf
    prediction = rng.uniform(0.3, 9.5, shape).astype(np.float32)
    metrics = DepthMetrics(protocol("full"))
    result = metrics.update(prediction, depth, "a")
    mask = np.isfinite(depth) & (depth > 0)
    for key, value in by_hand(prediction[mask], depth[mask]).items():
        assert result[key] == pytest.approx(value, rel=1e-6, abs=1e-6), key


def test_pooled_and_per_image_averages_differ_as_they_should() -> None:
    rng = np.random.default_rng(0)
    images = [(rng.uniform(1, 5, shape).astype(np.float32), rng.uniform(1, 5, shape).astype(np.float32)) for shape in [(10, 10), (20, 30)]]
    averaged, pooled = DepthMetrics(protocol("full")), DepthMetrics(protocol("laina"))
    for name, (p, d) in enumerate(images):
        averaged.update(p, d, str(name))
        pooled.update(p, d, str(name))
    one, two = (by_hand(p.ravel(), d.ravel()) for p, d in images)
    everything = by_hand(*(np.concatenate([pair[k].ravel() for pair in images]) for k in (0, 1)))
    for key in one:
        assert averaged.compute()[key] == pytest.approx((one[key] + two[key]) / 2, rel=1e-6)
        assert pooled.compute()[key] == pytest.approx(everything[key], rel=1e-5)
    assert averaged.compute()["rmse_pooled"] == pooled.compute()["rmse"] == pytest.approx(everything["rmse"])


def test_a_constant_factor_gives_known_values() -> None:
    depth = np.full((10, 10), 2.0, np.float32)
    result = DepthMetrics(protocol("full")).update(depth * 1.5, depth, "a")
    assert result["abs_rel"] == pytest.approx(0.5)
    assert result["log10"] == pytest.approx(math.log10(1.5))
    assert result["silog"] == pytest.approx(0.0, abs=1e-4)
    assert (result["delta1"], result["delta2"]) == (0.0, 1.0)
    assert result["imae"] == pytest.approx(1000 / 2 - 1000 / 3)


def test_one_valid_pixel_is_enough_and_none_is_an_error() -> None:
    depth = np.zeros((10, 10), np.float32)
    metrics = DepthMetrics(protocol("full"))
    with pytest.raises(InputError, match="'empty' has no valid depth pixel"):
        metrics.update(np.ones_like(depth), depth, "empty")
    depth[4, 4] = 2.0
    assert metrics.update(np.ones_like(depth), depth, "one")["abs_rel"] == pytest.approx(0.5)
    assert metrics.compute()["images"] == 1


def test_nan_in_a_prediction_is_not_hidden() -> None:
    prediction = np.ones((10, 10), np.float32)
    prediction[5, 5] = np.nan
    metrics = DepthMetrics(protocol("full"))
    metrics.update(prediction, np.ones((10, 10), np.float32), "a")
    assert math.isnan(metrics.compute()["abs_rel"])
    assert metrics.compute()["delta1"] == pytest.approx(0.99)


def test_no_image_is_an_error() -> None:
    with pytest.raises(InputError, match="empty"):
        DepthMetrics(protocol("full")).compute()


def test_the_eigen_crop_stands_where_its_authors_put_it() -> None:
    mask = valid_mask(np.ones((480, 640), np.float32), PROTOCOLS["eigen"])
    rows, columns = np.where(mask)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (45, 471, 41, 601)


def test_the_garg_crop_stands_where_its_authors_put_it() -> None:
    height, width = 375, 1242
    rows, columns = np.where(valid_mask(np.ones((height, width), np.float32), PROTOCOLS["garg"]))
    expected = (0.40810811 * height, 0.99189189 * height, 0.03594771 * width, 0.96405229 * width)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == pytest.approx(expected, abs=1)


def test_predictions_are_clipped_and_deep_truth_does_not_count() -> None:
    rule = protocol("full")
    assert align(np.array([[-1.0, 50.0]], np.float32), 1, 2, rule).tolist() == [[pytest.approx(1e-3), 10.0]]
    assert valid_mask(np.array([[5.0, 11.0]], np.float32), rule).tolist() == [[True, False]]


def test_predictions_are_resized_bilinearly() -> None:
    small = np.arange(16, dtype=np.float32).reshape(4, 4) / 4 + 1
    import torch

    expected = torch.nn.functional.interpolate(torch.from_numpy(small)[None, None], size=(8, 12), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(align(small, 8, 12, protocol("full")), expected[0, 0].numpy(), rtol=1e-5)


def test_an_unknown_protocol_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="eigen, laina"):
        protocol("zhou")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.05, 20))
def test_median_scaling_makes_a_constant_factor_perfect(seed: int, factor: float) -> None:
    depth = np.random.default_rng(seed).uniform(0.3, 9.5, (12, 16)).astype(np.float32)
    metrics = DepthMetrics(protocol("full", "median"))
    metrics.update((depth * factor).astype(np.float32), depth, "a")
    values = metrics.compute()
    assert values["abs_rel"] == pytest.approx(0, abs=1e-6)
    assert values["rmse_pooled"] == pytest.approx(0, abs=1e-5)
    assert (values["delta1"], values["alignment"]) == (1.0, "median")


def test_median_scaling_by_hand() -> None:
    depth = np.array([[1.0, 2.0, 4.0, 0.0]], np.float32)  # the median of what is known is 2
    prediction = np.array([[0.5, 0.25, 1.0, 99.0]], np.float32)  # of the same pixels 0.5, hence a factor of 4
    assert median_scale(prediction[depth > 0], depth[depth > 0]) == pytest.approx(4)
    result = DepthMetrics(protocol("full", "median")).update(prediction, depth, "a")
    assert result["abs_rel"] == pytest.approx((1 / 1 + 1 / 2 + 0) / 3)
    assert DepthMetrics(protocol("full")).update(prediction, depth, "a")["abs_rel"] == pytest.approx((0.5 + 0.875 + 0.75) / 3)


def test_the_median_is_taken_where_the_protocol_looks() -> None:
    depth = np.full((48, 64), 2, np.float32)
    inside = valid_mask(depth, protocol("eigen"))
    prediction = np.where(inside, 0.5, 7).astype(np.float32)
    assert (align(prediction, 48, 64, protocol("eigen", "median"), depth)[inside] == 2).all()


def test_scaling_comes_before_clipping() -> None:
    depth = np.linspace(1, 9, 50, dtype=np.float32).reshape(5, 10)
    beyond_the_cap = depth * 100
    np.testing.assert_allclose(align(beyond_the_cap, 5, 10, protocol("full", "median"), depth), depth, rtol=1e-5)
    assert align(beyond_the_cap, 5, 10, protocol("full")).tolist() == np.full((5, 10), 10.0).tolist()


def test_a_prediction_is_resized_before_its_median_is_taken() -> None:
    depth = np.full((8, 8), 3, np.float32)
    np.testing.assert_allclose(align(np.full((2, 4), 1.5, np.float32), 8, 8, protocol("full", "median"), depth), depth, rtol=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("broken", [np.full((4, 4), np.nan), np.where(np.eye(4) > 0, np.nan, 2.0), np.full((4, 4), np.inf)])
def test_scaling_does_not_hide_what_is_not_finite(broken: np.ndarray) -> None:
    metrics = DepthMetrics(protocol("full", "median"))
    metrics.update(broken.astype(np.float32), np.full((4, 4), 2, np.float32), "a")
    assert math.isnan(metrics.compute()["abs_rel"])


@pytest.mark.parametrize("value", [0.0, -1.5])
def test_a_median_that_is_not_positive_cannot_be_scaled(value: float) -> None:
    metrics = DepthMetrics(protocol("full", "median"))
    with pytest.raises(InputError, match=f"'kitchen': the median of the prediction is {value:.4g}, which"):
        metrics.update(np.full((4, 4), value, np.float32), np.full((4, 4), 2, np.float32), "kitchen")


def three_images(rule: str = "full") -> DepthMetrics:
    metrics = DepthMetrics(protocol(rule))
    for name, predicted in (("far", 4.0), ("near, too", 2.2), ("broken", np.nan)):
        metrics.update(np.full((4, 4), predicted, np.float32), np.full((4, 4), 2, np.float32), name)
    return metrics


def test_images_are_ranked_with_the_broken_one_last() -> None:
    assert three_images().ranked() == ["near, too", "far", "broken"]


@pytest.mark.parametrize("rule", ["full", "laina"])
def test_columns_of_the_csv_average_to_the_per_image_metrics(rule: str) -> None:
    metrics = DepthMetrics(protocol(rule))
    rng = np.random.default_rng(3)
    for index in range(5):
        metrics.update(rng.uniform(1, 5, (6, 8)).astype(np.float32), rng.uniform(1, 5, (6, 8 + index)).astype(np.float32), f"{index}")
    rows = list(csv.DictReader(metrics.to_csv().splitlines()))
    assert [row["name"] for row in rows] == ["0", "1", "2", "3", "4"]
    for key in METRICS:
        assert np.mean([float(row[key]) for row in rows]) == metrics.averages()[key]
    assert (metrics.averages()["rmse"] == metrics.compute()["rmse"]) == (rule == "full")


def test_names_survive_the_csv() -> None:
    assert [row["name"] for row in csv.DictReader(three_images().to_csv().splitlines())] == ["far", "near, too", "broken"]
