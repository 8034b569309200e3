"""Whether a foreign file holds exactly the weights that a network needs, and what to say if not."""

from collections.abc import Mapping
from pathlib import Path

from fcrn_mobile.errors import InputError

__all__ = ["Shape", "require_fit", "some"]

Shape = tuple[int, ...]

_SHOWN = 3


def require_fit(
    path: Path, network: str, shapes: Mapping[str, Shape], expected: Mapping[str, Shape], optional: frozenset[str] = frozenset()
) -> None:
    """Pass if every wanted name is found in its shape, and nothing else.

    Args:
        path: the file, for the message.
        network: what it should hold, for the message.
        shapes, expected: shape by name.
        optional: wanted names that may be absent.

    Raises:
        InputError: names that are missing, left over or of another shape; it lists the first of each and their number.
    """
    missing = [name for name in expected if name not in shapes and name not in optional]
    left_over = sorted(set(shapes) - set(expected))
    wrong = [f"{name} {shapes[name]} instead of {shape}" for name, shape in expected.items() if shapes.get(name, shape) != shape]
    faults = [f"{what} {some(names)}" for what, names in (("missing", missing), ("left over", left_over), ("wrong shape", wrong)) if names]
    if faults:
        raise InputError(f"'{path}' does not fit {network}: {'; '.join(faults)}")


def some(names: list[str]) -> str:
    """The first few, and how many there are."""
    return ", ".join(names[:_SHOWN]) + (f" … ({len(names)} in all)" if len(names) > _SHOWN else "")
