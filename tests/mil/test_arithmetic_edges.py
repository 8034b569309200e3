"""Every operator's rounding under every policy, on tensors alone."""

import math

import numpy as np
import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.arithmetic import ANE, FLOAT16, FLOAT32, POLICIES, Arithmetic
from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.mil.traits import LARGEST_PRODUCT

PRODUCTS = ("conv", "conv_transpose", "einsum", "linear", "matmul", "scaled_dot_product_attention")
#: Results of these are new numbers, which half precision cannot hold.
COMPUTES = (
    *PRODUCTS,
    "add",
    "avg_pool",
    "batch_norm",
    "exp",
    "gelu",
    "layer_norm",
    "mul",
    "real_div",
    "resize_bilinear",
    "sigmoid",
    "softmax",
    "sub",
)
#: Results of these are inputs, bounds, or whole numbers.
MOVES = (
    "concat",
    "clip",
    "gather",
    "max_pool",
    "relu",
    "relu6",
    "reshape",
    "select",
    "slice_by_index",
    "split",
    "transpose",
    "upsample_nearest_neighbor",
)
VALUES = torch.tensor([1 / 3, -1000.1, 2.0**-24, 65519.0, 65520.0, -1e6, 40000.0, 0.0], dtype=torch.float32)


def half(values: torch.Tensor) -> np.ndarray:
    with np.errstate(over="ignore"):
        return values.numpy().astype(np.float16).astype(np.float32)


@pytest.mark.parametrize("kind", COMPUTES)
@pytest.mark.parametrize("policy", ["float16", "ane"])
def test_what_is_computed_is_rounded(kind: str, policy: str) -> None:
    assert kind in OPERATORS
    result = Arithmetic(policy).apply(kind, "FLOAT16", VALUES.clone())
    expected = half(VALUES)
    if policy == "ane" and kind in PRODUCTS:
        expected = np.where(np.abs(expected) > 32750, np.copysign(np.inf, expected), expected)
    assert result.dtype == torch.float32
    np.testing.assert_array_equal(result.numpy(), expected)


@pytest.mark.parametrize("kind", MOVES)
@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_moved_stays_the_same_tensor(kind: str, policy: str) -> None:
    assert kind in OPERATORS
    value = VALUES.clone()
    assert Arithmetic(policy).apply(kind, "FLOAT16", value) is value
    assert torch.equal(value, VALUES)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", ["add", "conv"])
def test_single_precision_and_whole_numbers_are_left_alone(policy: str, kind: str) -> None:
    value = VALUES.clone()
    assert Arithmetic(policy).apply(kind, "FLOAT32", value) is value
    assert FLOAT32.apply(kind, "FLOAT16", value) is value
    whole = torch.tensor([70000, 3])
    assert Arithmetic(policy).apply(kind, "FLOAT16", whole) is whole
    assert torch.equal(value, VALUES)


@pytest.mark.parametrize("kind", ["cast", "einsum", "tanh", "reduce_mean"])
def test_a_result_that_may_be_a_view_is_not_overwritten(kind: str) -> None:
    value = VALUES.clone()
    FLOAT16.apply(kind, "FLOAT16", value)
    assert torch.equal(value, VALUES)


def test_the_published_limit_itself_still_holds() -> None:
    at = torch.tensor([32736.0, 32768.0, -32768.0])  # neighbours in float16 on both sides of 32,750
    assert ANE.apply("conv", "FLOAT16", at.clone()).tolist() == [32736.0, math.inf, -math.inf]
    assert ANE.apply("add", "FLOAT16", at.clone()).tolist() == at.tolist()


@pytest.mark.parametrize(
    ("policy", "kind", "declared", "bound"),
    [
        ("float16", "conv", "FLOAT16", 65504.0),
        ("float32", "conv", "FLOAT16", 65504.0),
        ("ane", "conv", "FLOAT16", LARGEST_PRODUCT),
        ("ane", "matmul", "FLOAT16", 32750.0),
        ("ane", "add", "FLOAT16", 65504.0),
        ("ane", "conv", "FLOAT32", math.inf),
        ("float16", "add", "INT32", math.inf),
    ],
)
def test_the_bound_is_that_of_what_is_declared(policy: str, kind: str, declared: str, bound: float) -> None:
    assert Arithmetic(policy).largest(kind, declared) == bound


def test_policies_are_known_by_name() -> None:
    assert tuple(POLICIES) == ("float32", "float16", "ane")
    assert len({Arithmetic.of(name).title for name in POLICIES}) == 3
    with pytest.raises(MilError, match="'half': use one of float32, float16, ane"):
        Arithmetic.of("half")
