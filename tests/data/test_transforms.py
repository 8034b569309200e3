"""Joint transforms on a pattern whose colour tells the depth: red = 20·metres."""

import colorsys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import find_objects, label

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


def noise(seed: int = 0) -> Sample:
    """Every colour, on depth from 1 to 12 m with a fifth of it invalid."""
    rng = np.random.default_rng(seed)
    depth = np.where(rng.random((60, 80)) < 0.2, 0, rng.uniform(1, 12, (60, 80))).astype(np.float32)
    return Sample(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8), depth, "noise")


def test_a_turned_hue_is_that_of_the_colour_circle() -> None:
    sample = noise()
    turned = transforms.turn_hue(sample, 0.25)
    assert turned.depth is sample.depth
    for before, after in zip(sample.image.reshape(-1, 3)[:300], turned.image.reshape(-1, 3), strict=False):
        hue, saturation, value = colorsys.rgb_to_hsv(*before / 255)
        expected = np.array(colorsys.hsv_to_rgb((hue + 0.25) % 1, saturation, value)) * 255
        # Hue is stored in 256 steps, and cut off there: a step moves a channel by at most 6 levels.
        assert np.abs(after - expected).max() < 12
    gray = replace(sample, image=np.repeat(sample.image[..., :1], 3, axis=2))
    np.testing.assert_array_equal(transforms.turn_hue(gray, 0.3).image, gray.image)


@pytest.mark.parametrize("exponent", [0.8, 1.0, 1.25])
def test_gamma_is_a_power_of_the_values(exponent: float) -> None:
    sample = noise()
    result = transforms.gamma(sample, exponent)
    assert result.depth is sample.depth
    assert result.image.dtype == np.uint8
    np.testing.assert_allclose(result.image, 255 * (sample.image / 255) ** exponent, atol=0.5 + 1e-9)


def test_depth_is_pasted_at_its_own_place_and_stays_as_it_is() -> None:
    for seed in range(100):
        sample, rng = noise(seed), np.random.default_rng(seed)
        pasted = transforms.cut_depth(sample, np.random.default_rng(seed))
        assert pasted.depth is sample.depth
        # The published rectangle, in pixels counted one by one.
        a, b, c, d = rng.random(4)
        width, height = max((80 - a * 80) * c * 0.75, 1), max((60 - b * 60) * d * 0.75, 1)
        rows, columns = np.indices(sample.depth.shape)
        top, left = int(b * 60), int(a * 80)
        inside = (rows >= top) & (rows < top + int(height)) & (columns >= left) & (columns < left + int(width))
        gray = inside & (sample.depth > 0)
        assert np.array_equal(pasted.image[~gray], sample.image[~gray])
        levels = np.minimum(sample.depth[gray], 10) * 25.5
        assert np.abs(pasted.image[gray] - levels[:, np.newaxis]).max(initial=0) <= 0.5 + 1e-4


def test_pasted_depth_covers_what_its_formula_says_on_average() -> None:
    black = Sample(np.zeros((240, 320, 3), np.uint8), np.full((240, 320), 10, np.float32), "white wall")
    rng = np.random.default_rng(0)
    # The mean of (1-a)·c·p·(1-b)·d·p is p²/16, its deviation over 3000 frames 0.027 of that; sides are rounded down.
    shares = [transforms.cut_depth(black, rng).image[..., 0].mean() / 255 for _ in range(3000)]
    assert np.mean(shares) == pytest.approx(0.75**2 / 16, rel=0.1)


def test_cut_out_makes_rectangles_of_depth_invalid_and_touches_nothing_else() -> None:
    numbers = []
    for seed in range(300):
        sample = replace(noise(), depth=np.arange(1, 4801, dtype=np.float32).reshape(60, 80))
        cut = transforms.cut_out(sample, np.random.default_rng(seed))
        assert cut.image is sample.image
        hole = cut.depth == 0
        np.testing.assert_array_equal(cut.depth[~hole], sample.depth[~hole])
        assert 3 * 4 <= hole.sum() <= 3 * 15 * 20
        parts, number = label(hole)
        numbers.append(number)
        for rows, columns in find_objects(parts):
            if number == 3:  # none touches another, so each is a rectangle of its own
                height, width = rows.stop - rows.start, columns.stop - columns.start
                assert hole[rows, columns].all() and 3 <= height <= 15 and 4 <= width <= 20
    assert set(numbers) == {1, 2, 3}


@pytest.mark.parametrize(("setting", "part"), [("cut_depth", "image"), ("cut_out", "depth")])
def test_depth_is_pasted_or_cut_out_as_often_as_asked(setting: str, part: str) -> None:
    plain, cut = (transforms.Augmentation((32, 40), jitter=0.0, **each) for each in ({}, {setting: 0.3}))
    sample = noise()
    pairs = [(plain(sample, np.random.default_rng(seed)), cut(sample, np.random.default_rng(seed))) for seed in range(400)]
    changed = np.mean([not np.array_equal(getattr(before, part), getattr(after, part)) for before, after in pairs])
    other = "image" if part == "depth" else "depth"
    assert all(np.array_equal(getattr(before, other), getattr(after, other)) for before, after in pairs)
    # Four times the deviation of a mean of 400; a pasted pixel may be invalid, and is then not seen.
    assert changed == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / 400) ** 0.5 + 0.01)


def test_hue_and_gamma_change_colours_alone_within_their_range(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, list[float]] = {"turn_hue": [], "gamma": []}
    for name, values in drawn.items():
        monkeypatch.setattr(transforms, name, lambda sample, value, values=values: values.append(value) or sample)
    plain, coloured = transforms.Augmentation((32, 40)), transforms.Augmentation((32, 40), hue=0.1, gamma=0.25)
    sample = noise()
    for seed in range(300):
        before, after = (each(sample, np.random.default_rng(seed)) for each in (plain, coloured))
        np.testing.assert_array_equal(before.image, after.image)  # nothing else is drawn otherwise
        np.testing.assert_array_equal(before.depth, after.depth)
    assert -0.1 <= min(drawn["turn_hue"]) < -0.09 and 0.09 < max(drawn["turn_hue"]) <= 0.1
    assert 0.8 <= min(drawn["gamma"]) < 0.82 and 1.22 < max(drawn["gamma"]) <= 1.25
    assert np.mean(np.log(drawn["gamma"])) == pytest.approx(0, abs=4 * np.log(1.25) / (3 * 300) ** 0.5)


@pytest.mark.parametrize("cut", [transforms.cut_depth, transforms.cut_out])
def test_the_frame_itself_stays_whole(cut) -> None:
    """It may be the one in the cache."""
    sample = noise()
    for seed in range(20):
        cut(sample, np.random.default_rng(seed))
    np.testing.assert_array_equal(sample.image, noise().image)
    np.testing.assert_array_equal(sample.depth, noise().depth)


def test_what_is_off_is_no_step_and_what_is_on_is_named() -> None:
    plain = transforms.Augmentation((32, 40)).steps
    steps = transforms.Augmentation((32, 40), hue=0.05, gamma=0.2, cut_depth=0.25, cut_out=0.5).steps
    assert steps[: len(plain)] == plain
    assert steps[len(plain) :] == [
        "hue turned by -0.05..0.05 of the circle",
        "gamma 1/1.2..1.2",
        "depth pasted into the image, probability 0.25",
        "depth cut out, probability 0.5",
    ]


def test_tensors_have_the_networks_layout(pattern: Sample) -> None:
    image = transforms.image_tensor(pattern.image)
    assert image.shape == (3, 120, 160)
    assert float(image.max()) == pytest.approx(160 / 255)
    assert transforms.depth_tensor(pattern.depth).shape == (1, 120, 160)
