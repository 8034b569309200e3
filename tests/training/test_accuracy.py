import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.evaluation.metrics import metrics_from_moments, pixel_moments
from fcrn_mobile.training.accuracy import batch_accuracy


@given(seed=st.integers(0, 10_000), known=st.floats(0.05, 1.0))
@settings(max_examples=40, deadline=None)
def test_it_is_delta1_over_the_valid_pixels_of_the_output(seed: int, known: float) -> None:
    rng = np.random.default_rng(seed)
    true = rng.uniform(0.5, 9, (2, 1, 6, 8)).astype(np.float32)
    predicted = true * rng.uniform(0.6, 1.6, true.shape).astype(np.float32)
    true[rng.random(true.shape) > known] = 0
    true[0, 0, 0, 0] = 2.0
    valid = true > 0
    expected = np.mean(np.maximum(predicted[valid] / true[valid], true[valid] / predicted[valid]) < 1.25)
    value = float(batch_accuracy(torch.from_numpy(predicted), torch.from_numpy(true)))
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_the_truth_is_sampled_to_the_predictions_size() -> None:
    true = torch.ones(1, 1, 4, 4)
    true[..., ::2, ::2] = 3.0
    assert float(batch_accuracy(torch.full((1, 1, 2, 2), 3.0), true)) == 1.0


def test_depths_that_are_not_positive_or_no_number_are_no_hits() -> None:
    true = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 2, 2)
    assert float(batch_accuracy(torch.tensor([-1.0, 0.0, torch.nan, 4.0]).view(1, 1, 2, 2), true)) == 0.25
    assert float(batch_accuracy(-true, true)) == 0.0


def test_a_batch_without_a_valid_pixel_counts_nothing() -> None:
    unknown = torch.tensor([0.0, -1.0, torch.nan, torch.inf]).view(1, 1, 2, 2)
    assert float(batch_accuracy(torch.ones(1, 1, 2, 2), unknown)) == 0.0


def test_it_agrees_with_the_metric_of_validation() -> None:
    rng = np.random.default_rng(3)
    true, predicted = rng.uniform(1, 5, (2, 500)).astype(np.float32)
    delta1 = metrics_from_moments(pixel_moments(predicted, true))["delta1"]
    value = batch_accuracy(torch.from_numpy(predicted).view(1, 1, 20, 25), torch.from_numpy(true).view(1, 1, 20, 25))
    np.testing.assert_allclose(float(value), delta1, rtol=1e-6)
