"""An ONNX model through onnxruntime."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.images import fit
from fcrn_mobile.data.transforms import image_tensor
from fcrn_mobile.errors import InputError
from fcrn_mobile.runtimes.runtime import depth_map, model_name


class OnnxRuntime:
    """Runs a model that takes RGB in 0..1, 1×3×H×W, and gives 1×1×h×w metres."""

    backend = "onnxruntime"

    def __init__(self, path: Path, threads: int | None = None) -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0  # 0 leaves the choice to onnxruntime
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            reason = " ".join(str(error).split())[:160]
            raise InputError(f"'{path}' is not a model that onnxruntime reads ({reason}): export it again") from error
        (image, *others) = self._session.get_inputs()
        if others or len(image.shape) != 4 or not all(isinstance(side, int) for side in image.shape):
            raise InputError(f"'{path}' does not take one image of fixed size: export it with fcrn-mobile")
        self.name = model_name(path)
        self.path = path
        self.input_size = (image.shape[2], image.shape[3])
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._input, self._output = image.name, self._session.get_outputs()[0].name

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = image_tensor(fit(image, self.input_size)).unsqueeze(0).numpy()
        return depth_map(self._session.run([self._output], {self._input: pixels})[0])
