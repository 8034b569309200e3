from dataclasses import replace

import numpy as np
import pytest
import torch

from fcrn_mobile.data.batches import ViewsBatch
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.training.selfsupervised.geometry import shift
from fcrn_mobile.training.selfsupervised.photometric import photometric_error
from fcrn_mobile.training.selfsupervised.regularisers import edge_aware_smoothness, left_right_consistency
from fcrn_mobile.training.selfsupervised.stereo import Stereo, StereoLoss, stereo_loss
from tests.training.selfsupervised.rendering import camera_at, render

SIZE, FOCAL, BASELINE = (48, 64), 56.0, 0.2


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures 1×2×3×H×W and true disparities 1×2×H×W of both."""
    views = [render(SIZE, (FOCAL, FOCAL, 31.5, 23.5), camera_at(x, 0, 0)) for x in (0.0, BASELINE)]
    pictures = torch.from_numpy(np.stack([view.image.transpose(2, 0, 1) for view in views]))[None]
    depths = torch.from_numpy(np.stack([view.depth for view in views]))[None]
    return pictures, FOCAL * BASELINE / depths / SIZE[1]


def test_true_disparities_have_a_lower_loss_than_wrong_ones() -> None:
    pictures, disparities = pair()
    options = Stereo(smoothness=0)
    true = float(stereo_loss(pictures, [disparities], options).loss)
    assert true < 0.5 * float(stereo_loss(pictures, [1.4 * disparities], options).loss)
    assert true < 0.5 * float(stereo_loss(pictures, [0.6 * disparities], options).loss)
    assert true < 0.5 * float(stereo_loss(pictures.flip(1), [disparities], options).loss)


def test_the_loss_is_the_papers_sum_over_both_pictures_and_all_scales() -> None:
    # Plain pictures look the same at every size, however they are resampled.
    pictures = torch.tensor([0.2, 0.7]).view(1, 2, 1, 1, 1).expand(1, 2, 3, 12, 16)
    disparities = [torch.rand(1, 2, 12, 16) * 0.1, torch.rand(1, 2, 6, 8) * 0.1]
    expected = 0.0
    for scale, disparity in enumerate(disparities):
        left, right = (picture[..., : 12 // 2**scale, : 16 // 2**scale] for picture in pictures.unbind(1))
        own, other = disparity.split(1, dim=1)
        expected += float(photometric_error(shift(right, -own).image, left, 0.85).mean())
        expected += float(photometric_error(shift(left, other).image, right, 0.85).mean())
        expected += 0.1 / 2**scale * float(edge_aware_smoothness(own, left) + edge_aware_smoothness(other, right))
        expected += float(left_right_consistency(own, other))
    assert float(stereo_loss(pictures, disparities, Stereo()).loss) == pytest.approx(expected, rel=1e-4)


def test_one_scale_is_the_papers_sum_on_real_texture() -> None:
    pictures, disparity = pair()
    left, right = pictures.unbind(1)
    own, other = disparity.split(1, dim=1)
    expected = photometric_error(shift(right, -own).image, left, 0.85).mean()
    expected = expected + photometric_error(shift(left, other).image, right, 0.85).mean()
    expected = expected + 0.1 * (edge_aware_smoothness(own, left) + edge_aware_smoothness(other, right))
    expected = expected + left_right_consistency(own, other)
    assert float(stereo_loss(pictures, [disparity], Stereo()).loss) == pytest.approx(float(expected), rel=1e-5)


def test_a_rigs_depth_is_in_metres(tiny_config) -> None:
    config = replace(tiny_config, inverse_depth=(3.0, 0.01))
    network = FCRN(config).eval()
    objective = StereoLoss(config, Stereo(scales=1))
    images = torch.rand(1, 2, 3, 64, 96)
    batch = ViewsBatch(images, torch.tensor([[80.0, 80.0, 47.5, 31.5]]), torch.tensor([0.3]), ("a",))
    own = 80 * 0.3 / network(images[:, 0]) / 96
    right = objective.heads(network, images[:, 0])[0][:, 1:] * 80 * 0.3 / 96
    expected = stereo_loss(images, [torch.cat((own, right), dim=1)], Stereo(scales=1)).loss
    assert objective(network, batch).loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_every_weight_learns(tiny_config) -> None:
    config = replace(tiny_config, inverse_depth=(3.0, 0.01))
    network, objective = FCRN(config), StereoLoss(config, Stereo())
    batch = ViewsBatch(torch.rand(2, 2, 3, 64, 96), torch.tensor([[80.0, 80.0, 47.5, 31.5]] * 2), torch.tensor([0.3, 0.3]), ("a", "b"))
    objective(network, batch).loss.backward()
    for name, parameter in [*network.named_parameters(), *objective.named_parameters()]:
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_gradients_of_the_loss_are_the_numerical_ones() -> None:
    generator = torch.Generator().manual_seed(1)
    pictures = torch.rand(1, 2, 3, 4, 6, dtype=torch.float64, generator=generator)
    disparities = (torch.rand(1, 2, 4, 6, dtype=torch.float64, generator=generator) * 0.1 + 0.03).requires_grad_()
    assert torch.autograd.gradcheck(lambda d: stereo_loss(pictures, [d], Stereo()).loss, (disparities,))
