"""Recurrent layers: sequence × batch × size × 1 × 1.

Core ML holds the sums in front of activations between -50 and 50, MIL's operators do not: sigmoid and tanh do not show it, ReLU and
linear do where sums go beyond.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.tensor import Probes, Tensor, meta, paired, product
from fcrn_mobile.mil.neural_network.weights import values
from fcrn_mobile.package.errors import MilError

__all__ = ["LAYERS", "bidirectional", "gru", "lstm", "simple"]

#: Activations that recurrent operators have, and the only constants that they know for them. A file that names none means these:
#: coremltools' builder writes none, and its tests compare Core ML's results with these (test_recurrent_stress_tests.py).
_ACTIVATIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "linear": ("linear", (1.0, 0.0)),
    "ReLU": ("relu", ()),
    "sigmoid": ("sigmoid", ()),
    "sigmoidHard": ("sigmoid_hard", (0.2, 0.5)),
    "tanh": ("tanh", ()),
}
#: LSTM's gates in the order of MIL: input, forget, output, cell.
_GATES = ("inputGate", "forgetGate", "outputGate", "blockInput")
_CELL_LIMIT = 50.0


def simple(net: Network, params: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """Hidden state f(W x + R h + b)."""
    size, width = int(params.outputVectorSize), int(params.inputVectorSize)
    x, (h,) = _states(net, inputs, 1, size)
    bias = net.constant(values(params.biasVector, (size,)), name="bias") if params.hasBiasVector else None
    steps, last = net.emit_all(
        "rnn",
        _results(x, 1, size, bool(params.sequenceOutput)),
        x=x,
        initial_h=h,
        weight_ih=net.constant(values(params.weightMatrix, (size, width))),
        weight_hh=net.constant(values(params.recursionMatrix, (size, size))),
        bias=bias,
        direction=_direction(params),
        output_sequence=bool(params.sequenceOutput),
        activation=_activation(params.activation),
    )
    return _vectors(net, steps), _vectors(net, last)


def gru(net: Network, params: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """Gates in the order of MIL: reset, output, update."""
    size, width = int(params.outputVectorSize), int(params.inputVectorSize)
    x, (h,) = _states(net, inputs, 1, size)
    gates = ("resetGate", "outputGate", "updateGate")
    gate, output = (_activation(each) for each in _exactly(params.activations, 2))
    steps, last = net.emit_all(
        "gru",
        _results(x, 1, size, bool(params.sequenceOutput)),
        x=x,
        initial_h=h,
        weight_ih=net.constant(_stacked(params, gates, "WeightMatrix", (size, width))),
        weight_hh=net.constant(_stacked(params, gates, "RecursionMatrix", (size, size))),
        bias=net.constant(_stacked(params, gates, "BiasVector", (size,)), name="bias") if params.hasBiasVectors else None,
        direction=_direction(params),
        output_sequence=bool(params.sequenceOutput),
        recurrent_activation=gate,
        activation=output,
    )
    return _vectors(net, steps), _vectors(net, last)


def lstm(net: Network, params: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """One direction: the sequence or its last vector, the last hidden state and the last cell."""
    size = int(params.outputVectorSize)
    x, states = _states(net, inputs, 2, size)
    settings = _settings(params.params, params.activations) | _weights(net, params, params.weightParams, "")
    results = _results(x, 2, size, settings["output_sequence"])
    steps, h, c = net.emit_all("lstm", results, x=x, initial_h=states[0], initial_c=states[1], direction=_direction(params), **settings)
    return _vectors(net, steps), _vectors(net, h), _vectors(net, c)


def bidirectional(net: Network, params: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """Both directions side by side; the states of each on their own."""
    size = int(params.outputVectorSize)
    x, (h, c, h_back, c_back) = _states(net, inputs, 4, size)
    forward, backward = _exactly(params.weightParams, 2)
    if [each.WhichOneof("NonlinearityType") for each in params.activationsForwardLSTM] != [
        each.WhichOneof("NonlinearityType") for each in params.activationsBackwardLSTM
    ]:
        raise MilError("its two directions have different activations")
    settings = _settings(params.params, params.activationsForwardLSTM)
    settings |= _weights(net, params, forward, "") | _weights(net, params, backward, "_back")
    both = {"initial_h": net.emit("concat", values=[h, h_back], axis=1), "initial_c": net.emit("concat", values=[c, c_back], axis=1)}
    steps, last_h, last_c = net.emit_all(
        "lstm", _results(x, 2, 2 * size, settings["output_sequence"]), x=x, direction="bidirectional", **both, **settings
    )
    (h, h_back), (c, c_back) = (net.emit_all("split", x=each, num_splits=2, axis=1) for each in (last_h, last_c))
    return tuple(_vectors(net, each) for each in (steps, h, c, h_back, c_back))


def _settings(params: Any, activations: Any) -> dict[str, Any]:
    gate, cell, output = (_activation(each) for each in _exactly(activations, 3))
    if params.coupledInputAndForgetGate:
        raise MilError("its input and forget gates are coupled, which MIL's lstm has not")
    return {
        "output_sequence": bool(params.sequenceOutput),
        "recurrent_activation": gate,
        "cell_activation": cell,
        "activation": output,
        "clip": params.cellClipThreshold or _CELL_LIMIT,
    }


def _weights(net: Network, params: Any, weights: Any, suffix: str) -> dict[str, Tensor]:
    """Matrices, biases and peepholes of one direction; a forget gate's bias may be 1 more than is stored."""
    size, width, shared = int(params.outputVectorSize), int(params.inputVectorSize), params.params
    arrays = {
        "weight_ih": _stacked(weights, _GATES, "WeightMatrix", (size, width)),
        "weight_hh": _stacked(weights, _GATES, "RecursionMatrix", (size, size)),
    }
    if shared.hasBiasVectors or shared.forgetBias:
        shape = (size,)
        arrays["bias"] = _stacked(weights, _GATES, "BiasVector", shape) if shared.hasBiasVectors else np.zeros(4 * size, np.float32)
        if shared.forgetBias:
            arrays["bias"][size : 2 * size] += 1
    if shared.hasPeepholeVectors:
        arrays["peephole"] = _stacked(weights, _GATES[:3], "PeepholeVector", (size,))
    return {name + suffix: net.constant(array, name=name + suffix) for name, array in arrays.items()}


def _stacked(weights: Any, gates: tuple[str, ...], what: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.concatenate([values(getattr(weights, f"{gate}{what}"), shape) for gate in gates])


def _states(net: Network, inputs: list[Tensor], count: int, size: int) -> tuple[Tensor, list[Tensor]]:
    """The sequence as steps × batch × size, and the states as batch × size, zeros where none are read."""
    x, *states = inputs
    if x.rank != (4 if net.compact else 5):
        raise MilError("it takes a sequence of 5 axes")
    width, batch = x.shape[-3], net.batch if net.compact else x.shape[1]
    if -1 in (width, batch) or len(states) not in (0, count):
        raise MilError(
            f"it reads {len(inputs)} tensors of {width} numbers in a batch of {batch}, which do not make a sequence and its states"
        )
    steps = net.reshape(x, (-1, batch, width))
    if states:
        return steps, [net.reshape(state, (batch, size)) for state in states]
    return steps, [net.filled([batch, size], 0.0)] * count


def _results(x: Tensor, states: int, size: int, whole: bool) -> tuple[Probes, ...]:
    """Probes of the sequence and the states: a run without values would go through every step."""
    sequence = paired(lambda steps: (steps[0] if whole else 1, steps[1], size), x)
    return (sequence, *[(meta((x.shape[1], size)),)] * states)


def _vectors(net: Network, x: Tensor) -> Tensor:
    """Steps × batch × size, or batch × size of one step, as sequence × batch × size × 1 × 1."""
    x = net.emit("expand_dims", x=x, axes=[0]) if x.rank == 2 else x
    return net.reshape(x, (product(x.shape[:2]), x.shape[2], 1, 1)) if net.compact else net.emit("expand_dims", x=x, axes=[3, 4])


def _direction(params: Any) -> str:
    return "reverse" if params.reverseInput else "forward"


def _activation(params: Any) -> str:
    kind = params.WhichOneof("NonlinearityType")
    if kind not in _ACTIVATIONS:
        raise MilError(f"its activation {kind} is none that MIL's recurrent operators have: {', '.join(_ACTIVATIONS)}")
    name, only = _ACTIVATIONS[kind]
    constants = tuple(getattr(getattr(params, kind), constant) for constant, _ in zip(("alpha", "beta"), only, strict=False))
    if any(constants) and not np.array_equal(np.array(constants, np.float32), np.array(only, np.float32)):
        stored = ", ".join(f"{constant:g}" for constant in constants)
        raise MilError(f"its activation {kind} has the constants {stored}, MIL's recurrent operators have {only} alone")
    return name


def _exactly(items: Any, count: int) -> list[Any]:
    if len(items) != count:
        raise MilError(f"it has {len(items)} activations or sets of weights where it takes {count}")
    return list(items)


LAYERS = {
    "simpleRecurrent": Layer(simple, 1, 2),
    "gru": Layer(gru, 1, 2),
    "uniDirectionalLSTM": Layer(lstm, 1, 3),
    "biDirectionalLSTM": Layer(bidirectional, 1, 5),
}
