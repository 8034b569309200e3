"""Where published facts come from."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Source", "Sources", "sources"]


@dataclass(frozen=True)
class Source:
    """A publication: what it is called and where it stands."""

    name: str
    url: str


#: By the key that facts name it by.
Sources = Mapping[str, Source]


def sources(table: Mapping[str, Mapping[str, str]]) -> dict[str, Source]:
    """The sources that a file lists."""
    return {key: Source(**entry) for key, entry in table.items()}
