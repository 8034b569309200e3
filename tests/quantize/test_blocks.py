"""Parameters of blocks against NumPy's repetition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.quantize.blocks import along, reduced, restored, spread

shapes = st.tuples(*[st.integers(1, 3)] * 4)


@settings(max_examples=40, deadline=None)
@given(blocks=shapes, sizes=shapes, seed=st.integers(0, 99))
def test_blocks_are_spread_as_numpy_repeats_them(blocks, sizes, seed) -> None:
    shape = torch.Size(np.multiply(blocks, sizes).tolist())
    values = torch.from_numpy(np.random.default_rng(seed).standard_normal(blocks))
    expected = values.numpy()
    for axis, size in enumerate(sizes):
        expected = np.repeat(expected, size, axis)
    np.testing.assert_array_equal(spread(values, shape).numpy(), expected)
    full = torch.from_numpy(np.random.default_rng(seed).standard_normal(tuple(shape)))
    assert torch.equal(restored(reduced(full, torch.Size(blocks)), torch.Size(blocks), shape), full)
    assert torch.equal(reduced(spread(values, shape), torch.Size(blocks))[..., 0], values)


def test_a_scalar_belongs_to_every_element() -> None:
    assert spread(torch.tensor(2.0), torch.Size((2, 3))).tolist() == [[2.0] * 3] * 2
    assert spread(torch.tensor(2.0), torch.Size(())).shape == ()


def test_blocks_that_do_not_divide_are_refused() -> None:
    with pytest.raises((RuntimeError, ValueError)):
        spread(torch.ones(2), torch.Size((3,)))
    with pytest.raises(ValueError):
        spread(torch.ones(2, 1), torch.Size((4,)))


def test_a_vector_lies_along_its_axis_and_a_scalar_everywhere() -> None:
    vector = torch.arange(3)
    assert along(vector, 3, torch.tensor(0)).shape == (3, 1, 1)
    assert along(vector, 3, torch.tensor(-2)).shape == (1, 3, 1)
    assert along(vector, 2, torch.tensor(1)).shape == (1, 3)
    assert along(vector, 3, None) is vector
    scalar = torch.tensor(2)
    assert along(scalar, 3, torch.tensor(0)) is scalar
