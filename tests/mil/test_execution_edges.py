"""One operator after another: what is kept, what is believed of declarations, and what goes into blocks; operations by hand."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from fcrn_mobile.mil.arithmetic import FLOAT16, FLOAT32, Arithmetic
from fcrn_mobile.mil.execution import Values, run
from fcrn_mobile.mil.operation import Block, Operation, Reference, TensorInfo
from fcrn_mobile.mil.ops.states import Cell
from fcrn_mobile.package.errors import MilError

X = torch.tensor([1.0, 2.0])


def step(kind: str, name: str, shape: tuple[int, ...] | None = None, blocks: tuple[Block, ...] = (), **arguments: Any) -> Operation:
    """An operator of one result; texts are names of values."""
    given = {key: Reference(value) if isinstance(value, str) else value for key, value in arguments.items()}
    return Operation(kind, given, (TensorInfo(name, "FLOAT32", shape),), blocks=blocks)


def ran(*operations: Operation, arithmetic: Arithmetic = FLOAT32, **values: Any) -> Values:
    result = Values((values or {"x": X}).items())
    assert [operation.kind for operation in run(operations, result, arithmetic)][-1] == operations[-1].kind
    return result


def test_what_nothing_reads_any_more_goes_and_all_else_stays() -> None:
    add = replace(step("add", "y", x="x", y="a"), releases=("a",))
    assert set(ran(step("relu", "a", x="x"), add)) == {"x", "y"}
    assert ran(step("relu", "a", x="x"), add)["y"].tolist() == [2, 4]


def test_weights_that_are_being_trained_leave_no_graph_behind() -> None:
    result = ran(step("mul", "y", x="x", y=torch.nn.Parameter(torch.tensor([3.0, 5.0]))))["y"]
    assert result.tolist() == [3, 10] and not result.requires_grad


def test_results_are_rounded_as_each_is_declared() -> None:
    third = step("mul", "y", x="x", y=torch.tensor(1 / 3))
    half = replace(third, outputs=(TensorInfo("y", "FLOAT16", None),))
    exact, rounded = (ran(each, arithmetic=FLOAT16)["y"] for each in (third, half))
    assert torch.equal(exact, X * torch.tensor(1 / 3)) and torch.equal(rounded, exact.half().float())


def test_an_operator_of_several_results_files_each_under_its_name() -> None:
    split = Operation(
        "split",
        {"x": Reference("x"), "num_splits": torch.tensor(2), "axis": torch.tensor(0)},
        (TensorInfo("a", "FLOAT32", (1,)), TensorInfo("b", "FLOAT32", (1,))),
    )
    values = ran(split)
    assert (values["a"].tolist(), values["b"].tolist()) == ([1], [2])


def looped(count: int) -> Operation:
    """Doubles x until the number n has come to ``count``, while the truth t stays as it is."""
    names = ("n", "v", "t")
    inputs = (TensorInfo("n", "FLOAT32", ()), TensorInfo("v", "FLOAT32", (2,)), TensorInfo("t", "BOOL", ()))
    until = Block(inputs, (step("less", "go", x="n", y=torch.tensor(float(count))),), (Reference("go"),), ("go", *names))
    steps = (step("add", "m", x="n", y=torch.tensor(1.0)), step("add", "w", x="v", y="v"))
    body = Block(inputs, steps, (Reference("m"), Reference("w"), Reference("t")), ("m", "w", *names))
    results = (TensorInfo("end", "FLOAT32", ()), TensorInfo("y", "FLOAT32", (2,)), TensorInfo("told", "BOOL", ()))
    return Operation("while_loop", {"loop_vars": (torch.tensor(0.0), Reference("x"), True)}, results, blocks=(until, body))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_loop_carries_numbers_tensors_and_truths_and_leaves_only_its_results(count: int) -> None:
    values = ran(looped(count))
    assert set(values) == {"x", "end", "y", "told"}
    assert (float(values["end"]), values["y"].tolist()) == (count, [2**count, 2 * 2**count])
    assert bool(values["told"]) is True
    assert count == 0 or values["told"].dtype == torch.bool


def test_what_goes_into_a_block_has_the_shape_that_it_declares() -> None:
    wrong = looped(1)
    inputs = (wrong.blocks[0].inputs[0], TensorInfo("v", "FLOAT32", (3,)), wrong.blocks[0].inputs[2])
    with pytest.raises(MilError, match="operator 'while_loop' at 'end' gives shape 2, declared is 3"):
        ran(replace(wrong, blocks=tuple(replace(block, inputs=inputs) for block in wrong.blocks)))


def test_what_a_block_gives_that_was_declared_too_small_is_believed_behind_it_too() -> None:
    """``matmul`` of a vector with a stack of matrices is declared wrongly by coremltools itself; so is what hands its result on."""
    stack = torch.ones(3, 2, 2)
    odd, plain = step("matmul", "m", (2,), x="x", y=stack), step("relu", "m", (2,), x="x")
    behind = step("relu", "z", (2,), x="y")

    def cond(inside: Operation, shape: tuple[int, ...]) -> Operation:
        return step("cond", "y", shape, (Block((), (inside,), (Reference("m"),), ("m",)),) * 2, pred="x0")

    start = {"x": X, "x0": torch.tensor(True)}
    assert ran(cond(odd, (2,)), behind, **start)["z"].tolist() == [[3, 3]] * 3
    assert ran(cond(plain, (2,)), behind, **start)["z"].tolist() == [1, 2]
    with pytest.raises(MilError, match="operator 'cond' at 'y' gives shape 2, declared is 5"):
        ran(cond(plain, (5,)), **start)


def test_a_copy_goes_its_own_way() -> None:
    values = Values({"x": X, "s": Cell(torch.tensor([0.0]))}.items())
    values.misdeclared.add("x")
    copy = values.copy()
    assert copy["x"] is X and copy.misdeclared == {"x"}
    copy["s"].tensor = torch.tensor([9.0])
    copy.misdeclared.add("y")
    assert values["s"].tensor.tolist() == [0] and values.misdeclared == {"x"}


def test_a_list_is_one_where_it_is_declared_and_nowhere_else() -> None:
    made = Operation("make_list", {"elem_shape": (torch.tensor(2),)}, (TensorInfo("l", "listType", None),))
    values = ran(made, step("list_length", "n", ls="l"))
    assert int(values["n"]) == 1
    with pytest.raises(MilError, match="gives Tensor as 'y', declared is listType"):
        ran(replace(step("relu", "y", x="x"), outputs=(TensorInfo("y", "listType", None),)))
    with pytest.raises(MilError, match="gives a list as 'l', declared is FLOAT32"):
        ran(replace(made, outputs=(TensorInfo("l", "FLOAT32", None),)))
