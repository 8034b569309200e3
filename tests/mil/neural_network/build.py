"""Networks written by coremltools' own NeuralNetworkBuilder, saved as an ``.mlmodel`` and loaded from there."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.mil import Program
from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.quiet import quiet_coremltools

with quiet_coremltools():
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

Shape = tuple[int, ...]
Body = Callable[[Any], Any]


def builder(shapes: Mapping[str, Shape], outputs: Sequence[str] = ("y",), exact: bool = False, **settings: Any) -> Any:
    """A builder of arrays x, …: before version 4 C or C×H×W, with ``exact`` of any rank."""
    features = [(name, datatypes.Array(*shape)) for name, shape in shapes.items()]
    return NeuralNetworkBuilder(features, [(name, None) for name in outputs], disable_rank5_shape_mapping=exact, **settings)


def save(spec: Any, folder: Path) -> Path:
    """The specification as a file."""
    path = folder / "net.mlmodel"
    path.write_bytes(spec.SerializeToString())
    return path


def load(spec: Any, arithmetic: Arithmetic | str = "float32") -> Program:
    """The specification as a program, over a file."""
    with tempfile.TemporaryDirectory() as folder:
        return Program.load(save(spec, Path(folder)), arithmetic)


def run(
    body: Body, *inputs: NDArray[Any], exact: bool = False, outputs: Sequence[str] = ("y",), free: Mapping[str, Sequence[int]] | None = None
) -> Any:
    """What ``body(builder)`` makes of inputs x0, x1, …: an array, or a list of several; ``free`` axes of inputs may be longer."""
    values = {f"x{index}": value for index, value in enumerate(inputs)}
    built = builder({name: value.shape for name, value in values.items()}, outputs, exact)
    body(built)
    for feature in built.spec.description.input:
        ranges, axes = feature.type.multiArrayType.shapeRange.sizeRanges, (free or {}).get(feature.name, ())
        for axis, length in enumerate(values[feature.name].shape if axes else ()):
            ranges.add(lowerBound=length, upperBound=-1 if axis in axes else length)
    results = load(built.spec).predict(values)
    return results[outputs[0]] if len(outputs) == 1 else [results[name] for name in outputs]


def number(built: Any, name: str, *values: float) -> None:
    """A stored vector that layers know before the network runs."""
    built.add_load_constant_nd(name, name, constant_value=np.array(values, np.float32), shape=(len(values),))


def random(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    """Normally distributed numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def close(actual: NDArray[Any], expected: Any, tolerance: float = 1e-5) -> None:
    """Shapes are the same, values nearly."""
    reference = np.asarray(expected)
    assert actual.shape == reference.shape, f"{actual.shape} is not {reference.shape}"
    np.testing.assert_allclose(actual, reference, rtol=tolerance, atol=tolerance)
