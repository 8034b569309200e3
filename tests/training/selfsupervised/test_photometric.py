import numpy as np
import pytest
import torch

from fcrn_mobile.training.selfsupervised.photometric import least, masked_mean, moving, photometric_error, ssim


def ssim_by_hand(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """H×W maps, block by block, mirrored beyond the borders."""
    a, b = np.pad(a, 1, mode="reflect"), np.pad(b, 1, mode="reflect")
    result = np.empty((a.shape[0] - 2, a.shape[1] - 2))
    for row in range(result.shape[0]):
        for column in range(result.shape[1]):
            x, y = a[row : row + 3, column : column + 3], b[row : row + 3, column : column + 3]
            covariance = ((x - x.mean()) * (y - y.mean())).mean()
            numerator = (2 * x.mean() * y.mean() + 1e-4) * (2 * covariance + 9e-4)
            result[row, column] = numerator / ((x.mean() ** 2 + y.mean() ** 2 + 1e-4) * (x.var() + y.var() + 9e-4))
    return result


@pytest.fixture
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(1, 2, 4, 5, dtype=torch.float64, generator=generator)
    return a, (a + 0.2 * torch.randn(1, 2, 4, 5, dtype=torch.float64, generator=generator)).clamp(0, 1)


def test_ssim_equals_its_formula_in_every_block(pictures) -> None:
    a, b = pictures
    expected = np.stack([ssim_by_hand(a[0, c].numpy(), b[0, c].numpy()) for c in range(2)])
    np.testing.assert_allclose(ssim(a, b)[0].numpy(), expected, atol=1e-12)


def test_a_picture_is_wholly_similar_to_itself(pictures) -> None:
    assert torch.allclose(ssim(pictures[0], pictures[0]), torch.ones_like(pictures[0]))
    assert photometric_error(pictures[0], pictures[0], 0.85).abs().max() < 1e-12


def test_photometric_error_weighs_ssim_and_l1_as_the_paper_does(pictures) -> None:
    a, b = pictures
    per_channel = [
        0.85 * (1 - ssim_by_hand(a[0, c].numpy(), b[0, c].numpy())) / 2 + 0.15 * (a[0, c] - b[0, c]).abs().numpy() for c in range(2)
    ]
    np.testing.assert_allclose(photometric_error(a, b, 0.85)[0, 0].numpy(), np.mean(per_channel, axis=0), atol=1e-12)


def test_without_ssim_the_error_is_l1(pictures) -> None:
    a, b = pictures
    assert torch.allclose(photometric_error(a, b, 0.0), (a - b).abs().mean(1, keepdim=True))


def test_the_least_error_is_taken_pixel_by_pixel() -> None:
    errors = torch.tensor([[[[0.3, 0.1]], [[0.2, 0.5]]]])
    assert torch.equal(least(errors), torch.tensor([[[[0.2, 0.1]]]]))


def test_a_pixel_that_standing_still_explains_as_well_is_masked_out() -> None:
    assert moving(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.2, 0.2, 0.2])).tolist() == [True, False, False]


def test_a_masked_mean_ignores_even_infinity_elsewhere() -> None:
    values = torch.tensor([1.0, 3.0, torch.inf, torch.nan], requires_grad=True)
    mean = masked_mean(values, torch.tensor([True, True, False, False]))
    mean.backward()
    assert mean.item() == 2
    assert values.grad is not None
    assert values.grad.tolist() == [0.5, 0.5, 0, 0]


def test_the_mean_of_nothing_is_zero_not_nan() -> None:
    assert masked_mean(torch.tensor([1.0, torch.nan]), torch.tensor([False, False])).item() == 0


def test_gradients_of_the_photometric_error_are_the_numerical_ones(pictures) -> None:
    a, b = (picture.clone().requires_grad_() for picture in pictures)
    assert torch.autograd.gradcheck(lambda x, y: photometric_error(x, y, 0.85), (a, b))
