"""Which corrections a recipe asks for: its table ``[correct]``."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from fcrn_mobile.errors import InputError

__all__ = ["Correct", "make_correct"]


@dataclass(frozen=True)
class Correct:
    """Corrections that need no training.

    Attributes:
        equalise: factors between layers, such that channels which share a scale or a table have like ranges, see ``equalise.py``.
        scale: scales of integers by least squared error of the weights, instead of by the largest weight.
        rounding: weights rounded so that each layer's output stays, not each weight. Needs calibration images; None = where
            there are some, as there are in every export that is not told to leave corrections out.
        bias: biases that make good what the compressed weights shift on average. As ``rounding``.
    """

    equalise: bool = False
    scale: bool = False
    rounding: bool | None = None
    bias: bool | None = None

    def first_asked(self) -> str | None:
        """The first correction that is asked for whatever there is, as a recipe calls it."""
        return next((f"correct.{f.name}" for f in fields(self) if getattr(self, f.name)), None)

    @property
    def sees_images(self) -> bool:
        """Whether a correction is asked for, or left open, that looks at images."""
        return self.rounding is not False or self.bias is not False

    def to_json(self) -> dict[str, bool]:
        """Plain values, those that were left open left out; ``make_correct`` reads them back."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def make_correct(value: object) -> Correct:
    """Read the table.

    Raises:
        InputError: no table, an unknown key, or a value that is neither true nor false.
    """
    allowed = [f.name for f in fields(Correct)]
    if not isinstance(value, dict):
        raise InputError(f"correct is {value!r}: write a table [correct] with {', '.join(allowed)}")
    settings: dict[str, Any] = value
    for key, switch in settings.items():
        if key not in allowed:
            raise InputError(f"unknown key 'correct.{key}': allowed are {', '.join(allowed)}")
        if not isinstance(switch, bool):
            raise InputError(f"correct.{key} is {switch!r}: write true or false")
    return Correct(**settings)
