import numpy as np
import pytest
import torch

from fcrn_mobile.errors import InputError
from fcrn_mobile.training.losses import LOSSES, depth_loss


def by_hand(name: str, prediction: np.ndarray, target: np.ndarray) -> float:
    e = np.abs(prediction - target)
    if name == "log-l1":
        return np.abs(np.log(prediction / target)).mean()
    if name == "relative-l1":
        return (e / target).mean()
    if name == "l1":
        return e.mean()
    if name == "l2":
        return (e**2).mean()
    if name == "huber":
        return np.where(e <= 1, e**2 / 2, e - 0.5).mean()
    c = 0.2 * e.max()
    return np.where(e <= c, e, (e**2 + c**2) / (2 * c)).mean()


@pytest.mark.parametrize("name", list(LOSSES))
def test_loss_equals_its_formula_over_valid_pixels(name: str) -> None:
    rng = np.random.default_rng(0)
    target = rng.uniform(0.5, 8, (2, 1, 6, 8)).astype(np.float32)
    target[0, 0, :3], target[1, 0, 0, 0], target[1, 0, 0, 1] = 0, np.nan, np.inf
    prediction = rng.uniform(0.5, 8, target.shape).astype(np.float32)
    valid = np.isfinite(target) & (target > 0)
    value = depth_loss(name, torch.from_numpy(prediction), torch.from_numpy(target))
    assert float(value) == pytest.approx(by_hand(name, prediction[valid], target[valid]), rel=1e-5)


@pytest.mark.parametrize("name", list(LOSSES))
def test_invalid_pixels_have_no_gradient(name: str) -> None:
    target = torch.full((1, 1, 4, 4), 2.0)
    target[0, 0, 0] = 0
    prediction = torch.rand(1, 1, 4, 4, requires_grad=True)
    depth_loss(name, prediction, target).backward()
    assert prediction.grad is not None
    assert (prediction.grad[0, 0, 0] == 0).all()
    assert (prediction.grad[0, 0, 1:] != 0).all()


def test_a_logarithm_takes_a_prediction_that_is_not_positive_for_a_millimetre() -> None:
    loss = depth_loss("log-l1", torch.tensor([[[[-3.0, 0.0005]]]]), torch.full((1, 1, 1, 2), 2.0))
    assert float(loss) == pytest.approx(np.log(2000), rel=1e-6)


def test_a_batch_without_valid_pixels_is_harmless() -> None:
    prediction = torch.rand(1, 1, 4, 4, requires_grad=True)
    loss = depth_loss("berhu", prediction, torch.zeros(1, 1, 8, 8))
    loss.backward()
    assert loss.item() == 0
    assert (prediction.grad == 0).all()


def test_berhu_of_a_perfect_prediction_is_zero_not_nan() -> None:
    depth = torch.rand(1, 1, 4, 4) + 1
    assert float(depth_loss("berhu", depth, depth.clone())) == 0


def test_truth_is_sampled_not_averaged_to_the_outputs_size() -> None:
    target = torch.tensor([[[[1.0, 9.0], [9.0, 9.0]]]])
    assert float(depth_loss("l1", torch.tensor([[[[1.0]]]]), target)) == 0


def test_an_unknown_loss_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="berhu, l1, l2, huber"):
        depth_loss("ssim", torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
