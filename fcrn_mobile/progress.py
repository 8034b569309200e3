"""How long work says how far it is."""

from collections.abc import Callable
from contextlib import AbstractContextManager

__all__ = ["OnStep", "Progress"]

#: Called with the number of steps done and of all.
OnStep = Callable[[int, int], None]
#: Shows how far a step of this name is.
Progress = Callable[[str], AbstractContextManager[OnStep]]
