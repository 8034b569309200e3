"""Options of commands that simulate the Neural Engine: ``--without`` of its traits, ``--both`` with and without all of them."""

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fcrn_mobile.data.source import Source
    from fcrn_mobile.mil.arithmetic import Arithmetic
    from fcrn_mobile.package.metadata import ModelConfigs
    from fcrn_mobile.validation.parting import Parting

__all__ = ["arithmetic_options", "both_option", "partings", "policies", "print_partings"]


def arithmetic_options(default: str, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--arithmetic``, which the command gets as a record, the traits of ``--without`` left out.

    Args:
        default: one of ``mil.arithmetic.POLICIES``.
        what: names whose it is.
    """
    text = f"Of {what}; ane simulates the results of the Neural Engine, not its speed."
    option = click.option("--arithmetic", default=default, show_default=True, metavar="float32|float16|ane", help=text)
    return lambda command: option(_without_option(command))


def _without_option(command: Callable[..., Any]) -> Callable[..., Any]:

    @functools.wraps(command)
    def narrowed(*args: Any, arithmetic: str, without: tuple[str, ...], **options: Any) -> Any:
        from fcrn_mobile.mil.arithmetic import Arithmetic

        return command(*args, arithmetic=Arithmetic.of(arithmetic, without), **options)

    text = "Of --arithmetic ane: a published trait not to follow: product, softplus, logsumexp, slice, sigmoid or ties."
    return click.option("--without", multiple=True, metavar="TRAIT", help=text)(narrowed)


both_option = click.option("--both", is_flag=True, help="Run float16 and ane, and say at which operator they part first.")


def policies(arithmetic: "Arithmetic", both: bool) -> "tuple[Arithmetic, ...]":
    """What candidates run under: ``--arithmetic`` alone, or float16 and the Neural Engine's."""
    from fcrn_mobile.mil.arithmetic import ANE, FLOAT16

    return (FLOAT16, arithmetic if arithmetic.name == ANE.name else ANE) if both else (arithmetic,)


def partings(
    candidates: tuple[str, ...],
    source: "Source",
    arithmetic: "Arithmetic",
    configs: "ModelConfigs",
    size: tuple[int, int] | None = None,
) -> "dict[str, Parting | None]":
    """Where each Core ML candidate parts in the two arithmetics on pictures of a size, by its path; None where it does not."""
    from fcrn_mobile.package.reading import SUFFIXES
    from fcrn_mobile.validation.parting import first_parting

    second = policies(arithmetic, True)[1]
    packages = [path for path in candidates if Path(path).suffix in SUFFIXES]
    return {path: first_parting(Path(path), _images(source), second, configs.of(path), size) for path in packages}


def _images(source: "Source") -> "Iterator[NDArray[np.uint8]]":
    return (source[index].image for index in range(len(source)))


def print_partings(parted: "Mapping[str, Mapping[str, Parting | None]]") -> None:
    """A line for each candidate; nothing where none was looked at."""
    for path, parting in parted.get("partings", {}).items():
        print(f"{path}: float16 and ane part at {parting}" if parting else f"{path}: float16 and ane agree at every operator")
