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
from fcrn_mobile.mil.operation import Block, Operation, Reference, TensorInfo
from fcrn_mobile.mil.values import Constants
from tests.mil.protobuf import constant, named_constant, operation


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
