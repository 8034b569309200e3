"""Random numbers.

A seed gives the same numbers at every run of the operator (coremltools documents "a reproducible sequence across multiple invokes");
-1, the default, gives others each time, out of torch's generator (``torch.manual_seed`` repeats those too). They are not the numbers
that Core ML draws with the same seed: its generators are not published.
"""

import torch
from torch import Generator, Tensor

from fcrn_mobile.mil.declared import Declared, Shape
from fcrn_mobile.mil.ops.arguments import ints
from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.package.errors import MilError

__all__ = ["OPERATORS", "random_bernoulli", "random_categorical", "random_normal", "random_uniform"]


def random_bernoulli(shape: Tensor, prob: Tensor | float = 0.5, seed: Tensor | int = -1) -> Tensor:
    """1 with this probability, otherwise 0."""
    return (torch.rand(ints(shape), generator=_generator(seed)) < prob).to(torch.float32)


def random_normal(shape: Tensor, mean: Tensor | float = 0.0, stddev: Tensor | float = 1.0, seed: Tensor | int = -1) -> Tensor:
    """Normally distributed numbers."""
    return torch.empty(ints(shape)).normal_(float(mean), float(stddev), generator=_generator(seed))


def random_uniform(shape: Tensor, low: Tensor | float = 0.0, high: Tensor | float = 1.0, seed: Tensor | int = -1) -> Tensor:
    """Numbers from ``low`` on and below ``high``; all ``low`` where the two are equal."""
    return torch.empty(ints(shape)).uniform_(float(low), float(high), generator=_generator(seed))


def random_categorical(x: Tensor, mode: str = "logits", size: Tensor | int = 1, seed: Tensor | int = -1) -> Tensor:
    """``size`` indices into the last axis, drawn with replacement: x …×classes → …×size, as floats.

    Args:
        x: log-probabilities up to a constant (``logits``), or probabilities up to a factor (``probs``).
        mode: which of the two.
        size, seed: see above.

    Raises:
        MilError: another mode.
    """
    if mode not in ("logits", "probs"):
        raise MilError(f"random_categorical of mode '{mode}' is not one of logits, probs: export the package again")
    rows = x.reshape(-1, x.shape[-1])
    drawn = torch.multinomial(rows.softmax(-1) if mode == "logits" else rows, int(size), replacement=True, generator=_generator(seed))
    return drawn.reshape(*x.shape[:-1], int(size)).to(x.dtype)


def _generator(seed: Tensor | int) -> Generator | None:
    """None is torch's own generator."""
    return None if int(seed) == -1 else Generator().manual_seed(int(seed))


def _shape(declared: Declared) -> Shape:
    return declared.lengths("shape")


OPERATORS = {
    "random_bernoulli": Operator(random_bernoulli, "exact", grows=_shape),
    "random_categorical": Operator(
        random_categorical, "exact", grows=lambda declared: (*declared.shape("x")[:-1], int(declared.number("size", 1)))
    ),
    "random_normal": Operator(random_normal, "computed", grows=_shape),
    "random_uniform": Operator(random_uniform, "computed", grows=_shape),
}
