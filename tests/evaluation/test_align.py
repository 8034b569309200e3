"""Alignment with the truth: least squares against NumPy's, by hand, and what each kind of depth is brought to."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.data import Sample
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.align import ALIGNMENTS, aligned, least_squares
from fcrn_mobile.evaluation.evaluate import evaluate
from fcrn_mobile.evaluation.meaning import depth_of, settled
from fcrn_mobile.evaluation.metrics import PROTOCOLS, DepthMetrics, align, protocol
from fcrn_mobile.evaluation.standing import StandingMeter

EVERYWHERE = np.ones((6, 8), bool)


def room(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(1, 6, (6, 8)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 60), offset=st.floats(-1e3, 1e3))
def test_least_squares_are_numpy_s(seed: int, count: int, offset: float) -> None:
    generator = np.random.default_rng(seed)
    x, y = generator.normal(offset, 3, count), generator.normal(2, 1, count)
    expected = np.linalg.lstsq(np.stack([x, np.ones(count)], 1), y, rcond=None)[0]
    np.testing.assert_allclose(least_squares(x, y), expected, rtol=1e-6, atol=1e-9 * (1 + abs(offset)))


def test_a_line_by_hand() -> None:
    # Through (0, 1), (1, 2), (2, 2): x̄ = 1, ȳ = 5/3, s = ((-1)(-2/3) + 0 + 1·1/3) / 2 = 1/2, t = 5/3 - 1/2.
    assert least_squares(np.array([0.0, 1, 2]), np.array([1.0, 2, 2])) == pytest.approx((0.5, 7 / 6))


@pytest.mark.parametrize("value", [0.1, 3.0, 1e-9, 1e9])
def test_equal_values_give_the_mean_of_the_truth(value: float) -> None:
    assert least_squares(np.full(7, value), np.arange(7.0)) == (0, 3)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100), shift=st.floats(-20, 20))
def test_what_is_known_up_to_scale_and_shift_becomes_the_truth(seed: int, scale: float, shift: float) -> None:
    depth = room(seed)
    line = ((depth - shift) / scale).astype(np.float32)
    np.testing.assert_allclose(aligned(line, depth, EVERYWHERE, "scale-shift"), depth, rtol=2e-3)
    inverse = ((1 / depth - shift / 20) / scale).astype(np.float32)
    np.testing.assert_allclose(aligned(inverse, depth, EVERYWHERE, "scale-shift-inverse", inverse=True), depth, rtol=2e-3)


def test_inverse_depth_is_fitted_to_inverse_depth_where_the_protocol_looks() -> None:
    depth = room()
    depth[0] = 0  # unknown
    noise = np.random.default_rng(1).normal(0, 0.02, depth.shape)
    output = (3 / np.maximum(depth, 1) + 5 + noise).astype(np.float32)
    output[0] = 1e4  # what nobody counts does not bend the line
    counted = depth > 0
    matrix = np.stack([output[counted].astype(float), np.ones(counted.sum())], 1)
    scale, shift = np.linalg.lstsq(matrix, 1 / depth[counted].astype(float), rcond=None)[0]
    expected = np.clip(1 / (scale * output[counted].astype(float) + shift), 1e-3, 10)
    rule = protocol("full", "scale-shift-inverse")
    np.testing.assert_allclose(align(output, 6, 8, rule, depth, inverse=True)[counted], expected, rtol=1e-5)


def test_inverse_depth_that_is_not_positive_is_cut_at_the_largest_depth() -> None:
    # MiDaS: disparity below 1 / cap counts as 1 / cap. Far pixels of a line through near ones fall below 0.
    depth = np.array([[1.0, 2, 4, 8]], np.float32)
    output = np.array([[1.0, 0.5, 0.25, -3]], np.float32)
    true_line = aligned(output[:, :3], depth[:, :3], np.ones((1, 3), bool), "scale-shift-inverse", inverse=True)
    np.testing.assert_allclose(true_line, depth[:, :3], rtol=1e-6)
    counted = np.array([[True, True, True, False]])
    assert aligned(output, depth, counted, "scale-shift-inverse", inverse=True)[0, 3] == math.inf
    masked = np.where(counted, depth, 0).astype(np.float32)
    assert align(output, 1, 4, protocol("full", "scale-shift-inverse"), masked, inverse=True)[0, 3] == 10


def test_depth_is_inverted_for_a_fit_in_inverse_depth_and_inverse_depth_for_one_in_depth() -> None:
    depth = room()
    for alignment in ALIGNMENTS:
        for inverse in (False, True):
            output = (1 / depth if inverse else depth).astype(np.float32)
            np.testing.assert_allclose(aligned(output, depth, EVERYWHERE, alignment, inverse), depth, rtol=1e-5)
    halved = aligned((2 / depth).astype(np.float32), depth, EVERYWHERE, "median", inverse=True)
    np.testing.assert_allclose(halved, depth, rtol=1e-5)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("inverse", [False, True])
def test_no_alignment_hides_what_is_not_a_number(alignment: str, inverse: bool) -> None:
    output = room()
    output[2, 3] = np.nan
    metrics = DepthMetrics(protocol("full", alignment), inverse)
    assert math.isnan(metrics.update(output, room(), "a")["abs_rel"])


def test_inverse_depth_that_is_infinitely_far_has_no_line_in_depth() -> None:
    depth, output = room(), room(1)
    depth[0, 0] = 0  # does not count
    output[0, 0], output[1, 1], output[2, 2] = 0, 0, -1
    metrics = DepthMetrics(protocol("full", "scale-shift"), inverse=True)
    with pytest.raises(InputError, match=r"^'a': 2 of 47 pixels of the inverse depth are not above 0.*--align scale-shift-inverse$"):
        metrics.update(output, depth, "a")
    output[1, 1] = output[2, 2] = 1
    assert math.isfinite(metrics.update(output, depth, "a")["abs_rel"])


@pytest.mark.parametrize(("depth", "alignment"), [("metres", "none"), ("scale", "median"), ("inverse", "scale-shift-inverse")])
def test_the_contract_decides_unless_the_protocol_does(depth, alignment: str) -> None:
    assert settled(protocol("full"), depth, "net").alignment == alignment
    assert settled(protocol("full", "scale-shift"), depth, "net").alignment == "scale-shift"
    if depth != "metres":
        with pytest.raises(InputError, match=rf"the depth of 'net' is known .* only, not in metres: evaluate it with --align {alignment}$"):
            settled(protocol("full", "none"), depth, "net")


class Disparity:
    """Sees inverse depth up to scale and shift, as its contract says."""

    name, metadata = "disparity", {}
    contract = DepthContract(depth="inverse")

    def __init__(self, depth: np.ndarray) -> None:
        self.depth = depth

    def predict(self, image: np.ndarray) -> np.ndarray:
        return 40 / self.depth + 7


def test_a_model_of_inverse_depth_is_evaluated_as_such() -> None:
    depth = room()
    frames = [Sample(np.zeros((6, 8, 3), np.uint8), depth, "a")]
    meter = StandingMeter(protocol("full", "scale-shift-inverse"), inverse=True)
    values = evaluate(Disparity(depth), frames, protocol("full"), standing=meter).compute()
    assert values["abs_rel"] == pytest.approx(0, abs=1e-5)
    assert (values["alignment"], values["protocol"]) == ("scale-shift-inverse", "full")
    assert meter.compute("net").own["abs_rel"] == pytest.approx(0, abs=1e-5)
    assert depth_of(Disparity(depth)) == "inverse"
    assert depth_of(object()) == "metres"
    with pytest.raises(InputError, match="the depth of 'disparity' is known as inverse depth"):
        evaluate(Disparity(depth), frames, protocol("full", "none"))


def test_the_range_can_be_another_and_is_named_so() -> None:
    rule = protocol("eigen", None, 0.5, 5)
    assert (rule.min_depth, rule.max_depth, rule.crop) == (0.5, 5, PROTOCOLS["eigen"].crop)
    assert (rule.label, rule.text) == ("eigen 0.5 to 5 m", "protocol eigen 0.5 to 5 m, alignment none")
    assert protocol("garg").label == "garg"
    assert protocol("garg", max_depth=50).label == "garg 0.001 to 50 m"
    metrics = DepthMetrics(replace(rule, crop=None))
    depth = np.array([[0.4, 1, 4, 6]], np.float32)
    assert metrics.update(np.array([[9, 1, 6, 9]], np.float32), depth, "a")["abs_rel"] == pytest.approx((0 + 1 / 4) / 2)  # 6 is cut at 5
    assert metrics.pixels == 2
    assert rule.to_json()["max_depth"] == 5
    assert rule.describe().endswith("0.5 to 5 m")


@pytest.mark.parametrize(
    ("least", "largest"), [(0, None), (-1, None), (None, 1e-4), (3, 2), (2, 2), (None, math.inf), (math.nan, None), (None, math.nan)]
)
def test_a_range_that_is_none_is_refused(least, largest) -> None:
    with pytest.raises(InputError, match="the range of depth is"):
        protocol("full", None, least, largest)


def test_an_unknown_alignment_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'affine'.*none, median, scale-shift, scale-shift-inverse"):
        protocol("full", "affine")


def test_depth_that_is_infinite_as_inverse_depth_has_no_line_there() -> None:
    depth, output = room(), room(1)
    depth[0, 0] = 0  # does not count
    output[0, 0], output[1, 1], output[2, 2] = 0, 0, -1
    metrics = DepthMetrics(protocol("full", "scale-shift-inverse"))
    with pytest.raises(InputError, match=r"^'a': 2 of 47 pixels of the depth are not above 0.*--align scale-shift$"):
        metrics.update(output, depth, "a")
    output[1, 1] = output[2, 2] = 1
    assert math.isfinite(metrics.update(output, depth, "a")["abs_rel"])
