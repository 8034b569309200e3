"""Depth metrics of images: masked, streaming, pooled over pixels and averaged over images (``formulas``: what they are)."""

import csv
import io
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.source import valid_pixels
from fcrn_mobile.errors import InputError, require_known
from fcrn_mobile.evaluation.align import ALIGNMENTS, NONE, aligned
from fcrn_mobile.evaluation.edges import edge_density
from fcrn_mobile.evaluation.focus import Focus
from fcrn_mobile.evaluation.formulas import METRICS, Errors, means

__all__ = [
    "PROTOCOLS",
    "Array",
    "DepthMetrics",
    "EvaluationProtocol",
    "align",
    "counted_pixels",
    "metrics_from_moments",
    "pixel_moments",
    "protocol",
    "valid_mask",
]

Array = NDArray[np.float32]


@dataclass(frozen=True)
class EvaluationProtocol:
    """How predictions meet the truth.

    Attributes:
        name: as on the command line.
        crop: top, bottom, left, right as fractions of the size, or None for the whole image.
        max_depth: cap in metres; true depths beyond it do not count.
        pooled: whether metrics are taken over all pixels of all images at once instead of averaged over images.
        min_depth: least depth in metres; true depths up to it do not count.
        alignment: one of ``align.ALIGNMENTS``: how predictions are brought to the truth before they are cut at the range; None leaves it
            to what a model's depth means, and is none for depth in metres.
    """

    name: str
    crop: tuple[float, float, float, float] | None
    max_depth: float
    pooled: bool
    min_depth: float = 1e-3
    alignment: str | None = None

    @property
    def label(self) -> str:
        """Its name, with the range where that is not the name's own."""
        own = PROTOCOLS.get(self.name, self)
        is_own = (self.min_depth, self.max_depth) == (own.min_depth, own.max_depth)
        return self.name if is_own else f"{self.name} {self.min_depth:g} to {self.max_depth:g} m"

    @property
    def text(self) -> str:
        """What makes the figures comparable, for tables."""
        return f"protocol {self.label}, alignment {self.alignment or NONE}"

    def describe(self) -> str:
        """All of it but the alignment, for people."""
        crop = "the whole image" if self.crop is None else "inside the crop"
        how = "pooled over all pixels" if self.pooled else "mean of images"
        return f"{self.name}: {how}, {crop}, {self.min_depth:g} to {self.max_depth:g} m"

    def to_json(self) -> dict[str, Any]:
        """As the command line writes it."""
        return asdict(self) | {"alignment": self.alignment or NONE}


#: ``eigen``: rows 45:471 and columns 41:601 of 480×640; ``garg``: KITTI (Garg et al. 2016, arXiv 1603.04992).
PROTOCOLS: dict[str, EvaluationProtocol] = {
    "eigen": EvaluationProtocol("eigen", (45 / 480, 471 / 480, 41 / 640, 601 / 640), 10.0, pooled=False),
    "laina": EvaluationProtocol("laina", None, 10.0, pooled=True),
    "full": EvaluationProtocol("full", None, 10.0, pooled=False),
    "garg": EvaluationProtocol("garg", (0.40810811, 0.99189189, 0.03594771, 0.96405229), 80.0, pooled=False),
}


def protocol(name: str, alignment: str | None = None, min_depth: float | None = None, max_depth: float | None = None) -> EvaluationProtocol:
    """A protocol by name, with another alignment or range where they are given.

    Raises:
        InputError: unknown name or alignment, or a range that is none.
    """
    require_known("protocol", name, PROTOCOLS)
    if alignment is not None:
        require_known("alignment", alignment, ALIGNMENTS)
    own = PROTOCOLS[name]
    low, high = own.min_depth if min_depth is None else min_depth, own.max_depth if max_depth is None else max_depth
    if not 0 < low < high < math.inf:
        raise InputError(f"the range of depth is {low:g} to {high:g} m: give a least depth above 0 and a larger largest one")
    return replace(own, alignment=alignment, min_depth=low, max_depth=high)


def align(prediction: Array, height: int, width: int, rule: EvaluationProtocol, depth: Array | None = None, inverse: bool = False) -> Array:
    """Resize a prediction bilinearly to the true depth's size, bring it to the truth and clip it to the protocol's range; NaN stays NaN.

    Args:
        prediction: h×w metres, any size.
        height, width: of the true depth.
        rule: gives alignment and range.
        depth: the true depth, height×width; without it nothing is brought to anything.
        inverse: whether the prediction is inverse depth.

    Raises:
        InputError: a prediction that cannot be brought to the truth, see ``align.aligned``.
    """
    if prediction.shape != (height, width):
        resized = Image.fromarray(np.ascontiguousarray(prediction, dtype=np.float32)).resize((width, height), Image.Resampling.BILINEAR)
        prediction = np.asarray(resized)
    if depth is not None and (inverse or rule.alignment not in (None, NONE)):
        prediction = aligned(prediction, depth, valid_mask(depth, rule), rule.alignment or NONE, inverse).astype(np.float32)
    return np.clip(prediction, rule.min_depth, rule.max_depth).astype(np.float32)


def valid_mask(depth: Array, rule: EvaluationProtocol) -> NDArray[np.bool_]:
    """Pixels that count: finite, within the protocol's range and inside its crop."""
    mask = np.isfinite(depth) & (depth > rule.min_depth) & (depth <= rule.max_depth)
    if rule.crop is not None:
        height, width = depth.shape
        top, bottom, left, right = rule.crop
        inside = np.zeros_like(mask)
        inside[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = True
        mask &= inside
    return mask


def pixel_moments(prediction: Array, depth: Array, counted: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Means over pixels, in the order of ``formulas.means``, from which ``metrics_from_moments`` derives every metric.

    Args:
        prediction, depth: equal-shaped arrays of metres; > 0 where they count.
        counted: pixels that count, at least one; None for all.
    """
    counted = np.ones(depth.shape, bool) if counted is None else counted
    predictions, depths = prediction.astype(np.float64), depth.astype(np.float64)
    p, d = predictions[counted], depths[counted]
    density = edge_density(predictions, depths, counted)
    errors = Errors(d, p - d, np.log(p) - np.log(d), 1000.0 / p - 1000.0 / d, np.maximum(p / d, d / p), density)
    return np.array([mean(errors) for mean in means()])


def metrics_from_moments(moments: NDArray[np.float64]) -> dict[str, float]:
    """The metrics of ``METRICS`` from means over pixels."""
    values = dict(zip(means(), moments.tolist(), strict=True))
    return {name: metric.value(*(values[mean] for mean in metric.means)) for name, metric in METRICS.items()}


def counted_pixels(depth: Array, rule: EvaluationProtocol, name: str) -> NDArray[np.bool_]:
    """As ``valid_mask``, of a frame that has a pixel that counts.

    Raises:
        InputError: it has none; the message says why.
    """
    mask = valid_mask(depth, rule)
    if mask.any():
        return mask
    depths = depth[valid_pixels(depth)]
    if depths.size and np.median(depths) > rule.max_depth:
        far = f"'{name}' has a median depth of {np.median(depths):.4g} m, beyond the {rule.max_depth:g} m of protocol '{rule.name}'"
        raise InputError(f"{far}: is it in another unit (?scale=UNITS_PER_METRE), or for --protocol garg, which reaches to 80 m?")
    raise InputError(f"'{name}' has no valid depth pixel under protocol '{rule.name}': remove it or use --protocol full")


@dataclass
class DepthMetrics:
    """Streaming metrics over images under one protocol.

    ``update`` once per image, then ``compute``. A prediction with NaN at a counted pixel makes its metrics NaN: a broken
    network must not look good.

    Attributes:
        rule: the protocol.
        inverse: whether predictions are inverse depth.
        per_image: image name → its metrics, in the order of the updates.
        pixels: how many were counted.
        summed: over them, what ``pixel_moments`` takes the mean of.
        sums: image name → both of its own, as one array, if it is to be resampled (``intervals``); None keeps none, for what grows with
            the images.
        focus: what was done to predictions for the data's camera before they came here.
    """

    rule: EvaluationProtocol
    inverse: bool = False
    per_image: dict[str, dict[str, float]] = field(default_factory=dict)
    pixels: int = 0
    summed: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    sums: dict[str, NDArray[np.float64]] | None = None
    focus: Focus = field(default_factory=Focus)

    def update(self, prediction: Array, depth: Array, name: str) -> dict[str, float]:
        """Count one image.

        Args:
            prediction: h×w metres, any size; depth of another meaning where the protocol aligns it.
            depth: H×W true metres; invalid pixels are 0, negative or not finite.
            name: the image's name, unique.

        Returns:
            The image's own metrics.

        Raises:
            InputError: no pixel counts under the protocol, or the prediction cannot be brought to the truth.
        """
        mask = counted_pixels(depth, self.rule, name)
        count = int(mask.sum())
        try:
            metres = align(prediction, depth.shape[0], depth.shape[1], self.rule, depth, self.inverse)
        except InputError as error:
            raise InputError(f"'{name}': {error}") from error
        moments = pixel_moments(metres, depth, mask)
        self.summed = self.summed + moments * count
        self.pixels += count
        if self.sums is not None:
            self.sums[name] = np.concatenate(([count], moments * count))
        self.per_image[name] = metrics_from_moments(moments)
        return self.per_image[name]

    def merge(self, other: "DepthMetrics") -> None:
        """Count the images of ``other`` too, as if they had been updated here."""
        self.summed = self.summed + other.summed
        self.pixels += other.pixels
        self.sums = None if self.sums is None or other.sums is None else self.sums | other.sums
        self.per_image.update(other.per_image)

    def compute(self) -> dict[str, float | int | str]:
        """All metrics with ``rmse_pooled``, ``images``, ``protocol`` and ``alignment``.

        Raises:
            InputError: no image was counted.
        """
        averaged = self.averages()
        pooled = metrics_from_moments(self.summed / self.pixels)
        return {
            **(pooled if self.rule.pooled else averaged),
            "rmse_pooled": pooled["rmse"],
            "images": len(self.per_image),
            "protocol": self.rule.label,
            "alignment": self.rule.alignment or NONE,
        }

    def averages(self) -> dict[str, float]:
        """Each metric's mean over images, whatever the protocol.

        Raises:
            InputError: no image was counted.
        """
        if not self.per_image:
            raise InputError("no image to evaluate: the data is empty")
        return {key: float(np.mean([image[key] for image in self.per_image.values()])) for key in METRICS}

    def ranked(self) -> list[str]:
        """Image names from the lowest abs_rel to the highest; NaN counts as the highest."""
        values = {name: image["abs_rel"] for name, image in self.per_image.items()}
        return sorted(values, key=lambda name: math.inf if math.isnan(values[name]) else values[name])

    def to_csv(self) -> str:
        """One line per image under a heading: its name and every metric at full precision."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("name", *METRICS))
        writer.writerows((name, *(image[key] for key in METRICS)) for name, image in self.per_image.items())
        return text.getvalue()
