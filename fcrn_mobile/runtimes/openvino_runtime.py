"""An ONNX model through OpenVINO on the CPU. Needs the optional extra ``openvino``."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.mil.depth_interface import ZERO_TO_ONE, DepthInterface, Port
from fcrn_mobile.package.metadata import model_contract
from fcrn_mobile.runtimes.runtime import model_name, run_failure

__all__ = ["OpenVINORuntime", "available", "check_installed"]

#: Types whose names differ from NumPy's.
_TYPES = {"f16": "float16", "f32": "float32", "f64": "float64", "u8": "uint8", "i8": "int8", "i32": "int32", "i64": "int64"}


class OpenVINORuntime:
    """Runs a model of one picture in and one depth map out; where nobody says more, it takes RGB in 0..1, 1×3×H×W, and gives metres."""

    backend = "openvino"

    def __init__(self, path: Path, model_config: Path | None = None, threads: int | None = None) -> None:
        check_installed()
        import onnx
        import openvino

        # Without the hint, processors with bfloat16 would compute in that: faster, and another network.
        settings: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            self._model = openvino.Core().compile_model(str(path), "CPU", settings)
            stored = onnx.load(str(path), load_external_data=False).metadata_props
        except Exception as error:
            reason = brief(error, 160)
            raise InputError(f"'{path}' is not a model that OpenVINO reads ({reason}): export it again") from error
        self.name = model_name(path)
        self.path = path
        self.metadata: dict[str, str] = {entry.key: entry.value for entry in stored}
        inputs, outputs = ([_port(value) for value in values] for values in (self._model.inputs, self._model.outputs))
        contract = model_contract(path, self.metadata, model_config)
        self._interface = DepthInterface.of(f"'{path}'", inputs, outputs, contract, ZERO_TO_ONE)
        self.contract, self.input_size = self._interface.contract, self._interface.size
        self._index = [value.any_name for value in self._model.outputs].index(self._interface.output.name)
        self._request = self._model.create_infer_request()

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            outputs = self._request.infer([self._interface.picture(image)], share_inputs=True)
        except Exception as error:
            raise run_failure(f"'{self.path}'", error) from error
        return self._interface.depth(outputs[self._index], image)


def _port(value: Any) -> Port:
    """As OpenVINO describes it."""
    kind, shape = value.element_type.get_type_name(), value.partial_shape
    lengths = None if shape.rank.is_dynamic else tuple(None if side.is_dynamic else int(side.get_length()) for side in shape)
    return Port(value.any_name, _TYPES.get(kind, kind), lengths)


def check_installed() -> None:
    """Refuse what cannot run here.

    Raises:
        InputError: the extra is not installed.
    """
    if not available():
        raise InputError("backend 'openvino' is not installed: pip install 'fcrn-mobile[openvino]'")


def available() -> bool:
    """Whether the extra is installed."""
    try:
        return importlib.util.find_spec("openvino") is not None
    except ValueError:  # imported without a specification
        return False
