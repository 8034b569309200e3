"""Checkerboards of known amplitude, found again; what is smooth, sharp or slanted has none."""

import numpy as np
import pytest

from fcrn_mobile.evaluation.spectrum import Checkerboard, checkerboard, power_spectrum

SHAPES = [(112, 160), (113, 161), (64, 65)]


def wave(shape: tuple[int, int]) -> np.ndarray:
    """A smooth scene, ±1 m around 3 m, whose energy is half a square metre per pixel."""
    rows, columns = np.indices(shape)
    return 3 + np.sin(2 * np.pi * (rows / 16 + columns / 20))


def pattern(shape: tuple[int, int], kind: str) -> np.ndarray:
    rows, columns = np.indices(shape)
    return (-1.0) ** {"rows": rows, "columns": columns, "both": rows + columns}[kind]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["rows", "columns", "both"])
@pytest.mark.parametrize("amplitude", [0.3, 0.01])
def test_a_planted_pattern_is_found_with_its_energy(shape: tuple[int, int], kind: str, amplitude: float) -> None:
    """A pattern of amplitude a has the energy a² per pixel, beside the wave's ½."""
    found = checkerboard(power_spectrum(wave(shape) + amplitude * pattern(shape, kind)))
    expected = amplitude**2 / (amplitude**2 + 0.5)
    assert getattr(found, kind) == pytest.approx(expected, rel=0.01)
    assert found.total == pytest.approx(expected, rel=0.01)


def test_three_patterns_are_told_apart() -> None:
    shape, amplitudes = (96, 128), {"rows": 0.1, "columns": 0.2, "both": 0.4}
    found = checkerboard(power_spectrum(wave(shape) + sum(a * pattern(shape, kind) for kind, a in amplitudes.items())))
    energy = 0.5 + sum(a**2 for a in amplitudes.values())
    assert found == Checkerboard(**{kind: pytest.approx(a**2 / energy, rel=0.01) for kind, a in amplitudes.items()})
    assert found.total == pytest.approx((energy - 0.5) / energy, rel=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_neither_a_mean_nor_a_slope_counts(shape: tuple[int, int]) -> None:
    """Opposite sides of a slope are metres apart: without the window that is energy at every frequency."""
    rows, columns = np.indices(shape)
    slope = 1 + rows * 0.05 + columns * 0.03
    assert checkerboard(power_spectrum(slope)).total < 1e-7
    plain = np.abs(np.fft.fft2(slope - slope.mean())) ** 2
    assert checkerboard(plain).total > 1e-5
    # A mean changes nothing, however large.
    planted = wave(shape) + 0.05 * pattern(shape, "both")
    assert checkerboard(power_spectrum(planted + 1000)).both == pytest.approx(checkerboard(power_spectrum(planted)).both, rel=1e-6)


def test_a_pattern_as_strong_as_the_scene_is_far_is_found_whole() -> None:
    """What an unpooling leaves is a share of the depth: its strength varies over the picture."""
    shape = (112, 160)
    depth = wave(shape)
    share = 0.05
    found = checkerboard(power_spectrum(depth * (1 + share * pattern(shape, "both"))))
    # Of the square of the depth, 3² + ½, of which the part that the wave carries lies 1/16 and 1/20 beside the Nyquist frequency.
    assert found.both == pytest.approx(share**2 * 9 / (0.5 + share**2 * 9.5), rel=0.01)
    slow = 3 + np.sin(2 * np.pi * np.indices(shape)[0] / 56)
    found = checkerboard(power_spectrum(slow * (1 + share * pattern(shape, "both"))))
    assert found.both == pytest.approx(share**2 * 9.5 / (0.5 + share**2 * 9.5), rel=0.05)


def test_an_edge_is_no_checkerboard_and_a_constant_is_nothing() -> None:
    edge = np.full((112, 160), 4.0)
    edge[30:70, 40:100] = 2.0
    assert 0 < checkerboard(power_spectrum(edge)).total < 2e-3
    assert checkerboard(power_spectrum(np.full((20, 30), 2.0))).total == pytest.approx(0)


def test_other_periods_are_none() -> None:
    rows, columns = np.indices((96, 128))
    for period in (3, 4):
        assert checkerboard(power_spectrum(3 + np.cos(2 * np.pi * rows / period) + np.cos(2 * np.pi * columns / period))).total < 1e-6


def test_parseval() -> None:
    """The energy of the spectrum is that of the windowed map."""
    depth = np.random.default_rng(0).uniform(1, 5, (30, 42))
    hann = [np.hanning(2 * side + 1)[1::2] for side in depth.shape]
    window = np.outer(*hann)
    windowed = (depth - np.average(depth, weights=window)) * window
    spectrum = power_spectrum(depth)
    assert spectrum.sum() / depth.size == pytest.approx((windowed**2).sum(), rel=1e-12)
    assert spectrum[0, 0] < 1e-15 * spectrum.sum()


def test_the_band_has_its_border_and_nothing_beyond() -> None:
    """Of 64 pixels a thirty-second is two frequencies: 30 to 34 of 64 count."""
    for index in range(64):
        spectrum = np.zeros((64, 64))
        spectrum[index, 1] = 2.0
        inside = 1.0 if 30 <= index <= 34 else 0.0
        assert checkerboard(spectrum) == Checkerboard(inside, 0.0, 0.0)
        assert checkerboard(spectrum.T) == Checkerboard(0.0, inside, 0.0)
