"""What a program keeps from one prediction to the next."""

from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.ops.states import Cell
from fcrn_mobile.package.errors import MilError

__all__ = ["State"]


class State:
    """The states of one program, zero at first, as coremltools' ``MLState``: hand it to every prediction of a sequence.

    Args:
        features: the states that the program has.
    """

    def __init__(self, features: Iterable[Feature]) -> None:
        self._features = {feature.name: feature for feature in features}
        self._tensors = {name: feature.default_tensor() for name, feature in self._features.items()}

    def read_state(self, name: str) -> NDArray[Any]:
        """What a state holds, as a copy.

        Raises:
            MilError: no such state.
        """
        array: NDArray[Any] = self._feature(name).to_array(self._tensors[name])
        return array.copy()

    def write_state(self, name: str, value: Any) -> None:
        """Let a state hold something else.

        Raises:
            MilError: no such state, or another shape or type.
        """
        self._tensors[name] = self._feature(name).to_tensor(value)

    def cells(self, features: Iterable[Feature]) -> dict[str, Cell]:
        """What a run of a program with these states writes to; this state stays as it is until ``keep``.

        Raises:
            MilError: it is the state of another program.
        """
        theirs = {feature.name: feature.shape for feature in features}
        ours = {name: feature.shape for name, feature in self._features.items()}
        if theirs != ours:
            raise MilError(f"the state holds {', '.join(ours) or 'nothing'}, the program has other states: give its own make_state()")
        return {name: Cell(tensor) for name, tensor in self._tensors.items()}

    def keep(self, values: Mapping[str, Any]) -> None:
        """Take over what a run has left in its cells."""
        self._tensors |= {name: values[name].tensor for name in self._tensors}

    def _feature(self, name: str) -> Feature:
        if name not in self._features:
            raise MilError(f"there is no state '{name}': the program has {', '.join(self._features) or 'none'}")
        return self._features[name]
