"""A Core ML package through Core ML itself; macOS only. Written against coremltools' documented API, not run by its authors."""

import platform
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.images import fit
from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.mil.depth_program import check_features, depth_map
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.package.metadata import COMPUTE_UNITS
from fcrn_mobile.package.reading import feature_descriptions
from fcrn_mobile.quiet import quiet_coremltools
from fcrn_mobile.runtimes.contract import run_failure
from fcrn_mobile.runtimes.runtime import model_name

__all__ = ["CoreMLRuntime"]


class CoreMLRuntime:
    """Runs a package with one RGB image input and one depth output on those of the compute units that Core ML chooses."""

    backend = "coreml"

    def __init__(self, path: Path, compute_units: str = "all") -> None:
        if platform.system() != "Darwin":
            raise InputError("backend 'coreml' needs macOS: use --backend mil here")
        self._quoted = f"'{path}'"
        with quiet_coremltools():
            import coremltools as ct

            try:
                self._model = ct.models.MLModel(str(path), compute_units=ct.ComputeUnit[COMPUTE_UNITS[compute_units]])
            except Exception as error:
                reason = brief(error, 160)
                raise InputError(f"'{path}' is not a model that Core ML reads ({reason}): export it again") from error
        described = feature_descriptions(self._model.get_spec())
        image, output = check_features(self._quoted, *([Feature.from_description(each) for each in features] for features in described))
        self.name = model_name(path)
        self.compute_units = compute_units
        self.path = path
        height, width = image.shape
        self.input_size = (height, width)
        self.metadata: dict[str, str] = dict(self._model.user_defined_metadata)
        self._input, self._output = image.name, output.name

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            outputs = self._model.predict({self._input: Image.fromarray(fit(image, self.input_size))})
        except Exception as error:
            raise run_failure(self._quoted, error) from error
        return depth_map(np.asarray(outputs[self._output]), self._quoted)
