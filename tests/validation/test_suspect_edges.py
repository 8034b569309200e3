"""Which operator is blamed, for which reason, and at which figure the answer turns."""

import math
from typing import Any

import pytest

from fcrn_mobile.validation.op_drift import OpDrift
from fcrn_mobile.validation.own_drift import Outlier, OwnDrift
from fcrn_mobile.validation.suspect import Suspect, find_suspect


def own(drift: float, activations: float | None = None, weight_snr_db: float = 40.0, outlier: Outlier | None = None) -> OwnDrift:
    return OwnDrift(drift, activations, weight_snr_db, outlier)


def op(name: str, **facts: Any) -> OpDrift:
    given: dict[str, Any] = {
        "snr_db": 50.0,
        "input_snr_db": 60.0,
        "own": None,
        "not_finite": 0.0,
        "beyond": 0.0,
        "clipped": 0.0,
        "matched": True,
    }
    return OpDrift(0, name, name, "conv", f"{name}_weight", **(given | facts))


def suspect(*ops: OpDrift, drift: float = 0.01) -> Suspect:
    found = find_suspect(ops, drift)
    assert found is not None
    return found


def test_the_first_operator_that_runs_over_is_named_whatever_drifts_more() -> None:
    found = suspect(op("a", own=own(0.5)), op("b", beyond=0.25), op("c", beyond=1.0))
    assert (found.name, found.reason) == ("b", "overflow")
    assert found.detail == "25.00% of its values run over half precision"
    assert 'precision = "fp32"' in found.remedy
    assert suspect(op("a", beyond=1e-9), drift=0.0).reason == "overflow"


@pytest.mark.parametrize(("share", "text"), [(1e-4, "0.01%"), (9.9e-5, "9.9e-05"), (0.5, "50.00%")])
def test_small_shares_are_not_written_as_none(share: float, text: str) -> None:
    assert suspect(op("a", beyond=share)).detail.startswith(f"{text} of its values")


def test_no_drift_has_no_suspect() -> None:
    assert find_suspect([op("a", own=own(0.0)), op("b")], 0.0) is None


def test_the_largest_own_drift_is_blamed() -> None:
    found = suspect(op("a", own=own(0.004)), op("b", own=own(0.009)), op("c", own=own(0.001)))
    assert (found.name, found.weights, found.reason) == ("b", "b_weight", "weights")
    assert found.detail == "alone it causes 0.009 of abs_rel; its weights keep 40.0 dB"
    assert found.called == "b_weight (b)"
    assert found.remedy == '[[ops]] match = "b_weight" precision = "fp16" in the recipe'


@pytest.mark.parametrize(
    ("drifts", "explained"), [([0.0034], True), ([0.0032], False), ([0.0024, 0.0024], True), ([0.0023, 0.0023], False)]
)
def test_own_drifts_below_a_third_of_the_whole_explain_nothing(drifts: list[float], explained: bool) -> None:
    """Two independent errors of 0.0024 make √2 · 0.0024 = 0.0034."""
    ops = [op(f"w{i}", own=own(drift), snr_db=60.0) for i, drift in enumerate(drifts)]
    found = suspect(*ops, op("noisy", snr_db=20.0, input_snr_db=55.0), op("later", snr_db=18.0, input_snr_db=20.0))
    assert (found.reason == "weights") == explained
    if not explained:
        assert (found.name, found.reason) == ("noisy", "rounding")
        assert "add up to 0.0032 of 0.01" in found.detail or "add up to 0.0033 of 0.01" in found.detail
        assert found.detail.endswith("the ratio falls most here, by 35.0 dB")
        assert 'precision = "fp32"' in found.remedy


def test_without_any_own_drift_the_steepest_matched_operator_is_rounding() -> None:
    found = suspect(op("a", snr_db=59.0), op("unmatched", matched=False, snr_db=None), op("b", snr_db=30.0))
    assert (found.name, found.reason) == ("b", "rounding")


@pytest.mark.parametrize(
    ("activations", "clipped", "reason"),
    [
        (0.005, 0.001, "saturation"),
        (0.005, 0.00099, "activations"),
        (0.0049, 0.5, "weights"),
        (0.01, 0.0, "activations"),
        (math.nan, 0.0, "activations"),
        (None, 0.5, "weights"),
    ],
)
def test_quantized_inputs_are_blamed_from_half_of_the_drift(activations: float | None, clipped: float, reason: str) -> None:
    found = suspect(op("a", own=own(0.01, activations), clipped=clipped))
    assert found.reason == reason
    if reason == "saturation":
        assert "cuts off 0.10% of the values" in found.detail
        assert found.remedy == "calibrate with more images, or with a method that cuts off less"
    if reason == "activations":
        assert found.remedy == '[[ops]] match = "a_weight" activations = "fp16" in the recipe'


def test_an_outlier_channel_is_described() -> None:
    found = suspect(op("a", own=own(0.01, outlier=Outlier(5, 32, "output", 300.4))))
    assert found.reason == "outlier channel"
    assert "output channel 5 of 32 peaks 300 times higher" in found.detail
    assert 'precision = "fp16"' in found.remedy


@pytest.mark.parametrize(("decibels", "reason"), [(62.0, "weights"), (62.1, "rounding"), (74.0, "rounding"), (61.0, "weights")])
def test_weights_of_half_precision_are_rounding(decibels: float, reason: str) -> None:
    assert suspect(op("a", own=own(0.01, weight_snr_db=decibels))).reason == reason


def test_an_operator_without_weights_goes_by_its_own_name() -> None:
    plain = Suspect("relu_3", "", "overflow", "")
    assert plain.called == "relu_3"
    assert plain.remedy == '[[ops]] match = "relu_3" precision = "fp32" in the recipe'
    assert Suspect("relu_3", "", "activations", "").remedy == '[[ops]] match = "relu_3" activations = "fp16" in the recipe'


def test_an_own_drift_that_is_not_finite_is_blamed_first() -> None:
    assert suspect(op("a", own=own(0.3)), op("b", own=own(math.nan))).name == "b"
