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

from fcrn_mobile.data.source import Sample

__all__ = [
    "Augmentation",
    "Transform",
    "centre_crop",
    "colour_jitter",
    "crop",
    "depth_tensor",
    "flip",
    "image_tensor",
    "resize",
    "rotate",
    "scale",
]

_BILINEAR = Image.Resampling.BILINEAR
_NEAREST = Image.Resampling.NEAREST


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


@dataclass(frozen=True)
class Augmentation:
    """The random joint transform of training.

    Attributes:
        input_size: height and width of the result.
        max_scale: upper bound of the uniform scale factor (lower bound 1).
        max_degrees: largest rotation either way.
        jitter: strength of the colour jitter.
        random_crop: place the crop anywhere instead of in the centre.
        resize: the frame is resized to this many times the result's size first.
    """

    input_size: tuple[int, int]
    max_scale: float = 1.5
    max_degrees: float = 5.0
    jitter: float = 0.4
    random_crop: bool = True
    resize: float = 1.0

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
        return colour_jitter(sample, rng, self.jitter)


def image_tensor(image: NDArray[np.uint8]) -> Tensor:
    """H×W×3 uint8 → 3×H×W float32 in 0..1, the network's input."""
    return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32, order="C")) / 255


def depth_tensor(depth: NDArray[np.float32]) -> Tensor:
    """H×W metres → 1×H×W float32."""
    return torch.from_numpy(depth[np.newaxis].copy())


#: A joint transform with its randomness.
Transform = Callable[[Sample, np.random.Generator], Sample]
