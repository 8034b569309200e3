"""The coarse grid, the two metrics that decide together, and what is said at which figures: on maps of a few pixels."""

import math
from dataclasses import replace

import numpy as np
import pytest

from fcrn_mobile.evaluation import standing
from fcrn_mobile.evaluation.baselines import MAP_SIDE
from fcrn_mobile.evaluation.metrics import EvaluationProtocol, protocol
from fcrn_mobile.evaluation.standing import LEAST_IMAGES, MOST_IMAGES, Standing, StandingMeter

FULL = protocol("full")


def maps(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def seen(
    pairs: list[tuple[np.ndarray, np.ndarray]], rule: EvaluationProtocol = FULL, scaled: bool = False, data: str = "folder:x"
) -> Standing:
    """Of pairs of prediction and truth."""
    meter = StandingMeter(replace(rule, alignment="median") if scaled else rule, data=data)
    for prediction, depth in pairs:
        meter.update(prediction, depth)
    return meter.compute("net")


@pytest.mark.parametrize("alignment", ["median", "scale-shift"])
def test_predictions_are_brought_to_the_truth_where_the_protocol_looks(alignment: str) -> None:
    depth = maps([1, 2, 3, 4, 50, 60, 70, 80])  # half of it beyond the protocol's 10 m
    prediction = maps([2, 4, 6, 8, 1, 1, 1, 1])
    assert seen([(prediction, depth)], replace(FULL, alignment=alignment)).own["abs_rel"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("own", "median", "fails"),
    [
        ((0.3, 0.5), (0.2, 0.6), True),
        ((0.2, 0.5), (0.2, 0.6), False),
        ((0.3, 0.6), (0.2, 0.6), False),
        ((0.1, 0.5), (0.2, 0.6), False),
        ((0.3, 0.7), (0.2, 0.6), False),
        ((0.1, 0.7), (0.2, 0.6), False),
        ((math.nan, math.nan), (0.2, 0.6), False),
    ],
)
def test_a_network_fails_that_is_worse_in_both(own: tuple[float, float], median: tuple[float, float], fails: bool) -> None:
    ours, theirs = ({"abs_rel": abs_rel, "delta1": delta1} for abs_rel, delta1 in (own, median))
    assert Standing(ours, theirs).fails == fails
    assert not Standing(ours, None).fails
    assert Standing(ours, None).warnings == ()


@pytest.mark.parametrize(
    ("side", "columns"),
    [(160, list(range(160))), (320, list(range(1, 320, 2))), (480, list(range(1, 480, 3))), (800, list(range(2, 800, 5))), (3, [0, 1, 2])],
)
@pytest.mark.parametrize("turned", [False, True])
def test_the_pixels_at_the_centres_of_a_grid_of_160_are_looked_at(side: int, columns: list[int], turned: bool) -> None:
    depth, prediction = np.full((1, side), 2.0, np.float32), np.full((1, side), 3.0, np.float32)
    prediction[0, columns] = 2.0
    pair = (prediction.T, depth.T) if turned else (prediction, depth)
    assert seen([pair]).own == {"abs_rel": 0.0, "delta1": 1.0}
    prediction[0, columns[-1]] = 3.0
    assert seen([pair]).own["abs_rel"] == pytest.approx(0.5 / len(columns))


def test_the_first_truth_gives_the_grid_of_all_maps() -> None:
    first = np.full((1, 4), 2.0, np.float32)
    wide = maps([9, 1, 9, 9, 1, 9, 9, 1, 9, 9, 1, 9])  # the second of every three is looked at
    found = seen([(first, first), (maps([1.0, 1.0]), wide)])
    assert found.own == {"abs_rel": 0.0, "delta1": 1.0}
    thin = seen([(np.full((1, 1000), 2.0, np.float32),) * 2])
    assert thin.own["abs_rel"] == 0, "a side of less than one cell is one"
    middle = np.full((3, 1000), 4.0, np.float32)
    middle[1] = 2.0
    for pair in ((middle, np.full_like(middle, 2.0)), (middle.T, np.full_like(middle.T, 2.0))):
        assert seen([pair]).own["abs_rel"] == 0, "and its pixels are those in the middle"


def test_so_many_images_are_kept_as_fit_into_sixty_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_IMAGES * 2 * MAP_SIDE * (MAP_SIDE * 3 // 4) * 4 == 61_440_000
    assert LEAST_IMAGES == 3
    monkeypatch.setattr(standing, "MOST_IMAGES", 2)
    right, wrong = maps([2.0, 2.0]), maps([4.0, 4.0])
    assert seen([(right, right), (right, right), (wrong, right)]).own["abs_rel"] == 0
    assert seen([(right, right), (wrong, right), (wrong, right)]).own["abs_rel"] == 0.5


def test_the_median_map_needs_three_images() -> None:
    right = maps([2.0, 2.0])
    assert seen([(right, right)] * 2).median_map is None
    assert seen([(right, right)] * 3).median_map == {"abs_rel": 0.0, "delta1": 1.0}


def test_the_median_of_an_even_number_is_the_middle_of_both() -> None:
    truths = [maps([value]) for value in (1.0, 2.0, 4.0)]
    found = seen([(truth, truth) for truth in truths]).median_map
    assert found is not None
    # Of the others: (2 + 4) / 2 for 1, 2.5 for 2, 1.5 for 4.
    assert found["abs_rel"] == pytest.approx((2 / 1 + 0.5 / 2 + 2.5 / 4) / 3)
    assert found["delta1"] == 0


def test_without_a_truth_of_others_the_farthest_counts() -> None:
    nothing, own = maps([0.0, 0.0]), maps([2.0, 5.0])
    found = seen([(own, own), (own, nothing), (own, nothing)])
    assert found.own == {"abs_rel": 0.0, "delta1": 1.0}
    assert found.median_map is not None and found.median_map["abs_rel"] == pytest.approx((8 / 2 + 5 / 5) / 2)


def test_images_without_a_pixel_that_counts_are_left_out() -> None:
    right, nothing = maps([2.0, 2.0]), maps([0.0, math.nan])
    assert seen([(right, right), (2 * right, nothing)]).own == {"abs_rel": 0.0, "delta1": 1.0}
    empty = seen([(right, nothing)])
    assert math.isnan(empty.own["abs_rel"]) and math.isnan(empty.own["delta1"])
    assert empty.warnings == ()


def test_predictions_are_clipped_to_the_protocol_and_one_infinite_pixel_hides_nothing() -> None:
    depth = maps([2.0, 2.0, 2.0, 10.0])
    found = seen([(maps([2.0, 2.0, 2.0, math.inf]), depth)])
    assert found.own == {"abs_rel": 0.0, "delta1": 1.0}
    low = seen([(maps([-1.0, 2.0, 2.0, 10.0]), depth)])
    assert low.own["abs_rel"] == pytest.approx((2 - FULL.min_depth) / 2 / 4)
    assert low.warnings == ()


@pytest.mark.parametrize(("factor", "said"), [(0.3, True), (0.4, False), (2.9, False), (3.1, True)])
def test_a_wrong_unit_is_said_of_the_median_ratio(factor: float, said: bool) -> None:
    depth = maps([1.0, 2.0, 3.0])
    pairs = [(depth * np.float32(factor), depth)] * 2 + [(depth * 50, depth)]
    found = seen(pairs)
    assert any(note.startswith(f"the median prediction is {factor:.3g} times") for note in found.warnings) == said
    assert not any("is a unit wrong" in note for note in seen(pairs, scaled=True).warnings)


def test_a_ratio_is_of_the_known_pixels_that_are_predicted() -> None:
    depth = maps([0.0, 1.0, 1.0, math.nan, 1.0])
    prediction = maps([50.0, 4.0, 4.0, 50.0, math.nan])
    (note,) = seen([(prediction, depth)]).warnings
    assert note.startswith("the median prediction is 4 times")
    assert seen([(maps([math.nan] * 5), depth)]).warnings == ()
    assert seen([(maps([math.nan] * 5), depth * 20)]).warnings == (), "what is not predicted says nothing of the range"


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.5])
def test_predictions_without_a_unit_are_scaled_to_the_truth_first(factor: float) -> None:
    depth = maps([1.0, 2.0, 4.0])
    found = seen([(depth * np.float32(factor), depth)] * 3, scaled=True)
    assert found.own == {"abs_rel": pytest.approx(0.0, abs=1e-6), "delta1": 1.0}
    unscaled = seen([(depth * np.float32(factor), depth)] * 3)
    assert unscaled.own["abs_rel"] == pytest.approx(np.mean(np.abs(np.clip(depth * factor, 0, 10) - depth) / depth), rel=1e-5)


def test_a_prediction_of_nothing_cannot_be_scaled_and_counts_as_it_is() -> None:
    depth = maps([1.0, 2.0])
    assert seen([(np.zeros_like(depth), depth)], scaled=True).own["abs_rel"] == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize(("far", "said"), [(1, False), (2, False), (3, True)])
def test_depth_beyond_the_range_is_said_of_the_pixels_that_are_known(far: int, said: bool) -> None:
    depth = maps([0.0, 0.0, *[11.0] * far, *[10.0] * (4 - far)])
    found = seen([(depth, depth)])
    expected = [f"{far / 4:.0%} of the true depth lies beyond the 10 m of protocol full and does not count"]
    assert list(found.warnings) == (expected if said else [])


def test_the_share_beyond_the_range_is_the_mean_of_images() -> None:
    near, far = maps([5.0, 5.0]), maps([20.0, 20.0])
    assert seen([(near, near), (far, far)]).warnings == ()
    (note,) = seen([(near, near), (far, far), (far, far)]).warnings
    assert note.startswith("67% of the true depth")


def test_a_failing_network_is_named_with_both_figures() -> None:
    generator = np.random.default_rng(0)
    truths = [np.full((2, 2), 2.0, np.float32) + generator.random((2, 2), np.float32) / 10 for _ in range(3)]
    found = seen([(truth * 2, truth) for truth in truths])
    assert found.fails and found.median_map is not None
    assert found.warnings == (
        "net is no better on these images than their median depth map, which needs no network: "
        f"abs_rel 1.000 against {found.median_map['abs_rel']:.3f}, delta1 0.000 against 1.000",
    )
    assert seen([(truth, truth) for truth in truths]).warnings == ()


def test_a_pixel_that_no_other_saw_gets_the_median_of_what_they_saw() -> None:
    """Of the first: its second pixel is 2 to the others, and so its first. Of the second: 3; of the third: 1."""
    truths = [maps([5.0, math.nan]), maps([0.0, 1.0]), maps([0.0, 3.0])]
    found = seen([(np.nan_to_num(truth), truth) for truth in truths]).median_map
    assert found is not None
    assert found["abs_rel"] == pytest.approx((3 / 5 + 2 / 1 + 2 / 3) / 3)


def test_a_pixel_that_one_other_saw_has_its_depth() -> None:
    truths = [maps([2.0, 5.0]), maps([4.0, 0.0]), maps([0.0, 0.0])]
    found = seen([(truth, truth) for truth in truths]).median_map
    assert found is not None
    assert found["abs_rel"] == pytest.approx(((2 / 2 + 1 / 5) / 2 + 2 / 4) / 2)


def test_the_crop_is_that_of_the_grid() -> None:
    left = EvaluationProtocol("left", (0, 1, 0, 0.5), 10.0, pooled=False)
    assert seen([(maps([2.0, 3.0, 9.0, 9.0]), maps([2.0, 3.0, 4.0, 5.0]))], left).own == {"abs_rel": 0.0, "delta1": 1.0}
