from dataclasses import replace

import numpy as np
import pytest
import torch

from fcrn_mobile.data.batches import ViewsBatch
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.selfsupervised.geometry import pose_matrix, warp
from fcrn_mobile.training.selfsupervised.photometric import photometric_error
from fcrn_mobile.training.selfsupervised.regularisers import second_order_smoothness
from fcrn_mobile.training.selfsupervised.video import Video, VideoLoss, video_loss
from tests.training.selfsupervised.rendering import camera_at, render

SIZE, CAMERA = (48, 64), (56.0, 56.0, 31.5, 23.5)
PLAIN = Video(ssim=0.0, smoothness=0.0, minimum=False, automask=False)


def triplet() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures 1×3×3×H×W, true depth 1×1×H×W and true poses 1×2×4×4 of a camera that moves sideways and turns."""
    cameras = [camera_at(0, 0, 0), camera_at(-0.12, 0.02, 0, yaw=-0.03), camera_at(0.12, 0, 0.05, yaw=0.03)]
    views = [render(SIZE, CAMERA, camera) for camera in cameras]
    pictures = torch.from_numpy(np.stack([view.image.transpose(2, 0, 1) for view in views]))[None]
    poses = torch.from_numpy(np.stack([np.linalg.inv(camera) @ cameras[0] for camera in cameras[1:]]))[None].float()
    return pictures, torch.from_numpy(views[0].depth)[None, None], poses


def loss(options: Video, inverse: list[torch.Tensor], poses: torch.Tensor, pictures: torch.Tensor) -> float:
    return float(video_loss(pictures, torch.tensor([CAMERA]), inverse, poses, options).loss)


@pytest.mark.parametrize("options", [PLAIN, Video(smoothness=0), replace(PLAIN, ssim=0.85), replace(PLAIN, minimum=True)])
def test_true_depth_and_motion_have_a_lower_loss_than_wrong_ones(options) -> None:
    pictures, depth, poses = triplet()
    true = loss(options, [1 / depth], poses, pictures)
    assert true < 0.9 * loss(options, [torch.full_like(depth, 0.5)], poses, pictures)
    assert true < 0.9 * loss(options, [1 / (1.4 * depth)], poses, pictures)
    assert true < 0.9 * loss(options, [1 / depth], torch.linalg.inv(poses), pictures)


def test_only_the_ratio_of_depth_and_motion_is_known() -> None:
    pictures, depth, poses = triplet()
    tenfold = poses.clone()
    tenfold[..., :3, 3] *= 10
    assert loss(PLAIN, [0.1 / depth], tenfold, pictures) == pytest.approx(loss(PLAIN, [1 / depth], poses, pictures), rel=1e-3)


def test_the_plain_loss_is_the_mean_l1_of_both_warps() -> None:
    pictures, depth, poses = triplet()
    expected = []
    for number in range(2):
        source = pictures[:, 1 + number]
        warped = warp(source, depth, poses[:, number], torch.tensor([CAMERA]))
        error = (warped.image - pictures[:, 0]).abs().mean(1, keepdim=True)
        standing_still = (source - pictures[:, 0]).abs().mean(1, keepdim=True)
        expected.append(torch.where(warped.valid, error, standing_still).mean())
    assert loss(PLAIN, [1 / depth], poses, pictures) == pytest.approx(float(sum(expected)) / 2, rel=1e-4)


def test_minimum_and_automask_choose_pixels_as_godard_does() -> None:
    pictures, depth, poses = triplet()
    wrong = 1.2 * depth
    errors, still = [], []
    for number in range(2):
        source = pictures[:, 1 + number]
        warped = warp(source, wrong, poses[:, number], torch.tensor([CAMERA]))
        unmoved = photometric_error(source, pictures[:, 0], 0.85)
        errors.append(torch.where(warped.valid, photometric_error(warped.image, pictures[:, 0], 0.85), unmoved))
        still.append(unmoved)
    least, least_still = torch.minimum(*errors), torch.minimum(*still)
    kept = least < least_still
    terms = video_loss(pictures, torch.tensor([CAMERA]), [1 / wrong], poses, Video(smoothness=0))
    assert 0.2 < kept.float().mean() < 1
    assert float(terms.loss) == pytest.approx(float(least[kept].mean()), rel=1e-4)
    assert float(terms.counted) == pytest.approx(float(kept.float().mean()), abs=1e-3)


def test_smoothness_is_halved_at_every_coarser_scale() -> None:
    pictures, _, poses = triplet()
    generator = torch.Generator().manual_seed(0)
    inverse = [torch.rand(1, 1, 48 // 2**s, 64 // 2**s, generator=generator) + 0.5 for s in range(3)]
    with_it, without = (loss(replace(PLAIN, smoothness=value), inverse, poses, pictures) for value in (0.4, 0.0))
    expected = np.mean([0.4 / 2**s * float(second_order_smoothness(x / x.mean())) for s, x in enumerate(inverse)])
    assert with_it - without == pytest.approx(expected, rel=1e-3)


def test_masks_weigh_the_error_and_pay_for_it() -> None:
    pictures, depth, poses = triplet()
    arguments = (pictures, torch.tensor([CAMERA]), [1.5 / depth], poses)
    logits = torch.full((1, 2, *SIZE), -1.0)
    plain = video_loss(*arguments, PLAIN)
    masked = video_loss(*arguments, replace(PLAIN, explainability=0.2), logits)
    mask = 1 / (1 + np.e)
    assert float(masked.loss) == pytest.approx(mask * float(plain.loss) - 0.2 * np.log(mask), rel=1e-4)


def test_a_static_clip_leaves_no_pixel_and_no_nan() -> None:
    picture = torch.rand(1, 1, 3, *SIZE).expand(1, 3, 3, *SIZE)
    inverse = torch.full((1, 1, *SIZE), 0.5, requires_grad=True)
    terms = video_loss(picture, torch.tensor([CAMERA]), [inverse], pose_matrix(torch.zeros(1, 2, 6)), Video())
    terms.loss.backward()
    assert float(terms.counted) == 0
    assert torch.isfinite(terms.loss)
    assert torch.isfinite(inverse.grad).all()


def batch(count: int = 2) -> ViewsBatch:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(count, 3, 3, 64, 96, generator=generator)
    return ViewsBatch(images, torch.tensor([[80.0, 80.0, 47.5, 31.5]] * count), torch.zeros(count), ("a", "b")[:count])


@pytest.mark.parametrize("scales", [1, 3, 9])
def test_every_weight_of_depth_and_pose_network_learns(tiny_config, scales) -> None:
    config = replace(tiny_config, inverse_depth=(10.0, 0.01))
    network = FCRN(config)
    options = Video(scales=scales, minimum=False, automask=False, explainability=0.1)
    objective = VideoLoss(config, options)
    assert len(objective.heads.coarser) == min(scales, 4) - 1
    terms = objective(network, batch())
    terms.loss.backward()
    assert set(terms.parts) == {"photometric", "smoothness", "explainability"}
    for name, parameter in [*network.named_parameters(), *objective.named_parameters()]:
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_the_networks_own_depth_is_the_finest_scale(tiny_config) -> None:
    config = replace(tiny_config, inverse_depth=(10.0, 0.01))
    network = FCRN(config).eval()
    image = torch.rand(1, 3, 64, 96)
    inverse = VideoLoss(config, Video(scales=4)).heads(network, image)
    assert torch.allclose(1 / inverse[0], network(image), rtol=1e-5)
    assert [tuple(x.shape[-2:]) for x in inverse] == [(32, 48), (16, 24), (8, 12), (4, 6)]


@pytest.mark.parametrize(("inverse_range", "first"), [((10.0, 0.01), 1.0), ((3.16, 0.01), 1.0), ((0.4, 0.2), 2.5), ((1.0, 1.5), 0.5)])
def test_training_starts_at_a_depth_of_one_or_in_the_middle_of_a_range_without_it(tiny_config, inverse_range, first: float) -> None:
    config = replace(tiny_config, inverse_depth=inverse_range)
    network = FCRN(config).eval()
    network.head.weight.data.zero_()
    heads = VideoLoss(config, Video(scales=4)).heads
    for head in heads.coarser:
        head.weight.data.zero_()
    for inverse in heads(network, torch.rand(1, 3, 64, 96)):
        assert torch.allclose(1 / inverse, torch.tensor(first))


@pytest.mark.parametrize(
    ("objective", "given", "used"), [("video", None, 0.01), ("stereo", None, 0.1), ("video", 0.3, 0.3), ("stereo", 0.0, 0.0)]
)
def test_each_objective_has_a_smoothness_of_its_own_until_one_is_given(objective: str, given, used: float) -> None:
    assert Hyperparameters.of({"objective": objective, "smoothness": given}).objective.smoothing == used


def test_gradients_of_the_loss_are_the_numerical_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(1, 3, 3, 5, 6, dtype=torch.float64, generator=generator)
    inverse = (torch.rand(1, 1, 5, 6, dtype=torch.float64, generator=generator) * 0.3 + 0.4).requires_grad_()
    twists = (torch.rand(1, 2, 6, dtype=torch.float64, generator=generator) * 0.03 + 0.01).requires_grad_()
    intrinsics = torch.tensor([[6.3, 6.1, 2.6, 2.1]], dtype=torch.float64)
    options = Video(minimum=False, automask=False)
    assert torch.autograd.gradcheck(lambda d, t: video_loss(pictures, intrinsics, [d], pose_matrix(t), options).loss, (inverse, twists))
