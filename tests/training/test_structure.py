"""Terms beside the loss, against their formulas in NumPy."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fcrn_mobile.data.source import Sample
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.losses import depth_loss
from fcrn_mobile.training.start import mean_depth
from fcrn_mobile.training.structure import FOCAL, TERMS, draw_triplets, plane_triplets, virtual_normals
from fcrn_mobile.training.supervised import Supervised

Maps = NDArray[np.float64]


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def gradient_by_hand(error: Maps, valid: NDArray[np.bool_]) -> float:
    """Pixel by pixel, over pairs of valid neighbours of every image."""
    total = 0.0
    for step in (1, 2, 4, 8):
        e, v = error[:, ::step, ::step], valid[:, ::step, ::step]
        images, height, width = e.shape
        places = [(n, i, j) for n in range(images) for i in range(height) for j in range(width)]
        total += mean([abs(e[n, i, j + 1] - e[n, i, j]) for n, i, j in places if j + 1 < width and v[n, i, j] and v[n, i, j + 1]])
        total += mean([abs(e[n, i + 1, j] - e[n, i, j]) for n, i, j in places if i + 1 < height and v[n, i, j] and v[n, i + 1, j]])
    return total / 4


def silog_by_hand(prediction: Maps, target: Maps, valid: NDArray[np.bool_]) -> float:
    errors = []
    for p, t, v in zip(prediction, target, valid, strict=True):
        d = [math.log(a) - math.log(b) for a, b, known in zip(p.flat, t.flat, v.flat, strict=True) if known]
        if d:
            errors.append(sum(x * x for x in d) / len(d) - 0.5 * sum(d) ** 2 / len(d) ** 2)
    return mean(errors)


def normals_by_hand(prediction: Maps, target: Maps, valid: NDArray[np.bool_]) -> float:
    images, height, width = prediction.shape
    differences = []
    for n in range(images):
        for i in range(height - 1):
            for j in range(width - 1):
                if valid[n, i : i + 2, j : j + 2].all():
                    unit = []
                    for z in (prediction[n], target[n]):
                        slopes = (z[i, j + 1] - z[i, j], z[i + 1, j] - z[i, j])
                        normal = np.array([-slopes[0] * width / 100, -slopes[1] * width / 100, 1])
                        unit.append(normal / np.linalg.norm(normal))
                    differences.append(1 - unit[0] @ unit[1])
    return mean(differences)


def plane_by_hand(corners: list[Maps]) -> bool:
    """Whether three points are a triangle without an angle below 30° or above 150°, two of them 5 mm apart along some axis."""
    angles = []
    for i in range(3):
        a, b = corners[(i + 1) % 3] - corners[i], corners[(i + 2) % 3] - corners[i]
        angles.append(math.degrees(math.acos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))
    least = math.degrees(math.acos(0.867))
    apart = [min(abs(corners[i][axis] - corners[j][axis]) for i, j in ((0, 1), (0, 2), (1, 2))) >= 0.005 for axis in range(3)]
    return all(least <= angle <= 180 - least for angle in angles) and any(apart)


def virtual_normals_by_hand(prediction: Maps, target: Maps, valid: NDArray[np.bool_], focal: float = FOCAL) -> float:
    """Triplet by triplet of those that are drawn with the seed 0."""
    torch.manual_seed(0)
    _, height, width = prediction.shape

    def point(z: Maps, index: int) -> Maps:
        row, column = divmod(index, width)
        return np.array([(column - (width - 1) / 2) / (focal * width), (row - (height - 1) / 2) / (focal * width), 1]) * z[row, column]

    differences = []
    for triplet in draw_triplets(height * width, torch.device("cpu")).tolist():
        if len(set(triplet)) < 3:
            continue
        for p, t, v in zip(prediction, target, valid, strict=True):
            if all(v.flat[i] for i in triplet) and plane_by_hand([point(t, i) for i in triplet]):
                units = []
                for z in (p, t):
                    a, b, c = (point(z, i) for i in triplet)
                    normal = np.cross(b - a, c - a)
                    units.append(normal / np.linalg.norm(normal))
                differences.append(float(np.abs(units[0] - units[1]).sum()))
    return mean(sorted(differences)[int(len(differences) * 0.25) :])


def by_hand(name: str, prediction: Maps, target: Maps, valid: NDArray[np.bool_]) -> float:
    if name == "silog":
        return silog_by_hand(prediction, target, valid)
    if name == "normals":
        return normals_by_hand(prediction, target, valid)
    if name == "virtual_normals":
        return virtual_normals_by_hand(prediction, target, valid)
    if name == "log_gradient":
        prediction, target = np.log(prediction), np.log(np.where(valid, target, 1))
    return gradient_by_hand(prediction - np.where(valid, target, 0), valid)


@pytest.fixture
def maps() -> tuple[Maps, Maps, NDArray[np.bool_]]:
    rng = np.random.default_rng(0)
    prediction, target = rng.uniform(0.5, 8, (2, 3, 11, 14))
    target[0, :4, :5], target[1, 0, 0], target[1, 7, 3], target[2] = 0, np.nan, np.inf, 0
    return prediction, target, np.isfinite(target) & (target > 0)


@pytest.mark.parametrize("name", list(TERMS))
def test_a_term_equals_its_formula(name: str, maps) -> None:
    prediction, target, valid = maps
    p, t = (torch.from_numpy(each).unsqueeze(1) for each in (prediction, target))
    torch.manual_seed(0)
    with_term = depth_loss("l1", p, t, {name: 0.7}) - depth_loss("l1", p, t)
    assert float(with_term) == pytest.approx(0.7 * by_hand(name, prediction, target, valid), rel=1e-9)


@pytest.mark.parametrize("name", list(TERMS))
def test_a_term_of_a_perfect_prediction_is_zero_and_has_a_gradient_elsewhere(name: str, maps) -> None:
    _, target, valid = maps
    t = torch.from_numpy(np.where(valid, target, 0)).unsqueeze(1)
    known = torch.from_numpy(valid).unsqueeze(1)
    torch.manual_seed(0)
    assert float(TERMS[name](t.clamp_min(0.1), t, known)) == pytest.approx(0, abs=1e-12)
    p = torch.from_numpy(np.random.default_rng(1).uniform(0.5, 8, t.shape)).requires_grad_()
    TERMS[name](p, t, known).backward()
    assert p.grad is not None
    assert bool(p.grad.isfinite().all())
    assert bool((p.grad[~known] == 0).all())
    assert bool(p.grad[known].any())


@pytest.mark.parametrize("name", list(TERMS))
def test_a_term_without_valid_pixels_is_harmless(name: str) -> None:
    p = torch.rand(1, 1, 8, 8, requires_grad=True)
    loss = depth_loss("l1", p, torch.zeros(1, 1, 8, 8), {name: 1.0})
    loss.backward()
    assert loss.item() == 0
    assert bool((p.grad == 0).all())


@pytest.mark.parametrize(("name", "prediction"), [("gradient", lambda d: d + 0.3), ("log_gradient", lambda d: d * 1.7)])
def test_gradients_do_not_see_what_is_common(name: str, prediction) -> None:
    d = torch.rand(1, 1, 16, 16, dtype=torch.float64) + 1
    assert float(TERMS[name](prediction(d), d, torch.ones_like(d, dtype=torch.bool))) == pytest.approx(0, abs=1e-12)


def test_a_blurred_edge_costs_more_than_the_same_error_without_one() -> None:
    """What gradient matching is for: L1 takes both predictions for equally good."""
    d = torch.ones(1, 1, 16, 16)
    d[..., 8:] = 3
    blurred, offset = d.clone(), d.clone()
    blurred[..., 6:8], blurred[..., 8:10] = 1.5, 2.5
    offset += (blurred - d).abs().mean()
    assert float(depth_loss("l1", blurred, d)) == pytest.approx(float(depth_loss("l1", offset, d)))
    assert float(depth_loss("l1", blurred, d, {"gradient": 1.0})) > float(depth_loss("l1", offset, d, {"gradient": 1.0})) + 0.05


def triangle(degrees: float, size: float = 1.0) -> torch.Tensor:
    """Two sides of a length at an angle, at a depth of 2 m, askew to the axes."""
    radians = math.radians(degrees)
    corners = np.array([[0, 0, 0], [1, 0, 0], [math.cos(radians), math.sin(radians), 0]]) * size
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    return torch.from_numpy(corners @ turn.T + [0, 0, 2]).view(1, 1, 3, 3)


@pytest.mark.parametrize(("degrees", "kept"), [(60, True), (31, True), (29, False), (119, True), (121, False), (151, False), (180, False)])
def test_three_points_nearly_in_a_line_are_no_plane(degrees: float, kept: bool) -> None:
    # At 120° between equal sides the two other angles are 30°.
    assert bool(plane_triplets(triangle(degrees))) == kept


def test_points_near_each_other_along_every_axis_are_no_plane() -> None:
    assert bool(plane_triplets(triangle(60, 0.1)))
    assert not bool(plane_triplets(triangle(60, 0.004)))
    assert not bool(plane_triplets(torch.ones(1, 1, 3, 3)))
    facing = torch.tensor([[0.0, 0.0, 2.0], [0.5, 0.1, 2.0], [0.1, 0.5, 2.0]]).view(1, 1, 3, 3)
    assert bool(plane_triplets(facing))  # near along the third axis alone


def test_virtual_normals_do_not_see_a_planes_distance_but_its_tilt() -> None:
    """Three points on a wall have its normal at any distance; the bulge of a wall and its tilt count."""
    rows, columns = torch.meshgrid(torch.arange(24).double(), torch.arange(32).double(), indexing="ij")
    x, y = (columns - 15.5) / (FOCAL * 32), (rows - 11.5) / (FOCAL * 32)

    def wall(tilt: float, distance: float) -> torch.Tensor:
        return (distance / (1 - tilt * x)).view(1, 1, 24, 32)  # z = distance + tilt·x·z

    known = torch.ones(1, 1, 24, 32, dtype=torch.bool)
    assert float(virtual_normals(wall(0.3, 5.0), wall(0.3, 2.0), known)) == pytest.approx(0, abs=1e-9)
    # Normals (-tilt, 0, 1) of unit length: their difference is that of every triplet.
    flat, tilted = (np.array([-tilt, 0, 1]) / math.hypot(tilt, 1) for tilt in (0.1, 0.3))
    assert float(virtual_normals(wall(0.1, 2.0), wall(0.3, 2.0), known)) == pytest.approx(np.abs(flat - tilted).sum(), rel=1e-9)
    bulge = wall(0.3, 2.0) + 0.2 * (1 - 9 * (x**2 + y**2))
    assert float(virtual_normals(bulge, wall(0.3, 2.0), known)) > 0.05


def test_a_cameras_focal_length_says_how_far_points_lie_apart(maps) -> None:
    prediction, target, valid = maps
    p, t, known = (torch.from_numpy(each).unsqueeze(1) for each in (prediction, np.where(valid, target, 0), valid))
    torch.manual_seed(0)
    assert float(virtual_normals(p, t, known, 1.6)) == pytest.approx(virtual_normals_by_hand(prediction, target, valid, 1.6), rel=1e-9)


def test_triplets_are_drawn_anew_and_with_the_seed_again() -> None:
    torch.manual_seed(3)
    first, second = (draw_triplets(10_000, torch.device("cpu")) for _ in range(2))
    torch.manual_seed(3)
    assert first.shape == (1500, 3)
    assert torch.equal(draw_triplets(10_000, torch.device("cpu")), first) and not torch.equal(first, second)
    counts = torch.histc(first.float(), 10, 0, 9999)
    assert bool(((counts > 360) & (counts < 540)).all())  # 450 each, ± four times its deviation of 20


def test_weights_are_settings_and_zero_is_none() -> None:
    assert Supervised().terms == {}
    assert Supervised(gradient=0.5, normals=0.1).terms == {"gradient": 0.5, "normals": 0.1}
    with pytest.raises(InputError, match="silog is -1"):
        Supervised(silog=-1)
    with pytest.raises(InputError, match="gradient needs true depth"):
        Hyperparameters.of({"gradient": 0.5, "objective": "video"})


class Flat:
    """Frames of one depth each, half of their pixels unknown."""

    def __init__(self, *depths: float) -> None:
        self.depths = depths
        self.names = tuple(map(str, depths))

    def __len__(self) -> int:
        return len(self.depths)

    def __getitem__(self, index: int) -> Sample:
        depth = np.full((4, 6), self.depths[index], np.float32)
        depth[:, ::2] = 0
        return Sample(np.zeros((4, 6, 3), np.uint8), depth, self.names[index])


def test_the_first_predictions_are_the_mean_depth(tiny_config) -> None:
    network = FCRN(tiny_config)
    network.start_at(mean_depth(Flat(1.5, 2.5, 5.0)))
    with torch.no_grad():
        first = network(torch.rand(2, 3, 64, 96))
    assert float(first.mean()) == pytest.approx(3.0, abs=0.2)
    assert float(first.std()) < 0.3


def test_training_from_zero_by_a_logarithm_learns_nothing_and_from_the_mean_it_does(tiny_config) -> None:
    """Below a millimetre the clamp in front of the logarithm has no gradient."""
    for start, learns in ((-0.5, False), (2.0, True)):
        network = FCRN(tiny_config).eval()
        torch.nn.init.zeros_(network.head.weight)
        torch.nn.init.constant_(network.head.bias, start)
        depth_loss("log-l1", network(torch.rand(1, 3, 64, 96)), torch.full((1, 1, 64, 96), 3.0), {"silog": 1.0}).backward()
        assert bool(network.head.bias.grad.any()) == learns


def test_frames_without_any_depth_have_a_mean_of_a_metre() -> None:
    assert mean_depth(Flat(0.0, float("nan"))) == 1.0
