"""What a network has to beat: the mean and the median depth map of a training set, shown for every image alike.

Rooms are far at the top and near at the bottom, so a map without any look at the image already scores well: on the official
NYU test images the mean map reaches abs_rel 0.40. A metric says little until it stands beside that figure.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data import Source, open_source
from fcrn_mobile.data.grammar import split_off
from fcrn_mobile.data.source import evenly
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.metrics import Array, EvaluationProtocol, valid_mask
from fcrn_mobile.progress import OnStep

__all__ = ["MAP_SIDE", "MEDIAN_FRAMES", "Baselines", "DepthMap", "check_apart", "learn_baselines", "map_size", "training_spec"]

#: Longest side of the maps in pixels; they are smooth, and evaluation resizes them to the true depth's size.
MAP_SIDE = 160
#: Frames that the median map keeps in memory, evenly spaced over the source: 400 × 120 × 160 × 4 bytes = 31 MB.
MEDIAN_FRAMES = 400


@dataclass(frozen=True)
class DepthMap:
    """A baseline: the same depth whatever the image, in the place of a runtime.

    Attributes:
        name: for tables.
        depth: h×w metres.
    """

    name: str
    depth: Array

    def predict(self, image: NDArray[np.uint8]) -> Array:
        """The map, h×w metres; the image does not matter."""
        return self.depth


@dataclass(frozen=True)
class Baselines:
    """Both maps of one training source.

    Attributes:
        mean_map, median_map: per pixel over frames, where depth is valid.
        frames: how many the mean is taken over.
        median_frames: how many the median is taken over.
    """

    mean_map: DepthMap
    median_map: DepthMap
    frames: int
    median_frames: int


def training_spec(spec: str) -> str:
    """The ``#train`` part that belongs to an evaluated ``#val`` or ``#test`` part.

    Args:
        spec: the evaluated data.

    Raises:
        InputError: the spec names no such part, or its source has no ``#train``.
    """
    location, split = split_off(spec)
    if split not in ("val", "test"):
        raise InputError(
            f"'{spec}' is no #val or #test part with a #train beside it: name the baselines' training data as --baselines SPEC"
        )
    candidate = f"{location}#train"
    try:
        open_source(candidate)
    except InputError as error:
        raise InputError(f"no training part '{candidate}' ({error}): name the baselines' training data as --baselines SPEC") from error
    return candidate


def check_apart(spec: str, training: str) -> None:
    """Baselines must not know the images that they are evaluated on.

    Args:
        spec: the evaluated data.
        training: the baselines' training data.

    Raises:
        InputError: both specs name the same source, and not two parts of it.
    """
    location, split = split_off(spec)
    training_location, training_split = split_off(training)
    if location == training_location and (split == training_split or not split or not training_split):
        raise InputError(f"baselines from '{training}' would have seen the images of '{spec}': name data apart from it as --baselines SPEC")


def learn_baselines(
    source: Source, rule: EvaluationProtocol, on_frame: OnStep | None = None, median_frames: int = MEDIAN_FRAMES
) -> Baselines:
    """Mean and median depth map of a source, in one pass.

    Frames are averaged down to one size, that of the first frame with its longest side at most ``MAP_SIDE``. Memory: the
    frames of the median map, 4 bytes a pixel of the map, 31 MB at most for images of 4:3.

    Args:
        source: the training frames.
        rule: its depth range decides which pixels count; its crop does not.
        on_frame: progress.
        median_frames: upper limit of the frames that the median is taken over.

    Returns:
        Both maps. A pixel that no frame saw gets the mean of the mean map, or the median of the median map.

    Raises:
        InputError: the source has no valid pixel.
    """
    whole = replace(rule, crop=None)
    indices = set(evenly(len(source), median_frames))
    total = count = np.zeros((1, 1))
    stack = np.zeros((0, 1, 1), np.float32)
    filled = 0
    for index in range(len(source)):
        depth = source[index].depth
        if index == 0:
            size = map_size(depth.shape[0], depth.shape[1])
            total, count = np.zeros(size), np.zeros(size)
            stack = np.full((len(indices), *size), np.nan, np.float32)
        sums, pixels = _cells(depth, valid_mask(depth, whole), total.shape[0], total.shape[1])
        total += sums
        count += pixels
        if index in indices:
            np.divide(sums, pixels, out=stack[filled], where=pixels > 0, casting="same_kind")
            filled += 1
        if on_frame:
            on_frame(index + 1, len(source))
    if not count.any() or np.isnan(stack).all():
        raise InputError(f"no depth within {rule.max_depth:g} m in the baselines' training data: name other data as --baselines SPEC")
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return Baselines(
        mean_map=DepthMap("mean map", np.where(np.isnan(mean), np.nanmean(mean), mean).astype(np.float32)),
        median_map=DepthMap("median map", _median(stack)),
        frames=len(source),
        median_frames=filled,
    )


def map_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of a map of images of a size: the longest side ``MAP_SIDE`` at most."""
    shrink = min(1.0, MAP_SIDE / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def _cells(depth: Array, mask: NDArray[np.bool_], height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and number of the valid pixels that fall into each cell of a height×width grid."""
    rows, columns = np.nonzero(mask)
    cell = (rows * height // depth.shape[0]) * width + columns * width // depth.shape[1]
    sums = np.bincount(cell, weights=depth[mask], minlength=height * width).astype(np.float64)
    pixels = np.bincount(cell, minlength=height * width).astype(np.float64)
    return sums.reshape(height, width), pixels.reshape(height, width)


def _median(stack: Array) -> Array:
    """Median over the first axis without NaN. Sorts in place: ``np.nanmedian`` would copy the stack several times."""
    stack.sort(axis=0)  # NaN goes last
    count = np.count_nonzero(~np.isnan(stack), axis=0)[None]
    lower = np.take_along_axis(stack, (count - 1) // 2, axis=0)[0]
    upper = np.take_along_axis(stack, count // 2, axis=0)[0]
    median = (lower + upper) / 2
    result: Array = np.where(np.isnan(median), np.nanmedian(median), median).astype(np.float32)
    return result
