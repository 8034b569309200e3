"""Exit codes: what a command ends with, and what an exception becomes, in one line."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import click

from fcrn_mobile.errors import InputError, why

__all__ = [
    "BAD_INPUT",
    "BROKEN",
    "HELD",
    "INTERRUPTED",
    "NO_READER",
    "UNEXPECTED",
    "NoReaderError",
    "end",
    "message",
    "outcome",
    "told_apart",
]

#: Everything went well, every budget held.
HELD = 0
#: A budget was measured and is broken, or ``doctor --strict`` found an error; nothing else gives this code.
BROKEN = 1
#: Bad use or bad input.
BAD_INPUT = 2
#: An exception that nobody expected.
UNEXPECTED = 3
#: Ctrl-C.
INTERRUPTED = 130
#: The reader of a pipe left, as `| head` does.
NO_READER = 141

#: Libraries that a plain installation lacks → the extra that brings them.
_EXTRAS = {"matplotlib": "report", "lightning": "train", "tensorboard": "train", "starlette": "view", "uvicorn": "view"}
#: Longest message of an unexpected exception that is shown; libraries put whole graphs into theirs.
_LONGEST = 400


class NoReaderError(Exception):
    """Standard output has no reader any more."""


@contextmanager
def told_apart() -> Iterator[None]:
    """Let no BrokenPipeError reach click, which would end the process with a broken budget's code.

    Raises:
        NoReaderError: instead of it.
    """
    try:
        yield
    except BrokenPipeError as error:
        raise NoReaderError from error


def end(within_budget: bool) -> None:
    """End the running command with the verdict on a budget."""
    click.get_current_context().exit(HELD if within_budget else BROKEN)


def outcome(error: BaseException) -> tuple[int, str]:
    """The exit code of an exception, and the line that says what is wrong; empty where nothing is to be said."""
    if isinstance(error, InputError):
        return BAD_INPUT, message(error)
    if isinstance(error, click.UsageError):
        return BAD_INPUT, error.format_message() + (f" (see '{error.ctx.command_path} --help')" if error.ctx else "")
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    if isinstance(error, click.ClickException):
        return BAD_INPUT, error.format_message()
    if isinstance(error, BrokenPipeError | NoReaderError):
        return NO_READER, ""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in _EXTRAS:
        library = str(error.name).partition(".")[0]
        return BAD_INPUT, f"this needs {library}: pip install 'fcrn-mobile[{_EXTRAS[library]}]'"
    if isinstance(error, shutil.Error) or (isinstance(error, OSError) and error.errno is not None):
        return BAD_INPUT, why(error)
    what = "an end of the program" if isinstance(error, SystemExit) else type(error).__name__
    text = message(error)
    text = f": {text[:_LONGEST]}{'…' if len(text) > _LONGEST else ''}" if text else ""
    return UNEXPECTED, f"unexpected {what}{text} (please report this with the traceback that --debug shows)"


def message(error: BaseException) -> str:
    """What an exception says, in one line."""
    text = str(error).strip()
    if text.startswith("Caught ") and "Original Traceback" in text:
        # torch's loader processes wrap an error in their traceback, whose last line is the error itself.
        text = re.sub(r"^[\w.]+: ", "", text.splitlines()[-1])
    return " ".join(text.split())
