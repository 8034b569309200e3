"""An ONNX model through OpenVINO on the CPU. Needs the optional extra ``openvino``."""

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.images import fit
from fcrn_mobile.data.transforms import image_tensor
from fcrn_mobile.errors import InputError
from fcrn_mobile.runtimes.runtime import depth_map, model_name


class OpenVINORuntime:
    """Runs a model that takes RGB in 0..1, 1×3×H×W, and gives 1×1×h×w metres."""

    backend = "openvino"

    def __init__(self, path: Path, threads: int | None = None) -> None:
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
            reason = " ".join(str(error).split())[:160]
            raise InputError(f"'{path}' is not a model that OpenVINO reads ({reason}): export it again") from error
        (image, *others) = self._model.inputs
        if others or image.partial_shape.is_dynamic or len(image.shape) != 4:
            raise InputError(f"'{path}' does not take one image of fixed size: export it with fcrn-mobile")
        self.name = model_name(path)
        self.path = path
        self.input_size = (int(image.shape[2]), int(image.shape[3]))
        self.metadata: dict[str, str] = {entry.key: entry.value for entry in stored}
        self._request = self._model.create_infer_request()

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = image_tensor(fit(image, self.input_size)).unsqueeze(0).numpy()
        return depth_map(self._request.infer([pixels], share_inputs=True)[0])


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
