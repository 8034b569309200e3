"""What every RGB-D source yields, and its parts for training and validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.cameras import UNKNOWN, TrainingCamera

__all__ = [
    "SPLIT_SEED",
    "VALIDATION_SHARE",
    "Indexed",
    "Item",
    "OfCamera",
    "Sample",
    "Source",
    "SplitSource",
    "Subset",
    "Wrapped",
    "camera_of",
    "evenly",
    "split_indices",
    "splits_by_part",
    "valid_pixels",
]

SPLIT_SEED = 0
VALIDATION_SHARE = 0.15


@dataclass(frozen=True)
class Sample:
    """One RGB-D frame.

    Attributes:
        image: H×W×3 uint8, sRGB.
        depth: H×W float32 metres; a pixel is valid where it is finite and > 0.
        name: unique within its source.
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    name: str


Item = TypeVar("Item", covariant=True)


class Indexed(Protocol[Item]):
    """A random-access list of named items."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Item: ...


class Source(Indexed[Sample], Protocol):
    """A random-access list of samples."""


@runtime_checkable
class SplitSource(Source, Protocol):
    """A source whose data set has splits of its own."""

    def splits(self) -> dict[str, tuple[int, ...]]:
        """Frame indices of each split, by its name; no frame is in two."""
        ...


@dataclass(frozen=True)
class Subset(Generic[Item]):
    """Some items of another source, in the given order."""

    source: Indexed[Item]
    indices: tuple[int, ...]

    @property
    def camera(self) -> TrainingCamera:
        return camera_of(self.source)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.source.names[i] for i in self.indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Item:
        return self.source[self.indices[index]]


class Wrapped:
    """As many items as another source has, under the same names."""

    source: Indexed[Any]

    @property
    def names(self) -> tuple[str, ...]:
        return self.source.names

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class OfCamera(Wrapped, Generic[Item]):
    """All items of another source, which a known camera took."""

    source: Indexed[Item]
    camera: TrainingCamera

    def __getitem__(self, index: int) -> Item:
        return self.source[index]


def camera_of(source: Indexed[object]) -> TrainingCamera:
    """What took a source's pictures, as its attribute ``camera`` says; ``UNKNOWN`` for a source that has none."""
    camera: TrainingCamera = getattr(source, "camera", UNKNOWN)
    return camera


def valid_pixels(depth: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Where depth of any shape, in metres, was measured: finite and above 0."""
    return np.isfinite(depth) & (depth > 0)


def evenly(length: int, most: int) -> list[int]:
    """Places of a list, ``most`` of them spread evenly from the first to the last, all if it is shorter."""
    return sorted(set(np.linspace(0, length - 1, min(length, most)).round().astype(int).tolist())) if length else []


def split_indices(count: int) -> dict[str, tuple[int, ...]]:
    """The fixed split of ``count`` samples into ``train`` and ``val`` (15 %), the same on every machine."""
    order = np.random.default_rng(SPLIT_SEED).permutation(count).tolist()
    held_back = round(count * VALIDATION_SHARE)
    return {"val": tuple(sorted(order[:held_back])), "train": tuple(sorted(order[held_back:]))}


def splits_by_part(parts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Train and val of a data set whose layout names the part of each frame; the fixed split where it names none."""
    if not any(parts):
        return split_indices(len(parts))
    return {name: tuple(index for index, part in enumerate(parts) if part == name) for name in ("train", "val")}
