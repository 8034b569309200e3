"""A Core ML package through Core ML itself; macOS only. Written against coremltools' documented API, not run by its authors."""

import platform
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.mil.depth_interface import DepthInterface, Port
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.package.metadata import COMPUTE_UNITS, model_contract
from fcrn_mobile.package.reading import feature_descriptions
from fcrn_mobile.quiet import quiet_coremltools
from fcrn_mobile.runtimes.runtime import model_name, run_failure

__all__ = ["CoreMLRuntime"]


class CoreMLRuntime:
    """Runs a package of one picture in and one depth map out on those of the compute units that Core ML chooses."""

    backend = "coreml"

    def __init__(
        self, path: Path, model_config: Path | None = None, compute_units: str = "all", size: tuple[int, int] | None = None
    ) -> None:
        if platform.system() != "Darwin":
            raise InputError("backend 'coreml' needs macOS: use --backend mil here")
        with quiet_coremltools():
            import coremltools as ct

            try:
                self._model = ct.models.MLModel(str(path), compute_units=ct.ComputeUnit[COMPUTE_UNITS[compute_units]])
            except Exception as error:
                reason = brief(error, 160)
                raise InputError(f"'{path}' is not a model that Core ML reads ({reason}): export it again") from error
        described = feature_descriptions(self._model.get_spec())
        self.name = model_name(path)
        self.compute_units = compute_units
        self.path = path
        self.metadata: dict[str, str] = dict(self._model.user_defined_metadata)
        inputs, outputs = ([Port.of(Feature.from_description(each)) for each in features] for features in described)
        contract = model_contract(path, self.metadata, model_config)
        contract = (contract or DepthContract()).at(size) if size else contract
        self._interface = DepthInterface.of(f"'{path}'", inputs, outputs, contract)
        self.contract, self.input_size = self._interface.contract, self._interface.size

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        port, pixels = self._interface.input, self._interface.picture(image)
        try:
            outputs = self._model.predict({port.name: Image.fromarray(pixels) if port.kind == "image" else pixels})
        except Exception as error:
            raise run_failure(f"'{self.path}'", error) from error
        return self._interface.depth(np.asarray(outputs[self._interface.output.name]), image)
