"""What is wrong with a package, or with what it was given."""

from fcrn_mobile.errors import InputError

__all__ = ["DAMAGED", "MilError"]

#: How a message ends about what no converter writes.
DAMAGED = "the model is damaged, export it again"

_LONGEST = 600


class MilError(InputError):
    """A package that cannot be read or run, or an input that does not fit it; one line with the value and the remedy.

    Names and texts of a package stand in messages as they are found: whatever they hold, the line stays one line of bearable length.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        if not line.isprintable():
            line = "".join(character if character.isprintable() else repr(character)[1:-1] for character in line)
        super().__init__(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…")
