"""The frames a report shows: the best, the median and the worst by fidelity, as small pictures; depth under one colour scale."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.source import Source
from fcrn_mobile.evaluation.focus import Focus, focus_on
from fcrn_mobile.palette import DEPTH, INVERSE_DEPTH, INVERSE_SIGNED_DIFFERENCE, SIGNED_DIFFERENCE, UNKNOWN
from fcrn_mobile.report.figures import SPARSE
from fcrn_mobile.report.ranks import deciding, ranks
from fcrn_mobile.runtimes import Runtime
from fcrn_mobile.validation.fidelity import brought, same_size
from fcrn_mobile.validation.result import Validation

__all__ = [
    "WIDTH",
    "Depth",
    "Scale",
    "Scene",
    "Values",
    "comparable_maps",
    "depth_picture",
    "depth_scale",
    "difference_picture",
    "difference_scale",
    "photo",
    "show",
    "stored_values",
]

#: Pixels across; more than a phone or a column of the page shows.
WIDTH = 320
#: Shares of the values, in percent, that a scale reaches from and to: single stray pixels must not wash out the rest.
_RANGE = (0.5, 99.5)
_UNKNOWN = 255

Depth = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """One frame with all that saw it.

    Attributes:
        rank: ``best``, ``median``, ``worst``.
        name: of the frame.
        image: H×W×3 uint8.
        true: H×W metres; unknown where not finite or not positive.
        expected: h×w, the reference's output: metres, depth up to scale or inverse depth.
        predictions: of the candidates, h×w as the reference's, in its unit, as fidelity was taken of them.
        drifts: of the candidates on this frame, abs_rel to the reference's output.
    """

    rank: str
    name: str
    image: NDArray[np.uint8]
    true: Depth
    expected: Depth
    predictions: tuple[Depth, ...]
    drifts: tuple[float, ...]


@dataclass(frozen=True)
class Scale:
    """A colour scale: its map, the values at its ends, and whether they are inverse depth."""

    colours: str
    low: float
    high: float
    inverse: bool = False

    def picture(self, values: Depth, unknown: NDArray[np.bool_]) -> str:
        """Values as a PNG data URI; unknown ones gray."""
        span = max(self.high - self.low, 1e-9)
        share = np.clip((np.where(unknown, self.low, values) - self.low) / span, 0, 1)
        index = np.round(share * (_UNKNOWN - 1)).astype(np.uint8)
        index[unknown] = _UNKNOWN
        return _paletted(index, self.colours)

    def bar(self) -> str:
        """The scale itself, left to right."""
        return _paletted(np.arange(_UNKNOWN, dtype=np.uint8)[None, :], self.colours)

    @property
    def limit(self) -> str:
        """The upper end, with two digits."""
        digits = max(0, 1 - math.floor(math.log10(max(self.high, 1e-9))))
        return f"{self.high:.{min(digits, 6)}f}"

    def ticks(self, count: int = 5) -> list[str]:
        """Labels at equal distances along the bar."""
        values = np.linspace(self.low, self.high, count)
        digits = max(0, 1 - math.floor(math.log10(max((self.high - self.low) / (count - 1), 1e-9))))
        signed = "+" if self.low < 0 else ""
        return [f"{value:{signed if abs(value) > 1e-12 else ''}.{min(digits, 6)}f}".replace("-", "−") for value in values]


@dataclass(frozen=True)
class Values:
    """The values of a map in a picture, for a script to read: value = low + span · (256 · red + green) / 65535, known where blue is not 0.

    Attributes:
        picture: PNG data URI.
        low, span: the smallest known value, and from there to the largest.
    """

    picture: str
    low: float
    span: float


def show(source: Source, reference: Runtime, candidates: Sequence[Runtime], validation: Validation) -> tuple[Scene, ...]:
    """Predict the chosen frames once more.

    Args:
        source, reference, candidates: what was validated.
        validation: its result.
    """
    scenes, focus = [], focus_on(reference, source)
    for rank, index in ranks(deciding(validation)).items():
        sample = source[index]
        outputs = [model.predict(sample.image) for model in (reference, *candidates)]
        scales = [drift.scale for drift in validation.candidates]
        expected, *predictions = comparable_maps(outputs, scales, focus, sample.image.shape[:2])
        predictions = [_as_compared(each, expected, validation.fidelity_alignment) for each in predictions]
        drifts = tuple(drift.per_image[index].fidelity for drift in validation.candidates)
        scenes.append(Scene(rank, sample.name, sample.image, sample.depth, expected, tuple(predictions), drifts))
    return tuple(scenes)


def _as_compared(prediction: Depth, expected: Depth, alignment: str) -> Depth:
    """As fidelity was taken of it."""
    return brought(prediction.astype(np.float64), expected.astype(np.float64), alignment).astype(np.float32)


def comparable_maps(outputs: Sequence[Depth], scales: Sequence[float], focus: Focus, picture: tuple[int, int]) -> list[Depth]:
    """What models gave of one picture, laid over one another: in the reference's size and unit, metres for the picture's camera.

    Args:
        outputs: h×w each, the reference's first.
        scales: of each candidate's depth over the reference's.
        focus: from the reference's camera to the picture's.
        picture: its height and width.
    """
    expected, *others = (focus(output, picture) for output in outputs)
    return [expected, *(same_size(other, expected) / np.float32(scale) for other, scale in zip(others, scales, strict=True))]


def depth_scale(maps: Sequence[Depth], inverse: bool = False) -> Scale:
    """One scale for depth maps, or maps of inverse depth."""
    values = np.concatenate([depth[_known(depth, inverse)] for depth in maps])
    low, high = np.percentile(values, _RANGE) if values.size else (0.0, 1.0)
    return Scale(INVERSE_DEPTH if inverse else DEPTH, float(low), float(high), inverse)


def difference_scale(scenes: Sequence[Scene], candidate: int, inverse: bool = False) -> Scale:
    """A candidate's scale of candidate minus reference, symmetric about 0: under one for all, small drift would be blank beside large."""
    with np.errstate(invalid="ignore"):
        gaps = [np.abs(scene.predictions[candidate] - scene.expected) for scene in scenes]
    values = np.concatenate([gap[np.isfinite(gap)] for gap in gaps])
    largest = float(np.percentile(values, _RANGE[1])) if values.size else 0.0
    return Scale(INVERSE_SIGNED_DIFFERENCE if inverse else SIGNED_DIFFERENCE, -(largest or 1e-6), largest or 1e-6)


def depth_picture(depth: Depth, scale: Scale) -> str:
    """A depth map as a PNG data URI; unknown pixels gray, single LiDAR points widened so that they stay visible."""
    sign = -1 if scale.inverse else 1  # what is near is small as depth, and large as inverse depth
    small = _nearest_of_blocks(np.where(_known(depth, scale.inverse), sign * depth, np.inf))
    mask = np.isfinite(small)
    if 0 < mask.mean() < SPARSE:
        padded = np.pad(small, 1, constant_values=np.inf)
        height, width = small.shape
        small = np.min([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)
    return scale.picture(sign * small, ~np.isfinite(small))


def stored_values(depth: Depth, inverse: bool = False) -> Values:
    """A map's values, of the pixels that ``depth_picture`` shows."""
    sign = -1 if inverse else 1
    values = sign * _nearest_of_blocks(np.where(_known(depth, inverse), sign * depth, np.inf))
    mask = np.isfinite(values)
    low, high = (float(values[mask].min()), float(values[mask].max())) if mask.any() else (0.0, 0.0)
    span = high - low
    steps = np.round((np.where(mask, values, low) - low) / (span or 1.0) * 65535).astype(np.uint16)
    channels = np.stack([steps >> 8, steps & 255, np.where(mask, 255, 0)], axis=2).astype(np.uint8)
    # Not optimised: that saves 4 %, and takes nine times as long.
    return Values(_data_uri(Image.fromarray(channels), "png"), low, span)


def difference_picture(prediction: Depth, expected: Depth, scale: Scale) -> str:
    """Candidate minus reference as a PNG data URI; gray where either is not finite."""
    with np.errstate(invalid="ignore"):
        difference = prediction - expected
    step = _block(difference.shape[1])
    difference = difference[::step, ::step]
    return scale.picture(difference, ~np.isfinite(difference))


def photo(image: NDArray[np.uint8]) -> str:
    """An image as a small JPEG data URI."""
    picture = Image.fromarray(image)
    picture.thumbnail((WIDTH, 4 * WIDTH), Image.Resampling.LANCZOS)
    return _data_uri(picture, "jpeg", quality=82)


def _nearest_of_blocks(depth: Depth) -> Depth:
    """Reduced to at most ``WIDTH`` across by the smallest value of each block, so that a lone known pixel survives."""
    step = _block(depth.shape[1])
    height, width = (-(-side // step) * step for side in depth.shape)
    padded = np.pad(depth, ((0, height - depth.shape[0]), (0, width - depth.shape[1])), constant_values=np.inf)
    blocks: Depth = padded.reshape(height // step, step, width // step, step).min(axis=(1, 3))
    return blocks


def _block(width: int) -> int:
    return max(1, -(-width // WIDTH))


def _known(depth: Depth, inverse: bool) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = np.isfinite(depth) & ((depth > 0) | inverse)
    return mask


def _paletted(index: NDArray[np.uint8], colours: str) -> str:
    table = matplotlib.colormaps[colours](np.linspace(0, 1, _UNKNOWN), bytes=True)[:, :3]
    gray = to_rgb(UNKNOWN)
    picture = Image.fromarray(index)
    picture.putpalette([*table.ravel().tolist(), *(round(255 * part) for part in gray)])
    return _data_uri(picture, "png", optimize=True)


def _data_uri(picture: Image.Image, kind: str, **settings: bool | int) -> str:
    data = io.BytesIO()
    picture.save(data, kind, **settings)
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode()}"
