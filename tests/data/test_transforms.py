"""Joint transforms on a pattern whose colour tells the depth: red = 20·metres."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.data import transforms
from fcrn_mobile.data.source import Sample

PER_METRE = 20


def make_pattern() -> Sample:
    """Four flat quadrants, so that resampling leaves most pixels unmixed."""
    depth = np.repeat(np.repeat(np.array([[2.0, 4.0], [6.0, 8.0]], np.float32), 60, axis=0), 80, axis=1)
    image = np.zeros((*depth.shape, 3), np.uint8)
    image[..., 0] = np.rint(depth * PER_METRE)
    image[..., 1] = 100
    return Sample(image, depth, "pattern")


@pytest.fixture
def pattern() -> Sample:
    return make_pattern()


def share_together(sample: Sample, factor: float = 1.0) -> float:
    """Share of valid pixels whose colour still tells their depth (times the factor by which depth was divided)."""
    valid = sample.depth > 0
    # Where an invalid corner mixes into the colour, green tells.
    valid &= sample.image[..., 1] >= 99
    return float(np.mean(np.abs(sample.image[..., 0][valid] / PER_METRE - sample.depth[valid] * factor) < 0.06))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_colour_and_depth_stay_together(seed: int) -> None:
    sample = make_pattern()
    rng = np.random.default_rng(seed)
    factor = rng.uniform(1, 1.5)
    steps = [
        (transforms.resize(sample, 97, 131), 1.0),
        (transforms.scale(sample, factor), factor),
        (transforms.rotate(sample, rng.uniform(-5, 5)), 1.0),
        (transforms.crop(sample, int(rng.integers(20)), int(rng.integers(20)), 90, 110), 1.0),
        (transforms.centre_crop(sample, 80, 100), 1.0),
        (transforms.flip(sample), 1.0),
    ]
    for result, divided in steps:
        assert share_together(result, divided) > 0.95


def test_scaling_divides_depth_as_a_closer_camera_sees_it(pattern: Sample) -> None:
    closer = transforms.scale(pattern, 1.25)
    assert closer.depth.shape == (150, 200)
    np.testing.assert_allclose(np.unique(closer.depth), np.array([2, 4, 6, 8]) / 1.25, rtol=1e-6)


def test_rotation_turns_both_the_same_way(pattern: Sample) -> None:
    quarter = transforms.rotate(replace(pattern, image=pattern.image[:, 20:140], depth=pattern.depth[:, 20:140]), 90)
    np.testing.assert_array_equal(quarter.depth, np.rot90(pattern.depth[:, 20:140]))
    np.testing.assert_array_equal(quarter.image, np.rot90(pattern.image[:, 20:140]))


def test_rotated_corners_are_invalid(pattern: Sample) -> None:
    assert transforms.rotate(pattern, 5).depth[0, 0] == 0


def test_jitter_changes_colour_only(pattern: Sample) -> None:
    jittered = transforms.colour_jitter(pattern, np.random.default_rng(3))
    assert jittered.depth is pattern.depth
    assert not np.array_equal(jittered.image, pattern.image)


def test_the_whole_augmentation_keeps_size_and_is_repeatable(pattern: Sample) -> None:
    augmentation = transforms.Augmentation((64, 96), jitter=0.0)
    first, again, other = (augmentation(pattern, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.image.shape == (64, 96, 3)
    assert first.depth.shape == (64, 96)
    np.testing.assert_array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)


def test_tensors_have_the_networks_layout(pattern: Sample) -> None:
    image = transforms.image_tensor(pattern.image)
    assert image.shape == (3, 120, 160)
    assert float(image.max()) == pytest.approx(160 / 255)
    assert transforms.depth_tensor(pattern.depth).shape == (1, 120, 160)
