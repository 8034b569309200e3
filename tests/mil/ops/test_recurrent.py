"""Recurrent layers against torch, ONNX Runtime and a formula by hand, one step and one sequence at a time."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from fcrn_mobile.mil.ops.recurrent import OPERATORS
from tests.mil.build import check_op, mb
from tests.mil.ops.arrays import seeds, values

NAMES = ["hard_sigmoid", "linear", "relu", "scaled_tanh", "sigmoid", "tanh"]
ONNX = {
    "hard_sigmoid": "HardSigmoid",
    "linear": "Affine",
    "relu": "Relu",
    "scaled_tanh": "ScaledTanh",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
}
#: Alpha and beta of ONNX's activations where Core ML's have no input for them.
ALPHA_BETA = {"HardSigmoid": (0.2, 0.5), "Affine": (1.0, 0.0), "ScaledTanh": (1.0, 1.0)}
sizes = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))  # steps, batch, inputs, hidden
names = st.sampled_from(NAMES)
gates = st.sampled_from(["hard_sigmoid", "scaled_tanh", "sigmoid", "tanh"])  # others let states grow without bound


def weights(seed: int, rows: int, inputs: int, hidden: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(values(seed + k, *shape, scale=0.7) for k, shape in enumerate([(rows, inputs), (rows, hidden), (rows,)]))  # type: ignore[return-value]


def onnx_layer(kind: str, arrays: dict[str, Any], hidden: int, activations: list[str], **attributes: Any) -> list[np.ndarray]:
    """ONNX Runtime's layer of one direction: every step's hidden state S×B×H, then the final state B×H."""
    called = [ONNX[name] for name in activations]
    pairs = [ALPHA_BETA[name] for name in called if name in ALPHA_BETA]  # of those that have any
    node = helper.make_node(
        kind,
        [name if array is not None else "" for name, array in arrays.items()],
        ["steps", "last"],
        hidden_size=hidden,
        activations=called,
        **({"activation_alpha": [alpha for alpha, _ in pairs], "activation_beta": [beta for _, beta in pairs]} if pairs else {}),
        **attributes,
    )
    outputs = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("steps", "last")]
    stored = [numpy_helper.from_array(array, name) for name, array in arrays.items() if array is not None]
    model = helper.make_model(helper.make_graph([node], "layer", [], outputs, stored), opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    steps, last = session.run(None, {})
    return [steps[:, 0], last[0]]


def ordered(matrix: np.ndarray, order: list[int]) -> np.ndarray:
    """Row blocks in another order."""
    blocks = np.split(matrix, len(order))
    return np.concatenate([blocks[index] for index in order])


def expected_of(steps: np.ndarray, whole: bool) -> np.ndarray:
    return steps if whole else steps[-1:]


@settings(max_examples=25, deadline=None)
@given(size=sizes, name=names, reverse=st.booleans(), whole=st.booleans(), biased=st.booleans(), seed=seeds)
def test_rnn_equals_onnx_runtimes_on_the_sequence_as_it_is_read(size, name, reverse, whole, biased, seed) -> None:
    steps, batch, inputs, hidden = size
    w, r, b = weights(seed, hidden, inputs, hidden)
    x, h = values(seed + 5, steps, batch, inputs), values(seed + 6, batch, hidden)
    arrays = {"x": x[::-1].copy() if reverse else x, "w": w[None], "r": r[None]}
    arrays |= {"b": np.concatenate([b, 0 * b])[None] if biased else None, "lengths": None, "h": h[None]}
    every, last = onnx_layer("RNN", arrays, hidden, [name])
    arguments: dict[str, Any] = {"weight_ih": w, "weight_hh": r, "output_sequence": whole, "activation": name}
    arguments |= {"direction": "reverse"} if reverse else {}
    arguments |= {"bias": b} if biased else {}
    check_op("rnn", lambda x0, x1: mb.rnn(x=x0, initial_h=x1, **arguments), [x, h], [expected_of(every, whole), last], 1e-4)


@settings(max_examples=40, deadline=None)
@given(size=sizes, gate=gates, name=names, reverse=st.booleans(), whole=st.booleans(), biased=st.booleans(), seed=seeds)
def test_gru_equals_onnx_runtimes_that_resets_before_the_product(size, gate, name, reverse, whole, biased, seed) -> None:
    steps, batch, inputs, hidden = size
    w, r, b = weights(seed, 3 * hidden, inputs, hidden)
    x, h = values(seed + 5, steps, batch, inputs), values(seed + 6, batch, hidden)
    arrays = {"x": x[::-1].copy() if reverse else x} | {key: ordered(value, [2, 0, 1])[None] for key, value in (("w", w), ("r", r))}
    arrays |= {"b": np.concatenate([ordered(b, [2, 0, 1]), 0 * b])[None] if biased else None, "lengths": None, "h": h[None]}
    every, last = onnx_layer("GRU", arrays, hidden, [gate, name], linear_before_reset=0)
    arguments: dict[str, Any] = {"weight_ih": w, "weight_hh": r, "output_sequence": whole}
    arguments |= {"direction": "reverse"} if reverse else {}
    arguments |= {"activation": name, "recurrent_activation": gate} | ({"bias": b} if biased else {})
    check_op("gru", lambda x0, x1: mb.gru(x=x0, initial_h=x1, **arguments), [x, h], [expected_of(every, whole), last], 1e-4)


@settings(max_examples=25, deadline=None)
@given(size=sizes, reverse=st.booleans(), whole=st.booleans(), biased=st.booleans(), seed=seeds)
def test_gru_of_ios_18_equals_torchs_that_resets_the_product(size, reverse, whole, biased, seed) -> None:
    steps, batch, inputs, hidden = size
    torch.manual_seed(seed)
    layer = torch.nn.GRU(inputs, hidden, bias=biased)
    x, h = values(seed, steps, batch, inputs), values(seed + 1, batch, hidden)
    every, last = layer(torch.from_numpy(x[::-1].copy() if reverse else x), torch.from_numpy(h)[None])
    names = {"weight_ih": "weight_ih_l0", "weight_hh": "weight_hh_l0"} | (
        {"input_bias": "bias_ih_l0", "bias": "bias_hh_l0"} if biased else {}
    )
    arguments = {key: ordered(getattr(layer, name).detach().numpy(), [0, 2, 1]) for key, name in names.items()}
    arguments |= {"reset_after": True, "output_sequence": whole} | ({"direction": "reverse"} if reverse else {})
    expected = [expected_of(every.detach().numpy(), whole), last[0].detach()]
    check_op("gru", lambda x0, x1: mb.gru(x=x0, initial_h=x1, **arguments), [x, h], expected, 1e-4, target="iOS18")


def test_a_bias_of_its_own_for_the_input_is_added_to_the_other() -> None:
    w, r, b = weights(0, 9, 2, 3)
    x, h, other = values(5, 4, 2, 2), values(6, 2, 3), values(7, 9)
    layer = {"x": torch.from_numpy(x), "initial_h": torch.from_numpy(h), "weight_ih": torch.from_numpy(w), "weight_hh": torch.from_numpy(r)}
    both = OPERATORS["gru"].run(**layer, bias=torch.from_numpy(b), input_bias=torch.from_numpy(other))
    torch.testing.assert_close(both, OPERATORS["gru"].run(**layer, bias=torch.from_numpy(b + other)))
    alone = OPERATORS["gru"].run(**layer, input_bias=torch.from_numpy(other))
    torch.testing.assert_close(alone, OPERATORS["gru"].run(**layer, bias=torch.from_numpy(other)))


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@settings(max_examples=15, deadline=None)
@given(size=sizes, whole=st.booleans(), biased=st.booleans(), seed=seeds)
def test_lstm_equals_torchs(direction, size, whole, biased, seed) -> None:
    steps, batch, inputs, hidden = size
    both = direction == "bidirectional"
    torch.manual_seed(seed)
    layer = torch.nn.LSTM(inputs, hidden, bias=biased, bidirectional=both)
    x, h, c = (values(seed + k, *shape) for k, shape in enumerate([(steps, batch, inputs), *[(1 + both, batch, hidden)] * 2]))
    read = torch.from_numpy(x[::-1].copy() if direction == "reverse" else x)
    every, (h_n, c_n) = layer(read, (torch.from_numpy(h), torch.from_numpy(c)))
    if not whole:  # each direction's own last step
        every = torch.cat([every[-1:, :, :hidden], every[:1, :, hidden:]], -1)
    arguments: dict[str, Any] = {"direction": direction, "output_sequence": whole}
    for suffix, theirs in (("", "_l0"), *([("_back", "_l0_reverse")] if both else [])):
        stored = {kind: getattr(layer, kind + theirs).detach().numpy() for kind in ("weight_ih", "weight_hh")}
        stored |= {"bias": getattr(layer, f"bias_ih{theirs}").detach() + getattr(layer, f"bias_hh{theirs}").detach()} if biased else {}
        arguments |= {key + suffix: ordered(np.asarray(value), [0, 1, 3, 2]) for key, value in stored.items()}

    def body(x0, x1, x2):
        return mb.lstm(x=x0, initial_h=x1, initial_c=x2, **arguments)

    beside = [np.concatenate(list(state), -1) for state in (h, c)]
    check_op("lstm", body, [x, *beside], [every.detach(), *(torch.cat(list(state), -1).detach() for state in (h_n, c_n))], 1e-4)


def by_hand(x, h, c, w, r, b, p, clip, acts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The documented formula of ``lstm`` for one sequence, with peepholes and a clipped cell."""
    functions = {
        "hard_sigmoid": lambda v: np.clip(0.2 * v + 0.5, 0, 1),
        "linear": lambda v: v,
        "relu": lambda v: np.maximum(v, 0),
        "scaled_tanh": np.tanh,
        "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
        "tanh": np.tanh,
    }
    gate_act, cell_act, act = (functions[name] for name in acts)
    w_i, w_f, w_o, w_z = np.split(w, 4)
    r_i, r_f, r_o, r_z = np.split(r, 4)
    b_i, b_f, b_o, b_z = np.split(b, 4)
    p_i, p_f, p_o = np.split(p, 3)
    steps = []
    for row in x:
        i = gate_act(w_i @ row + r_i @ h + b_i + p_i * c)
        f = gate_act(w_f @ row + r_f @ h + b_f + p_f * c)
        c = f * c + i * cell_act(w_z @ row + r_z @ h + b_z)
        c = np.clip(c, -clip, clip)
        h = gate_act(w_o @ row + r_o @ h + b_o + p_o * c) * act(c)
        steps.append(h)
    return np.array(steps), h, c


@settings(max_examples=40, deadline=None)
@given(size=sizes, acts=st.tuples(gates, names, names), clip=st.sampled_from([0.01, 0.3, 50.0]), both=st.booleans(), seed=seeds)
def test_lstm_with_peepholes_and_a_clipped_cell_follows_the_formula(size, acts, clip, both, seed) -> None:
    steps, batch, inputs, hidden = size
    ways = ["", "_back"] if both else [""]
    x = values(seed, steps, batch, inputs, scale=1)
    h, c = values(seed + 1, batch, len(ways) * hidden, scale=1), values(seed + 2, batch, len(ways) * hidden, scale=1)
    arguments: dict[str, Any] = {"output_sequence": True, "clip": np.float32(clip), "direction": "bidirectional" if both else "forward"}
    arguments |= dict(zip(("recurrent_activation", "cell_activation", "activation"), acts, strict=True))
    expected: list[list[np.ndarray]] = []
    for k, way in enumerate(ways):
        stored = [*weights(seed + 10 * k, 4 * hidden, inputs, hidden), values(seed + 10 * k + 7, 3 * hidden, scale=0.7)]
        arguments |= {name + way: value for name, value in zip(("weight_ih", "weight_hh", "bias", "peephole"), stored, strict=True)}
        part = slice(k * hidden, (k + 1) * hidden)
        per_sequence = [by_hand(x[:: -1 if k else 1, n], h[n, part], c[n, part], *stored, clip, acts) for n in range(batch)]
        every, last, cell = (np.stack(item, -2) for item in zip(*per_sequence, strict=True))
        expected.append([every[:: -1 if k else 1], last, cell])

    def body(x0, x1, x2):
        return mb.lstm(x=x0, initial_h=x1, initial_c=x2, **arguments)

    check_op("lstm", body, [x, h, c], [np.concatenate(parts, -1) for parts in zip(*expected, strict=True)], 1e-3)
