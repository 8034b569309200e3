"""An overflow in words, and which operator is the first that runs over."""

from typing import Any

import pytest
import torch
from torch import Tensor

from fcrn_mobile.mil.arithmetic import ANE, FLOAT16
from fcrn_mobile.mil.operation import Block, Operation, Reference, TensorInfo
from fcrn_mobile.mil.ops.lists import TensorList
from fcrn_mobile.mil.ops.states import Cell
from fcrn_mobile.mil.overflow import Overflow, overflow_at


def test_an_overflow_says_what_ran_over_and_how_large_its_inputs_were() -> None:
    assert str(Overflow("y", "mul", 65504.4321)) == "'y' (mul of values up to 6.55e+04)"
    assert str(Overflow("y", "mul", 2.0, "inf above 1")) == "'y' (mul of values up to 2, past a published limit: inf above 1)"


def operation(kind: str, *outputs: str, dtype: str = "FLOAT16", **arguments: Any) -> Operation:
    return Operation(kind, arguments, tuple(TensorInfo(name, dtype, None) for name in outputs))


X, INF, NAN = torch.tensor([1.0, -3.0]), torch.tensor([1.0, torch.inf]), torch.tensor([torch.nan])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"x": X, "y": X, "z": X}, None),
        ({"x": X, "y": INF, "z": X}, Overflow("y", "split", 3.0)),
        ({"x": X, "y": X, "z": INF}, Overflow("z", "split", 3.0)),
        ({"x": X, "y": NAN, "z": INF}, Overflow("y", "split", 3.0)),
        ({"x": X, "y": -INF, "z": X}, Overflow("y", "split", 3.0)),
        ({"x": INF, "y": INF, "z": X}, None),
        ({"x": NAN, "y": NAN, "z": X}, None),
        ({"x": torch.tensor([7, 8]), "y": INF, "z": X}, Overflow("y", "split", 0.0)),
        ({"x": torch.zeros(0), "y": INF, "z": X}, Overflow("y", "split", 0.0)),
        ({"x": X, "y": torch.tensor([1, 2]), "z": torch.full((4,), 3e38)}, None),
    ],
)
def test_the_first_result_that_is_not_finite_though_all_that_went_in_is(values: dict[str, Tensor], expected: Overflow | None) -> None:
    assert overflow_at(operation("split", "y", "z", x=Reference("x")), values) == expected


def test_constants_count_among_what_went_in() -> None:
    of = lambda factor: overflow_at(operation("mul", "y", x=Reference("x"), y=torch.tensor(factor)), {"x": X, "y": INF})  # noqa: E731
    assert of(-5.0) == Overflow("y", "mul", 5.0)
    assert of(2.0) == Overflow("y", "mul", 3.0)
    assert of(torch.inf) is None


def test_what_blocks_run_is_looked_at_itself() -> None:
    cond = Operation("cond", {"pred": Reference("x")}, (TensorInfo("y", "FLOAT32", None),), blocks=(Block((), (), ()),))
    assert overflow_at(cond, {"x": X, "y": INF}) is None


def test_a_finite_result_past_a_limit_counts_under_the_simulated_engine_in_half_precision_alone() -> None:
    soft = operation("softplus", "y", x=Reference("x"))
    values = {"x": torch.tensor([12.0]), "y": torch.tensor([0.0])}
    overflow = overflow_at(soft, values, ANE)
    assert overflow is not None
    assert (overflow.name, overflow.operator, overflow.largest, overflow.trait) == ("y", "softplus", 12.0, "softplus is 0 above 10.408")
    assert overflow_at(soft, values, FLOAT16) is None
    assert overflow_at(operation("softplus", "y", x=Reference("x"), dtype="FLOAT32"), values, ANE) is None
    assert overflow_at(soft, values | {"x": torch.tensor([9.0])}, ANE) is None
    assert overflow_at(operation("softplus", "y", x=torch.tensor([12.0])), values, ANE) is not None
    assert overflow_at(operation("write_state", value=Reference("x"), input=Reference("y")), values, ANE) is None


def test_what_states_and_lists_hold_counts_among_what_went_in() -> None:
    read = operation("read_state", "y", input=Reference("s"))
    assert overflow_at(read, {"s": Cell(torch.tensor([2.0, -7.0])), "y": INF}) == Overflow("y", "read_state", 7.0)
    assert overflow_at(read, {"s": Cell(INF), "y": INF}) is None
    held = TensorList(3, (2,), torch.float32, written={1: torch.tensor([4.0, -5.0]), 2: torch.tensor([1.0, 2.0])})
    gather = operation("list_gather", "y", ls=Reference("l"), indices=torch.tensor([1]))
    assert overflow_at(gather, {"l": held, "y": INF}) == Overflow("y", "list_gather", 5.0)
    write = operation("list_write", "l", ls=Reference("k"), index=torch.tensor(0), value=Reference("x"))
    assert overflow_at(write, {"k": held, "x": X, "l": held}) is None
