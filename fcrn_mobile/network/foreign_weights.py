"""Which of the tensors in a foreign file are the network's: beneath what containers and prefixes they stand.

Training scripts save a network's weights among other things (``{"model_state_dict": …, "optimizer": …}``), and wrap the network
(``nn.DataParallel``, ``torch.compile``, Lightning), which puts prefixes before its keys. Neither has a list of names that is complete; so a
network is looked for by keys that only it has, and whatever stands before them is taken for a container or a prefix.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fcrn_mobile.network.foreign_keys import some
from fcrn_mobile.text import counted

__all__ = ["Candidate", "Group", "described", "largest", "networks"]

#: Parts of a key that wrappers around any module add (DataParallel, torch.compile, FSDP, activation checkpointing).
_WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
#: Words for a moving average in names of containers and prefixes, such as ``ema_state_dict``, ``ema_model.`` or ``shadow``.
_AVERAGE = re.compile(r"(^|[._])(ema|shadow|swa|averaged)(?=$|[._])")


@dataclass(frozen=True)
class Group:
    """Tensors that stand in one dict or one pickled network.

    Attributes:
        place: keys and attributes that lead to it, with dots between; empty for the file's own content.
        tensors: by key.
    """

    place: str
    tensors: dict[str, Any]


@dataclass(frozen=True)
class Candidate:
    """Weights of a network.

    Attributes:
        place: where they stand, prefix included, such as ``state_dict: model.``; empty for a bare state dict.
        tensors: by key, without prefix and wrappers.
    """

    place: str
    tensors: dict[str, Any]

    @property
    def is_average(self) -> bool:
        """Whether its place is named after a moving average."""
        return _AVERAGE.search(self.place) is not None


def networks(groups: list[Group], signs: tuple[str, ...]) -> list[Candidate]:
    """The networks in a file, a moving average first.

    Args:
        groups: all tensors of the file.
        signs: keys, or beginnings of keys, that tell such a network; a prefix is what stands before one of them.

    Returns:
        One candidate per group and prefix. Averages that hold parameters alone are completed by the buffers of another candidate.
    """
    candidates = [_candidate(group, prefix) for group in groups for prefix in _prefixes(group.tensors, signs)]
    candidates = [_completed(one, candidates) if one.is_average else one for one in candidates]
    return sorted(candidates, key=lambda one: not one.is_average)


def largest(groups: list[Group]) -> Candidate:
    """The group with the most tensors, without wrappers: what there is to speak of where no network is recognised."""
    group = max(groups, key=lambda one: len(one.tensors))
    return Candidate(group.place, {_unwrapped(key): value for key, value in group.tensors.items()})


def described(groups: list[Group]) -> str:
    """How many tensors a file holds, where, and the first keys."""
    count = sum(len(group.tensors) for group in groups)
    parts = [f"{f'under {group.place}: ' if group.place else ''}{some(sorted(group.tensors))}" for group in groups[:2]]
    return f"{counted(count, 'tensor')} ({'; '.join(parts)}{' …' if len(groups) > 2 else ''})"


def _prefixes(tensors: Mapping[str, Any], signs: tuple[str, ...]) -> Iterator[str]:
    yield from dict.fromkeys(prefix for key in tensors if (prefix := _prefix(key, signs)) is not None)


def _prefix(key: str, signs: tuple[str, ...]) -> str | None:
    """What stands before a sign in a key, wrappers included; None if none is in it."""
    parts = key.split(".")
    for start in reversed(range(len(parts))):
        if parts[start] not in _WRAPPERS and _unwrapped(".".join(parts[start:])).startswith(signs):
            return "".join(f"{part}." for part in parts[:start])
    return None


def _candidate(group: Group, prefix: str) -> Candidate:
    tensors = {_unwrapped(key.removeprefix(prefix)): value for key, value in group.tensors.items() if key.startswith(prefix)}
    return Candidate(f"{group.place}: {prefix}" if group.place and prefix else group.place or prefix, tensors)


def _completed(average: Candidate, others: list[Candidate]) -> Candidate:
    """An average with the buffers that another network of the same parameters has beside them."""
    for other in others:
        if not other.is_average and average.tensors.keys() < other.tensors.keys():
            return Candidate(f"{average.place}, its buffers from {other.place or 'beside it'}", other.tensors | average.tensors)
    return average


def _unwrapped(key: str) -> str:
    return ".".join(part for part in key.split(".") if part not in _WRAPPERS)
