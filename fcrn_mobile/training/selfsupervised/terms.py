"""What a loss on views gives."""

from dataclasses import dataclass, field

from torch import Tensor

__all__ = ["Terms"]


@dataclass(frozen=True)
class Terms:
    """A batch's loss, what it is made of, and the share of pixels that counted.

    Attributes:
        loss: scalar, to be minimised.
        parts: scalars for the log, by name.
        counted: from 0 to 1; 1 where nothing is masked out.
    """

    loss: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)
    counted: Tensor | None = None
