"""Specifications of other models than ML programs, written field by field; pipelines by coremltools' own ``make_pipeline``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fcrn_mobile.quiet import quiet_coremltools
from tests.mil.build import mb, save_program
from tests.mil.protobuf import tensor_type

with quiet_coremltools():
    import coremltools as ct
    from coremltools.proto.Model_pb2 import Model

ARRAY_TYPES = {"FLOAT16": 65552, "FLOAT32": 65568, "DOUBLE": 65600, "INT32": 131104}
COLOURS = {"RGB": 20, "BGR": 30, "GRAYSCALE": 10, "GRAYSCALE_FLOAT16": 40}


def feature(described: Any, name: str, kind: Any, optional: bool = False) -> None:
    """Describe an input or output: ``double``, ``int64``, ``dictionary of string``, a colour with a size, an array's type with a shape …"""
    item = described.add(name=name)
    item.type.isOptional = optional
    if isinstance(kind, str):
        kind, _, key = kind.partition(" of ")
        chosen = getattr(item.type, f"{kind}Type")
        chosen.SetInParent()
        if key:
            getattr(chosen, f"{key}KeyType").SetInParent()
    elif kind[0] in COLOURS:
        item.type.imageType.colorSpace = COLOURS[kind[0]]
        item.type.imageType.height, item.type.imageType.width = kind[1]
    else:
        item.type.multiArrayType.dataType = ARRAY_TYPES[kind[0]]
        item.type.multiArrayType.shape.extend(kind[1])


def model(kind: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    """A model of a kind, its parameters yet to be set; optional inputs end in ``?``."""
    made = Model(specificationVersion=5)
    for name, declared in inputs.items():
        feature(made.description.input, name.removesuffix("?"), declared, optional=name.endswith("?"))
    for name, declared in outputs.items():
        feature(made.description.output, name, declared)
    getattr(made, kind).SetInParent()
    return made


def written_program(inputs: dict[str, Any], outputs: dict[str, Any], types: dict[str, Any], *operations: Any) -> Any:
    """An ML program of operators by hand, whose inputs it declares as these types, or as float32 of these shapes."""
    made = model("mlProgram", inputs, outputs)
    made.specificationVersion = 8
    made.mlProgram.version = 1
    function = made.mlProgram.functions["main"]
    function.opset = "CoreML7"
    for name, declared in types.items():
        function.inputs.add(name=name).type.CopyFrom(tensor_type(declared) if isinstance(declared, tuple) else declared)
    block = function.block_specializations["CoreML7"]
    block.operations.extend(operations)
    block.outputs.extend(outputs)
    return made


def pipeline(stages: Sequence[Any], inputs: dict[str, Any], outputs: dict[str, Any], kind: str = "pipeline") -> Any:
    """A pipeline of stages."""
    made = model(kind, inputs, outputs)
    inner = made.pipeline if kind == "pipeline" else getattr(made, kind).pipeline
    for stage in stages:
        inner.models.add().CopyFrom(stage)
    return made


def saved(made: Any, folder: Path, name: str = "made.mlmodel") -> Path:
    """The specification as an .mlmodel."""
    path = folder / name
    path.write_bytes(made.SerializeToString())
    return path


def joined(packages: Sequence[Path], folder: Path, name: str = "joined.mlpackage") -> Path:
    """A package that coremltools makes of packages one after another, weights included."""
    with quiet_coremltools():
        models = [ct.models.MLModel(str(package), skip_model_load=True) for package in packages]
        path = folder / name
        ct.utils.make_pipeline(*models).save(str(path))
    return path


def named_program(folder: Path, weight: np.ndarray, names: tuple[str, str]) -> Path:
    """A package whose weights are in its file: N×C, the first name, times the weights C×C, plus 1, is N×C, the second name."""

    def body(x0: Any) -> Any:
        return mb.add(x=mb.linear(x=x0, weight=weight, name="product"), y=1.0, name="sum")

    path = save_program(folder, body, [np.zeros((2, len(weight)), np.float32)])
    model_file = path / "Data/com.apple.CoreML/model.mlmodel"
    made = model("mlProgram", {}, {})
    made.ParseFromString(model_file.read_bytes())
    text = {"x0": names[0], "sum": names[1]}
    function = made.mlProgram.functions["main"]
    block = function.block_specializations[function.opset]
    block.outputs[0] = names[1]
    for described in (*made.description.input, *made.description.output, *function.inputs):
        described.name = text.get(described.name, described.name)
    for operation in block.operations:
        for binding in (b for argument in operation.inputs.values() for b in argument.arguments):
            binding.name = text.get(binding.name, binding.name)
        for output in operation.outputs:
            output.name = text.get(output.name, output.name)
    model_file.write_bytes(made.SerializeToString())
    return path
