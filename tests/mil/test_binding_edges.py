"""Layouts of exchanged constants, several outputs, and texts of errors in one line."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coremltools.proto import MIL_pb2

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.arithmetic import FLOAT32
from fcrn_mobile.mil.binding import bind, with_constants
from fcrn_mobile.mil.execution import Values, run
from fcrn_mobile.mil.operation import Block, Operation, Reference, TensorInfo
from fcrn_mobile.mil.values import Constants
from tests.mil.protobuf import constant, named_constant, operation, tensor_type, text


def bound(*operations: Any, outputs: tuple[str, ...] = ("y",)) -> tuple[Operation, ...]:
    block = MIL_pb2.Block()
    block.operations.extend(operations)
    block.outputs.extend(outputs)
    return bind(block, Constants(Path("nowhere")), "a.mlpackage", FLOAT32, 8)


@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_kernels_lie_channels_last_when_bound_and_when_exchanged(kind: str) -> None:
    kernel = named_constant("w", [float(i) for i in range(24)], shape=(3, 2, 2, 2))
    (step,) = bound(kernel, operation(kind, (1, 3, 1, 1), x="x", weight="w"))
    assert step.arguments["weight"].is_contiguous(memory_format=torch.channels_last)
    assert step.arguments["weight"].flatten().tolist() == list(range(24))
    (other,) = with_constants([step], {step.name: {"weight": torch.ones(3, 2, 2, 2, dtype=torch.float64)}})
    assert other.arguments["weight"].is_contiguous(memory_format=torch.channels_last)
    assert other.arguments["weight"].dtype == torch.float32
    assert other.names == {"weight": "w"}
    (plain,) = bound(kernel, operation("add", (3, 2, 2, 2), x="x", y="w"))
    assert plain.arguments["y"].is_contiguous()


@pytest.mark.parametrize("key", ["values", "x"])
def test_one_value_is_a_list_only_where_the_input_is_one(key: str) -> None:
    (step,) = bound(operation("stack" if key == "values" else "relu", **{key: ["x"]}, **({"axis": 0} if key == "values" else {})))
    assert step.arguments[key] == ((Reference("x"),) if key == "values" else Reference("x"))


def test_lists_of_reshape_like_stay_lists() -> None:
    lists = {"ref_tensors": ["r"], "begins": [constant(0)], "ends": [constant(1)], "end_masks": [constant(True)]}
    proto = operation("reshape_like", x="x", ref_tensors=["r"])
    for key in ("begins", "ends", "end_masks"):
        proto.inputs[key].arguments.add().value.CopyFrom(lists[key][0])
    (step,) = bound(proto)
    assert all(isinstance(step.arguments[key], tuple) for key in lists)


def test_every_output_of_a_compressed_constant_is_one() -> None:
    sparse = operation(
        "constexpr_lut_to_sparse",
        (2, 2),
        ("mask", "values"),
        indices_mask=constant([1, 0, 1, 1], shape=(2, 2), name="UINT8"),
        indices_nonzero_data=constant([0, 1, 1], name="UINT8"),
        lut=constant([0.5, 2.0], shape=(1, 1, 2, 1)),
    )
    sparse.outputs[1].type.tensorType.dimensions[0].constant.size = 3
    del sparse.outputs[1].type.tensorType.dimensions[1:]
    dense = operation("constexpr_sparse_to_dense", (2, 2), ("w",), nonzero_data="values", mask="mask")
    (step,) = bound(sparse, dense, operation("add", (2, 2), x="x", y="w"))
    assert step.arguments["y"].tolist() == [[0.5, 0.0], [2.0, 2.0]]


def test_what_cannot_be_expanded_says_so_in_one_short_line() -> None:
    proto = operation("constexpr_blockwise_shift_scale", (3,), ("w",), data=constant([1, 2, 3], name="INT8"), scale=constant([1.0, 2.0]))
    with pytest.raises(MilError, match=r"expanded \(2 scales do not divide an axis of length 3\): export the package") as caught:
        bound(proto, operation("relu", x="w"))
    assert "\n" not in str(caught.value)


def test_outputs_are_kept_to_the_end_and_constants_among_them_come_last_in_order() -> None:
    steps = bound(named_constant("b", [1.0]), named_constant("a", [2.0]), operation("relu", x="x"), outputs=("b", "y", "a"))
    assert [(step.kind, step.name, step.releases) for step in steps] == [
        ("relu", "y", ("x",)),
        ("identity", "b", ()),
        ("identity", "a", ()),
    ]


def test_constants_inside_of_an_operator_are_exchanged_and_all_else_stays() -> None:
    info = TensorInfo("sum", "FLOAT32", (1,))
    add = Operation("add", {"x": Reference("x"), "y": torch.tensor([1.0])}, (info,))
    cond = Operation("cond", {"pred": Reference("p")}, (replace(info, name="y"),), blocks=(Block((), (add,), (Reference("sum"),)),) * 2)
    plain, outer = with_constants([replace(add, outputs=(replace(info, name="z"),)), cond], {"sum": {"y": np.array([2.0])}})
    assert plain.arguments["y"].item() == 1
    assert [block.operations[0].arguments["y"].item() for block in outer.blocks] == [2, 2]
    assert [block.outputs for block in outer.blocks] == [(Reference("sum"),)] * 2
    assert with_constants([plain], {"nobody": {"y": 0}}) == (plain,)
    for changes, message in (({"x": 0.0}, "operator 'add' at 'sum' has no constant tensor 'x'"), ({"q": 0.0}, "no constant tensor 'q'")):
        with pytest.raises(MilError, match=message):
            with_constants([cond], {"sum": changes})
    with pytest.raises(MilError, match="operator 'add' at 'sum'"):
        with_constants([add], {"sum": {"y": np.zeros(2)}})


def nested(kind: str, *blocks: Any, outputs: tuple[str, ...] = ("y",), **inputs: Any) -> Any:
    proto = operation(kind, (1,), outputs, **inputs)
    proto.blocks.extend(blocks)
    return proto


def block(*operations: Any, outputs: tuple[str, ...], inputs: tuple[str, ...] = ()) -> Any:
    proto = MIL_pb2.Block(operations=operations, outputs=outputs)
    for name in inputs:
        proto.inputs.add(name=name).type.CopyFrom(tensor_type((1,)))
    return proto


def value(*operations: Any, x: float = 3.0) -> float:
    """What operations of x give as y."""
    main = MIL_pb2.Block(operations=operations, outputs=["y"])
    steps = bind(main, Constants(Path("nowhere")), "a.mlpackage", FLOAT32, 8, inputs=["x"])
    values = Values([("x", torch.tensor([x]))])
    for _ in run(steps, values, FLOAT32):
        pass
    assert set(values) <= {"x", "y"}
    return float(values["y"])


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_names_inside_may_be_those_outside_however_deep(depth: int) -> None:
    """Each block adds 1 to what is called w outside of it and calls the sum w, too; behind it w is what it was."""
    inner = block(operation("add", (1,), ("w",), x="w", y=[1.0]), outputs=("w",))
    for _ in range(depth - 1):
        cond = nested("cond", inner, inner, outputs=("v",), pred=True)
        inner = block(operation("add", (1,), ("w",), x="w", y=[1.0]), cond, outputs=("v",))
    first = operation("mul", (1,), ("w",), x="x", y=[10.0])
    last = operation("add", (1,), ("y",), x="c", y="w")
    assert value(first, nested("cond", inner, inner, outputs=("c",), pred=True), last) == 30 + depth + 30


def test_constants_inside_hide_those_outside_and_values_hide_constants() -> None:
    outside = named_constant("w", [100.0])
    constant_inside = block(named_constant("w", [5.0]), operation("add", (1,), ("s",), x="x", y="w"), outputs=("s",))
    value_inside = block(operation("mul", (1,), ("w",), x="x", y=[2.0]), operation("add", (1,), ("s",), x="w", y=[1.0]), outputs=("s",))
    for inner, expected in ((constant_inside, 3 + 5), (value_inside, 2 * 3 + 1)):
        cond = nested("cond", inner, inner, outputs=("c",), pred=True)
        assert value(outside, cond, operation("add", (1,), x="c", y="w")) == expected + 100
    given = block(outputs=("w",))
    assert value(outside, nested("cond", given, given, pred=True)) == 100


def test_a_compressed_constant_inside_hides_what_is_called_so_outside() -> None:
    packed = operation("constexpr_blockwise_shift_scale", (1,), ("w",), data=constant([4], name="INT8"), scale=constant([0.5]))
    inner = block(packed, operation("add", (1,), ("s",), x="x", y="w"), outputs=("s",))
    cond = nested("cond", inner, inner, outputs=("c",), pred=True)
    assert value(operation("mul", (1,), ("w",), x="x", y=[10.0]), cond, operation("add", (1,), x="c", y="w")) == 3 + 2 + 30


def test_a_block_lets_go_of_its_own_values_alone() -> None:
    body = block(operation("add", (1,), ("a",), x="v", y="x"), operation("relu", (1,), ("b",), x="a"), outputs=("b",), inputs=("v",))
    less = operation("less", (1,), ("go",), x="v", y=[9.5])
    less.outputs[0].type.CopyFrom(tensor_type((1,), "BOOL"))
    proto = nested("while_loop", block(less, outputs=("go",), inputs=("v",)), body, loop_vars=["x"])
    main = MIL_pb2.Block(operations=[proto], outputs=["y"])
    (step,) = bind(main, Constants(Path("nowhere")), "a.mlpackage", FLOAT32, 8, inputs=["x"])
    condition, inside = step.blocks
    assert [operation.releases for operation in condition.operations] == [("v",)]
    assert [operation.releases for operation in inside.operations] == [("v",), ("a",)]
    assert (condition.releases, inside.releases, step.releases) == (("go",), ("b",), ("x",))
    assert value(proto) == 12


@pytest.mark.parametrize("kind", ["scaler", "hand_over"])
def test_models_of_other_kinds_are_no_operators_of_a_program(kind: str) -> None:
    with pytest.raises(MilError, match=f"operator '{kind}' at 'y' in 'a.mlpackage' is not known to this runtime"):
        bound(operation(kind, x="x"))


def test_attributes_are_inputs_but_for_the_name() -> None:
    relu = operation("relu", x="x")
    relu.attributes["name"].CopyFrom(text("layer"))
    (step,) = bound(relu)
    assert step.arguments == {"x": Reference("x")}
    relu.attributes["moon"].CopyFrom(constant(1))
    with pytest.raises(MilError, match="inputs this runtime does not know"):
        bound(relu)
