"""What random operators refuse and leave out."""

import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.random import OPERATORS
from tests.mil.ops.defaults import check_defaults


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


def test_an_unknown_mode_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MilError, match="random_categorical of mode 'odds' is not one of logits, probs"):
        OPERATORS["random_categorical"].run(torch.zeros(2, 3), "odds")


def test_one_index_is_drawn_unless_told() -> None:
    assert OPERATORS["random_categorical"].run(torch.zeros(2, 3, 4)).shape == (2, 3, 1)
    assert OPERATORS["random_categorical"].run(torch.zeros(4)).shape == (1,)


def test_numbers_have_the_shape_asked_for() -> None:
    for kind in ("random_bernoulli", "random_normal", "random_uniform"):
        assert OPERATORS[kind].run(torch.tensor([2, 0, 3])).shape == (2, 0, 3)
        assert OPERATORS[kind].run(torch.tensor([2, 5])).dtype == torch.float32
