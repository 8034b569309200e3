"""What a graph tells of operators that are written by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.proto import MIL_pb2

from fcrn_mobile.mil.graph import read_graph
from fcrn_mobile.package.errors import MilError
from tests.mil.protobuf import constant, named_constant, operation, tensor_type, text
from tests.mil.specifications import model, named_program, pipeline, saved, written_program


def program(*operations: Any) -> Any:
    """A program of these from x, 1×1×4×6, to y, 1×1×3×5."""
    return written_program({"x": ("FLOAT32", [1, 1, 4, 6])}, {"y": ("FLOAT32", [1, 1, 3, 5])}, {"x": (1, 1, 4, 6)}, *operations)


@pytest.mark.parametrize("inline", [True, False])
def test_small_constants_are_settings_wherever_they_stand(inline: bool, tmp_path: Path) -> None:
    constants = {"kernel_sizes": [2, 2], "strides": [1, 1], "ceil_mode": False}
    shapes = {key: (len(value),) if isinstance(value, list) else () for key, value in constants.items()}
    before = [] if inline else [named_constant(key, value, shape=shapes[key]) for key, value in constants.items()]
    given = {key: constant(value, shapes[key]) for key, value in constants.items()} if inline else {key: key for key in constants}
    pool = operation("max_pool", (1, 1, 3, 5), x="x", pad_type=text("valid"), **given)
    (node,) = read_graph(saved(program(*before, pool), tmp_path)).nodes
    assert (node.kind, node.name, node.macs) == ("max_pool", "y", 0)
    assert node.settings == {"kernel_sizes": (2.0, 2.0), "strides": (1.0, 1.0), "ceil_mode": (0.0,)}
    assert [(tensor.name, tensor.shape) for tensor in (*node.inputs, *node.outputs)] == [("x", (1, 1, 4, 6)), ("y", (1, 1, 3, 5))]
    assert set(node.weights) == (set() if inline else set(constants))


def test_a_graph_begins_with_the_first_programs_inputs_and_ends_with_the_last_ones_outputs(tmp_path: Path) -> None:
    graph = read_graph(saved(program(operation("relu", (1, 1, 3, 5), x="x")), tmp_path))
    assert [[(tensor.name, tensor.shape) for tensor in tensors] for tensors in (graph.inputs, graph.outputs)] == [
        [("x", (1, 1, 4, 6))],
        [("y", (1, 1, 3, 5))],
    ]
    stages = [model("mlProgram", {}, {}) for _ in range(2)]
    for stage, names in zip(stages, (("x", "y"), ("y", "z")), strict=True):
        stage.ParseFromString(
            (named_program(tmp_path, np.eye(2, dtype=np.float32), names) / "Data/com.apple.CoreML/model.mlmodel").read_bytes()
        )
    both = read_graph(saved(pipeline(stages, {"x": ("FLOAT32", [2, 2])}, {"z": ("FLOAT32", [2, 2])}), tmp_path))
    assert [[tensor.name for tensor in tensors] for tensors in (both.inputs, both.outputs)] == [["x"], ["z"]]
    assert [node.kind for node in both.nodes] == ["linear", "add", "linear", "add"]


def test_a_model_without_a_program_has_an_empty_one(tmp_path: Path) -> None:
    table = model("scaler", {"x": ("DOUBLE", [3])}, {"y": ("DOUBLE", [3])})
    table.scaler.scaleValue.append(2)
    graph = read_graph(saved(table, tmp_path))
    assert (graph.nodes, graph.inputs, graph.outputs, graph.weights) == ((), (), (), ())


def stored(name: str, dtype: str, *shape: int) -> Any:
    """A constant whose values lie in a file that nobody reads here."""
    proto = operation("const", shape, (name,))
    value = MIL_pb2.Value(type=tensor_type(shape, dtype))
    value.blobFileValue.fileName = "@model_path/weights/none.bin"
    proto.outputs[0].type.CopyFrom(value.type)
    proto.attributes["val"].CopyFrom(value)
    return proto


def test_a_weight_takes_whole_bytes_once_and_what_nobody_reads_counts_for_none(tmp_path: Path) -> None:
    """Three numbers of 4 bits take 2 bytes."""
    first, second = (operation("add", (1, 1, 3, 5), (name,), x=read, y="w") for name, read in (("a", "x"), ("y", "a")))
    graph = read_graph(saved(program(stored("w", "UINT4", 3), stored("unread", "FLOAT32", 9), first, second), tmp_path))
    (weight,) = graph.weights
    assert (weight.tensor.name, weight.tensor.shape, weight.stored_bytes, weight.compressed) == ("w", (3,), 2, False)
    assert [node.weights for node in graph.nodes] == [{"y": weight}] * 2
    assert graph.weight_bytes == 2
    assert [node.settings for node in graph.nodes] == [{}, {}]


def test_a_compressed_weight_takes_what_it_is_expanded_from_wherever_that_stands(tmp_path: Path) -> None:
    """3×5 numbers of 4 bits are 7.5 bytes; a scale of 4 bytes, or three scales of 2 bytes and an offset of 4 bits each."""
    attributes = MIL_pb2.Operation(type="constexpr_affine_dequantize")
    attributes.outputs.add(name="v").type.CopyFrom(tensor_type((3, 5)))
    for key, value in {
        "name": text("layer"),
        "quantized_data": constant([0] * 15, (3, 5), "INT8"),
        "scale": constant(0.5),
        "zero_point": constant(0, name="INT8"),
        "axis": constant(0),
    }.items():
        attributes.attributes[key].CopyFrom(value)
    inline = constant([0] * 3, (3, 1), "UINT4")
    inputs = operation("constexpr_blockwise_shift_scale", (3, 5), ("w",), data="d", scale="s", offset=inline)
    last = operation("add", (1, 1, 3, 5), ("a",), x="x", y="v")
    both = operation("add", (1, 1, 3, 5), x="a", y="w")
    graph = read_graph(saved(program(attributes, stored("d", "UINT4", 3, 5), stored("s", "FLOAT16", 3, 1), inputs, last, both), tmp_path))
    stored_bytes = {weight.tensor.name: weight.stored_bytes for weight in graph.weights}
    # The data of 15 × 4 bits are a constant of their own, of whole bytes.
    assert stored_bytes == {"v": 15 + 4 + 1 + 4, "w": 8 + 6 + 2}
    assert all(weight.compressed and weight.tensor.shape == (3, 5) for weight in graph.weights)


def test_pictures_of_any_size_are_asked_of_the_inputs_alone(tmp_path: Path) -> None:
    made = program(operation("relu", (1, 1, 3, 5), x="x"))
    read_graph(saved(made, tmp_path), size=(4, 6))
    with pytest.raises(MilError, match="takes x 1×1×4×6, not the 3×5 of --size"):
        read_graph(saved(made, tmp_path), size=(3, 5))


def test_only_numbers_that_stand_in_the_specification_are_settings(tmp_path: Path) -> None:
    listed = MIL_pb2.Value(type=tensor_type((1,), "INT32"))
    listed.immediateValue.list.values.add().CopyFrom(constant(7))
    long = constant([3, 4], name="INT64")
    long.immediateValue.tensor.longInts.values.extend([3, 4])
    step = operation("lunar_lander", (1, 1, 3, 5), x="x", ints=[1, 2], floats=[0.5], truth=True, long=long, listed=listed, word=text("w"))
    (node,) = read_graph(saved(program(step), tmp_path)).nodes
    assert node.settings == {"ints": (1, 2), "floats": (0.5,), "truth": (1,), "long": (3, 4)}
    assert node.weights == {} and [tensor.name for tensor in node.inputs] == ["x"]
