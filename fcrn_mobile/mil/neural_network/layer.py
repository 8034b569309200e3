"""What is known of one kind of layer, and the network that is being translated."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from fcrn_mobile.mil.neural_network.builder import Builder
from fcrn_mobile.mil.neural_network.tensor import Shape, Tensor, meta, paired, product, unknown
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.mil.values import check_size
from fcrn_mobile.package.errors import MilError

__all__ = ["Layer", "Network", "lengths"]

#: Most numbers that are read for the axes of a tensor: two each, of more axes than Core ML's tensors have.
_MOST_NUMBERS = 12


class Network(Builder):
    """The function of a network under construction, and how its tensors lie.

    Attributes:
        compact: whether tensors are what networks before version 4 know alone: sequence × batch × channels × height × width. They are
            held as N×C×H×W here, N = sequence · batch, which is what convolutions take.
        batch: the second of those lengths, as far as it is not 1.
        blobs: results of layers by the network's own names.
        latest: the last result that any layer had under a name, those in branches and loops included.
        reads: how often layers read a name, outputs of the network included.
        sequence: translates layers one after the other.
    """

    #: Type of indices.
    INDEX = torch.int32

    def __init__(self, compact: bool, batch: int) -> None:
        super().__init__()
        self.compact = compact
        self.batch = batch
        self.blobs: dict[str, Tensor] = {}
        self.latest: dict[str, Tensor] = {}
        self.reads: Counter[str] = Counter()
        self.sequence: Callable[[Sequence[Any]], None] = lambda layers: None

    def assign(self, name: str, tensor: Tensor) -> None:
        """A result of a layer under the network's own name, which may have stood for another one until now."""
        self.blobs[name] = self.latest[name] = tensor

    def free(self, name: str) -> None:
        """Give the value that has this name, which an output needs, another one.

        Raises:
            MilError: it is an input.
        """
        if name in self.inputs:
            raise MilError(f"its output '{name}' has the name of an input, whose value it is not: give it another name")
        other = self.rename(Tensor(name, "FLOAT16", ()), f"{name}/layer").name
        self.blobs = {blob: replace(tensor, name=other) if tensor.name == name else tensor for blob, tensor in self.blobs.items()}

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        """``x`` in another shape, of which one length may be open (-1)."""
        if shape == x.shape:
            return x
        return self.emit("reshape", x=x, shape=list(lengths(shape, x.shape)))

    def numbers(self, x: Tensor) -> list[int] | None:
        """Whole numbers that are known before the network runs.

        Raises:
            MilError: one is infinite, or no number.
        """
        return None if x.value is None else [_whole(value) for value in x.value.reshape(-1).tolist()]

    def number(self, x: Tensor) -> int | Tensor:
        """The one whole number of a tensor, as a tensor of one axis where only running tells it.

        Raises:
            MilError: it has several or none, or one that is infinite.
        """
        value = self.scalar(x)
        return self.whole(value) if isinstance(value, Tensor) else _whole(value)

    def scalar(self, x: Tensor) -> float | Tensor:
        """The one number of a tensor, as a tensor of one axis where only running tells it.

        Raises:
            MilError: it has several, or none.
        """
        if x.value is None:
            return self.reshape(x, (1,))
        if x.value.size != 1:
            raise MilError(f"it takes one number where '{x.name}' has {x.value.size}")
        return float(x.value.item())

    def count(self, x: Tensor) -> int:
        """How many numbers a vector has that spells something of each axis.

        Raises:
            MilError: only running tells, or more than any tensor has axes.
        """
        number = product(x.shape)
        if number < 0:
            raise MilError("how many axes it gives depends on the input, which this runtime cannot translate")
        if number > _MOST_NUMBERS:
            raise MilError(f"it reads {number} numbers for the axes of one tensor: export the model again")
        return number

    def truth(self, x: Tensor) -> Tensor:
        """Floats as truth values: all but 0 are true."""
        return self.emit("cast", x=x, dtype="bool")

    def filled(self, shape: "Tensor | list[int]", value: float) -> Tensor:
        """One number everywhere, in a given shape or in the one that a tensor spells."""
        lengths = self.numbers(shape) if isinstance(shape, Tensor) else shape
        if lengths is not None:
            check_size(tuple(lengths), "its result")
            return self.emit("fill", (meta(lengths),), shape=lengths, value=value)
        assert isinstance(shape, Tensor)
        return self.emit("fill", unknown((-1,) * self.count(shape)), shape=self.whole(shape), value=value)

    def gather(self, x: Tensor, indices: Tensor, axis: int = 0) -> Tensor:
        """Slices of ``x`` along an axis."""
        along = axis % x.rank

        def shape(data: Shape, at: Shape) -> Shape:
            return (*data[:along], *at, *data[along + 1 :])

        return self.emit("gather", paired(shape, x, indices), x=x, indices=self.whole(indices), axis=along)

    def images(self, x: Tensor) -> Tensor:
        """``x`` as N×C×H×W, whatever leads its last three axes.

        Raises:
            MilError: it has fewer axes.
        """
        if x.rank < 3:
            raise MilError(f"it takes tensors of at least 3 axes (channels × height × width), not {by(x.shape)}")
        if x.rank == 3:
            return self.emit("expand_dims", x=x, axes=[0])
        if x.rank > 4 and set(x.shape[:-3]) == {1}:
            return self.emit("squeeze", x=x, axes=list(range(x.rank - 4)))
        return self.reshape(x, (product(x.shape[:-3]), *x.shape[-3:]))

    def like(self, x: Tensor, images: Tensor) -> Tensor:
        """N×C×H×W as ``images`` gave it, with the leading axes of ``x`` again."""
        if x.rank == 3:
            return self.emit("squeeze", x=images, axes=[0])
        if x.rank > 4 and set(x.shape[:-3]) == {1}:
            return self.emit("expand_dims", x=images, axes=list(range(x.rank - 4)))
        return self.reshape(images, (*x.shape[:-3], *images.shape[-3:]))


@dataclass(frozen=True)
class Layer:
    """One kind of layer.

    Attributes:
        translate: the network, the layer's parameters and what it reads → what it gives.
        least, most: how many tensors it reads; None for any number.
    """

    translate: Callable[[Network, Any, list[Tensor]], "Tensor | tuple[Tensor, ...]"]
    least: int = 1
    most: int | None = 1


def _whole(value: float) -> int:
    if not math.isfinite(value):
        raise MilError(f"it takes a whole number where it reads {value:g}: export the model again")
    return int(value)


def lengths(shape: Shape, taken: Shape) -> Shape:
    """A shape as ``reshape`` takes it: of several open lengths the first ones stay as they are (0), the last follows.

    Raises:
        MilError: more than one open length does not stay.
    """
    result = list(shape)
    for axis, (length, before) in enumerate(zip(shape, taken, strict=False)):
        if length != before or result.count(-1) < 2:
            break
        result[axis] = max(length, 0)
    if result.count(-1) > 1:
        raise MilError(f"more than one length of its result depends on the input ({by(shape)}), which this runtime cannot translate")
    return tuple(result)
