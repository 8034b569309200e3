"""Every program that does not hang together is refused at load, in one line that names the operator or value."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.quiet import quiet_coremltools
from tests.mil.damage import (
    Damage,
    block_of,
    check_refusal,
    constant,
    dimensions,
    operation,
    resized_weights,
    sound_package,
    specification,
    stored,
)

with quiet_coremltools():
    from coremltools.converters.mil.backend.mil.helper import create_tensor_value
    from coremltools.proto import MIL_pb2
    from coremltools.proto.FeatureTypes_pb2 import ImageFeatureType

HUGE = 10**6


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return sound_package(tmp_path_factory.mktemp("sound"))


def repeat_the_weights(model: Any) -> None:
    """Five constants of 2³⁰ elements that all point at the same few bytes."""
    operations = block_of(model).operations
    weights = next(proto for proto in operations if proto.type == "const")
    for index in range(5):
        copy = operations.add()
        copy.CopyFrom(weights)
        copy.outputs[0].name = f"copy_{index}"
        for declared in (copy.outputs[0].type, copy.attributes["val"].type):
            dimensions(declared, 2**15, 2**15)


def numberless(model: Any) -> None:
    function = model.mlProgram.functions["main"]
    function.block_specializations["CoreMLseven"].CopyFrom(block_of(model))
    function.opset = "CoreMLseven"


def constants_of(name: str, count: int) -> Damage:
    """A shape of so many numbers."""

    def change(proto: Any) -> None:
        constant = proto.attributes["val"]
        constant.CopyFrom(create_tensor_value(np.ones(count, np.int32)))
        dimensions(proto.outputs[0].type, count)

    return operation(name, change)


PROGRAMS: dict[str, tuple[Damage, str]] = {
    "offset beyond the file": (stored(lambda value: setattr(value.blobFileValue, "offset", 2**20)), "are truncated"),
    "offset overflows": (stored(lambda value: setattr(value.blobFileValue, "offset", 2**64 - 64)), "are truncated"),
    "offset misaligned": (stored(lambda value: setattr(value.blobFileValue, "offset", 65)), "byte 65, no multiple of 64"),
    "weights named upwards": (stored(lambda value: setattr(value.blobFileValue, "fileName", "@model_path/../../x")), "lies outside"),
    "weights named absolutely": (stored(lambda value: setattr(value.blobFileValue, "fileName", "/etc/passwd")), "lies outside"),
    "weights without a name": (stored(lambda value: setattr(value.blobFileValue, "fileName", "")), "is not a file"),
    "weights of another shape": (resized_weights(4, 3, 3, 4), "in 432 bytes where 576 are declared"),
    "weights of 4 TB": (resized_weights(HUGE, HUGE), f"1000000×1000000, the limit is {2**30}"),
    "weights of a negative length": (resized_weights(2**64 - 4, 3, 3, 3), "the shape -4×3×3×3"),
    "declared as another type": (
        stored(lambda value: setattr(value.type.tensorType, "dataType", MIL_pb2.INT32)),
        "declared as FLOAT32 4×3×3×3 but holds INT32",
    ),
    "count of an immediate value": (
        operation("flat_shape", lambda proto: proto.attributes["val"].immediateValue.tensor.ints.values.append(1)),
        "holds 3 elements where its shape takes 2",
    ),
    "constant without a value": (operation("flat_shape", lambda proto: proto.attributes["val"].ClearField("immediateValue")), "no value"),
    "constant without an attribute": (operation("flat_shape", lambda proto: proto.attributes.clear()), "'flat_shape'.* has no value"),
    "constant of two results": (operation("flat_shape", lambda proto: proto.outputs.add(name="more")), "has 2 results, a constant has"),
    "no results": (operation("relu", lambda proto: proto.outputs.pop()), "operator 'relu' at position .* has no result"),
    "data type unknown": (
        operation("relu", lambda proto: setattr(proto.outputs[0].type.tensorType, "dataType", 77)),
        "data type number 77",
    ),
    "data type of eight bits": (
        operation("relu", lambda proto: setattr(proto.outputs[0].type.tensorType, "dataType", MIL_pb2.FLOAT8E5M2)),
        "result 'relu' of operator 'relu'.*FLOAT8E5M2",
    ),
    "result without a type": (operation("relu", lambda proto: proto.outputs[0].ClearField("type")), "'relu'.* has no type"),
    "result without a name": (operation("relu", lambda proto: setattr(proto.outputs[0], "name", "")), "cannot have the name ''"),
    "name of two lines": (operation("relu", lambda proto: setattr(proto.outputs[0], "name", "a\nb")), r"cannot have the name 'a\\nb'"),
    "name without end": (operation("relu", lambda proto: setattr(proto.outputs[0], "name", "a" * 10**6)), "cannot have the name 'aaa"),
    "rank and dimensions": (operation("relu", lambda proto: setattr(proto.outputs[0].type.tensorType, "rank", 9)), "has rank 9 but 4"),
    "rank of hundreds": (operation("relu", lambda proto: dimensions(proto.outputs[0].type, *[1] * 300)), "300 dimensions"),
    "result of 4 TB": (operation("relu", lambda proto: dimensions(proto.outputs[0].type, HUGE, HUGE)), "1000000×1000000, the limit"),
    "reshape to 4 TB": (operation("flat", lambda proto: dimensions(proto.outputs[0].type, HUGE, HUGE)), "1000000×1000000, the limit"),
    "fill of 4 TB": (
        constant("filled_shape", np.array([HUGE, HUGE], np.int32)),
        "result of operator 'fill' at 'filled'.*1000000×1000000",
    ),
    "tile of 4 TB": (constant("tiled_reps", np.array([HUGE, HUGE], np.int32)), "result of operator 'tile' at 'tiled'.*4000000×8000000"),
    "fill of hundreds of dimensions": (
        constants_of("filled_shape", 300),
        "result of operator 'fill' at 'filled' .* dimensions, the limit is 8",
    ),
    "reshape to hundreds of dimensions": (
        constants_of("flat_shape", 300),
        "result of operator 'reshape' at 'flat' .* dimensions, the limit",
    ),
    "padding of 4 TB": (constant("conv_pad", np.full(4, HUGE, np.int32)), "result of operator 'conv' at 'conv'.*1×4×2000006×2000006"),
    "constants of 20 GiB together": (specification(repeat_the_weights), "have 5368709[0-9]+ elements, the limit is 4294967296"),
    "input of 4 TB": (
        specification(lambda model: dimensions(model.mlProgram.functions["main"].inputs[0].type, HUGE, HUGE)),
        "input 'x0'.*1000000×1000000",
    ),
    "described input of 4 TB": (
        specification(lambda model: model.description.input[0].type.multiArrayType.shape.extend([HUGE, HUGE])),
        "input 'x0' .*1000000×1000000",
    ),
    "described input of a negative length": (
        specification(lambda model: model.description.input[0].type.multiArrayType.shape.append(-3)),
        "input 'x0' .*×-3",
    ),
    "described input of another shape": (
        specification(lambda model: model.description.input[0].type.multiArrayType.shape.__setitem__(3, 9)),
        "input 'x0' .* is described as 1×3×8×9, the program takes 1×3×8×8",
    ),
    "described image of another size": (
        specification(lambda model: model.description.input[0].type.imageType.MergeFrom(ImageFeatureType(height=8, width=9))),
        "input 'x0' .* is described as 8×9, the program takes 8×8",
    ),
    "described input unknown": (
        specification(lambda model: setattr(model.description.input[0], "name", "y")),
        "describes an input 'y' that its program lacks",
    ),
    "described output unknown": (
        specification(lambda model: setattr(model.description.output[0], "name", "y")),
        "describes an output 'y' that its program lacks",
    ),
    "input not described": (specification(lambda model: model.description.ClearField("input")), "input 'x0' .* not described"),
    "described input without a type": (specification(lambda model: model.description.input[0].ClearField("type")), "'x0'"),
    "described shapes empty": (
        specification(
            lambda model: (
                model.description.input[0].type.multiArrayType.ClearField("shape"),
                model.description.input[0].type.multiArrayType.enumeratedShapes.SetInParent(),
            )
        ),
        "input 'x0' .*no shape",
    ),
    "used before it is computed": (
        operation("conv", lambda proto: setattr(proto.inputs["x"].arguments[0], "name", "relu")),
        "operator 'conv' at 'conv' .* reads 'relu' before it is computed",
    ),
    "used and never computed": (
        operation("relu", lambda proto: setattr(proto.inputs["x"].arguments[0], "name", "nowhere")),
        "operator 'relu' at 'relu' .* reads 'nowhere' which is never computed",
    ),
    "reads itself": (operation("relu", lambda proto: setattr(proto.inputs["x"].arguments[0], "name", "relu")), "reads 'relu' before"),
    "defined twice": (operation("relu", lambda proto: setattr(proto.outputs[0], "name", "conv")), "result 'conv' .* is defined twice"),
    "defined as an input": (operation("relu", lambda proto: setattr(proto.outputs[0], "name", "x0")), "result 'x0' .* is defined twice"),
    "input without a value": (operation("relu", lambda proto: proto.inputs["x"].arguments.pop()), "input 'x' without a value"),
    "binding of nothing": (operation("relu", lambda proto: proto.inputs["x"].arguments[0].Clear()), "input 'x' without a value"),
    "no output": (specification(lambda model: block_of(model).ClearField("outputs")), "describes an output|has no output"),
    "output never computed": (specification(lambda model: block_of(model).outputs.append("nowhere")), "'nowhere' .* is never computed"),
    "operator unknown": (operation("relu", lambda proto: setattr(proto, "type", "sing")), "operator 'sing' at 'relu' .* not known"),
    "operator without a type": (operation("relu", lambda proto: setattr(proto, "type", "")), "operator '' at 'relu'"),
    "operator of two lines": (operation("relu", lambda proto: setattr(proto, "type", "a\nb")), r"'a\\nb'"),
    "blocks inside": (
        operation("relu", lambda proto: (setattr(proto, "type", "while_loop"), proto.blocks.add())),
        "operator 'while_loop' at 'relu' .* has 1 blocks of operators inside, it runs 2 .condition, body.",
    ),
    "blocks inside a plain operator": (
        operation("relu", lambda proto: proto.blocks.add()),
        "operator 'relu' .* has 1 blocks of operators inside, it runs none",
    ),
    "no function": (specification(lambda model: model.mlProgram.functions.clear()), "has no function 'main'"),
    "another operator set": (
        specification(lambda model: setattr(model.mlProgram.functions["main"], "opset", "CoreML99")),
        "asks for operator set 'CoreML99', it has 'CoreML7'",
    ),
    "an operator set of no number": (specification(numberless), "asks for operator set 'CoreMLseven', not CoreML5 or a later one"),
    "a default that is missing": (
        specification(lambda model: setattr(model.description, "defaultFunctionName", "second")),
        "has no function 'second': choose one of its functions .'main'.",
    ),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_a_program_that_does_not_hang_together(case: str, sound, tmp_path, capsys, monkeypatch) -> None:
    check_refusal(PROGRAMS[case], sound, tmp_path, capsys, monkeypatch)
