"""Names that recurrent layers do not know, their two spellings, and sequences of nothing."""

from typing import Any

import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.recurrent import OPERATORS
from tests.mil.ops.defaults import check_defaults

X, H = torch.arange(6.0).reshape(3, 1, 2) / 10, torch.full((1, 1), 0.5)
RNN: dict[str, Any] = {"x": X, "initial_h": H, "weight_ih": torch.tensor([[1.0, -1.0]]), "weight_hh": torch.tensor([[2.0]])}
LSTM = RNN | {"initial_c": H, "weight_ih": RNN["weight_ih"].repeat(4, 1), "weight_hh": RNN["weight_hh"].repeat(4, 1)}


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(MilError, match="activation 'swish' of a recurrent layer is not one of hard_sigmoid, linear, relu"):
        OPERATORS["rnn"].run(**RNN, activation="swish")
    for kind, arguments in (("rnn", RNN), ("lstm", LSTM)):
        with pytest.raises(MilError, match="direction 'backward' is not one"):
            OPERATORS[kind].run(**arguments, direction="backward")
    with pytest.raises(MilError, match="direction 'bidirectional' is not one"):
        OPERATORS["rnn"].run(**RNN, direction="bidirectional")


@pytest.mark.parametrize("lacking", ["weight_ih_back", "weight_hh_back"])
def test_two_directions_take_two_sets_of_weights(lacking: str) -> None:
    back = {"weight_ih_back": LSTM["weight_ih"], "weight_hh_back": LSTM["weight_hh"]}
    states = {"initial_h": H.repeat(1, 2), "initial_c": H.repeat(1, 2)}
    OPERATORS["lstm"].run(**LSTM | back | states, direction="bidirectional")
    with pytest.raises(MilError, match="lacks weight_ih_back or weight_hh_back"):
        OPERATORS["lstm"].run(**LSTM | back | states | {lacking: None}, direction="bidirectional")


def test_a_sequence_of_no_steps_is_refused() -> None:
    with pytest.raises(MilError, match="a sequence of no steps"):
        OPERATORS["rnn"].run(**RNN | {"x": X[:0]})


def test_the_hard_sigmoid_has_two_names_in_any_case() -> None:
    """-0.1 + 2·0.5 = 0.9 → 0.68 → 1.26 → 0.752 → …, by hand."""
    expected, h = [], 0.5
    for _ in range(3):
        h = 0.2 * (-0.1 + 2 * h) + 0.5
        expected.append(h)
    for name in ("hard_sigmoid", "sigmoid_hard", "Hard_Sigmoid"):
        steps, last = OPERATORS["rnn"].run(**RNN, activation=name, output_sequence=True)
        assert steps.flatten().tolist() == pytest.approx(expected)
        assert last.tolist() == [[pytest.approx(h)]]
    bounded, _ = OPERATORS["rnn"].run(**RNN | {"initial_h": torch.full((1, 1), 9.0)}, activation="hard_sigmoid")
    assert bounded.flatten().tolist() == pytest.approx([0.2 * (-0.1 + 2 * (0.2 * (-0.1 + 2) + 0.5)) + 0.5])  # 9 → 1 at first


def test_steps_in_reverse_come_in_the_order_they_are_computed_in() -> None:
    steps, last = OPERATORS["rnn"].run(**RNN, direction="reverse", output_sequence=True)
    turned, _ = OPERATORS["rnn"].run(**RNN | {"x": X.flip(0)}, output_sequence=True)
    assert steps.equal(turned)
    assert last.equal(steps[-1])


def test_gates_may_be_any_activation() -> None:
    """Without recurrent weights a linear gate z = x₀ - x₁ = -0.1 and a linear output o = -0.1: h' = 1.1·(-0.1) - 0.1·h."""
    layer = RNN | {"weight_ih": RNN["weight_ih"].repeat(3, 1), "weight_hh": torch.zeros(3, 1)}
    _, last = OPERATORS["gru"].run(**layer | {"x": X[:1]}, recurrent_activation="linear", activation="linear")
    assert last.tolist() == [[pytest.approx(-0.16)]]
    cell = LSTM | {"x": X[:1], "weight_hh": torch.zeros(4, 1)}
    _, h, c = OPERATORS["lstm"].run(**cell, recurrent_activation="linear", cell_activation="relu", activation="linear")
    assert (h.item(), c.item()) == (pytest.approx(0.005), pytest.approx(-0.05))


def test_an_lstm_of_six_units_is_torch_s() -> None:
    """Torch has its gates as input, forget, cell, output; MIL as input, forget, output, cell."""
    torch.manual_seed(0)
    theirs = torch.nn.LSTM(3, 6)
    x, h, c = torch.randn(4, 2, 3), torch.randn(2, 6), torch.randn(2, 6)
    ours = {
        key: torch.cat([part[:6], part[6:12], part[18:], part[12:18]])
        for key, part in (
            ("weight_ih", theirs.weight_ih_l0.detach()),
            ("weight_hh", theirs.weight_hh_l0.detach()),
            ("bias", (theirs.bias_ih_l0 + theirs.bias_hh_l0).detach()),
        )
    }
    steps, last, cell = OPERATORS["lstm"].run(x=x, initial_h=h, initial_c=c, output_sequence=True, **ours)
    expected, (last_expected, cell_expected) = theirs(x, (h[None], c[None]))
    torch.testing.assert_close(steps, expected)
    torch.testing.assert_close(last, last_expected[0])
    torch.testing.assert_close(cell, cell_expected[0])
