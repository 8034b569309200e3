"""Scale, or scale and shift, from distances at pixels: by hand, against NumPy's least squares and Pillow's interpolation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.tape import Mark, Scale, fit_scale, parse_mark

SIZE = (48, 64)


def ramp() -> np.ndarray:
    """24×32: 1 at the left edge's centre, 0.1 more for each column."""
    return (1 + 0.1 * np.arange(32, dtype=np.float32))[None].repeat(24, axis=0)


@pytest.mark.parametrize(
    ("text", "metres"), [("320,240=2.35m", 2.35), ("0, 7 = 235 cm", 2.35), ("1,2=1000mm", 1), ("3,4=10ft", 3.048), ("3,4=10in", 0.254)]
)
def test_units(text: str, metres: float) -> None:
    assert parse_mark(text).metres == pytest.approx(metres)
    assert parse_mark("320,240=2.35m") == Mark(320, 240, 2.35)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10,20=2.35", "2.35 has no unit: write one of m, cm, mm, ft, in"),
        ("10,20=2.35yd", "'yd' is no unit"),
        ("10,20=m", "write a pixel and its distance"),
        ("10=2m", "write a pixel and its distance"),
        ("1.5,2=2m", "write a pixel and its distance"),
        ("10,20", "write a pixel and its distance"),
        ("10,20=0m", "above 0"),
        ("10,20=-1m", "above 0"),
        ("10,20=infm", "write a pixel and its distance"),
    ],
)
def test_what_is_no_mark_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        parse_mark(text)
    assert text in str(refusal.value)


def test_one_mark_is_a_ratio() -> None:
    # Pixel 21 of 64 has its centre at 21.5 / 2 - 0.5 = 10.25 of 32: 1 + 1.025.
    scale = fit_scale(ramp(), [Mark(21, 5, 4.05)], SIZE, "a.png")
    assert scale == Scale(pytest.approx(4.05 / 2.025), 0.0)
    np.testing.assert_allclose(scale(ramp()), ramp() * 2, rtol=1e-5)
    inverse = fit_scale(ramp(), [Mark(21, 5, 4.0)], SIZE, "a.png", inverse=True)
    assert inverse == Scale(pytest.approx(0.25 / 2.025), 0.0, True)
    np.testing.assert_allclose(inverse(ramp()), 4 * 2.025 / ramp(), rtol=1e-5)


def test_two_marks_are_a_line_in_depth_and_in_inverse_depth() -> None:
    # 1.225 and 3.225 in the ramp: s = (5 - 2) / 2, t = 2 - s · 1.225.
    scale = fit_scale(ramp(), [Mark(5, 0, 2.0), Mark(45, 9, 5.0)], SIZE, "a.png")
    assert (scale.scale, scale.shift) == (pytest.approx(1.5, rel=1e-5), pytest.approx(2 - 1.5 * 1.225, rel=1e-5))
    inverse = fit_scale(ramp(), [Mark(5, 0, 5.0), Mark(45, 9, 2.0)], SIZE, "a.png", inverse=True)
    assert inverse.scale == pytest.approx((1 / 2 - 1 / 5) / 2, rel=1e-5)
    assert inverse.shift == pytest.approx(1 / 5 - inverse.scale * 1.225, rel=1e-5)
    values = inverse(np.array([[1.225, 3.225]], np.float32))
    np.testing.assert_allclose(values, [[5, 2]], rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 6))
def test_more_marks_are_numpy_s_least_squares_of_pillow_s_values(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    output = (generator.uniform(1, 2, (12, 16)) + np.arange(16) / 4).astype(np.float32)
    large = np.asarray(Image.fromarray(output).resize((64, 48), Image.Resampling.BILINEAR))
    x, y = np.linspace(1, 62, count).round().astype(int), generator.integers(0, 48, count)
    values = large[y, x].astype(float)
    metres = 0.5 + 2 * values + generator.normal(0, 0.01, count)
    expected = np.linalg.lstsq(np.stack([values, np.ones(count)], 1), metres, rcond=None)[0]
    marks = [Mark(int(a), int(b), float(c)) for a, b, c in zip(x, y, metres, strict=True)]
    scale = fit_scale(output, marks, SIZE, "a.png")
    np.testing.assert_allclose((scale.scale, scale.shift), expected, rtol=1e-4, atol=1e-4)


def test_what_falls_below_zero_has_no_depth_and_nan_stays() -> None:
    values = np.array([[0.5, 2.0, math.nan]], np.float32)
    np.testing.assert_array_equal(Scale(2, -2)(values), [[0, 2, math.nan]])
    np.testing.assert_array_equal(Scale(1, -1, True)(values), [[0, 1, math.nan]])


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ([Mark(64, 0, 1)], "pixel 64,0 of --scale-from lies outside of 'a.png', whose x go from 0 to 63 and y from 0 to 47"),
        ([Mark(0, 48, 1)], "outside"),
        ([Mark(-1, 0, 1)], "outside"),
        ([Mark(0, 47, 1)], r"pixel 0,47 of --scale-from has no depth in 'a.png' \(0\)"),
        ([Mark(63, 47, 1)], r"has no depth in 'a.png' \(nan\)"),
        ([Mark(5, 0, 1), Mark(5, 9, 2)], "at one depth"),
        ([Mark(5, 0, 3), Mark(45, 0, 2)], "what is farther by the tape is nearer"),
    ],
)
def test_marks_that_cannot_be_used(marks: list[Mark], message: str) -> None:
    output = ramp()
    output[-2:, :2], output[-2:, -2:] = 0, np.nan
    with pytest.raises(InputError, match=message):
        fit_scale(output, marks, SIZE, "a.png")


def test_it_says_what_it_does() -> None:
    assert str(Scale(2.0)) == "metres = 2 · depth"
    assert str(Scale(1.5, -0.25)) == "metres = 1.5 · depth - 0.25"
    assert str(Scale(0.5, 0.1, True)) == "metres = 1 / (0.5 · inverse depth + 0.1)"
    assert Scale(0.5, 0.1, True).to_json() == {"scale": 0.5, "shift": 0.1, "of": "inverse depth"}
