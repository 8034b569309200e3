"""What settings may be: each check names the setting, its value and what is allowed."""

from collections.abc import Iterable
from typing import Any

from fcrn_mobile.errors import InputError, require_known

__all__ = ["require_below", "require_not_negative", "require_one_of", "require_positive"]


def require_one_of(settings: Any, name: str, allowed: Iterable[str]) -> None:
    """Pass if a setting is one of some words.

    Raises:
        InputError: it is not, as of every function here.
    """
    require_known(name, getattr(settings, name), allowed)


def require_positive(settings: Any, *names: str) -> None:
    """Pass if settings are above 0."""
    for name in names:
        if not (value := getattr(settings, name)) > 0:
            raise InputError(f"{name} is {value}: give a positive number")


def require_not_negative(settings: Any, *names: str) -> None:
    """Pass if settings are 0 or above, or None."""
    for name in names:
        if (value := getattr(settings, name)) is not None and not value >= 0:
            raise InputError(f"{name} is {value}: give 0 or a positive number")


def require_below(limit: float, settings: Any, *names: str) -> None:
    """Pass if settings are below a limit."""
    for name in names:
        if (value := getattr(settings, name)) >= limit:
            raise InputError(f"{name} is {value}: give a number below 1")
