"""An ONNX model through onnxruntime."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.images import fit
from fcrn_mobile.data.transforms import image_tensor
from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.mil.depth_program import depth_map
from fcrn_mobile.runtimes.contract import Port, check_input, check_output, run_failure
from fcrn_mobile.runtimes.runtime import model_name

__all__ = ["OnnxRuntime"]

#: Types whose names differ from NumPy's.
_TYPES = {"float": "float32", "double": "float64"}


class OnnxRuntime:
    """Runs a model that takes RGB in 0..1, 1×3×H×W, and gives 1×1×h×w metres."""

    backend = "onnxruntime"

    def __init__(self, path: Path, threads: int | None = None) -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(4)  # errors travel as exceptions
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0  # 0 leaves the choice to onnxruntime
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            reason = brief(error, 160)
            raise InputError(f"'{path}' is not a model that onnxruntime reads ({reason}): export it again") from error
        self._quoted = f"'{path}'"
        self._input, self.input_size = check_input(self._quoted, [_port(value) for value in self._session.get_inputs()])
        self._output = check_output(self._quoted, [_port(value) for value in self._session.get_outputs()])
        self.name = model_name(path)
        self.path = path
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = image_tensor(fit(image, self.input_size)).unsqueeze(0).numpy()
        try:
            (output,) = self._session.run([self._output], {self._input: pixels})
        except Exception as error:  # onnxruntime has a class of its own for each status, all below Exception
            raise run_failure(self._quoted, error) from error
        return depth_map(output, self._quoted)


def _port(value: Any) -> Port:
    """As onnxruntime describes it: ``tensor(float)``, lengths as numbers, open ones as names or None, nothing if all is open."""
    tensor = re.fullmatch(r"tensor\((\w+)\)", value.type)
    kind = _TYPES.get(tensor[1], tensor[1]) if tensor else value.type
    return Port(value.name, kind, tuple(side if isinstance(side, int) else None for side in value.shape) or None)
