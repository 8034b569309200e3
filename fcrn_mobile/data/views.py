"""Pictures of one scene from several places: what learning without depth labels is made of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.source import VALIDATION_SHARE, Indexed, Sample
from fcrn_mobile.data.transforms import colour_jitter

__all__ = ["Intrinsics", "ViewAugmentation", "ViewSource", "Views", "flip_views", "in_order", "join_splits", "recolour", "resize_views"]


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera, in pixels of its picture; pixel centres are at whole numbers."""

    fx: float
    fy: float
    cx: float
    cy: float

    def resized(self, size: tuple[int, int], new_size: tuple[int, int]) -> "Intrinsics":
        """Of the picture resampled from one height × width to another."""
        down, across = new_size[0] / size[0], new_size[1] / size[1]
        return Intrinsics(self.fx * across, self.fy * down, (self.cx + 0.5) * across - 0.5, (self.cy + 0.5) * down - 0.5)


@dataclass(frozen=True)
class Views:
    """A target picture and others of the same scene.

    Attributes:
        images: H×W×3 uint8 sRGB each, equal in size. Of a video the target, the frame before and the frame after; of a
            rectified stereo pair the left picture and the right one.
        intrinsics: of all of them.
        baseline: metres from the left camera to the right one; 0 for a video.
        name: unique within its source.
    """

    images: tuple[NDArray[np.uint8], ...]
    intrinsics: Intrinsics
    baseline: float
    name: str

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.images[0].shape[:2]
        return height, width


class ViewSource(Indexed[Views], Protocol):
    """A random-access list of views."""


@dataclass(frozen=True)
class ViewAugmentation:
    """The random transform of training: resized to ``input_size``, mirrored every other time, all pictures recoloured alike.

    Attributes:
        input_size: height and width of the result.
        jitter: strength of the colour jitter.
    """

    input_size: tuple[int, int]
    jitter: float = 0.4

    @property
    def steps(self) -> list[str]:
        """What ``__call__`` does, in its order and with its parameters, to be read by people."""
        height, width = self.input_size
        return [
            f"resize {height}x{width}",
            "flip left-right, probability 0.5 (a stereo pair changes sides)",
            f"colour jitter {self.jitter:g} (brightness, contrast, saturation), the same for all pictures of a scene",
        ]

    def __call__(self, views: Views, rng: np.random.Generator) -> Views:
        views = resize_views(views, *self.input_size)
        if rng.random() < 0.5:
            views = flip_views(views)
        return recolour(views, rng, self.jitter)


def resize_views(views: Views, height: int, width: int) -> Views:
    """Resample all pictures to height × width, bilinearly."""
    images = tuple(np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)) for image in views.images)
    return replace(views, images=images, intrinsics=views.intrinsics.resized(views.size, (height, width)))


def flip_views(views: Views) -> Views:
    """Mirror left and right. Mirrored, the right picture of a stereo pair is the left one."""
    images = tuple(np.ascontiguousarray(image[:, ::-1]) for image in views.images)
    intrinsics = replace(views.intrinsics, cx=views.size[1] - 1 - views.intrinsics.cx)
    return replace(views, images=images[::-1] if views.baseline else images, intrinsics=intrinsics)


def recolour(views: Views, rng: np.random.Generator, strength: float) -> Views:
    """Change brightness, contrast and saturation of all pictures by the same factors: what is the same point stays the same colour."""
    joined = np.concatenate(views.images)
    jittered = colour_jitter(Sample(joined, np.zeros(joined.shape[:2], np.float32), views.name), rng, strength).image
    return replace(views, images=tuple(np.split(jittered, len(views.images))))


def in_order(count: int) -> dict[str, tuple[int, ...]]:
    """``train`` and ``val`` (the last 15 %) of frames in a row: frames drawn at random would have their neighbours in training."""
    held_back = round(count * VALIDATION_SHARE)
    return {"train": tuple(range(count - held_back)), "val": tuple(range(count - held_back, count))}


def join_splits(parts: Sequence[dict[str, tuple[int, ...]]], counts: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Splits of several lists behind one another, from the splits of each and their lengths."""
    joined: dict[str, tuple[int, ...]] = {"train": (), "val": ()}
    start = 0
    for part, count in zip(parts, counts, strict=True):
        for name in joined:
            joined[name] += tuple(start + index for index in part[name])
        start += count
    return joined
