"""Small packages written by coremltools' own builder and exporter, for operators one by one.

``save_program`` writes what the builder was given, without optimisation passes, so that no operator is folded away and a package
costs a millisecond. ``save_package`` goes the whole way of ``ct.convert`` for tests that need its passes or half precision.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fcrn_mobile.mil import Program
from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.mil.operation import every
from fcrn_mobile.package.pymil import seldom_checked
from fcrn_mobile.quiet import quiet_coremltools

with quiet_coremltools():
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb  # noqa: N813 - the name its documentation uses
    from coremltools.converters.mil.backend.mil.load import load as to_specification
    from coremltools.converters.mil.mil import types

#: Operators that ``check_op`` has compared with an independent source in this test run.
COVERED: set[str] = set()

_TYPES = {"float32": types.fp32, "float16": types.fp16, "int32": types.int32}
_SPECIFICATION_VERSIONS = {"iOS15": 6, "iOS16": 7, "iOS17": 8, "iOS18": 9}


def save_program(
    folder: Path, body: Callable[..., Any], inputs: Sequence[np.ndarray], target: str = "iOS17", states: Sequence[tuple[int, ...]] = ()
) -> Path:
    """An ``.mlpackage`` that applies ``body`` to inputs x0, x1, … with the shapes and types of these arrays (float32, float16, int32).

    States of these shapes follow them as s0, s1, …, float16, since Core ML has no others.
    """
    with quiet_coremltools():
        specs = [mb.TensorSpec(shape=x.shape, dtype=_TYPES[x.dtype.name]) for x in inputs]
        specs += [mb.StateTensorSpec(shape=shape, dtype=types.fp16) for shape in states]
        named = _with_named_inputs(body, len(inputs), len(states))
        program = mb.program(input_specs=specs, opset_version=getattr(ct.target, target))(named)
        path = Path(tempfile.mkdtemp(dir=folder)) / "op.mlpackage"
        weights = path / "Data" / "com.apple.CoreML" / "weights"
        weights.mkdir(parents=True)
        model = to_specification(program, str(weights), specification_version=_SPECIFICATION_VERSIONS[target])
    write_manifest(path)
    (path / "Data/com.apple.CoreML/model.mlmodel").write_bytes(model.SerializeToString())
    return path


def write_manifest(path: Path) -> None:
    """The Manifest.json of a package whose model and weights lie where coremltools puts them."""
    items = {
        key: {"author": "com.apple.CoreML", "description": "", "name": name, "path": f"com.apple.CoreML/{name}"}
        for key, name in (("model", "model.mlmodel"), ("weights", "weights"))
    }
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": items, "rootModelIdentifier": "model"}
    (path / "Manifest.json").write_text(json.dumps(manifest))


def run_op(
    body: Callable[..., Any], *inputs: np.ndarray, target: str = "iOS17", arithmetic: Arithmetic | str = "float32"
) -> tuple[Program, list[np.ndarray]]:
    """The program of ``body``, saved and loaded from disk, and its outputs in declared order."""
    with tempfile.TemporaryDirectory() as folder:
        program = Program.load(save_program(Path(folder), body, inputs, target), arithmetic)
    results = program.predict({f"x{i}": value for i, value in enumerate(inputs)})
    return program, [results[feature.name] for feature in program.outputs]


def check_op(
    kind: str,
    body: Callable[..., Any],
    inputs: Sequence[np.ndarray],
    expected: Any,
    tolerance: float = 1e-5,
    target: str = "iOS17",
) -> None:
    """Run ``body`` from disk and compare its outputs (shape, integer or float, values) with ``expected``.

    Args:
        kind: the operator under test; it must be in the saved program, and counts as covered.
        body: of the builder, over x0, x1, …
        inputs: a value per input.
        expected: an array or tensor per output, from torch, NumPy or a formula; a tuple or list if there are several.
        tolerance: relative and absolute.
        target: the operator set.
    """
    program, actual = run_op(body, *inputs, target=target)
    loaded = {operation.kind for operation in every(program.operations)}
    assert kind in loaded or kind.startswith("constexpr_"), f"the program holds {loaded}, not {kind}"
    wanted = expected if isinstance(expected, tuple | list) else [expected]
    for value, other in zip(actual, wanted, strict=True):
        reference = np.atleast_1d(np.asarray(other))  # a result without axes comes as an array of one
        assert value.shape == reference.shape, f"{kind}: {value.shape} is not {reference.shape}"
        assert np.issubdtype(value.dtype, np.floating) == np.issubdtype(reference.dtype, np.floating), f"{kind}: {value.dtype}"
        np.testing.assert_allclose(value, reference, rtol=tolerance, atol=tolerance, err_msg=kind)
    COVERED.add(kind)


def save_package(
    folder: Path, body: Callable[..., Any], shapes: list[tuple[int, ...]], precision: str = "FLOAT32", target: str = "iOS16"
) -> Path:
    """An ``.mlpackage`` whose program applies ``body`` to float32 inputs x0, x1, … of these shapes."""
    with quiet_coremltools(), seldom_checked():
        specs = [mb.TensorSpec(shape=shape) for shape in shapes]
        program = mb.program(input_specs=specs, opset_version=getattr(ct.target, target))(_with_named_inputs(body, len(shapes)))
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


def convert(network: nn.Module, examples: list[torch.Tensor], folder: Path, name: str = "net", **arguments: Any) -> Path:
    """A network as a float32 package on disk."""
    path = folder / f"{name}.mlpackage"
    with quiet_coremltools(), seldom_checked():
        traced = torch.jit.trace(network.eval(), tuple(examples))
        settings = {"minimum_deployment_target": ct.target.iOS17, "compute_precision": ct.precision.FLOAT32} | arguments
        ct.convert(traced, skip_model_load=True, **settings).save(str(path))
    return path


def run_package(path: Path, inputs: list[np.ndarray], arithmetic: Arithmetic | str = "float32") -> list[np.ndarray]:
    """Outputs in declared order."""
    program = Program.load(path, arithmetic)
    results = program.predict({f"x{i}": value for i, value in enumerate(inputs)})
    return [results[feature.name] for feature in program.outputs]


def _with_named_inputs(body: Callable[..., Any], count: int, states: int = 0) -> Callable[..., Any]:
    """``body`` under the parameter names x0, x1, …, s0, …, which the builder reads off the function."""
    arguments = ", ".join([*(f"x{i}" for i in range(count)), *(f"s{i}" for i in range(states))])
    namespace: dict[str, Any] = {"body": body}
    exec(f"def program({arguments}):\n    return body({arguments})", namespace)
    program: Callable[..., Any] = namespace["program"]
    return program
