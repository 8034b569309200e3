"""Frames to search on, and others to verify on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.conversion.calibration import content_hash
from fcrn_mobile.data.grammar import split_off
from fcrn_mobile.data.source import Source, Subset
from fcrn_mobile.data.spec import open_images
from fcrn_mobile.errors import InputError

__all__ = ["Frames", "choose_frames"]


@dataclass(frozen=True, eq=False)
class Frames:
    """What a search runs on.

    Attributes:
        images: H×W×3 uint8 RGB, to search on.
        hashes: a fingerprint of each.
        unseen: frames to verify on; none of them is among the images.
        names: of the images.
        notes: what a user should know of them, a sentence each.
    """

    images: tuple[NDArray[np.uint8], ...]
    hashes: tuple[str, ...]
    names: tuple[str, ...]
    unseen: Source
    notes: tuple[str, ...] = ()


def choose_frames(spec: str, search: int, verify: int, seed: int) -> Frames:
    """Choose frames of a data spec, the same ones for the same seed.

    A spec without a split is searched on its ``train`` and verified on its ``val`` part; of one with a split, both are drawn from it and
    share no frame. A frame to verify on whose pixels equal those of one that was searched on is left out.

    Args:
        spec: a data spec.
        search, verify: how many at most; where a split has fewer frames than both need, half of it is for each.
        seed: chooses which.

    Raises:
        InputError: unknown spec; too few frames for both: one to search on, two to verify on, of which a spread can be told.
    """
    if split_off(spec)[1]:
        source = open_images(spec)
        order = np.random.default_rng(seed).permutation(len(source)).tolist()
        count = min(search, len(order) // 2)
        first, second = _subset(source, order[:count]), _subset(source, order[count : count + verify])
    else:
        first, second = (_drawn(open_images(f"{spec}#{part}"), count, seed) for part, count in (("train", search), ("val", verify)))
    samples = [first[index] for index in range(len(first))]
    hashes = tuple(content_hash(sample.image) for sample in samples)
    unseen = _without(second, set(hashes))
    if not samples or len(unseen) < 2:
        raise InputError(
            f"data '{spec}' has too few frames to search on some and verify on others: {len(samples)} and {len(unseen)} different ones, "
            "at least 1 and 2 are needed"
        )
    purposes = (("to search on", "--images", search, len(samples)), ("to verify on", "--verify-images", verify, len(unseen)))
    notes = tuple(
        f"{count} images {purpose}, not the {number} of {option}: '{spec}' has too few"
        for purpose, option, number, count in purposes
        if count < number
    )
    return Frames(tuple(sample.image for sample in samples), hashes, tuple(sample.name for sample in samples), unseen, notes)


def _drawn(source: Source, count: int, seed: int) -> Subset:
    return _subset(source, np.random.default_rng(seed).permutation(len(source)).tolist()[:count])


def _subset(source: Source, indices: Sequence[int]) -> Subset:
    return Subset(source, tuple(sorted(indices)))


def _without(source: Subset, hashes: set[str]) -> Subset:
    indices = [index for position, index in enumerate(source.indices) if content_hash(source[position].image) not in hashes]
    return Subset(source.source, tuple(indices))
