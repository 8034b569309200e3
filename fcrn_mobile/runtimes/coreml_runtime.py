"""A Core ML package through Core ML itself; macOS only. Written against coremltools' documented API, not run by its authors."""

import platform
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.images import fit
from fcrn_mobile.errors import InputError
from fcrn_mobile.quiet import quiet_coremltools
from fcrn_mobile.runtimes.runtime import depth_map, model_name

#: As reports name them → coremltools' name.
COMPUTE_UNITS = {"all": "ALL", "cpuAndNeuralEngine": "CPU_AND_NE", "cpuAndGPU": "CPU_AND_GPU", "cpuOnly": "CPU_ONLY"}


class CoreMLRuntime:
    """Runs a package with one RGB image input and one depth output on those of the compute units that Core ML chooses."""

    backend = "coreml"

    def __init__(self, path: Path, compute_units: str = "all") -> None:
        if platform.system() != "Darwin":
            raise InputError("backend 'coreml' needs macOS: use --backend mil here")
        with quiet_coremltools():
            import coremltools as ct

            self._model = ct.models.MLModel(str(path), compute_units=ct.ComputeUnit[COMPUTE_UNITS[compute_units]])
        description = self._model.get_spec().description
        image = description.input[0].type.imageType
        self.name = model_name(path)
        self.compute_units = compute_units
        self.path = path
        self.input_size = (image.height, image.width)
        self.metadata: dict[str, str] = dict(self._model.user_defined_metadata)
        self._input, self._output = description.input[0].name, description.output[0].name

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        outputs = self._model.predict({self._input: Image.fromarray(fit(image, self.input_size))})
        return depth_map(np.asarray(outputs[self._output]))
