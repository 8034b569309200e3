"""Weights of a layer whose fields say something that the builder does not write: no bias, signed numbers, contradictions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.neural_network.builder import Builder
from fcrn_mobile.mil.neural_network.weights import is_given, values, weight
from fcrn_mobile.mil.values import data_types, type_name
from fcrn_mobile.quiet import quiet_coremltools
from tests.mil.neural_network.build import builder, close, load, random

with quiet_coremltools():
    from coremltools.proto.NeuralNetwork_pb2 import WeightParams

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
        (lambda w: w.quantization.lookupTableQuantization.floatValue.extend([1.0] * 257), "quantized with 1×257 values"),
        (lambda w: w.quantization.linearQuantization.scale.__delitem__(slice(2, None)), "weights of 5×7 are quantized with 2×256 values"),
        (lambda w: w.__setattr__("rawValue", INDICES.tobytes()[:-1]), "weights are 34 values where it takes 5×7"),
        (lambda w: w.quantization.__setattr__("numberOfBits", 4) or w.__setattr__("rawValue", b"0" * 17), "weights are 0 values"),
        (lambda w: w.quantization.__setattr__("numberOfBits", 4) or w.__setattr__("rawValue", b"0" * 19), "weights are 0 values"),
        (lambda w: w.CopyFrom(WeightParams(int8RawValue=b"0" * 35)), "quantized, but do not say how"),
        (lambda w: w.CopyFrom(WeightParams(float16Value=b"0" * 69)), "weights are 34 values where it takes 5×7"),
        (lambda w: w.CopyFrom(WeightParams(floatValue=[1.0] * 36)), "weights are 36 values where it takes 5×7"),
    ],
)
def test_weights_that_contradict_themselves_are_refused(change: Any, reason: str) -> None:
    with pytest.raises(MilError, match=f"layer 'i' .*{reason}"):
        load(_quantized(change))


def _table(bits: int, shape: tuple[int, ...], rows: int = 0) -> tuple[WeightParams, Any]:
    """Weights by a table, or linear with one scale and bias for each of so many rows, and what they stand for."""
    draw = np.random.default_rng(bits)
    indices = draw.integers(0, 2**bits, shape)
    packed = np.packbits((indices.reshape(-1, 1) >> np.arange(bits - 1, -1, -1)) & 1)
    params = WeightParams(rawValue=packed.tobytes())
    params.quantization.numberOfBits = bits
    if rows:
        scale, bias = (draw.normal(size=rows).astype(np.float32) for _ in range(2))
        linear = params.quantization.linearQuantization
        linear.scale[:], linear.bias[:] = scale.tolist(), bias.tolist()
        wide = (-1, *(1,) * (len(shape) - 1))
        return params, indices * scale.reshape(wide) + bias.reshape(wide)
    table = draw.normal(size=2**bits).astype(np.float32)
    params.quantization.lookupTableQuantization.floatValue[:] = table.tolist()
    return params, table[indices]


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize(("shape", "rows"), [((5, 7), 0), ((5, 7), 5), ((5, 7), 1), ((6,), 6), ((2, 3, 4), 2)])
def test_arrays_of_quantized_weights_are_what_they_stand_for(bits: int, shape: tuple[int, ...], rows: int) -> None:
    params, expected = _table(bits, shape, rows)
    close(values(params, shape), expected)


@pytest.mark.parametrize("bits", range(1, 9))
def test_indices_are_stored_in_the_smallest_type_that_holds_them(bits: int) -> None:
    """MIL's unsigned types of few bits; 5 and 7 have none."""
    known = {int(name.removeprefix("UINT")) for name in data_types().values() if name.startswith("UINT")}
    net = Builder()
    tensor = weight(net, _table(bits, (5, 7))[0], (5, 7), "w")
    assert (tensor.name, tensor.shape) == ("w", (5, 7))
    names = {proto.outputs[0].name: type_name(proto.outputs[0].type) for proto in net.operations}
    assert names == {"w_indices": f"UINT{min(each for each in known if each >= bits)}", "w_table": "FLOAT32", "w": "FLOAT16"}


def test_scales_of_a_weight_lie_along_the_axis_that_the_layer_says() -> None:
    params, _ = _table(8, (2, 3))
    params.quantization.linearQuantization.scale[:] = [1.0, 2.0, 3.0]
    net = Builder()
    weight(net, params, (2, 3), axis=1)
    table = net.arrays[1]
    assert table.shape == (1, 3, 256, 1)
    np.testing.assert_array_equal(table[0, :, :, 0], np.arange(1, 4)[:, None] * np.arange(256))
    params.quantization.linearQuantization.scale[:] = [1.0, 2.0]
    weight(net, params, (2, 3))
    assert net.arrays[3].shape == (2, 1, 256, 1)


@pytest.mark.parametrize("field", ["floatValue", "float16Value", "rawValue", "int8RawValue"])
def test_weights_are_given_in_any_of_their_fields(field: str) -> None:
    assert not is_given(WeightParams())
    assert is_given(WeightParams(**{field: [1.0] if field == "floatValue" else b"00"}))


def test_weights_of_half_precision_stay_so_and_single_ones_too() -> None:
    net, numbers = Builder(), random(2, 3)
    assert weight(net, WeightParams(float16Value=numbers.astype(np.float16).tobytes()), (2, 3)).dtype == "FLOAT16"
    assert weight(net, WeightParams(floatValue=numbers.reshape(-1).tolist()), (2, 3)).dtype == "FLOAT32"
    np.testing.assert_array_equal(net.arrays[0], numbers.astype(np.float16))
    np.testing.assert_array_equal(net.arrays[1], numbers)
    assert values(WeightParams(float16Value=numbers.astype(np.float16).tobytes()), (2, 3)).dtype == np.float32


def test_a_weight_of_nothing_is_empty_and_one_of_negative_lengths_is_refused() -> None:
    assert values(WeightParams(), (0, 3)).shape == (0, 3)
    assert values(WeightParams(floatValue=[2.0]), ()) == 2
    for shape in ((-1, -6), (-2, -3), (-6, -1), (-2, 3, -1)):
        with pytest.raises(MilError, match="weights are 6 values"):
            values(WeightParams(floatValue=[1.0] * 6), shape)


def test_large_weights_are_read_from_the_file() -> None:
    """Of 64 KiB and more, which stay in the file until they are asked for."""
    weights = random(2, 2**14, seed=1)
    built = builder({"x0": (2**14,)})
    built.add_inner_product("i", weights, None, 2**14, 2, False, "x0", "y")
    x = random(2**14)
    close(load(built.spec).predict({"x0": x})["y"].reshape(2), weights @ x, 1e-3)
