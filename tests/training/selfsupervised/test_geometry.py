import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.linalg import expm
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from fcrn_mobile.training.selfsupervised.geometry import (
    back_project,
    move,
    pose_matrix,
    project,
    sample,
    scale_intrinsics,
    shift,
    warp,
)
from fcrn_mobile.training.selfsupervised.photometric import photometric_error
from tests.motorcycle import motorcycle
from tests.training.selfsupervised.rendering import camera_at, render

K = (70.0, 66.0, 38.2, 30.7)


def tensor(array) -> torch.Tensor:
    """H×W or H×W×3 → 1×C×H×W float64."""
    array = np.asarray(array, dtype=np.float64)
    return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())[None]


def error_of(image: torch.Tensor, target: torch.Tensor, valid: torch.Tensor) -> float:
    return float((image - target).abs().mean(1, keepdim=True)[valid].mean())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=6, max_size=6))
def test_a_twist_becomes_the_motion_that_scipys_exponential_gives(twist: list[float]) -> None:
    v, (a, b, c) = twist[:3], twist[3:]
    hat = np.array([[0, -c, b, v[0]], [c, 0, -a, v[1]], [-b, a, 0, v[2]], [0, 0, 0, 0]])
    pose = pose_matrix(torch.tensor(twist, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(pose, expm(hat), atol=1e-12)
    np.testing.assert_allclose(pose[:3, :3], Rotation.from_rotvec((a, b, c)).as_matrix(), atol=1e-12)


def test_no_twist_is_no_motion() -> None:
    assert torch.equal(pose_matrix(torch.zeros(2, 6)), torch.eye(4).expand(2, 4, 4))


def test_projecting_what_was_back_projected_gives_the_pixels_again() -> None:
    depth = torch.rand(2, 1, 5, 7, dtype=torch.float64) + 0.5
    u, v, z = project(back_project(depth, torch.tensor([K, K])), torch.tensor([K, K]))
    assert torch.allclose(u, torch.arange(7.0, dtype=torch.float64).expand_as(u))
    assert torch.allclose(v, torch.arange(5.0, dtype=torch.float64).unsqueeze(1).expand_as(v))
    assert torch.allclose(z, depth)


def test_a_point_projects_as_the_pinhole_formula_says() -> None:
    points = torch.tensor([0.3, -0.2, 1.5]).view(1, 3, 1, 1)
    u, v, z = project(points, torch.tensor([[100.0, 90.0, 31.0, 23.0]]))
    assert (float(u), float(v), float(z)) == pytest.approx((100 * 0.3 / 1.5 + 31, 90 * -0.2 / 1.5 + 23, 1.5))


def test_reading_between_pixels_is_scipys_linear_interpolation() -> None:
    rng = np.random.default_rng(0)
    image, u, v = rng.random((6, 9)), rng.uniform(-3, 12, (4, 5)), rng.uniform(-3, 9, (4, 5))
    expected = map_coordinates(image, [v, u], order=1, mode="nearest")
    np.testing.assert_allclose(sample(tensor(image), tensor(u), tensor(v))[0, 0].numpy(), expected, atol=1e-12)


def test_no_motion_is_the_picture_itself() -> None:
    image, depth = torch.rand(1, 3, 6, 8), torch.rand(1, 1, 6, 8) + 1
    warped = warp(image, depth, torch.eye(4)[None], torch.tensor([K]))
    assert torch.allclose(warped.image, image, atol=1e-4)


def test_moving_right_by_one_pixels_worth_shifts_the_picture_by_one_pixel() -> None:
    image, depth = torch.rand(1, 1, 4, 8, dtype=torch.float64), torch.full((1, 1, 4, 8), 2.0, dtype=torch.float64)
    pose = torch.eye(4, dtype=torch.float64)[None].clone()
    pose[0, 0, 3] = -2.0 / 70  # the source camera stands to the right: points move left in it, by f·t/Z = 1 pixel
    warped = warp(image, depth, pose, torch.tensor([(70.0, 70.0, 3.5, 1.5)]))
    assert torch.allclose(warped.image[..., 1:], image[..., :-1])
    assert warped.valid[0, 0].tolist() == [[False] + [True] * 7] * 4


def test_what_lies_behind_the_source_camera_is_not_valid() -> None:
    pose = torch.eye(4)[None].clone()
    pose[0, 2, 3] = -3
    warped = warp(torch.rand(1, 3, 4, 6), torch.full((1, 1, 4, 6), 2.0), pose, torch.tensor([K]))
    assert not warped.valid.any()
    assert torch.isfinite(warped.image).all()


def test_intrinsics_follow_a_picture_to_another_size() -> None:
    (fx, fy, cx, cy) = scale_intrinsics(torch.tensor([K]), (60, 80), (30, 20))[0].tolist()
    # A point at the outer right edge of the picture, u = W - 0.5, stays there.
    assert fx * (79.5 - K[2]) / K[0] + cx == pytest.approx(19.5, abs=1e-4)
    assert fy * (-0.5 - K[3]) / K[1] + cy == pytest.approx(-0.5, abs=1e-4)


def test_true_depth_and_pose_turn_a_rendered_view_into_its_neighbour() -> None:
    size, intrinsics = (60, 80), (70.0, 70.0, 39.5, 29.5)
    here, there = camera_at(0, 0, 0), camera_at(0.15, -0.05, 0.1, yaw=0.06, pitch=0.04)
    target, source = render(size, intrinsics, here), render(size, intrinsics, there)
    pose = torch.from_numpy(np.linalg.inv(there) @ here)[None]
    warped = warp(tensor(source.image), tensor(target.depth), pose, torch.tensor([intrinsics]))
    assert warped.valid.float().mean() > 0.7
    standing_still = error_of(tensor(source.image), tensor(target.image), warped.valid)
    assert error_of(warped.image, tensor(target.image), warped.valid) < standing_still / 10
    wrong = warp(tensor(source.image), tensor(target.depth) * 1.3, pose, torch.tensor([intrinsics]))
    assert error_of(wrong.image, tensor(target.image), wrong.valid) > 3 * error_of(warped.image, tensor(target.image), warped.valid)


def test_true_disparity_turns_a_rendered_right_view_into_the_left() -> None:
    size, f, baseline = (60, 80), 70.0, 0.2
    left, right = (render(size, (f, f, 39.5, 29.5), camera_at(x, 0, 0)) for x in (0.0, baseline))
    warped = shift(tensor(right.image), -tensor(f * baseline / left.depth) / size[1])
    standing_still = error_of(tensor(right.image), tensor(left.image), warped.valid)
    assert error_of(warped.image, tensor(left.image), warped.valid) < standing_still / 10


@pytest.mark.parametrize(("first", "second"), [(10, 20), (30, 35), (40, 50)])
def test_true_depth_and_pose_turn_a_real_frame_into_its_neighbour(real_data, first: int, second: int) -> None:
    folder = real_data / "7scenes_clip60"
    images, poses = [], []
    for number in (first, second):
        picture = Image.open(next((folder / "rgb").glob(f"{number:03d}.*"))).convert("RGB").resize((320, 240), Image.Resampling.BOX)
        images.append(tensor(np.asarray(picture) / 255))
        poses.append(np.loadtxt(folder / "depth" / f"{number:03d}.pose.txt"))
    millimetres = np.asarray(Image.open(folder / "depth" / f"{first:03d}.png"))[::2, ::2].astype(np.float64)
    depth = tensor(np.where(millimetres == 65535, 0, millimetres) / 1000)
    # The data set gives no intrinsics of its colour camera; 525 at 640×480 is the sensor's nominal focal length.
    intrinsics = scale_intrinsics(torch.tensor([[525.0, 525.0, 320.0, 240.0]]), (480, 640), (240, 320))
    warped = warp(images[1], depth, torch.from_numpy(np.linalg.inv(poses[1]) @ poses[0])[None], intrinsics)
    seen = warped.valid & (depth > 0)
    assert seen.double().mean() > 0.5
    assert error_of(warped.image, images[0], seen) < error_of(images[1], images[0], seen) / 3


@pytest.mark.parametrize(("ssim_weight", "times"), [(0.0, 5), (0.85, 3.5)])
def test_true_disparity_turns_a_real_right_view_into_the_left(ssim_weight: float, times: float) -> None:
    pair = motorcycle()
    left, right, disparity = tensor(pair.left / 255), tensor(pair.right / 255), tensor(pair.disparity)
    warped = shift(right, -disparity / left.shape[-1])
    seen = warped.valid & (disparity > 0)
    assert seen.double().mean() > 0.85
    unmoved = photometric_error(right, left, ssim_weight)[seen].mean()
    assert photometric_error(warped.image, left, ssim_weight)[seen].mean() < unmoved / times
    assert photometric_error(shift(right, disparity / left.shape[-1]).image, left, ssim_weight)[seen].mean() > unmoved / 2


def test_gradients_of_the_warp_are_the_numerical_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 2, 5, 6, dtype=torch.float64, generator=generator, requires_grad=True)
    depth = (torch.rand(1, 1, 5, 6, dtype=torch.float64, generator=generator) + 1.5).requires_grad_()
    twist = (torch.rand(1, 6, dtype=torch.float64, generator=generator) * 0.05 + 0.01).requires_grad_()
    intrinsics = torch.tensor([[6.3, 6.1, 2.6, 2.1]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda i, d, t: warp(i, d, pose_matrix(t), intrinsics).image, (image, depth, twist))


def test_the_pose_has_its_gradient_at_rest() -> None:
    twist = torch.zeros(1, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(pose_matrix, (twist,))


def test_gradients_of_the_shift_are_the_numerical_ones() -> None:
    image = torch.rand(1, 2, 4, 6, dtype=torch.float64, requires_grad=True)
    disparity = (torch.rand(1, 1, 4, 6, dtype=torch.float64) * 0.1 + 0.02).requires_grad_()
    assert torch.autograd.gradcheck(lambda i, d: shift(i, -d).image, (image, disparity), atol=1e-4)


def test_a_motion_moves_points_as_the_matrix_product_does() -> None:
    points, pose = torch.rand(1, 3, 2, 3, dtype=torch.float64), pose_matrix(torch.rand(1, 6, dtype=torch.float64))
    homogeneous = np.concatenate([points[0].reshape(3, -1).numpy(), np.ones((1, 6))])
    np.testing.assert_allclose(move(points, pose)[0].reshape(3, -1).numpy(), (pose[0].numpy() @ homogeneous)[:3], atol=1e-12)
