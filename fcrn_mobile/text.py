"""Text that leaves the program."""

from collections.abc import Sequence

__all__ = ["counted", "enumerated", "printable"]


def printable(text: str) -> str:
    """Text that UTF-8 holds: a byte of a file name that was none, which Python keeps as half a surrogate pair, is spelt out as \\udcXX."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def counted(number: int, noun: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{number} {noun}{'s' * (number != 1)}"


def enumerated(words: Sequence[str], conjunction: str) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    return f" {conjunction} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
