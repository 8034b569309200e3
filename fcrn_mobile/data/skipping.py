"""Going on past frames that cannot be read (``--skip-bad``): each is counted and named.

All frames are read once before the work starts, so that the rest is a source like any other: the same for every process, every pass and
every network that is compared. A split is taken first: frames that are left out move no other frame into another part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from fcrn_mobile.data.source import Indexed, Subset
from fcrn_mobile.errors import InputError

#: Frames that a note names; the others are counted.
NAMED = 3

Item = TypeVar("Item", covariant=True)


@dataclass(frozen=True)
class BadFrame:
    """A frame that cannot be read, and the line that says why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Sound(Generic[Item]):
    """The frames of a source that can be read, in their order, and those that cannot."""

    frames: Subset[Item]
    bad: tuple[BadFrame, ...]

    @property
    def note(self) -> str:
        """One line on what was left out; empty where nothing was."""
        return skipped_note(self.bad, len(self.frames) + len(self.bad))


def skip_bad(source: Indexed[Item], on_frame: Callable[[int, int], None] | None = None) -> Sound[Item]:
    """Read every frame once and leave out those that raise ``InputError``.

    Args:
        source: frames or views, of the part that is asked for.
        on_frame: progress, called with frames done and in all.

    Raises:
        InputError: not one frame can be read.
    """
    sound, bad = sort_out(source.names, source.__getitem__, on_frame)
    return Sound(Subset(source, sound), bad)


def sort_out(
    names: Sequence[str], read: Callable[[int], object], on_frame: Callable[[int, int], None] | None = None
) -> tuple[tuple[int, ...], tuple[BadFrame, ...]]:
    """Places of the items that can be read, and those that cannot.

    Args:
        names: of the items, such as the files of ``predict``.
        read: called with each place; ``InputError`` means that the item is bad, other exceptions pass.
        on_frame: progress.

    Raises:
        InputError: not one can be read.
    """
    sound: list[int] = []
    bad: list[BadFrame] = []
    for place, name in enumerate(names):
        try:
            read(place)
        except InputError as error:
            bad.append(BadFrame(name, str(error)))
        else:
            sound.append(place)
        if on_frame:
            on_frame(place + 1, len(names))
    if bad and not sound:
        raise InputError(f"none of {len(bad)} frames can be read, the first because {bad[0].reason}")
    return tuple(sound), tuple(bad)


def skipped_note(bad: Sequence[BadFrame], count: int) -> str:
    """One line that counts bad frames among ``count`` and says of the first few what is wrong with them; empty for none."""
    if not bad:
        return ""
    reasons = "; ".join(f"{frame.name}: {frame.reason}" for frame in bad[:NAMED])
    more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    return f"{len(bad)} of {count} frames left out, they cannot be read: {reasons}{more}"
