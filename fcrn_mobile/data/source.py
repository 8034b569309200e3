"""What every RGB-D source yields, and how a source is opened from its one-string spec."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.errors import InputError

SPLIT_SEED = 0
VALIDATION_SHARE = 0.15
SPEC_FORMS = "sample, folder:PATH[?scale=UNITS_PER_METRE][#train|#val]"


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


class Source(Protocol):
    """A random-access list of samples."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


@dataclass(frozen=True)
class Subset:
    """Some samples of another source, in the given order."""

    source: Source
    indices: tuple[int, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.source.names[i] for i in self.indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.source[self.indices[index]]


def open_source(spec: str) -> Source:
    """Open the source that a data spec names.

    Args:
        spec: ``sample``, or ``folder:PATH`` with optional ``?scale=UNITS_PER_METRE`` and ``#split``.

    Raises:
        InputError: unknown form, option or split; nothing found.
    """
    location, _, split = spec.partition("#")
    location, _, query = location.partition("?")
    kind, _, path = location.partition(":")
    options = dict(parse_qsl(query, keep_blank_values=True))
    source: Source
    from fcrn_mobile.data.folder import FolderSource

    if kind == "sample" and not path:
        _reject_options(spec, options, allowed=())
        source = FolderSource(Path(str(resources.files("fcrn_mobile") / "data" / "sample")))
    elif kind == "folder" and path:
        _reject_options(spec, options, allowed=("scale",))
        source = FolderSource(Path(path), depth_scale=_scale(spec, options.get("scale", "1000")))
    else:
        raise InputError(f"unknown data '{spec}': use one of {SPEC_FORMS}")
    return _split(source, split, spec) if split else source


def split_indices(count: int) -> dict[str, tuple[int, ...]]:
    """The fixed split of ``count`` samples into ``train`` and ``val`` (15 %), the same on every machine."""
    order = np.random.default_rng(SPLIT_SEED).permutation(count).tolist()
    held_back = round(count * VALIDATION_SHARE)
    return {"val": tuple(sorted(order[:held_back])), "train": tuple(sorted(order[held_back:]))}


def _split(source: Source, split: str, spec: str) -> Source:
    splits: dict[str, Sequence[int]] = dict(split_indices(len(source)))
    if split not in splits:
        raise InputError(f"unknown split '#{split}' in '{spec}': use #train or #val")
    if not splits[split]:
        raise InputError(f"split '#{split}' of '{spec}' is empty: {len(source)} frames are too few to split")
    return Subset(source, tuple(splits[split]))


def _reject_options(spec: str, options: dict[str, str], allowed: tuple[str, ...]) -> None:
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise InputError(f"unknown option '{unknown[0]}' in '{spec}': allowed are {', '.join(allowed) or 'none'}")


def _scale(spec: str, text: str) -> float:
    try:
        scale = float(text)
    except ValueError:
        scale = 0.0
    if not (np.isfinite(scale) and scale > 0):
        raise InputError(f"scale '{text}' in '{spec}': give depth units per metre, a positive number such as 1000")
    return scale
