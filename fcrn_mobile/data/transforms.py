"""Joint transforms of image and depth: a pixel's colour and its depth stay together.

Each step is a function from ``Sample`` to ``Sample``. Images are resampled bilinearly; depth by nearest neighbour, since a
mean over a depth edge is a point in empty space, and because invalid zeros must not bleed into valid pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torch import Tensor

from fcrn_mobile.data.source import Sample, valid_pixels

__all__ = [
    "HOLES",
    "HOLE_SIDES",
    "PASTED",
    "WHITE",
    "Augmentation",
    "AugmentationSettings",
    "Transform",
    "centre_crop",
    "colour_jitter",
    "crop",
    "cut_depth",
    "cut_out",
    "depth_tensor",
    "flip",
    "gamma",
    "image_tensor",
    "resize",
    "rotate",
    "scale",
    "turn_hue",
]

_BILINEAR = Image.Resampling.BILINEAR
_NEAREST = Image.Resampling.NEAREST

#: Rectangles that ``cut_out`` takes at most, and their sides as shares of the map's, least and most; our own choice.
HOLES, HOLE_SIDES = 3, (0.05, 0.25)
#: Of ``cut_depth``: the largest share of what is right of (below) the rectangle's corner, and the metres that are white.
PASTED, WHITE = 0.75, 10.0


def resize(sample: Sample, height: int, width: int) -> Sample:
    """Resample to height × width; metres stay as they are."""
    image = Image.fromarray(sample.image).resize((width, height), _BILINEAR)
    depth = Image.fromarray(sample.depth).resize((width, height), _NEAREST)
    return replace(sample, image=np.asarray(image), depth=np.asarray(depth))


def scale(sample: Sample, factor: float) -> Sample:
    """Enlarge the picture by ``factor`` and divide depth by it: a camera closer by that factor sees this."""
    height, width = sample.depth.shape
    larger = resize(sample, round(height * factor), round(width * factor))
    return replace(larger, depth=larger.depth / np.float32(factor))


def rotate(sample: Sample, degrees: float) -> Sample:
    """Rotate counter-clockwise about the centre; uncovered corners become black and invalid."""
    image = Image.fromarray(sample.image).rotate(degrees, _BILINEAR)
    depth = Image.fromarray(sample.depth).rotate(degrees, _NEAREST)
    return replace(sample, image=np.asarray(image), depth=np.asarray(depth))


def crop(sample: Sample, top: int, left: int, height: int, width: int) -> Sample:
    """Cut out a window."""
    window = np.s_[top : top + height, left : left + width]
    return replace(sample, image=sample.image[window], depth=sample.depth[window])


def centre_crop(sample: Sample, height: int, width: int) -> Sample:
    """Cut out the window in the middle."""
    full_height, full_width = sample.depth.shape
    return crop(sample, (full_height - height) // 2, (full_width - width) // 2, height, width)


def flip(sample: Sample) -> Sample:
    """Mirror left and right."""
    return replace(sample, image=sample.image[:, ::-1], depth=sample.depth[:, ::-1])


def colour_jitter(sample: Sample, rng: np.random.Generator, strength: float = 0.4) -> Sample:
    """Change brightness, contrast and saturation by factors from 1±strength, in random order; depth is untouched."""
    image = Image.fromarray(sample.image)
    enhancers = [ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color]
    for index in rng.permutation(len(enhancers)):
        image = enhancers[index](image).enhance(rng.uniform(1 - strength, 1 + strength))
    return replace(sample, image=np.asarray(image))


def turn_hue(sample: Sample, share: float) -> Sample:
    """Turn the hue of all colours by a share of the circle, to the next of 256 steps; depth is untouched."""
    hue, saturation, value = Image.fromarray(sample.image).convert("HSV").split()
    turned = (np.asarray(hue).astype(int) + round(share * 256)) % 256
    image = Image.merge("HSV", (Image.fromarray(turned.astype(np.uint8)), saturation, value)).convert("RGB")
    return replace(sample, image=np.asarray(image))


def gamma(sample: Sample, exponent: float) -> Sample:
    """Raise the picture's values, taken as 0..1, to a power: above 1 it gets darker; depth is untouched."""
    table = np.rint((np.arange(256) / 255) ** exponent * 255).astype(np.uint8)
    return replace(sample, image=table[sample.image])


def cut_out(sample: Sample, rng: np.random.Generator) -> Sample:
    """Make one to ``HOLES`` random rectangles of depth invalid; the image is untouched.

    What is cut out of the image elsewhere (Zhong et al. 2017, arXiv 1708.04896) is cut out of the truth here: one frame then teaches
    different pixels each time.
    """
    depth = sample.depth.copy()
    for _ in range(int(rng.integers(1, HOLES + 1))):
        height, width = (max(1, round(side * rng.uniform(*HOLE_SIDES))) for side in depth.shape)
        top, left = (int(rng.integers(side - hole + 1)) for side, hole in zip(depth.shape, (height, width), strict=True))
        depth[top : top + height, left : left + width] = 0
    return replace(sample, depth=depth)


def cut_depth(sample: Sample, rng: np.random.Generator) -> Sample:
    """Paste a random rectangle of the depth into the image, as gray, at its own place (CutDepth: Ishii & Yamashita 2021, arXiv 2107.07684).

    Its corner is at (a·W, b·H), its width max((1 - a)·W·c·p, 1) and its height max((1 - b)·H·d·p, 1), with a, b, c and d uniform in 0..1;
    p = 0.75 is that of Kim et al. 2022 (arXiv 2201.07436). Black is 0 m and white 10 m or more; where depth is invalid the picture stays:
    these two are ours.
    """
    full_height, full_width = sample.depth.shape
    a, b, c, d = rng.random(4)
    left, top = int(a * full_width), int(b * full_height)
    width, height = int(max((1 - a) * full_width * c * PASTED, 1)), int(max((1 - b) * full_height * d * PASTED, 1))
    window = np.s_[top : top + height, left : left + width]
    image, depth = sample.image.copy(), sample.depth[window]
    valid = valid_pixels(depth)
    image[window][valid] = np.rint(depth[valid].clip(0, WHITE) / WHITE * 255).astype(np.uint8)[:, np.newaxis]
    return replace(sample, image=image)


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """How strong the random joint transform of training is.

    Attributes:
        resize: the frame is resized to this many times the result's size before the crop.
        max_scale: upper bound of the uniform scale factor (lower bound 1), by which depth is divided.
        max_degrees: largest rotation either way.
        jitter: strength of the colour jitter, 0 to 1.
        random_crop: place the crop anywhere instead of in the centre.
        hue: largest turn of the hue either way, as a share of the circle (0 to 0.5).
        gamma: γ if the image is raised to a power from 1/(1 + γ) to 1 + γ, uniform in its logarithm.
        cut_depth: probability that a rectangle of depth is pasted into the image.
        cut_out: probability that rectangles of depth are made invalid.
    """

    resize: float = 1.0
    max_scale: float = 1.5
    max_degrees: float = 5.0
    jitter: float = 0.4
    random_crop: bool = True
    hue: float = 0.0
    gamma: float = 0.0
    cut_depth: float = 0.0
    cut_out: float = 0.0


@dataclass(frozen=True)
class Augmentation(AugmentationSettings):
    """The random joint transform of training.

    Attributes:
        input_size: height and width of the result.
    """

    input_size: tuple[int, int]

    @property
    def steps(self) -> list[str]:
        """What ``__call__`` does, in its order and with its parameters, to be read by people."""
        height, width = self.input_size
        return [
            f"resize {round(height * self.resize)}x{round(width * self.resize)}",
            f"rotate -{self.max_degrees:g}..{self.max_degrees:g} degrees",
            f"scale 1..{self.max_scale:g}, depth divided by it",
            f"{'random' if self.random_crop else 'centre'} crop {height}x{width}",
            "flip left-right, probability 0.5",
            f"colour jitter {self.jitter:g} (brightness, contrast, saturation)",
            *([f"hue turned by -{self.hue:g}..{self.hue:g} of the circle"] if self.hue else []),
            *([f"gamma 1/{1 + self.gamma:g}..{1 + self.gamma:g}"] if self.gamma else []),
            *([f"depth pasted into the image, probability {self.cut_depth:g}"] if self.cut_depth else []),
            *([f"depth cut out, probability {self.cut_out:g}"] if self.cut_out else []),
        ]

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        height, width = self.input_size
        sample = resize(sample, round(height * self.resize), round(width * self.resize))
        sample = rotate(sample, rng.uniform(-self.max_degrees, self.max_degrees))
        sample = scale(sample, rng.uniform(1.0, self.max_scale))
        if self.random_crop:
            full_height, full_width = sample.depth.shape
            top = int(rng.integers(full_height - height + 1))
            left = int(rng.integers(full_width - width + 1))
            sample = crop(sample, top, left, height, width)
        else:
            sample = centre_crop(sample, height, width)
        if rng.random() < 0.5:
            sample = flip(sample)
        return self._optional(colour_jitter(sample, rng, self.jitter), rng)

    def _optional(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """What is off by default; it draws last and only where it is on, so that it changes nothing of the other steps."""
        if self.hue:
            sample = turn_hue(sample, rng.uniform(-self.hue, self.hue))
        if self.gamma:
            sample = gamma(sample, (1 + self.gamma) ** rng.uniform(-1, 1))
        if self.cut_depth and rng.random() < self.cut_depth:
            sample = cut_depth(sample, rng)
        if self.cut_out and rng.random() < self.cut_out:
            sample = cut_out(sample, rng)
        return sample


def image_tensor(image: NDArray[np.uint8]) -> Tensor:
    """H×W×3 uint8 → 3×H×W float32 in 0..1, the network's input."""
    return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32, order="C")) / 255


def depth_tensor(depth: NDArray[np.float32]) -> Tensor:
    """H×W metres → 1×H×W float32."""
    return torch.from_numpy(depth[np.newaxis].copy())


#: A joint transform with its randomness.
Transform = Callable[[Sample, np.random.Generator], Sample]
