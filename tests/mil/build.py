"""Small packages written by coremltools' own builder and saved to disk, for operators one by one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fcrn_mobile.mil import Program
from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.quiet import quiet_coremltools

with quiet_coremltools():
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb  # noqa: N813 - the name its documentation uses


def save_package(
    folder: Path, body: Callable[..., Any], shapes: list[tuple[int, ...]], precision: str = "FLOAT32", target: str = "iOS16"
) -> Path:
    """An ``.mlpackage`` whose program applies ``body`` to float32 inputs x0, x1, … of these shapes."""
    with quiet_coremltools():
        specs = [mb.TensorSpec(shape=shape) for shape in shapes]
        names = [f"x{i}" for i in range(len(shapes))]
        namespace: dict[str, Any] = {"body": body}
        arguments = ", ".join(names)
        exec(f"def program({arguments}):\n    return body({arguments})", namespace)
        program = mb.program(input_specs=specs, opset_version=getattr(ct.target, target))(namespace["program"])
        model = ct.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=getattr(ct.target, target),
            compute_precision=getattr(ct.precision, precision),
            skip_model_load=True,
        )
        path = folder / "op.mlpackage"
        model.save(str(path))
    return path


def run_package(path: Path, inputs: list[np.ndarray], arithmetic: Arithmetic = "float32") -> list[np.ndarray]:
    """Outputs in declared order."""
    program = Program.load(path, arithmetic)
    results = program.predict({f"x{i}": value for i, value in enumerate(inputs)})
    return [results[feature.name] for feature in program.outputs]


def kinds(path: Path) -> set[str]:
    """Operators left in the package after coremltools' own optimisation."""
    return {operation.kind for operation in Program.load(path).operations}
