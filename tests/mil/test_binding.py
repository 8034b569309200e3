"""Operations as they are bound: constants in place, tensors released, errors that name the operator; specifications by hand."""

from pathlib import Path
from typing import Any

import pytest
import torch
from coremltools.proto import MIL_pb2

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.arithmetic import FLOAT16, FLOAT32, Arithmetic
from fcrn_mobile.mil.binding import bind, with_constants
from fcrn_mobile.mil.operation import Operation, Reference
from fcrn_mobile.mil.values import Constants
from tests.mil.protobuf import constant, named_constant, operation, tensor_type


def bound(*operations: Any, outputs: tuple[str, ...] = ("y",), arithmetic: Arithmetic = FLOAT32, opset: int = 8) -> tuple[Operation, ...]:
    block = MIL_pb2.Block()
    block.operations.extend(operations)
    block.outputs.extend(outputs)
    return bind(block, Constants(Path("nowhere")), "a.mlpackage", arithmetic, opset)


def test_constants_stand_in_the_arguments_and_are_known_by_name() -> None:
    (add,) = bound(named_constant("w", [1.0, 2.0]), operation("add", (2,), x="x", y="w"))
    assert add.kind == "add"
    assert add.arguments["x"] == Reference("x")
    assert add.arguments["y"].tolist() == [1.0, 2.0]
    assert add.names == {"y": "w"}
    assert (add.outputs[0].name, add.outputs[0].dtype, add.outputs[0].shape) == ("y", "FLOAT32", (2,))
    (plain,) = bound(operation("add", (2,), x="x", y=[1.0, 2.0]))
    assert plain.names == {}
    assert plain.arguments["y"].tolist() == [1.0, 2.0]


def test_lists_stay_lists_whatever_their_length() -> None:
    (one,) = bound(operation("concat", (2,), values=["x"], axis=0))
    assert one.arguments["values"] == (Reference("x"),)
    (two,) = bound(named_constant("w", [1.0]), operation("concat", (2,), values=["x", "w"], axis=0))
    assert two.arguments["values"][0] == Reference("x")
    assert two.arguments["values"][1].tolist() == [1.0]
    assert two.names == {}


def test_a_tensor_is_released_after_its_last_reader() -> None:
    steps = bound(
        operation("relu", (2,), ("a",), x="x"),
        operation("relu", (2,), ("b",), x="a"),
        operation("add", (2,), ("c",), x="a", y="x"),
        operation("add", (2,), ("y",), x="c", y="b"),
        operation("relu", (2,), ("unread",), x="y"),
    )
    assert [step.releases for step in steps] == [(), (), ("a", "x"), ("b", "c"), ("unread",)]


def test_what_is_given_out_is_kept() -> None:
    steps = bound(operation("relu", (2,), ("a",), x="x"), operation("relu", (2,), ("y",), x="a"), outputs=("a", "y"))
    assert [step.releases for step in steps] == [("x",), ()]


def test_a_constant_that_is_given_out_becomes_an_operator() -> None:
    steps = bound(named_constant("w", [1.0, 2.0]), operation("relu", (2,), x="x"), outputs=("y", "w"))
    assert [(step.kind, step.name) for step in steps] == [("relu", "y"), ("identity", "w")]
    assert steps[1].arguments["x"].tolist() == [1.0, 2.0]
    assert (steps[1].outputs[0].dtype, steps[1].outputs[0].shape) == ("FLOAT32", (2,))


def scaled(shape: tuple[int, ...] = (2, 2), **changes: Any) -> Any:
    given = {
        "quantized_data": constant([1, 2, 3, 4], shape=(2, 2), name="INT8"),
        "scale": 0.5,
        "zero_point": constant(0, name="INT8"),
        "axis": 0,
    }
    proto = MIL_pb2.Operation(type="constexpr_affine_dequantize")
    proto.outputs.add(name="w").type.CopyFrom(tensor_type(shape))
    for key, value in (given | changes).items():
        proto.attributes[key].CopyFrom(value if isinstance(value, MIL_pb2.Value) else constant(value))
    return proto


def test_compressed_constants_are_expanded_and_rounded_as_results_are() -> None:
    (add,) = bound(scaled(), operation("add", (2, 2), x="x", y="w"))
    assert add.arguments["y"].tolist() == [[0.5, 1.0], [1.5, 2.0]]
    assert add.names == {"y": "w"}
    half = scaled(scale=1 / 3)
    half.outputs[0].type.CopyFrom(tensor_type((2, 2), "FLOAT16"))
    wide, narrow = (
        bound(half, operation("add", (2, 2), x="x", y="w"), arithmetic=policy)[0].arguments["y"] for policy in (FLOAT32, FLOAT16)
    )
    assert torch.equal(narrow, wide.half().float())
    assert not torch.equal(narrow, wide)


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        (
            [operation("lunar_lander", x="x")],
            "operator 'lunar_lander' at 'y' in 'a.mlpackage' is not known to this runtime: run the package on macOS",
        ),
        ([operation("relu", x="x", moon="x")], "operator 'relu' at 'y' in 'a.mlpackage' has inputs this runtime does not know .*moon"),
        ([operation("relu")], "has inputs this runtime does not know"),
        ([scaled((2, 3)), operation("relu", x="w")], "expands to 2×2, declared is 2×3: export the package again"),
        ([scaled(scale=[1.0, 2.0, 3.0]), operation("relu", x="w")], "operator 'constexpr_affine_dequantize' at 'w' cannot be expanded"),
    ],
)
def test_what_cannot_be_bound_is_named(operations: list[Any], message: str) -> None:
    with pytest.raises(MilError, match=message) as caught:
        bound(*operations)
    assert len(str(caught.value).splitlines()) == 1


def test_a_compressed_constant_reads_constants_only() -> None:
    proto = operation("constexpr_lut_to_dense", (2, 2), ("w",), indices="x", lut="x")
    with pytest.raises(MilError, match="reads 'x', which is not a constant"):
        bound(proto, operation("relu", x="w"))


def test_constants_are_exchanged_for_others_of_their_shape() -> None:
    (add,) = bound(named_constant("w", [1.0, 2.0]), operation("add", (2,), x="x", y="w"))
    (other,) = with_constants([add], {"y": {"y": torch.tensor([3, 4])}})
    assert other.arguments["y"].tolist() == [3.0, 4.0]
    assert other.arguments["y"].dtype == torch.float32
    assert add.arguments["y"].tolist() == [1.0, 2.0]
    with pytest.raises(MilError, match="operator 'add' at 'y' has no constant tensor 'x'"):
        with_constants([add], {"y": {"x": torch.zeros(2)}})
    with pytest.raises(MilError, match="'y' of operator 'add' at 'y' is 2, not 3"):
        with_constants([add], {"y": {"y": torch.zeros(3)}})


@pytest.mark.parametrize("opset", [5, 7])
def test_operators_whose_versions_differ_are_told_the_operator_set(opset: int) -> None:
    (step,) = bound(operation("reshape", (2, 3), x="x", shape=constant([2, 3])), opset=opset)
    assert step.arguments["opset"] == opset
    (step,) = bound(operation("relu", (2, 3), x="x"), opset=opset)
    assert set(step.arguments) == {"x"}


def test_a_constant_that_is_given_back_twice_is_bound_once() -> None:
    (step,) = bound(named_constant("y", [1.0, 2.0]), outputs=("y", "y"))
    assert (step.kind, step.name) == ("identity", "y")


def test_a_result_of_any_rank_takes_any_shape() -> None:
    proto = operation("fill", (-1,), shape="s")
    proto.outputs[0].type.tensorType.dimensions[0].unknown.variadic = True
    (step,) = bound(proto)
    assert all(step.outputs[0].fits(shape) for shape in [(), (3,), (2, 3, 4)])
    proto.outputs[0].type.tensorType.dimensions[0].unknown.variadic = False
    (step,) = bound(proto)
    assert [step.outputs[0].fits(shape) for shape in [(), (3,), (2, 3, 4)]] == [False, True, False]
    several = operation("fill", (-1, 2), shape="s")
    several.outputs[0].type.tensorType.dimensions[0].unknown.variadic = True
    (step,) = bound(several)
    assert step.outputs[0].fits((3, 4, 2)), "one length that stands for any number of them is enough"
