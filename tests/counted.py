"""A source whose frames exist only while they are looked at."""

from dataclasses import dataclass


@dataclass
class Counted:
    """As many frames as it is told, called by their numbers; what they hold is for a test to say."""

    count: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(map(str, range(self.count)))

    def __len__(self) -> int:
        return self.count
