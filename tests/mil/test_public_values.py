"""Values from elsewhere that public models are held against: found for the kinds that they are there for, and off where a model is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from public_models import difference
from public_values import independent_values

from fcrn_mobile.package.reading import read_specification
from fcrn_mobile.quiet import quiet_coremltools

from .build import mb, save_program
from .neural_network.build import load, random, save

with quiet_coremltools():
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder


def _digits() -> Any:
    """A small classifier of grey pictures."""
    built = NeuralNetworkBuilder([("image", datatypes.Array(1, 8, 8))], [("scores", None)], mode="classifier")
    built.add_convolution("conv", 1, 4, 3, 3, 1, 1, "same", 1, random(3, 3, 1, 4), random(4, seed=1), True, False, None, "image", "conv")
    built.add_activation("relu", "RELU", "conv", "relu")
    built.add_pooling("pool", 2, 2, 2, 2, "MAX", "VALID", "relu", "pool")
    built.add_flatten("flat", 0, "pool", "flat")
    built.add_inner_product("dense", random(3, 64, seed=2), random(3, seed=3), 64, 3, True, "flat", "dense")
    built.add_softmax("softmax", "dense", "scores")
    built.set_class_labels(["a", "b", "c"], predicted_feature_name="label", prediction_blob="scores")
    built.set_pre_processing_parameters(image_input_names=["image"], gray_bias=-0.5, image_scale=1 / 255)
    return built.spec


def test_a_network_is_computed_by_torch_as_well_and_a_wrong_weight_shows(tmp_path: Path) -> None:
    spec = _digits()
    image = {"image": np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)}
    origin, values = independent_values(save(spec, tmp_path), spec, image)  # type: ignore[misc]
    assert origin == "its layers in torch"
    assert difference(values, load(spec).predict(image)) < 1e-6
    spec.neuralNetworkClassifier.layers[0].convolution.bias.floatValue[0] += 1
    assert difference(values, load(spec).predict(image)) > 1e-3


def test_an_onnx_file_of_the_same_name_is_a_models_twin(tmp_path: Path) -> None:
    path = save_program(tmp_path, lambda x0: mb.mul(x=x0, y=3.0, name="y"), [np.zeros((2, 3), np.float32)])
    inputs = {"x0": random(2, 3)}
    model = read_specification(path)[0]
    assert independent_values(path, model, inputs) is None

    class Triple(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 3 * x

    torch.onnx.export(Triple(), (torch.zeros(2, 3),), str(path.with_suffix(".onnx")), dynamo=False)
    origin, values = independent_values(path, model, inputs)  # type: ignore[misc]
    assert origin == f"ONNX Runtime on {path.stem}.onnx"
    np.testing.assert_allclose(values["y"], 3 * random(2, 3))


def test_layers_that_are_not_computed_elsewhere_have_no_values(tmp_path: Path) -> None:
    spec = _digits()
    spec.neuralNetworkClassifier.layers[1].lrn.alpha = 1.0
    assert independent_values(save(spec, tmp_path), spec, {"image": np.zeros((8, 8), np.uint8)}) is None


def test_another_shape_is_no_small_difference() -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        difference({"y": np.ones(3)}, {"y": np.ones((1, 3))})
