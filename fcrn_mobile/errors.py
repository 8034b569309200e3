"""The one error type that the command line turns into a single line and exit code 2, and what the system's errors say."""

import shutil
from collections.abc import Iterable

__all__ = ["InputError", "UnusableInputError", "brief", "require_known", "why"]


class InputError(Exception):
    """Bad input from the user: the message is one line that names the value and the remedy."""


class UnusableInputError(InputError):
    """One of several inputs turns out, after work has begun, to be of no use: the others may go on."""


def require_known(what: str, word: str, vocabulary: Iterable[str]) -> None:
    """Pass if a word is one of those that are known.

    Raises:
        InputError: it is not; says what it should name, and the words.
    """
    if word not in (words := tuple(vocabulary)):
        raise InputError(f"unknown {what} '{word}': use one of {', '.join(words)}")


def brief(error: BaseException, most: int) -> str:
    """What a library says, in one line of so many characters at most; empty if it says nothing."""
    return " ".join(str(error).split())[:most]


def why(error: OSError) -> str:
    """What went wrong, and with which file, in one line: ``No space left on device: 'out/a.png'``."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list) and error.args[0]:
        # Copying a folder gathers (source, target, what went wrong) of every file: the first says it.
        _, target, text = error.args[0][0]
        return f"{_plain(str(text))}: '{target}'"
    reason = error.strerror or str(error) or type(error).__name__
    return f"{reason}: '{error.filename}'" if error.filename else reason


def _plain(text: str) -> str:
    """``[Errno 28] No space left on device: 'a'`` → ``No space left on device``."""
    return text.partition("] ")[2].partition(": '")[0] if text.startswith("[Errno ") else text
