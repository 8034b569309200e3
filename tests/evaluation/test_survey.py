"""What is told of a source, held against NumPy."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.data.source import Sample
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.survey import EDGES, survey


class Frames:
    """Depth maps; None cannot be read."""

    def __init__(self, *depths: np.ndarray | None) -> None:
        self.depths = depths
        self.names = tuple(f"frame{index}" for index in range(len(depths)))

    def __len__(self) -> int:
        return len(self.depths)

    def __getitem__(self, index: int) -> Sample:
        depth = self.depths[index]
        if depth is None:
            raise InputError(f"{self.names[index]} is damaged")
        return Sample(np.zeros((*depth.shape, 3), np.uint8), depth, self.names[index])


def depth_of(seed: int, shape: tuple[int, int] = (6, 8)) -> np.ndarray:
    depth = np.random.default_rng(seed).uniform(0.2, 9, shape).astype(np.float32)
    depth[0, 0], depth[0, 1] = np.nan, 0
    return depth


def test_figures_are_those_of_numpy() -> None:
    depths = [depth_of(0), depth_of(1), depth_of(2, (4, 4)), np.zeros((6, 8), np.float32)]
    result = survey(Frames(*depths, None), range(5), "sample", lambda image: np.full(image.shape[:2], 4, np.float32), 9)
    valid = [depth[np.isfinite(depth) & (depth > 0)] for depth in depths[:3]]
    every = np.concatenate(valid)
    assert (result.frames, result.read, result.with_depth) == (5, 5, 3)
    assert result.sizes == {"6×8": 3, "4×4": 1}
    assert result.bad == {"frame4": "frame4 is damaged"}
    assert (result.nearest, result.farthest) == (every.min(), every.max())
    assert result.median == pytest.approx(np.median([np.median(values) for values in valid]))
    assert result.valid == pytest.approx(every.size / (3 * 48 + 16))
    shares = [np.mean((every >= low) & (every < high)) for low, high in pairwise(EDGES)]
    assert result.histogram == pytest.approx(shares)
    assert result.ratio == pytest.approx(np.median([4 / np.median(values) for values in valid]))
    assert [note.split()[0] for note in result.notes] == ["1", "1", "frames"]


def test_depth_that_is_a_thousand_times_too_large_is_named(tmp_path: Path) -> None:
    for kind, pixels in (("rgb", np.zeros((8, 8, 3), np.uint8)), ("depth", np.full((8, 8), 1000, np.uint16))):
        (tmp_path / kind).mkdir()
        Image.fromarray(pixels).save(tmp_path / kind / "a.png")
    result = survey(Frames(np.full((8, 8), 2500, np.float32)), [0], f"folder:{tmp_path}?scale=1", lambda image: np.full((4, 4), 2.5), 1)
    assert result.ratio == pytest.approx(1e-3)
    assert "millimetres" in result.notes[0]
    assert "?scale=1000" in result.notes[0]


def test_without_depth_there_are_frames_alone() -> None:
    result = survey(Frames(np.full((8, 8), np.nan, np.float32)), [0], "images:a", None, 0)
    assert (result.with_depth, result.valid, result.ratio, result.notes) == (0, 0, None, ())
    assert all(map(math.isnan, (result.nearest, result.median, result.farthest)))
    assert result.histogram == (0,) * (len(EDGES) - 1)
    with pytest.raises(InputError, match="frame0 is damaged"):
        survey(Frames(None), [0], "x", None, 0)


def test_a_prediction_counts_by_its_median_over_that_of_its_frame() -> None:
    depths = [np.full((2, 4), depth, np.float32) for depth in (1, 2, 4, 8)]
    depths[3][:] = 0  # of which nothing is predicted
    shown: list[tuple[int, ...]] = []

    def predict(image: np.ndarray) -> np.ndarray:
        shown.append(image.shape)
        return np.array([[3, 3, 3, 99]], np.float32)

    result = survey(Frames(*depths), range(4), "sample", predict, 9)
    assert result.ratio == pytest.approx(np.median([3 / 1, 3 / 2, 3 / 4]))
    assert shown == [(2, 4, 3)] * 3
    shown.clear()
    assert survey(Frames(*depths), range(3), "sample", predict, 1).ratio == pytest.approx(3)
    assert len(shown) == 1


def test_frames_are_counted_as_they_are_read() -> None:
    calls: list[tuple[int, int]] = []
    depth = np.ones((2, 4), np.float32)
    survey(Frames(depth, depth, depth, depth), [0, 2, 3], "x", None, 0, lambda *step: calls.append(step))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(InputError, match="no frame of 'x' can be read: it is empty"):
        survey(Frames(), [], "x", None, 0)


def test_parts_double_from_a_quarter_of_a_metre_on() -> None:
    assert (0, *(2.0**power for power in range(-2, 7)), math.inf) == EDGES
    result = survey(Frames(np.float32([[0, 0.5], [np.nan, 0]])), [0], "x", None, 0)
    assert result.histogram == (0, 0, 1, *[0] * 7)
    assert (result.valid, result.nearest, result.median, result.farthest) == (0.25, 0.5, 0.5, 0.5)


def test_sound_frames_of_one_size_need_no_note_and_those_behind_a_damaged_one_count() -> None:
    depth = np.ones((2, 4), np.float32)
    assert survey(Frames(depth, depth), range(2), "x", None, 0).notes == ()
    result = survey(Frames(None, depth, depth), range(3), "x", lambda image: np.full((1, 1), 3, np.float32), 3)
    assert (result.with_depth, result.sizes, result.ratio) == (2, {"2×4": 2}, 3)
    assert list(result.bad) == ["frame0"]
