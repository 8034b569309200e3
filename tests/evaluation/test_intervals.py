"""Intervals against SciPy's bootstrap, and on data whose resamples can be listed."""

import math

import numpy as np
import pytest
import scipy.stats

from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.formulas import METRICS
from fcrn_mobile.evaluation.intervals import RESAMPLES, Intervals, bootstrap, scenes
from fcrn_mobile.evaluation.metrics import DepthMetrics, protocol


def measured(names: list[str], name: str = "full") -> DepthMetrics:
    """Images of 5 to 9 columns, each off by a factor and by noise; those of one folder by the same factor."""
    rng = np.random.default_rng(2)
    metrics, factors = DepthMetrics(protocol(name), sums={}), {}
    for index, image in enumerate(names):
        factor = factors.setdefault(image.rpartition("/")[0], rng.uniform(0.8, 1.3))
        depth = rng.uniform(1, 5, (6, 5 + index % 5))
        metrics.update((depth * factor * rng.uniform(0.75, 1.3, depth.shape)).astype(np.float32), depth.astype(np.float32), image)
    return metrics


IMAGES = [f"{index:02}" for index in range(40)]
ROOMS = [f"room{index % 9}/{index:02}" for index in range(40)]


def by_scipy(metrics: DepthMetrics, labels: list[str], key: str) -> tuple[float, float]:
    """SciPy draws scenes; the statistic puts together the images of those drawn."""
    members = [[index for index, label in enumerate(labels) if label == scene] for scene in sorted(set(labels))]
    values = np.array([image[key.removesuffix("_pooled")] for image in metrics.per_image.values()])
    pixels = np.array([30 + 6 * (index % 5) for index in range(len(values))])

    def statistic(drawn: np.ndarray) -> float:
        images = [index for scene in drawn for index in members[scene]]
        if key == "rmse_pooled":
            return math.sqrt(np.average(values[images] ** 2, weights=pixels[images]))
        return float(np.mean(values[images]))

    found = scipy.stats.bootstrap((np.arange(len(members)),), statistic, n_resamples=5000, method="percentile", vectorized=False, rng=1)
    return found.confidence_interval.low, found.confidence_interval.high


@pytest.mark.parametrize("key", ["abs_rel", "delta1", "boundary_f1", "rmse_pooled"])
@pytest.mark.parametrize(("names", "by"), [(IMAGES, "images"), (ROOMS, "folders")], ids=["images", "folders"])
def test_it_agrees_with_scipy(names: list[str], by: str, key: str) -> None:
    metrics = measured(names)
    drawn = scenes(names, by)
    low, high = bootstrap(metrics, drawn).metrics[key]
    expected = by_scipy(metrics, list(drawn.labels), key)
    # The ends of 2000 and of 5000 resamples differ by a few hundredths of the width.
    assert (low, high) == pytest.approx(expected, abs=0.07 * (expected[1] - expected[0]))
    assert low < metrics.compute()[key] < high


def test_frames_of_one_room_are_not_as_good_as_frames_of_many() -> None:
    metrics = measured(ROOMS)
    widths = [np.ptp(bootstrap(metrics, scenes(ROOMS, by)).metrics["abs_rel"]) for by in ("folders", "images")]
    assert widths[0] > 1.2 * widths[1]


@pytest.mark.parametrize("name", ["full", "laina"])
def test_two_images_and_their_resamples(name: str) -> None:
    """A quarter of the draws is twice the one image, a quarter twice the other: the interval reaches from one to the other."""
    metrics = measured(["a/0", "b/1"], name)
    intervals = bootstrap(metrics, scenes(["a/0", "b/1"], "images"))
    assert set(intervals.metrics) == {*METRICS, "rmse_pooled"}
    for key in METRICS:
        if (name, key) == ("laina", "silog"):
            continue  # errors of two images together spread wider than those of either
        ends = sorted(image[key] for image in metrics.per_image.values())
        assert intervals.metrics[key] == pytest.approx(tuple(ends), rel=1e-9, abs=1e-9)


def test_a_pooled_protocol_pools_what_is_drawn() -> None:
    pooled, averaged = (bootstrap(measured(IMAGES, name), scenes(IMAGES, "images")).metrics for name in ("laina", "full"))
    assert pooled["rmse"] == pooled["rmse_pooled"] == averaged["rmse_pooled"] != averaged["rmse"]


def test_it_is_reproducible_and_says_what_was_drawn() -> None:
    first, second = (bootstrap(measured(ROOMS), scenes(ROOMS, "auto")) for _ in range(2))
    assert first == second
    assert (first.by, first.scenes, first.level, first.resamples, first.seed) == ("folders", 9, 0.95, RESAMPLES, 0)


def test_metrics_that_kept_no_sums_are_not_resampled() -> None:
    metrics = measured(IMAGES)
    metrics.sums = None
    with pytest.raises(ValueError, match="resampled=True"):
        bootstrap(metrics, scenes(IMAGES, "images"))


def test_merged_parts_keep_their_sums_if_both_have_them() -> None:
    parts = [measured(ROOMS[:15]), measured(ROOMS[15:])]
    names = [*parts[0].per_image, *parts[1].per_image]
    parts[0].merge(parts[1])
    assert list(parts[0].sums) == list(parts[0].per_image) == names
    assert bootstrap(parts[0], scenes(names, "folders")).scenes == 9
    parts[0].merge(DepthMetrics(protocol("full")))
    assert parts[0].sums is None


def test_a_broken_image_is_not_hidden() -> None:
    metrics = measured(IMAGES)
    metrics.update(np.full((4, 4), np.nan, np.float32), np.full((4, 4), 2, np.float32), "40")
    intervals: Intervals = bootstrap(metrics, scenes([*IMAGES, "40"], "images"))
    assert all(math.isnan(end) for end in intervals.metrics["abs_rel"])
    assert not math.isnan(intervals.metrics["delta1"][0])


@pytest.mark.parametrize(
    ("names", "by", "kind", "labels"),
    [
        (["a/1", "b/1", "a/2"], "auto", "folders", ["a", "b", "a"]),
        (["1", "2"], "auto", "images", ["1", "2"]),
        (["a/1", "a/2"], "auto", "images", ["a/1", "a/2"]),
        (["a/b/1", "a/c/1"], "folders", "folders", ["a/b", "a/c"]),
        (["0009", "0010", "x7_0019", "0020"], "10", "runs of 10 numbers", ["./0", "./1", "./1", "./2"]),
        (["a/3", "b/3"], "10", "runs of 10 numbers", ["a/0", "b/0"]),
    ],
)
def test_names_tell_scenes_apart(names: list[str], by: str, kind: str, labels: list[str]) -> None:
    drawn = scenes(names, by)
    assert (drawn.by, list(drawn.labels)) == (kind, labels)


@pytest.mark.parametrize(
    ("names", "by", "message"),
    [
        (["1", "2"], "rooms", "'rooms' tells no scenes apart: use images, folders"),
        (["1", "2"], "0", "'0' tells no scenes apart"),
        (["room/a", "room/2"], "10", "'room/a' has no number"),
        (["1", "2"], "10", "by runs of 10 numbers there is one"),
        (["a/1", "a/2"], "folders", "by folders there is one"),
        (["1"], "auto", "two scenes at least"),
    ],
)
def test_what_tells_none_apart_is_refused(names: list[str], by: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        scenes(names, by)


def test_the_ends_cut_off_a_fortieth_each() -> None:
    """The mean of twenty images of which every other is right is a binomial variable."""
    metrics = DepthMetrics(protocol("full"), sums={})
    depth = np.full((2, 2), 2.0, np.float32)
    names = [f"{index:02}" for index in range(20)]
    for index, name in enumerate(names):
        metrics.update(depth * np.float32(1 + index % 2), depth, name)
    expected = scipy.stats.binom(20, 0.5).ppf([0.025, 0.975]) / 20
    assert bootstrap(metrics, scenes(names, "images")).metrics["delta1"] == pytest.approx(tuple(expected))
