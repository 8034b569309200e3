"""What a graph tells of operators that are written by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.proto import MIL_pb2

from fcrn_mobile.mil.graph import read_graph
from tests.mil.protobuf import constant, named_constant, operation, tensor_type
from tests.mil.specifications import model, named_program, pipeline, saved


def program(*operations: Any) -> Any:
    """A program of these from x, 1×1×4×6, to y, 1×1×3×5."""
    made = model("mlProgram", {"x": ("FLOAT32", [1, 1, 4, 6])}, {"y": ("FLOAT32", [1, 1, 3, 5])})
    made.specificationVersion = 8
    made.mlProgram.version = 1
    function = made.mlProgram.functions["main"]
    function.opset = "CoreML7"
    function.inputs.add(name="x").type.CopyFrom(tensor_type((1, 1, 4, 6)))
    function.block_specializations["CoreML7"].operations.extend(operations)
    function.block_specializations["CoreML7"].outputs.append("y")
    return made


@pytest.mark.parametrize("inline", [True, False])
def test_small_constants_are_settings_wherever_they_stand(inline: bool, tmp_path: Path) -> None:
    text = MIL_pb2.Value()
    text.type.CopyFrom(tensor_type((), "STRING"))
    text.immediateValue.tensor.strings.values.append("valid")
    constants = {"kernel_sizes": [2, 2], "strides": [1, 1], "ceil_mode": False}
    shapes = {key: (len(value),) if isinstance(value, list) else () for key, value in constants.items()}
    before = [] if inline else [named_constant(key, value, shape=shapes[key]) for key, value in constants.items()]
    given = {key: constant(value, shapes[key]) for key, value in constants.items()} if inline else {key: key for key in constants}
    pool = operation("max_pool", (1, 1, 3, 5), x="x", pad_type=text, **given)
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
