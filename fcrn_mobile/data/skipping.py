"""Going on past inputs that cannot be read (``--skip-bad``): each is counted and named.

All are read once before the work starts, so that the rest is a source like any other: the same for every process, every pass and every
network that is compared. A split is taken first: frames that are left out move no other frame into another part.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from fcrn_mobile.data.source import Indexed, Subset
from fcrn_mobile.errors import InputError
from fcrn_mobile.progress import OnStep

__all__ = ["NAMED", "Item", "skip_bad", "skipped_note", "sort_out"]

#: Frames that a note names; the others are counted.
NAMED = 3

Item = TypeVar("Item")


def sort_out(
    items: Sequence[Item], read: Callable[[Item], object], on_item: OnStep, skip_bad: bool = True
) -> tuple[list[Item], dict[Item, str]]:
    """The items that can be read, in their order, and of the others why they cannot.

    Args:
        items: such as the files of ``predict``.
        read: called with each; ``InputError`` means that it is bad, other exceptions pass.
        on_item: progress, called with items done and in all.
        skip_bad: go on past bad items.

    Raises:
        InputError: of the first bad item, without ``skip_bad``.
    """
    sound: list[Item] = []
    bad: dict[Item, str] = {}
    for number, item in enumerate(items, 1):
        try:
            read(item)
        except InputError as error:
            if not skip_bad:
                raise
            bad[item] = str(error)
        else:
            sound.append(item)
        on_item(number, len(items))
    return sound, bad


def skip_bad(source: Indexed[Item], check: Callable[[Item], object], on_frame: OnStep) -> tuple[Subset[Item], dict[str, str]]:
    """Read every frame once and leave out those that cannot be read.

    Args:
        source: frames or views, of the part that is asked for.
        check: called with each frame that can be decoded; raises ``InputError`` of one that is of no use.
        on_frame: progress, called with frames done and in all.

    Returns:
        The frames that can be read, and the names of the others with the reason of each.

    Raises:
        InputError: not one frame can be read.
    """
    sound, bad = sort_out(range(len(source)), lambda index: check(source[index]), on_frame)
    if bad and not sound:
        raise InputError(f"none of {len(bad)} frames can be read, the first because {next(iter(bad.values()))}")
    return Subset(source, tuple(sound)), {source.names[index]: reason for index, reason in bad.items()}


def skipped_note(bad: Mapping[str, str], count: int) -> str:
    """One line that counts bad frames among ``count`` and says of the first few what is wrong with them; empty for none."""
    if not bad:
        return ""
    reasons = "; ".join(f"{name}: {reason}" for name, reason in list(bad.items())[:NAMED])
    more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    return f"{len(bad)} of {count} frames left out, they cannot be read: {reasons}{more}"
