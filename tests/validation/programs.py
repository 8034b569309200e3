"""Programs of a few operators by hand: no conversion, no file."""

from typing import Any

import numpy as np
import torch
from coremltools.proto import Model_pb2

from fcrn_mobile.mil.arithmetic import FLOAT32
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.operation import Operation, Reference, TensorInfo

SIZE = (4, 6)


def step(kind: str, name: str, *reads: str, shape: tuple[int, ...] = (1, 1, *SIZE), dtype: str = "FLOAT32", **constants: Any) -> Operation:
    """An operator that reads x and y, or ``input`` where it quantizes."""
    keys = ("input",) if kind in ("quantize", "dequantize") else ("x", "y")
    arguments = {key: Reference(read) for key, read in zip(keys, reads, strict=False)} | constants
    names = {"weight": f"{name}_weight"} if "weight" in constants else {}
    return Operation(kind, arguments, (TensorInfo(name, dtype, shape),), names=names)


def grey(gain: float = 0.5, name: str = "grey") -> Operation:
    """The sum of the colours times a gain."""
    return step("conv", name, "image", weight=torch.full((1, 3, 1, 1), gain), pad_type="valid")


def depth_program(*operations: Operation, size: tuple[int, int] = SIZE) -> DepthProgram:
    """A program from a picture to the last operator's result."""
    picture = Model_pb2.FeatureDescription(name="image")
    picture.type.imageType.height, picture.type.imageType.width = size
    picture.type.imageType.colorSpace = 20
    result = Model_pb2.FeatureDescription(name=operations[-1].name)
    result.type.multiArrayType.dataType = 65568
    return DepthProgram((Feature.from_description(picture),), (Feature.from_description(result),), operations, FLOAT32, {})


def quantized(name: str, scale: float, read: str, behind: float | None = None) -> tuple[Operation, Operation]:
    """``quantize`` and ``dequantize`` of a tensor to int8; ``behind`` is another scale of the second."""
    down = step("quantize", f"{name}_down", read, dtype="INT8", scale=torch.tensor(scale), output_dtype="int8")
    return down, step("dequantize", f"{name}_up", f"{name}_down", scale=torch.tensor(behind or scale))


def pictures(*levels: int) -> list[np.ndarray]:
    return [np.full((*SIZE, 3), level, np.uint8) for level in levels]
