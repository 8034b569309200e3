"""Weights of a layer whose fields say something that the builder does not write: no bias, signed numbers, contradictions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.mil import MilError
from tests.mil.neural_network.build import builder, close, load, random

INDICES = np.random.default_rng(0).integers(0, 256, (5, 7)).astype(np.uint8)
X = random(7)


def _quantized(change: Callable[[Any], Any] = lambda weights: None) -> Any:
    """A matrix of 8 bits and a scale per row, no bias."""
    built = builder({"x0": (7,)})
    built.add_inner_product("i", random(5, 7), None, 7, 5, False, "x0", "y")
    weights = built.spec.neuralNetwork.layers[0].innerProduct.weights
    weights.ClearField("floatValue")
    weights.rawValue = INDICES.tobytes()
    weights.quantization.numberOfBits = 8
    weights.quantization.linearQuantization.scale[:] = np.arange(1, 6) / 64
    change(weights)
    return built.spec


def test_a_linear_quantization_without_a_bias_has_none() -> None:
    expected = (INDICES * (np.arange(1, 6) / 64)[:, None]) @ X
    close(load(_quantized()).predict({"x0": X})["y"].reshape(5), expected, 1e-4)


def test_signed_numbers_are_scaled_as_they_are() -> None:
    def change(weights: Any) -> None:
        weights.ClearField("rawValue")
        weights.int8RawValue = INDICES.tobytes()

    expected = (INDICES.view(np.int8) * (np.arange(1, 6) / 64)[:, None]) @ X
    close(load(_quantized(change)).predict({"x0": X})["y"].reshape(5), expected, 1e-4)


@pytest.mark.parametrize("biases", [1, 5])
def test_a_bias_is_one_for_all_or_one_of_each_scale(biases: int) -> None:
    bias = random(biases, seed=2)
    spec = _quantized(lambda weights: weights.quantization.linearQuantization.bias.extend(bias.tolist()))
    expected = (INDICES * (np.arange(1, 6) / 64)[:, None] + bias[:, None]) @ X
    close(load(spec).predict({"x0": X})["y"].reshape(5), expected, 1e-4)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda w: w.ClearField("quantization"), "quantized, but do not say how"),
        (lambda w: w.quantization.__setattr__("numberOfBits", 0), "quantized to 0 bits, known are 1 to 8"),
        (lambda w: w.quantization.__setattr__("numberOfBits", 9), "quantized to 9 bits, known are 1 to 8"),
        (lambda w: w.quantization.linearQuantization.ClearField("scale"), "0 scales and 0 biases"),
        (lambda w: w.quantization.linearQuantization.bias.extend([1.0, 2.0]), "5 scales and 2 biases"),
        (lambda w: w.quantization.ClearField("linearQuantization"), "neither linearly nor by a table"),
        (lambda w: w.quantization.linearQuantization.scale.append(1.0), "weights of 5×7 are quantized with 6×256 values"),
        (lambda w: w.quantization.lookupTableQuantization.floatValue.extend([1.0] * 255), "quantized with 1×255 values"),
        (lambda w: w.__setattr__("rawValue", INDICES.tobytes()[:-1]), "weights are 34 values where it takes 5×7"),
        (lambda w: w.quantization.__setattr__("numberOfBits", 4) or w.__setattr__("rawValue", b"0" * 17), "weights are 0 values"),
    ],
)
def test_weights_that_contradict_themselves_are_refused(change: Any, reason: str) -> None:
    with pytest.raises(MilError, match=f"layer 'i' .*{reason}"):
        load(_quantized(change))
