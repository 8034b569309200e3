"""Where values run over."""

from dataclasses import dataclass

__all__ = ["Overflow"]


@dataclass(frozen=True)
class Overflow:
    """The first result that is not finite though all that went into its operator was.

    Attributes:
        name: of the tensor.
        operator: what computed it.
        largest: largest magnitude among the operator's inputs.
    """

    name: str
    operator: str
    largest: float

    def __str__(self) -> str:
        return f"'{self.name}' ({self.operator} of values up to {self.largest:.4g})"
