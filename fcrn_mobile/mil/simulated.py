"""The runtime in the place of Core ML's framework: ``predict`` of coremltools' own models, on any machine."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.arithmetic import FLOAT32, Arithmetic
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.program import Program
from fcrn_mobile.mil.state import State
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.package.framework import answered_by
from fcrn_mobile.package.reading import read_specification
from fcrn_mobile.package.writing import write_package
from fcrn_mobile.systems import IOS26

__all__ = ["Answers", "simulated_core_ml"]

#: What coremltools hands over to Core ML, and what it makes of Core ML's arrays (coremlpython/CoreMLPythonArray.mm, CoreMLPythonUtils.mm).
_TAKEN = frozenset({"float32", "float64", "int32", "int8"})
_GIVEN = {"FLOAT16": np.float32, "FLOAT32": np.float32, "DOUBLE": np.float64, "INT32": np.int32, "INT8": np.int8}
#: What a folder holds that stands for a compiled model.
_SOURCE = "source"


@dataclass
class Answers:
    """How coremltools' requests were answered.

    Attributes:
        models: loaded.
        predictions: answered.
        refusals: why a model did not load or run, a line each.
    """

    models: int = 0
    predictions: int = 0
    refusals: list[str] = field(default_factory=list)

    @contextmanager
    def answering(self, problem: str = "") -> Iterator[None]:
        """Note and hand on what goes wrong, as the exception that Core ML's errors come as.

        Args:
            problem: words of Core ML to begin with, which code that exists looks for.

        Raises:
            RuntimeError: instead of an InputError.
        """
        try:
            yield
        except InputError as error:
            self.refusals.append(str(error))
            raise RuntimeError(f"{problem}{error}") from error


@contextmanager
def simulated_core_ml(arithmetic: Arithmetic | str = "float16") -> Iterator[Answers]:
    """Let ``predict`` and ``make_state`` of coremltools' models work on any machine, answered by this runtime.

    ``ct.models.MLModel``, ``ct.models.CompiledMLModel`` and what ``ct.convert`` gives are loaded by it as long as the context lasts;
    coremltools takes the machine for a Mac meanwhile. A model that was made before, or outlives the context, is not changed. What needs
    a device, such as compute plans, raises RuntimeError.

    Args:
        arithmetic: what programs run under, see ``Program.load``; by default tensors are rounded that are declared as float16. Neural
            networks, which declare nothing, are computed in float32 where only the CPU is asked for.

    Yields:
        How often it has answered so far.

    Raises:
        InputError: an unknown arithmetic.
    """
    policy, answers = Arithmetic.of(arithmetic), Answers()

    class _Model(_SimulatedModel):
        def __init__(self, path: str, units: str, function: str, hints: Mapping[str, str], asset: Any = None) -> None:
            super().__init__(answers, policy, path, units, function, asset)

    with answered_by(_Model, _Compiled):
        yield answers


class _Compiled:
    """A folder that stands for a compiled model and goes with this object: it holds the model as it was, its files linked if they can be.

    Args:
        source: the model, or such a folder; None to begin with an empty one.
    """

    def __init__(self, source: Path | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(suffix=".mlmodelc")
        self.path = Path(self._folder.name)
        if source is not None:
            _fill(source, self.path)


class _SimulatedState:
    """What coremltools' ``MLState`` asks of its proxy."""

    def __init__(self, answers: Answers, state: State) -> None:
        self._answers, self.state = answers, state

    def read_state(self, name: str) -> NDArray[Any]:
        """A copy of what a state holds, float16 as float32."""
        with self._answers.answering():
            return self.state.read_state(name)

    def write_state(self, name: str, value: NDArray[Any]) -> None:
        """Let a state hold something else."""
        with self._answers.answering():
            self.state.write_state(name, value)


class _SimulatedModel:
    """What coremltools asks of its ``_MLModelProxy``; loaded when it is made."""

    def __init__(self, answers: Answers, arithmetic: Arithmetic, path: str, units: str, function: str, asset: _Compiled | None) -> None:
        start = time.perf_counter_ns()
        with answers.answering():
            source = _source(Path(path) if asset is None else asset.path)
            policy = FLOAT32 if units == "CPU_ONLY" and _without_types(source) else arithmetic
            self._program = Program.load(source, policy, function or None)
            self._answers, self._compiled = answers, _Compiled(source)
        self._load_time = time.perf_counter_ns() - start
        self._predict_time: int | None = None
        answers.models += 1

    def predict(self, data: Mapping[str, Any], state: "_SimulatedState | None" = None) -> dict[str, Any]:
        """A value per output, of the types that coremltools makes of Core ML's."""
        start = time.perf_counter_ns()
        with self._answers.answering():
            inputs = {f.name: _taken(f, data[f.name]) for f in self._program.inputs if f.name in data}
        with self._answers.answering("Unable to compute the prediction using ML Program: "):
            results = self._program.predict(inputs, None if state is None else state.state)
        self._predict_time = time.perf_counter_ns() - start
        self._answers.predictions += 1
        return {f.name: _given(f, results[f.name]) for f in self._program.outputs}

    def batchPredict(self, batch: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:  # noqa: N802
        """As ``predict``, one after the other."""
        return [self.predict(data) for data in batch]

    def newState(self) -> "_SimulatedState":  # noqa: N802
        """What the model keeps from one prediction to the next, with its first values."""
        return _SimulatedState(self._answers, self._program.make_state())

    def get_compiled_model_path(self) -> str:
        """A folder that lasts as long as the model, as on a Mac."""
        return str(self._compiled.path)

    def get_load_duration_in_nano_seconds(self) -> int:
        """How long loading took."""
        return self._load_time

    def get_last_predict_duration_in_nano_seconds(self) -> int | None:
        """How long the last prediction took; None before the first."""
        return self._predict_time

    @staticmethod
    def maximum_supported_specification_version() -> int:
        """The newest that can be loaded, which is that of coremltools 9."""
        return IOS26

    @staticmethod
    def compileModel(path: str) -> str:  # noqa: N802
        """A folder that stands for the compiled model; the caller's to remove."""
        folder = Path(tempfile.mkdtemp()) / f"{Path(path).stem}.mlmodelc"
        folder.mkdir()
        _fill(Path(path), folder)
        return str(folder)

    @staticmethod
    def create_model_asset_from_path(path: str) -> Any:
        """An ``MLModelAsset`` of a compiled model.

        Raises:
            RuntimeError: it was compiled for devices.
        """
        from coremltools.models.model import MLModelAsset

        with Answers().answering():
            return MLModelAsset(_Compiled(_source(Path(path))))

    @staticmethod
    def create_model_asset_from_memory(specification: bytes, blobs: Mapping[str, bytes]) -> Any:
        """An ``MLModelAsset`` of a serialised specification and of its files of weights by name.

        Raises:
            RuntimeError: a name that leads out of the package.
        """
        from coremltools.models.model import MLModelAsset

        asset = _Compiled()
        with Answers().answering():
            write_package(asset.path / f"{_SOURCE}.mlpackage", specification, blobs)
        return MLModelAsset(asset)


def _needs_device(*arguments: Any) -> Any:
    raise RuntimeError("devices and compute plans are facts of a Mac, Core ML is only simulated here: ask for predictions and states")


for _name in ("get_available_compute_devices", "get_all_compute_devices", "get_compute_plan", "get_model_structure"):
    setattr(_SimulatedModel, _name, staticmethod(_needs_device))


def _taken(feature: Feature, value: Any) -> Any:
    """A caller's value as the runtime takes it.

    Raises:
        MilError: a type that coremltools can't hand over to Core ML.
    """
    if isinstance(value, Image.Image):
        return value.convert("RGB") if value.mode == "RGBA" else value
    if isinstance(value, np.ndarray) and value.dtype.name not in _TAKEN:
        raise MilError(f"input '{feature.name}' is {value.dtype}, coremltools hands over {', '.join(sorted(_TAKEN))} alone: convert it")
    return value


def _given(feature: Feature, value: Any) -> Any:
    """A result as coremltools hands it out: images of PIL, the colours with an opaque alpha; arrays of one of four types."""
    if feature.kind == "image":
        image = Image.fromarray(value)
        return image.convert("RGBA") if image.mode == "RGB" else image
    if feature.kind == "array":
        return np.array(value, dtype=_GIVEN.get(feature.dtype))
    return {label: float(score) for label, score in value.items()} if feature.kind == "scores" else value


def _without_types(source: Path) -> bool:
    """Whether a model is a neural network, whose tensors have no types of their own.

    Core ML computes it in float32 on the CPU and in float16 elsewhere (coremltools guide, "Typed Execution").
    """
    return str(read_specification(source)[0].WhichOneof("Type")).startswith("neuralNetwork")


def _source(path: Path) -> Path:
    """The model itself, which a folder that stands for a compiled one holds.

    Raises:
        MilError: a folder that Core ML compiled.
    """
    if path.suffix != ".mlmodelc":
        return path
    model = next(path.glob(f"{_SOURCE}.*"), None)
    if model is None:
        raise MilError(f"'{path}' was compiled for devices, which only they can read: load the .mlpackage or .mlmodel it was made from")
    return model


def _fill(source: Path, folder: Path) -> None:
    copy = folder / f"{_SOURCE}{source.suffix}"
    if source.is_dir():
        shutil.copytree(source, copy, copy_function=_link)
    else:
        _link(str(source), str(copy))


def _link(source: str, copy: str) -> None:
    """The same file under another name: what is loaded stays as it was when its first name goes."""
    try:
        os.link(source, copy)
    except OSError:  # another disk, or one without links
        shutil.copy2(source, copy)
