"""How long work says how far it is."""

from collections.abc import Callable

__all__ = ["OnStep"]

#: Called with the number of steps done and of all.
OnStep = Callable[[int, int], None]
