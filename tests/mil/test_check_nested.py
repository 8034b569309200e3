"""Blocks of operators that do not fit the operator they are in; specifications by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from coremltools.proto import MIL_pb2

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.arithmetic import FLOAT32
from fcrn_mobile.mil.binding import bind
from fcrn_mobile.mil.check import check_block
from fcrn_mobile.mil.execution import Values, run
from fcrn_mobile.mil.operation import every
from fcrn_mobile.mil.values import Constants
from tests.mil.protobuf import named_constant, operation, tensor_type


def block(*operations: Any, inputs: dict[str, Any] | None = None, outputs: tuple[str, ...]) -> Any:
    proto = MIL_pb2.Block(operations=operations, outputs=outputs)
    for name, declared in (inputs or {}).items():
        proto.inputs.add(name=name).type.CopyFrom(declared)
    return proto


def less(x: str, result: str = "go") -> Any:
    proto = operation("less", (1,), (result,), x=x, y=9.5)
    proto.outputs[0].type.CopyFrom(tensor_type((1,), "BOOL"))
    return proto


def loop(variable: str = "v") -> Any:
    """While v < 9.5: v + v."""
    proto = operation("while_loop", (1,), loop_vars=["x"])
    proto.blocks.append(block(less(variable), inputs={variable: tensor_type((1,))}, outputs=("go",)))
    doubled = operation("add", (1,), ("w",), x=variable, y=variable)
    proto.blocks.append(block(doubled, inputs={variable: tensor_type((1,))}, outputs=("w",)))
    return proto


def checked(*operations: Any) -> Any:
    function = MIL_pb2.Function()
    function.inputs.add(name="x").type.CopyFrom(tensor_type((1,)))
    main = block(*operations, outputs=("y",))
    check_block(main, function, "a.mlpackage")
    return main


def value(*operations: Any, x: float) -> float:
    """What a checked function of x gives."""
    bound = bind(checked(*operations), Constants(Path()), "a.mlpackage", FLOAT32, 8, inputs=["x"])
    values = Values([("x", torch.tensor([x]))])
    ended = list(run(bound, values, FLOAT32))
    assert {operation.kind for operation in ended} <= {operation.kind for operation in every(bound)}
    assert set(values) <= {"x", "y"}
    return float(values["y"])


def test_a_loop_that_fits() -> None:
    assert value(loop(), x=1.5) == 12
    assert value(loop(), x=10) == 10


def test_a_block_may_call_its_own_as_something_outside_or_in_another_block_is_called() -> None:
    """Names are unique within a scope only."""
    assert value(loop("x"), x=1.5) == 12
    assert value(named_constant("w", [3.0]), loop("x"), x=1.5) == 12
    outer = loop("x")
    body = outer.blocks[1]
    inner = loop("x")
    inner.outputs[0].name = "w"
    body.ClearField("operations")
    body.operations.append(inner)
    assert value(outer, x=1.5) == 12
    outside = operation("add", (1,), ("w",), x="x", y=100.0)
    both = operation("add", (1,), ("y",), x="w", y="z")
    named = loop("w")
    named.blocks[1].operations[0].outputs[0].name = "v"
    named.blocks[1].outputs[0] = "v"
    named.outputs[0].name = "z"
    assert value(outside, named, both, x=1.5) == 113.5


def body(change: Callable[[Any], Any], number: int = 1) -> Any:
    proto = loop()
    change(proto.blocks[number])
    return proto


def changed(change: Callable[[Any], Any]) -> Any:
    proto = loop()
    change(proto)
    return proto


def branches(*blocks: Any) -> Any:
    proto = operation("cond", (1,), pred=True)
    proto.blocks.extend(blocks)
    return proto


def constant_with_a_block() -> Any:
    proto = named_constant("c", [1.0])
    proto.blocks.add()
    return proto


REFUSED = {
    "no blocks": (changed(lambda proto: proto.ClearField("blocks")), r"has 0 blocks of operators inside, it runs 2 \(condition, body\)"),
    "three blocks": (changed(lambda proto: proto.blocks.add()), "has 3 blocks of operators inside, it runs 2"),
    "a constant with a block": (changed(lambda proto: proto.blocks[1].operations.insert(0, constant_with_a_block())), "it runs none"),
    "another number of variables": (body(lambda proto: proto.ClearField("inputs")), "reads 'v' which is never computed"),
    "variables of another type": (
        body(lambda proto: proto.inputs[0].type.CopyFrom(tensor_type((1,), "INT32"))),
        r"block 2 of operator 'while_loop' at 'y' .* takes 1 values \(INT32 of 1 axes\), its operator has 1 values \(FLOAT32 of 1 axes\)",
    ),
    "variables of another rank": (body(lambda proto: proto.inputs[0].type.CopyFrom(tensor_type((1, 1)))), "takes .*2 axes"),
    "more variables": (changed(lambda proto: proto.inputs["loop_vars"].arguments.add(name="x")), "takes 1 values .*, its operator has 2"),
    "two results of a body": (body(lambda proto: proto.outputs.append("v")), "gives 2 values .*, its operator has 1 values"),
    "a result that is never computed": (body(lambda proto: proto.outputs.append("far")), "output 'far' of block 2 of .* never computed"),
    "a condition that is no truth": (
        body(lambda proto: proto.outputs.__setitem__(0, "v"), 0),
        r"block 1 .* gives 1 values .*, not one BOOL",
    ),
    "two truths": (body(lambda proto: proto.outputs.append("go"), 0), "gives 2 values .*, not one BOOL"),
    "a name twice": (body(lambda proto: setattr(proto.operations[0].outputs[0], "name", "v")), "result 'v' .* is defined twice"),
    "an operator without a result": (body(lambda proto: proto.operations[0].outputs.pop()), "operator 'add' at position 0 .* no result"),
    "a branch with an input": (
        branches(block(inputs={"v": tensor_type((1,))}, outputs=("x",)), block(outputs=("x",))),
        "takes 1 values .*, its operator has 0",
    ),
    "branches that differ": (
        branches(block(outputs=("x",)), block(less("x"), outputs=("go",))),
        "block 2 .* gives 1 values .BOOL of 1 axes., its operator has 1 values .FLOAT32",
    ),
    "no branches": (branches(), r"it runs 2 \(true branch, false branch\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_block_that_does_not_fit_is_refused(case: str) -> None:
    proto, message = REFUSED[case]
    with pytest.raises(MilError, match=message) as caught:
        checked(proto)
    assert "export it again" in str(caught.value)


def test_what_is_inside_is_not_seen_outside() -> None:
    with pytest.raises(MilError, match=r"operator 'relu' at 'z' .* reads 'w' which is never computed"):
        checked(loop(), operation("relu", (1,), ("z",), x="w"))


def test_a_result_of_another_kind_is_refused_when_it_comes() -> None:
    proto = operation("list_length", (), ("y",), ls="x")
    with pytest.raises(MilError, match="operator 'list_length' at 'y': it reads a list where there is none"):
        value(proto, x=1)
    made = operation("make_list", (1,), ("y",), elem_shape=[2])
    with pytest.raises(MilError, match="operator 'make_list' at 'y' gives a list as 'y', declared is FLOAT32"):
        value(made, x=1)
