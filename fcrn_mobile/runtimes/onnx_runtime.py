"""An ONNX model through onnxruntime."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.mil.depth_interface import ZERO_TO_ONE, DepthInterface, Port
from fcrn_mobile.package.metadata import model_contract
from fcrn_mobile.runtimes.runtime import model_name, run_failure

__all__ = ["OnnxRuntime"]

#: Types whose names differ from NumPy's.
_TYPES = {"float": "float32", "double": "float64"}


class OnnxRuntime:
    """Runs a model of one picture in and one depth map out; where nobody says more, it takes RGB in 0..1, 1×3×H×W, and gives metres."""

    backend = "onnxruntime"

    def __init__(self, path: Path, model_config: Path | None = None, threads: int | None = None) -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(4)  # errors travel as exceptions
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0  # 0 leaves the choice to onnxruntime
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            reason = brief(error, 160)
            raise InputError(f"'{path}' is not a model that onnxruntime reads ({reason}): export it again") from error
        self.name = model_name(path)
        self.path = path
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        inputs, outputs = ([_port(value) for value in values] for values in (self._session.get_inputs(), self._session.get_outputs()))
        contract = model_contract(path, self.metadata, model_config)
        self._interface = DepthInterface.of(f"'{path}'", inputs, outputs, contract, ZERO_TO_ONE)
        self.contract, self.input_size = self._interface.contract, self._interface.size

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        names = [self._interface.output.name], self._interface.input.name
        try:
            (output,) = self._session.run(names[0], {names[1]: self._interface.picture(image)})
        except Exception as error:  # onnxruntime has a class of its own for each status, all below Exception
            raise run_failure(f"'{self.path}'", error) from error
        return self._interface.depth(output, image)


def _port(value: Any) -> Port:
    """As onnxruntime describes it: ``tensor(float)``, lengths as numbers, open ones as names or None, nothing if all is open."""
    tensor = re.fullmatch(r"tensor\((\w+)\)", value.type)
    kind = _TYPES.get(tensor[1], tensor[1]) if tensor else value.type
    return Port(value.name, kind, tuple(side if isinstance(side, int) else None for side in value.shape) or None)
