"""Recurrent layers: x S×B×I, a state B×H per direction; every step's hidden state S×B×H, or the last one's 1×B×H, then the final state.

Where coremltools' documentation leaves a choice or contradicts what Apple's own tests compare Core ML with (its
``mil/ops/tests/iOS14/test_recurrent.py``, ``NeuralNetwork.proto``), the latter counts:

- ``reverse`` reads the sequence from its end, and gives the steps in the order in which they are computed; of ``bidirectional`` the
  backward half lies at the step that it read.
- ``gru`` resets the state before it is multiplied, and the product only if ``reset_after`` says so (torch does).
- ``lstm`` clips the cell's state, before output gate, hidden state and next step see it.
- ``hard_sigmoid`` is 0.2·x + 0.5 between 0 and 1, ``scaled_tanh`` is tanh, ``linear`` the identity: their alpha and beta have no input.

Sums and states inside are as wide as the arithmetic's; only results are rounded.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.declared import Declared, Shape
from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.package.errors import MilError

__all__ = ["ACTIVATIONS", "OPERATORS", "gru", "lstm", "rnn"]

_Activation = Callable[[Tensor], Tensor]
_State = tuple[Tensor, ...]


def _hard_sigmoid(x: Tensor) -> Tensor:
    return (0.2 * x + 0.5).clamp(0, 1)


#: Name, in any case, → function. The hard sigmoid has two names (``lstm`` and ``rnn`` document one each).
ACTIVATIONS: dict[str, _Activation] = {
    "hard_sigmoid": _hard_sigmoid,
    "linear": lambda x: x,
    "relu": torch.relu,
    "scaled_tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "sigmoid_hard": _hard_sigmoid,
    "tanh": torch.tanh,
}


def rnn(
    x: Tensor,
    initial_h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    activation: str = "tanh",
) -> tuple[Tensor, Tensor]:
    """Hidden state h' = activation(W x + b + R h); W H×I, R H×H."""
    act = _activation(activation)
    steps, (h,) = _scan(
        F.linear(x, weight_ih, bias), (initial_h,), lambda gates, state: (act(gates + F.linear(state[0], weight_hh)),), direction
    )
    return _sequence(steps, output_sequence), h


def gru(
    x: Tensor,
    initial_h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    recurrent_activation: str = "sigmoid",
    activation: str = "tanh",
    reset_after: bool = False,
    input_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Gates r, z = recurrent_activation(W x + b + R h), o = activation(W x + b + R (r·h)); then h' = (1 - z)·o + z·h.

    Rows of W, R and b: r, o, z. From iOS 18 on, ``reset_after`` makes it o = activation(W x + input_bias + r·(R h + b)), as in torch.
    """
    gate_act, act = _activation(recurrent_activation), _activation(activation)
    size = initial_h.shape[-1]
    b = torch.zeros(3 * size, dtype=x.dtype) if bias is None else bias
    shift = torch.cat([b[:size], torch.zeros(size, dtype=x.dtype), b[2 * size :]]) if reset_after else b
    gates = F.linear(x, weight_ih, input_bias) + shift
    r_weight, o_weight, z_weight = weight_hh.chunk(3)

    def step(gate: Tensor, state: _State) -> _State:
        h = state[0]
        r_gate, o_gate, z_gate = gate.chunk(3, -1)
        r, z = gate_act(r_gate + F.linear(h, r_weight)), gate_act(z_gate + F.linear(h, z_weight))
        reset = r * F.linear(h, o_weight, b[size : 2 * size]) if reset_after else F.linear(r * h, o_weight)
        return (torch.lerp(act(o_gate + reset), h, z),)

    steps, (h,) = _scan(gates, (initial_h,), step, direction)
    return _sequence(steps, output_sequence), h


def lstm(
    x: Tensor,
    initial_h: Tensor,
    initial_c: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    peephole: Tensor | None = None,
    weight_ih_back: Tensor | None = None,
    weight_hh_back: Tensor | None = None,
    bias_back: Tensor | None = None,
    peephole_back: Tensor | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    recurrent_activation: str = "sigmoid",
    cell_activation: str = "tanh",
    activation: str = "tanh",
    clip: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gates i, f, o = recurrent_activation(W x + b + R h + p·c), z = cell_activation(W x + b + R h).

    Then c' = f·c + i·z and h' = o·activation(c'); the gate o sees c', the others c.

    Rows of W, R and b: i, f, o, cell; of the peephole p: i, f, o. Two directions lie side by side in states and results.

    Raises:
        MilError: two directions with weights for one; an unknown direction or activation.
    """
    acts = [_activation(name) for name in (recurrent_activation, cell_activation, activation)]
    if direction != "bidirectional":
        parts = [(direction, initial_h, initial_c, weight_ih, weight_hh, bias, peephole)]
    elif weight_ih_back is None or weight_hh_back is None:
        raise MilError("a bidirectional lstm lacks weight_ih_back or weight_hh_back: export the package again")
    else:
        (h, h_back), (c, c_back) = initial_h.chunk(2, -1), initial_c.chunk(2, -1)
        parts = [
            ("forward", h, c, weight_ih, weight_hh, bias, peephole),
            ("reverse", h_back, c_back, weight_ih_back, weight_hh_back, bias_back, peephole_back),
        ]
    sequences, states = [], []
    for way, h, c, w, r, b, p in parts:
        steps, state = _scan(F.linear(x, w, b), (h, c), _lstm_step(r, p, acts, clip), way)
        states.append(state)
        sequences.append(_sequence(steps[::-1] if output_sequence and len(parts) == 2 and way == "reverse" else steps, output_sequence))
    return torch.cat(sequences, -1), torch.cat([h for h, _ in states], -1), torch.cat([c for _, c in states], -1)


def _lstm_step(
    recurrent: Tensor, peephole: Tensor | None, acts: list[_Activation], clip: Tensor | None
) -> Callable[[Tensor, _State], _State]:
    """Gates of the input, hidden and cell state → the next hidden and cell state."""
    gate_act, cell_act, act = acts
    bound = math.inf if clip is None else float(clip)
    i_peep, f_peep, o_peep = (0.0, 0.0, 0.0) if peephole is None else peephole.chunk(3)

    def step(gates: Tensor, state: _State) -> _State:
        h, c = state
        i_gate, f_gate, o_gate, z_gate = (gates + F.linear(h, recurrent)).chunk(4, -1)
        i, f = (i_gate, f_gate) if peephole is None else (i_gate + i_peep * c, f_gate + f_peep * c)
        c = (gate_act(f) * c + gate_act(i) * cell_act(z_gate)).clamp(-bound, bound)
        o = o_gate if peephole is None else o_gate + o_peep * c
        return gate_act(o) * act(c), c

    return step


def _scan(gates: Tensor, state: _State, step: Callable[[Tensor, _State], _State], direction: str) -> tuple[list[Tensor], _State]:
    """Hidden states in the order in which they are computed, and the last state."""
    if direction not in ("forward", "reverse"):
        raise MilError(
            f"direction '{direction}' is not one this layer has (forward, reverse; lstm: bidirectional): export the package again"
        )
    if not len(gates):
        raise MilError("a recurrent layer reads a sequence of no steps: give one step at least")
    hidden = []
    for each in gates if direction == "forward" else gates.flip(0):
        state = step(each, state)
        hidden.append(state[0])
    return hidden, state


def _sequence(steps: list[Tensor], whole: bool) -> Tensor:
    return torch.stack(steps if whole else steps[-1:])


def _activation(name: str) -> _Activation:
    if name.lower() not in ACTIVATIONS:
        raise MilError(f"activation '{name}' of a recurrent layer is not one of {', '.join(ACTIVATIONS)}: export the package again")
    return ACTIVATIONS[name.lower()]


def _directions(declared: Declared) -> int:
    return 2 if declared.shape("weight_ih_back") else 1


def _gates_shape(declared: Declared) -> Shape:
    """Gates of all steps, which are larger than what it yields."""
    return (*declared.shape("x")[:-1], *declared.shape("weight_ih")[:1], _directions(declared))


def _macs(declared: Declared) -> int:
    """Every row of both matrices once for each step of each sequence."""
    rows = math.prod(declared.shape("weight_ih")) + math.prod(declared.shape("weight_hh"))
    return _directions(declared) * math.prod(declared.shape("x")[:-1]) * rows


OPERATORS = {
    "gru": Operator(gru, "computed", fresh=True, grows=_gates_shape, macs=_macs),
    "lstm": Operator(lstm, "computed", fresh=True, grows=_gates_shape, macs=_macs),
    "rnn": Operator(rnn, "computed", fresh=True, grows=_gates_shape, macs=_macs),
}
