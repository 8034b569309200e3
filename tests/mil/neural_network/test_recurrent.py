"""Recurrent layers against torch's, whose gates lie in another order, and against formulas written out step by step."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fcrn_mobile.mil import MilError
from tests.mil.neural_network.build import builder, close, load, random, run

STEPS, WIDTH, SIZE = 5, 3, 4
X = random(STEPS, WIDTH)
STATE = random(SIZE, seed=1)


def _matrices(count: int, *shape: int, seed: int = 2) -> list[NDArray[np.float32]]:
    return [random(*shape, seed=seed + index) for index in range(count)]


def _sequence(outputs: tuple[str, ...], states: tuple[str, ...] = ()) -> Any:
    """A builder whose ``s`` is the sequence X, made of a map's rows, and whose inputs are the states."""
    built = builder({"x": (1, STEPS, WIDTH), **dict.fromkeys(states, (SIZE,))}, outputs)
    built.add_permute("rows", (2, 0, 1, 3), "x", "r")  # rows as sequence, columns behind
    built.add_permute("vectors", (0, 3, 1, 2), "r", "s")
    return built


def _predict(built: Any, **states: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return load(built.spec).predict({"x": X[None], **states})


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
def test_an_lstm_is_torchs(whole: bool, reverse: bool) -> None:
    """Gates of the specification: input, forget, output, cell; of torch: input, forget, cell, output."""
    weights, recurrent, biases = _matrices(4, SIZE, WIDTH), _matrices(4, SIZE, SIZE, seed=6), _matrices(4, SIZE, seed=10)
    built = _sequence(("y", "hn", "cn"), ("h", "c"))
    built.add_unilstm(
        "l", recurrent, weights, biases, hidden_size=SIZE, input_size=WIDTH, input_names=["s", "h", "c"], output_names=["y", "hn", "cn"],
        inner_activation="SIGMOID", cell_state_update_activation="TANH", output_activation="TANH", output_all=whole, reverse_input=reverse,
    )  # fmt: skip
    results = _predict(built, h=STATE, c=2 * STATE)
    lstm = torch.nn.LSTM(WIDTH, SIZE)
    order = [0, 1, 3, 2]
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(torch.from_numpy(np.concatenate([weights[gate] for gate in order])))
        lstm.weight_hh_l0.copy_(torch.from_numpy(np.concatenate([recurrent[gate] for gate in order])))
        lstm.bias_ih_l0.copy_(torch.from_numpy(np.concatenate([biases[gate] for gate in order])))
        lstm.bias_hh_l0.zero_()
        state = torch.from_numpy(STATE)[None, None]
        sequence, (h, c) = lstm(torch.from_numpy(X[::-1].copy() if reverse else X)[:, None], (state, 2 * state))
    expected = sequence if whole else sequence[-1:]
    close(results["y"].reshape(-1, SIZE), expected[:, 0])
    close(results["hn"].reshape(SIZE), h.reshape(SIZE))
    close(results["cn"].reshape(SIZE), c.reshape(SIZE))


def test_a_peephole_a_forget_bias_and_a_limit_of_the_cell() -> None:
    weights, recurrent, peepholes = _matrices(4, SIZE, WIDTH), _matrices(4, SIZE, SIZE, seed=6), _matrices(3, SIZE, seed=10)
    built = _sequence(("y",))
    built.add_unilstm(
        "l", recurrent, weights, None, peep=peepholes, hidden_size=SIZE, input_size=WIDTH, input_names=["s"], output_names=["y"],
        inner_activation="SIGMOID", cell_state_update_activation="TANH", output_activation="TANH", output_all=True, forget_bias=True,
        cell_clip_threshold=0.3,
    )  # fmt: skip
    h, c, steps = np.zeros(SIZE, np.float32), np.zeros(SIZE, np.float32), []

    def sigmoid(value: NDArray[Any]) -> NDArray[Any]:
        return 1 / (1 + np.exp(-value))

    for x in X:
        gates = [w @ x + r @ h for w, r in zip(weights, recurrent, strict=True)]
        forget = sigmoid(gates[1] + peepholes[1] * c + 1)
        c = (forget * c + sigmoid(gates[0] + peepholes[0] * c) * np.tanh(gates[3])).clip(-0.3, 0.3)
        h = sigmoid(gates[2] + peepholes[2] * c) * np.tanh(c)
        steps.append(h)
    close(_predict(built)["y"].reshape(STEPS, SIZE), np.stack(steps))


def test_a_bidirectional_lstm_is_torchs() -> None:
    parts = [(_matrices(4, SIZE, WIDTH, seed=s), _matrices(4, SIZE, SIZE, seed=s + 4), _matrices(4, SIZE, seed=s + 8)) for s in (2, 20)]
    built = _sequence(("y",))
    (w, r, b), (w_back, r_back, b_back) = parts
    built.add_bidirlstm(
        "l", r, w, b, r_back, w_back, b_back, hidden_size=SIZE, input_size=WIDTH, input_names=["s"], output_names=["y"],
        inner_activation="SIGMOID", cell_state_update_activation="TANH", output_activation="TANH", output_all=True,
    )  # fmt: skip
    lstm = torch.nn.LSTM(WIDTH, SIZE, bidirectional=True)
    with torch.no_grad():
        for suffix, arrays in zip(("", "_reverse"), parts, strict=True):
            for name, values in zip(("weight_ih", "weight_hh", "bias_ih"), arrays, strict=True):
                getattr(lstm, f"{name}_l0{suffix}").copy_(torch.from_numpy(np.concatenate([values[gate] for gate in (0, 1, 3, 2)])))
            getattr(lstm, f"bias_hh_l0{suffix}").zero_()
        expected, _ = lstm(torch.from_numpy(X)[:, None])
    close(_predict(built)["y"].reshape(STEPS, 2 * SIZE), expected[:, 0])


def test_a_gru_resets_the_state_before_it_is_multiplied() -> None:
    """Gates of the builder: update, reset, output."""
    weights, recurrent, biases = _matrices(3, SIZE, WIDTH), _matrices(3, SIZE, SIZE, seed=6), _matrices(3, SIZE, seed=10)
    built = _sequence(("y",), ("h",))
    built.add_gru("g", recurrent, weights, biases, SIZE, WIDTH, ["s", "h"], ["y"], "TANH", "SIGMOID", True)
    h, steps = STATE, []
    for x in X:
        update, reset = (1 / (1 + np.exp(-(weights[g] @ x + recurrent[g] @ h + biases[g]))) for g in (0, 1))
        output = np.tanh(weights[2] @ x + recurrent[2] @ (reset * h) + biases[2])
        h = (1 - update) * output + update * h
        steps.append(h)
    close(_predict(built, h=STATE)["y"].reshape(STEPS, SIZE), np.stack(steps))


def test_a_simple_recurrent_layer_is_torchs() -> None:
    weight, recurrent, bias = random(SIZE, WIDTH, seed=2), random(SIZE, SIZE, seed=3), random(SIZE, seed=4)
    built = _sequence(("y",))
    built.add_simple_rnn("r", recurrent, weight, bias, SIZE, WIDTH, "TANH", ["s"], ["y"], True)
    rnn = torch.nn.RNN(WIDTH, SIZE)
    with torch.no_grad():
        for name, value in (("weight_ih_l0", weight), ("weight_hh_l0", recurrent), ("bias_ih_l0", bias), ("bias_hh_l0", 0 * bias)):
            getattr(rnn, name).copy_(torch.from_numpy(value))
        expected, _ = rnn(torch.from_numpy(X)[:, None])
    close(_predict(built)["y"].reshape(STEPS, SIZE), expected[:, 0])


def test_activations_that_mil_knows_with_other_constants_are_refused() -> None:
    built = _sequence(("y",))
    weight, recurrent = random(SIZE, WIDTH, seed=2), random(SIZE, SIZE, seed=3)
    built.add_simple_rnn("odd", recurrent, weight, None, SIZE, WIDTH, "SCALED_TANH", ["s"], ["y"], True)
    with pytest.raises(MilError, match=r"layer 'odd' .*activation scaledTanh"):
        load(built.spec)


#: Steps × batch × width, and the states of a batch.
BATCH = random(STEPS, 2, WIDTH)
STATES = random(4, 2, SIZE, seed=30)


def _axes(x: NDArray[Any]) -> NDArray[Any]:
    """Sequence × batch × channels × height × width."""
    return x[..., None, None]


def test_a_batch_of_sequences_has_states_of_its_own() -> None:
    weights, recurrent = _matrices(4, SIZE, WIDTH), _matrices(4, SIZE, SIZE, seed=6)
    actual = run(
        lambda b: b.add_unilstm(
            "l", recurrent, weights, None, hidden_size=SIZE, input_size=WIDTH, input_names=["x0", "x1", "x2"], output_names=["y", "h", "c"],
            output_all=True,
        ),
        *map(_axes, (BATCH, STATES[:1], STATES[1:2])), exact=True, outputs=("y", "h", "c"),
    )  # fmt: skip
    lstm = torch.nn.LSTM(WIDTH, SIZE, bias=False)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(torch.from_numpy(np.concatenate([weights[gate] for gate in (0, 1, 3, 2)])))
        lstm.weight_hh_l0.copy_(torch.from_numpy(np.concatenate([recurrent[gate] for gate in (0, 1, 3, 2)])))
        expected, states = lstm(torch.from_numpy(BATCH), (torch.from_numpy(STATES[:1]), torch.from_numpy(STATES[1:2])))
    for value, reference in zip(actual, (expected, *states), strict=True):
        close(value, _axes(reference.numpy()))


@pytest.mark.parametrize("whole", [True, False])
def test_both_directions_read_and_give_their_own_states(whole: bool) -> None:
    """The layer reads and gives h, c, and both backwards; torch the h of both, then the c of both."""
    (w, r), (w_back, r_back) = parts = [(_matrices(4, SIZE, WIDTH, seed=s), _matrices(4, SIZE, SIZE, seed=s + 4)) for s in (2, 20)]
    names, outputs = [f"x{index}" for index in range(5)], ("y", "h", "c", "hb", "cb")
    actual = run(
        lambda b: b.add_bidirlstm(
            "l", r, w, None, r_back, w_back, None, SIZE, WIDTH, names, list(outputs), output_all=whole
        ),
        *map(_axes, (BATCH, *STATES[:, None])), exact=True, outputs=outputs,
    )  # fmt: skip
    lstm = torch.nn.LSTM(WIDTH, SIZE, bias=False, bidirectional=True)
    with torch.no_grad():
        for suffix, arrays in zip(("", "_reverse"), parts, strict=True):
            for name, values in zip(("weight_ih", "weight_hh"), arrays, strict=True):
                getattr(lstm, f"{name}_l0{suffix}").copy_(torch.from_numpy(np.concatenate([values[gate] for gate in (0, 1, 3, 2)])))
        expected, (h, c) = lstm(torch.from_numpy(BATCH), (torch.from_numpy(STATES[[0, 2]]), torch.from_numpy(STATES[[1, 3]])))
    close(actual[0], _axes(expected.numpy() if whole else torch.cat([h[0], h[1]], -1)[None].numpy()))
    for value, reference in zip(actual[1:], (h[0], c[0], h[1], c[1]), strict=True):
        close(value, _axes(reference[None].numpy()))


@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_simple_layers_and_grus_give_the_last_state_beside_the_sequence(reverse: bool, whole: bool) -> None:
    weights, recurrent = _matrices(3, SIZE, WIDTH), _matrices(3, SIZE, SIZE, seed=6)
    sides, settings = (SIZE, WIDTH), {"output_all": whole, "reverse_input": reverse}
    simple, gru = (
        run(body, _axes(BATCH), _axes(STATES[:1]), exact=True, outputs=("y", "h"))
        for body in (
            lambda b: b.add_simple_rnn("r", recurrent[0], weights[0], None, *sides, "TANH", ["x0", "x1"], ["y", "h"], **settings),
            lambda b: b.add_gru("g", recurrent, weights, None, *sides, ["x0", "x1"], ["y", "h"], "TANH", "SIGMOID", **settings),
        )
    )
    steps, h, g = [], STATES[0], STATES[0]
    for x in BATCH[::-1] if reverse else BATCH:
        h = np.tanh(x @ weights[0].T + h @ recurrent[0].T)
        update, reset = (1 / (1 + np.exp(-(x @ weights[at].T + g @ recurrent[at].T))) for at in (0, 1))
        g = (1 - update) * np.tanh(x @ weights[2].T + (reset * g) @ recurrent[2].T) + update * g
        steps.append((h, g))
    for (sequence, last), expected in zip((simple, gru), zip(*steps, strict=True), strict=True):
        close(sequence, _axes(np.stack(expected if whole else expected[-1:])))
        close(last, _axes(expected[-1][None]))


def test_a_cell_is_held_below_50_where_a_file_names_no_limit() -> None:
    """Gates of σ(0) = ½ let through half of 1000, of which 50 are left, and give out half of that."""
    zeros, ones = np.zeros((1, 1), np.float32), np.full((1, 1), 1000, np.float32)

    def body(b: Any) -> None:
        b.add_unilstm(
            "l", [zeros] * 4, [zeros, zeros, zeros, ones], None, 1, 1, ["x0"], ["y"], "SIGMOID", "LINEAR", "LINEAR", cell_clip_threshold=0.0
        )
        for each in b.nn_spec.layers[-1].uniDirectionalLSTM.activations[1:]:
            each.linear.alpha = 1.0

    close(run(body, np.ones((1, 1, 1, 1, 1), np.float32), exact=True).reshape(1), [25.0])


def _lstm(built: Any, *inputs: str, **settings: Any) -> Any:
    weights, recurrent = _matrices(4, SIZE, WIDTH), _matrices(4, SIZE, SIZE, seed=6)
    built.add_unilstm("odd", recurrent, weights, None, SIZE, WIDTH, list(inputs), ["y"], **settings)
    return built.nn_spec.layers[-1].uniDirectionalLSTM


@pytest.mark.parametrize(
    ("shape", "inputs", "reason"),
    [
        ((STEPS, 2, WIDTH, 1, 1), ["x0", "x1"], "reads 2 tensors of 3 numbers in a batch of 2"),
        ((STEPS, 2, WIDTH, 1, 1), ["x0", "x1", "x1", "x1"], "reads 4 tensors, it takes 1 to 3"),
        ((STEPS, 2, WIDTH), ["x0"], "takes a sequence of 5 axes"),
        ((STEPS, 2, WIDTH, 1), ["x0"], "takes a sequence of 5 axes"),
        ((1, STEPS, 2, WIDTH, 1, 1), ["x0"], "takes a sequence of 5 axes"),
        ((STEPS, WIDTH), ["x0"], "takes a sequence of 5 axes"),
    ],
)
def test_what_is_no_sequence_with_its_states_is_refused(shape: tuple[int, ...], inputs: list[str], reason: str) -> None:
    built = builder({"x0": shape, "x1": (1, 2, SIZE, 1, 1)}, exact=True)
    _lstm(built, *inputs)
    with pytest.raises(MilError, match=reason):
        load(built.spec)


def test_a_table_in_a_network_of_maps_is_no_sequence() -> None:
    built = builder({"x0": (WIDTH, 1, 1)})
    built.add_flatten_to_2d("f", "x0", "f", 1)
    _lstm(built, "f")
    with pytest.raises(MilError, match=r"layer 'odd' .*takes a sequence of 5 axes"):
        load(built.spec)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda layer: layer.params.__setattr__("coupledInputAndForgetGate", True), "input and forget gates are coupled"),
        (lambda layer: layer.activations.__delitem__(2), "has 2 activations or sets of weights where it takes 3"),
        (lambda layer: layer.activations[0].sigmoidHard.__setattr__("alpha", 0.3), "sigmoidHard has the constants 0.3, 0,"),
        (lambda layer: layer.activations[0].sigmoidHard.__setattr__("beta", 0.5), "sigmoidHard has the constants 0, 0.5,"),
        (lambda layer: layer.activations[2].linear.__setattr__("alpha", 2.0), "linear has the constants 2, 0,"),
        (lambda layer: layer.activations[1].ClearField("tanh"), "activation None is none that MIL's recurrent operators have"),
    ],
)
def test_an_lstm_that_mil_has_not_is_refused(change: Any, reason: str) -> None:
    built = builder({"x0": (STEPS, 2, WIDTH, 1, 1)}, exact=True)
    change(_lstm(built, "x0"))
    with pytest.raises(MilError, match=f"layer 'odd' .*{reason}"):
        load(built.spec)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_sequence_of_an_open_batch_or_width_is_refused(axis: int) -> None:
    built = builder({"x0": (STEPS, 2, WIDTH, 1, 1)}, exact=True)
    _lstm(built, "x0")
    sides = built.spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges
    for at, length in enumerate((STEPS, 2, WIDTH, 1, 1)):
        sides.add(lowerBound=length, upperBound=length + (at == axis))
    with pytest.raises(MilError, match=r"layer 'odd' .*do not make a sequence"):
        load(built.spec)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_a_sequence_may_have_any_number_of_steps(whole: bool, exact: bool) -> None:
    weights, recurrent = _matrices(4, SIZE, WIDTH), _matrices(4, SIZE, SIZE, seed=6)
    built = builder({"x0": (STEPS, 2, WIDTH, 1, 1)}, ("y", "h", "c"), exact)
    built.add_unilstm("l", recurrent, weights, None, SIZE, WIDTH, ["x0"], ["y", "h", "c"], output_all=whole)
    sides = built.spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges
    for low, high in ((1, -1), (2, 2), (WIDTH, WIDTH), (1, 1), (1, 1)):
        sides.add(lowerBound=low, upperBound=high)
    program = load(built.spec)
    lstm = torch.nn.LSTM(WIDTH, SIZE, bias=False)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(torch.from_numpy(np.concatenate([weights[gate] for gate in (0, 1, 3, 2)])))
        lstm.weight_hh_l0.copy_(torch.from_numpy(np.concatenate([recurrent[gate] for gate in (0, 1, 3, 2)])))
        for steps in (1, 7):
            x = random(steps, 2, WIDTH)
            results = program.predict({"x0": _axes(x)})
            sequence, (h, c) = lstm(torch.from_numpy(x))
            for name, expected in (("y", sequence if whole else h), ("h", h), ("c", c)):
                close(results[name], _axes(expected.numpy()))


@pytest.mark.parametrize("stored", [True, False])
def test_hard_sigmoids_and_linear_functions_have_their_usual_constants(stored: bool) -> None:
    """The builder of coremltools stores none of them, and its tests hold Core ML's against min(max(0.2 x + 0.5, 0), 1) and x."""
    weight, recurrent, bias = _matrices(4, SIZE, WIDTH), _matrices(4, SIZE, SIZE, seed=6), _matrices(4, SIZE, seed=10)

    def body(b: Any) -> None:
        b.add_unilstm("l", recurrent, weight, bias, SIZE, WIDTH, ["x0"], ["y"], "SIGMOID_HARD", "LINEAR", "RELU", output_all=True)
        hard, linear, _ = b.nn_spec.layers[-1].uniDirectionalLSTM.activations
        if stored:
            hard.sigmoidHard.alpha, hard.sigmoidHard.beta, linear.linear.alpha = 0.2, 0.5, 1.0

    h, c, steps = np.zeros(SIZE), np.zeros(SIZE), []
    for x in X:
        sums = [w @ x + r @ h + b for w, r, b in zip(weight, recurrent, bias, strict=True)]
        enter, forget, leave = (np.clip(0.2 * each + 0.5, 0, 1) for each in sums[:3])
        c = forget * c + enter * sums[3]
        h = leave * np.maximum(c, 0)
        steps.append(h)
    close(run(body, _axes(X[:, None]), exact=True).reshape(STEPS, SIZE), np.stack(steps))


@pytest.mark.parametrize("bias", [True, False])
def test_a_forget_gate_adds_one_to_its_bias_alone(bias: bool) -> None:
    """Without weights a step leaves σ(b_forget + 1) of the cell that it reads."""
    zeros = [np.zeros((2, 2), np.float32)] * 4
    biases = [np.full(2, value, np.float32) for value in (0.0, 0.5, 0.0, 0.0)] if bias else None

    def body(b: Any) -> None:
        b.add_unilstm("l", zeros, zeros, biases, 2, 2, ["x0", "x1", "x1"], ["y", "h", "c"], forget_bias=True)

    state = _axes(np.array([[[1.0, -2.0]]], np.float32))
    _, h, c = run(body, state, state, exact=True, outputs=("y", "h", "c"))
    cell = state / (1 + np.exp(-(0.5 if bias else 0.0) - 1))
    close(c, cell)
    close(h, np.tanh(cell) / 2)
