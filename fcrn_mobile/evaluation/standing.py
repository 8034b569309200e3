"""Whether the reference network means anything on the data it is held against: beside the data's own median map, and in which unit.

A package that keeps to a network that fails on these images holds its budget and is of no use. So the reference stands beside what needs
no network: for each image, the median depth map of the other images.
"""

from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.source import valid_pixels
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.align import NONE, aligned
from fcrn_mobile.evaluation.baselines import map_size
from fcrn_mobile.evaluation.metrics import Array, EvaluationProtocol, metrics_from_moments, pixel_moments, valid_mask
from fcrn_mobile.evaluation.units import protocol_note, unit_note

__all__ = ["LEAST_IMAGES", "MOST_IMAGES", "Standing", "StandingMeter"]

#: Images that are kept for the median map, the first ones: 400 × 2 × 120 × 160 × 4 bytes = 61 MB.
MOST_IMAGES = 400
#: With fewer images there is no median map: it would be one other image.
LEAST_IMAGES = 3
_FAR = 1e3  # metres; predictions are cut there, so that one infinite pixel does not hide what the others say


@dataclass(frozen=True)
class Standing:
    """What the reference is worth on the data.

    Attributes:
        own: abs_rel and delta1 of the reference on the grid, mean of images.
        median_map: the same of the median map of the other images; None for too few images.
        warnings: a sentence each; empty where nothing is wrong.
    """

    own: dict[str, float]
    median_map: dict[str, float] | None
    warnings: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether the reference falls behind the median map in both metrics; images of one place alone make for a good map, too."""
        if self.median_map is None:
            return False
        return self.own["abs_rel"] > self.median_map["abs_rel"] and self.own["delta1"] < self.median_map["delta1"]


@dataclass
class StandingMeter:
    """Looks at each image that the reference predicts, on a coarse grid of its pixels, see ``baselines.map_size``.

    Attributes:
        rule: its range and crop decide which pixels count; where it aligns, nothing is said of units.
        inverse: whether predictions are inverse depth.
        data: the source's spec, which names what can be mended.
    """

    rule: EvaluationProtocol
    inverse: bool = False
    data: str = ""
    _true: list[Array] = field(default_factory=list)
    _predicted: list[Array] = field(default_factory=list)
    _ratios: list[float] = field(default_factory=list)
    _beyond: list[float] = field(default_factory=list)

    def update(self, prediction: Array, depth: Array) -> None:
        """Look at one image: h×w and H×W metres."""
        shape = self._true[0].shape if self._true else map_size(depth.shape[0], depth.shape[1])
        true, predicted = _sampled(depth, shape), _sampled(prediction, shape)
        mask = valid_pixels(true)
        if self._is_aligned and (counted := valid_mask(true, self.rule) & np.isfinite(predicted)).any():
            with suppress(InputError):  # of what no factor and no line brings to the truth: as it is
                predicted = aligned(predicted, true, counted, self.rule.alignment or NONE, self.inverse).astype(np.float32)
        predicted = np.minimum(predicted, np.float32(_FAR))
        if np.isfinite(predicted[mask]).any():
            self._ratios.append(float(np.nanmedian(predicted[mask]) / np.median(true[mask])))
            self._beyond.append(float(np.mean(true[mask] > self.rule.max_depth)))
        if len(self._true) < MOST_IMAGES:
            self._true.append(true)
            self._predicted.append(np.clip(predicted, self.rule.min_depth, self.rule.max_depth))

    @property
    def _is_aligned(self) -> bool:
        return self.inverse or self.rule.alignment not in (None, NONE)

    def compute(self, name: str) -> Standing:
        """The verdict on what was seen; ``name`` is the reference's."""
        own = _mean(self._predicted, self._true, self.rule)
        maps = _maps_of_others(self._true, self.rule) if len(self._true) >= LEAST_IMAGES else None
        standing = Standing(own, _mean(maps, self._true, self.rule) if maps else None)
        warnings = []
        if standing.fails and standing.median_map:
            warnings.append(
                f"{name} is no better on these images than their median depth map, which needs no network: abs_rel {own['abs_rel']:.3f} "
                f"against {standing.median_map['abs_rel']:.3f}, delta1 {own['delta1']:.3f} against {standing.median_map['delta1']:.3f}"
            )
        if self._ratios and not self._is_aligned and (note := unit_note(float(np.median(self._ratios)), self.data)):
            warnings.append(note)
        if self._beyond and (note := protocol_note(float(np.mean(self._beyond)), self.rule, self.data)):
            warnings.append(note)
        return replace(standing, warnings=tuple(warnings))


def _sampled(depth: Array, shape: tuple[int, ...]) -> Array:
    """The pixels of a map, of any size, that lie nearest to the centres of a grid's cells."""
    rows, columns = ((2 * np.arange(count) + 1) * side // (2 * count) for count, side in zip(shape, depth.shape, strict=True))
    return depth[np.ix_(rows, columns)].astype(np.float32)


def _mean(predictions: list[Array], truths: list[Array], rule: EvaluationProtocol) -> dict[str, float]:
    """abs_rel and delta1, mean of the images that have a pixel that counts."""
    values = []
    for prediction, true in zip(predictions, truths, strict=True):
        mask = valid_mask(true, rule)
        if mask.any():
            metrics = metrics_from_moments(pixel_moments(prediction, true, mask))
            values.append((metrics["abs_rel"], metrics["delta1"]))
    abs_rel, delta1 = np.mean(values, axis=0) if values else (np.nan, np.nan)
    return {"abs_rel": float(abs_rel), "delta1": float(delta1)}


def _maps_of_others(truths: list[Array], rule: EvaluationProtocol) -> list[Array]:
    """For each image the median map of all others; a pixel that none of them saw gets the median of the map."""
    stack = np.stack(truths)
    stack[~np.stack([valid_mask(true, replace(rule, crop=None)) for true in truths])] = np.nan
    ordered = np.sort(stack, axis=0)  # NaN goes last
    counts = np.count_nonzero(~np.isnan(stack), axis=0)
    maps = []
    for own in stack:
        others = counts - ~np.isnan(own)
        low, high = (_without(ordered, own, place) for place in ((others - 1) // 2, others // 2))
        median = (low + high) / 2
        fallback = np.nanmedian(median) if (others > 0).any() else rule.max_depth
        maps.append(np.where(np.isnan(median), fallback, median).astype(np.float32))
    return maps


def _without(ordered: Array, own: Array, place: NDArray[np.int64]) -> Array:
    """What stands at a place of the sorted values once an image's own value is taken out of them."""
    here, after = (np.take_along_axis(ordered, index[None], axis=0)[0] for index in (place, place + 1))
    result: Array = np.where(own <= here, after, here)  # a NaN of its own takes nothing out: false
    return result
