"""Several RGB-D sources as one for training, each with a weight: ``folder:a.zip + folder:b.zip*0.3``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.cameras import UNKNOWN, TrainingCamera
from fcrn_mobile.data.canonical import for_one_camera
from fcrn_mobile.data.grammar import portable, split_off
from fcrn_mobile.data.pictures import HolesMarked
from fcrn_mobile.data.source import Sample, Source, Subset, camera_of
from fcrn_mobile.data.spec import open_source, open_unlabelled
from fcrn_mobile.errors import InputError

__all__ = ["Mixture", "Part", "join_parts", "open_mixture", "parse_mixture", "portable_mixture", "training_and_validation"]

_SEPARATOR = " + "
_WEIGHTED = re.compile(r"(?P<spec>.+)\*(?P<weight>[^*/]*)")


@dataclass(frozen=True)
class Part:
    """One source of a mixture.

    Attributes:
        spec: its data spec.
        weight: how often an epoch shows each of its frames, on average.
    """

    spec: str
    weight: float = 1.0

    def __str__(self) -> str:
        return self.spec if self.weight == 1 else f"{self.spec}*{self.weight:g}"

    def split(self, name: str) -> "Part":
        """The same source's part of that name, unless one is named already."""
        whole, part = split_off(self.spec)
        return self if part else replace(self, spec=f"{whole}#{name}")


def parse_mixture(data: str) -> tuple[Part, ...]:
    """The parts of ``SPEC[*WEIGHT] + SPEC[*WEIGHT] + …``; a single spec is a mixture of one.

    Raises:
        InputError: a weight that is no positive number.
    """
    return tuple(_part(text.strip()) for text in data.split(_SEPARATOR))


def join_parts(parts: Sequence[Part | str]) -> str:
    """The inverse of ``parse_mixture``, of parts or of their texts."""
    return _SEPARATOR.join(map(str, parts))


def training_and_validation(data: str, val_data: str | None) -> tuple[str, str]:
    """Data specs of training and validation: without ``val_data``, each source's ``#train`` part and the ``#val`` part of the first.

    Raises:
        InputError: ``data`` names a split and ``val_data`` is missing.
    """
    if val_data:
        return data, val_data
    parts = parse_mixture(data)
    if split_off(parts[0].spec)[1]:
        raise InputError(f"data '{parts[0].spec}' names a split: give --val-data too, or leave the split out")
    return join_parts([part.split("train") for part in parts]), parts[0].split("val").spec


def portable_mixture(data: str) -> str:
    """The same, each source by its portable name."""
    return join_parts([replace(part, spec=portable(part.spec)) for part in parse_mixture(data)])


def open_mixture(data: str, camera: TrainingCamera | None = None, unlabelled: str | None = None) -> Source:
    """The source of a single spec, or a ``Mixture`` of several, of one with a weight, or of what a teacher is to see.

    Args:
        data: the specs.
        camera: of the validation data, for which several sources are labelled where it is known, see ``canonical``; None leaves each
            source the metres of its own camera.
        unlabelled: specs of pictures behind those, of which no depth is looked at; may be empty. Invalid depth is then NaN in all frames.
            None for training without a teacher.

    Raises:
        InputError: see ``parse_mixture``, ``open_source`` and ``open_unlabelled``.
    """
    parts = parse_mixture(data)
    if len(parts) == 1 and parts[0].weight == 1 and unlabelled is None:
        return open_source(parts[0].spec)
    sources, own = [open_source(part.spec) for part in parts], None
    if len(parts) > 1 and camera is not None:
        sources, own = for_one_camera([part.spec for part in parts], sources, camera)
    own = own or camera_of(sources[0])
    if unlabelled is None:
        return Mixture(parts, sources, own)
    further = parse_mixture(unlabelled) if unlabelled else ()
    pictures = [open_unlabelled(part.spec) for part in further]
    return Mixture((*parts, *further), [*map(HolesMarked, sources), *pictures], own, len(pictures))


class Mixture:
    """The frames of several sources, one source behind the other.

    Args:
        parts: what the sources are called, and their weights.
        sources: as many.
        camera: that their metres hold for.
        unlabelled: how many of the last sources have no depth.

    Raises:
        InputError: a weight so small that an epoch shows none of a source's frames.
    """

    def __init__(self, parts: Sequence[Part], sources: Sequence[Source], camera: TrainingCamera = UNKNOWN, unlabelled: int = 0) -> None:
        self.sources = tuple(sources)
        self.camera = camera
        self.unlabelled = unlabelled
        self.labels = tuple(portable(part.spec) for part in parts)
        #: Of each source, how many frames an epoch shows.
        self.shown = tuple(round(part.weight * len(source)) for part, source in zip(parts, sources, strict=True))
        for part, source, shown in zip(parts, sources, self.shown, strict=True):
            if shown < 1:
                raise InputError(
                    f"weight {part.weight:g} of '{part.spec}' leaves none of its {len(source)} frames to an epoch: give a larger one"
                )
        self._first = np.cumsum([0, *map(len, sources)])

    @property
    def labelled(self) -> Subset[Sample]:
        """The frames of sources that have depth."""
        return Subset(self, tuple(range(int(self._first[len(self.sources) - self.unlabelled]))))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{label}/{name}" for label, source in zip(self.labels, self.sources, strict=True) for name in source.names)

    def __len__(self) -> int:
        return int(self._first[-1])

    def __getitem__(self, index: int) -> Sample:
        position = range(len(self))[index]
        number = int(np.searchsorted(self._first, position, side="right")) - 1
        sample = self.sources[number][position - int(self._first[number])]
        return replace(sample, name=f"{self.labels[number]}/{sample.name}")

    def drawn(self, seed: int, epoch: int) -> NDArray[np.int64]:
        """Indices of an epoch's frames, source by source.

        Each source's frames follow each other in an order that is drawn anew whenever all have had their turn, and an epoch goes on
        where the one before ended: none is shown twice before all others were shown once.
        """
        parts = [
            first + _turns(len(source), epoch * shown, shown, (seed, number))
            for number, (first, source, shown) in enumerate(zip(self._first, self.sources, self.shown, strict=False))
        ]
        return np.concatenate(parts)


def _turns(count: int, start: int, length: int, seed: tuple[int, int]) -> NDArray[np.int64]:
    """``length`` numbers below ``count`` from ``start`` on, of endlessly many permutations in a row."""
    rounds = range(start // count, (start + length - 1) // count + 1)
    orders = [np.random.default_rng((*seed, number)).permutation(count) for number in rounds]
    offset = start - rounds[0] * count
    return np.concatenate(orders)[offset : offset + length]


def _part(text: str) -> Part:
    match = _WEIGHTED.fullmatch(text)
    if match is None:
        return Part(text)
    try:
        weight = float(match["weight"])
    except ValueError:
        weight = 0.0
    if not (np.isfinite(weight) and weight > 0):
        raise InputError(f"weight '{match['weight']}' in '{text}': give a positive number behind the *, such as {match['spec']}*0.5")
    return Part(match["spec"], weight)
