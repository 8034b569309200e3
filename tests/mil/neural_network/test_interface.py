"""What goes into a network and comes out: pixels and their preprocessing, array mappings, flexible sizes, classes, defaults."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from fcrn_mobile.mil import MilError
from fcrn_mobile.quiet import quiet_coremltools
from tests.mil.neural_network.build import builder, close, load, random, run

with quiet_coremltools():
    from coremltools.models.datatypes import Array
    from coremltools.models.neural_network import NeuralNetworkBuilder, flexible_shape_utils

IMAGE = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)


def _network(exact: bool = False, **settings: Any) -> Any:
    """An image that comes out as it went in."""
    built = builder({"image": (3, 5, 6)}, exact=exact)
    built.add_activation("a", "LINEAR", "image", "y", [1.0, 0.0])
    built.set_pre_processing_parameters(image_input_names=["image"], **settings)
    return built


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("bgr", [False, True])
def test_an_image_is_scaled_and_each_colour_has_its_bias(bgr: bool, exact: bool) -> None:
    built = _network(exact, is_bgr=bgr, image_scale=1 / 255, red_bias=-0.1, green_bias=-0.2, blue_bias=-0.3)
    actual = load(built.spec).predict({"image": IMAGE})["y"]
    expected = (IMAGE / 255 + [-0.1, -0.2, -0.3]).transpose(2, 0, 1)
    expected = expected[::-1] if bgr else expected
    close(actual, expected[None] if exact else expected)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_an_array_without_a_batch_that_became_a_picture_gives_one_without(layout: str) -> None:
    """A picture is 1×C×H×W inside; C×H×W or H×W×C was the input that ``make_image_input`` made a picture of."""
    shape = (3, 5, 6) if layout == "NCHW" else (5, 6, 3)
    built = NeuralNetworkBuilder([("x", Array(*shape))], [("y", Array(*shape))], disable_rank5_shape_mapping=True)
    built.add_activation("a", "LINEAR", "x", "y", [2.0, 1.0])
    built.set_pre_processing_parameters(image_input_names=["x"], image_format=layout)
    expected = 2.0 * IMAGE + 1
    close(load(built.spec).predict({"x": IMAGE})["y"], expected.transpose(2, 0, 1) if layout == "NCHW" else expected)


def test_the_result_of_a_picture_lies_as_declared() -> None:
    built = NeuralNetworkBuilder([("x", Array(3, 5, 6))], [("y", Array(15, 6))], disable_rank5_shape_mapping=True)
    built.add_activation("a", "LINEAR", "x", "y", [2.0, 1.0])
    built.set_pre_processing_parameters(image_input_names=["x"], image_format="NCHW")
    close(load(built.spec).predict({"x": IMAGE})["y"], 2.0 * IMAGE.transpose(2, 0, 1).reshape(15, 6) + 1)


def test_a_gray_image_has_one_bias_and_a_mean_image_is_taken_away() -> None:
    built = builder({"image": (1, 5, 6)})
    built.add_activation("a", "LINEAR", "image", "y", [1.0, 0.0])
    built.set_pre_processing_parameters(image_input_names=["image"], image_scale=0.5, gray_bias=3.0)
    close(load(built.spec).predict({"image": IMAGE[..., 0]})["y"], IMAGE[None, ..., 0] * 0.5 + 3)
    built = _network()
    del built.spec.neuralNetwork.preprocessing[:]
    step = built.spec.neuralNetwork.preprocessing.add(featureName="image")
    mean = random(3, 5, 6)
    step.meanImage.meanImage.extend(mean.reshape(-1))
    close(load(built.spec).predict({"image": IMAGE})["y"], IMAGE.transpose(2, 0, 1) - mean)
    step.meanImage.meanImage.append(1.0)
    with pytest.raises(MilError, match=r"mean image of input 'image'.*has 91 values, the image 3×5×6"):
        load(built.spec)


def test_an_image_comes_out_as_pixels() -> None:
    built = _network(image_scale=0.5)
    output = built.spec.description.output[0]
    output.type.imageType.colorSpace, output.type.imageType.height, output.type.imageType.width = 20, 5, 6
    actual = load(built.spec).predict({"image": IMAGE})["y"]
    np.testing.assert_array_equal(actual, np.rint(IMAGE * 0.5))


@pytest.mark.parametrize(("shape", "result"), [((4,), (4,)), ((4, 2, 3), (4, 2, 3))])
def test_an_array_keeps_its_shape_on_the_way_through_five_axes(shape: tuple[int, ...], result: tuple[int, ...]) -> None:
    x = random(*shape)
    built = builder({"x0": shape})
    built.add_activation("a", "RELU", "x0", "y")
    built.spec.description.output[0].type.multiArrayType.shape.extend(shape)
    close(load(built.spec).predict({"x0": x})["y"], np.maximum(x, 0).reshape(result))


def test_whole_numbers_go_in_and_defaults_stand_in() -> None:
    built = builder({"x0": (3,), "x1": (3,)})
    built.add_elementwise("e", ["x0", "x1"], "y", "ADD")
    for feature in built.spec.description.input:
        feature.type.multiArrayType.dataType = 131104
    built.spec.description.input[1].type.isOptional = True
    close(load(built.spec).predict({"x0": np.array([1, 2, 3], np.int32)})["y"].reshape(3), [1.0, 2, 3])


@pytest.mark.parametrize("classes", [["cat", "dog", "owl"], [3, 5, 8]])
def test_a_classifier_gives_its_label_and_all_probabilities(classes: list[Any]) -> None:
    built = builder({"x0": (3,)}, mode="classifier")
    built.add_softmax("s", "x0", "y")
    built.set_class_labels(classes, "label", "y")
    results = load(built.spec).predict({"x0": np.array([0.0, 2.0, 1.0], np.float32)})
    assert results["label"] == classes[1]
    expected = torch.softmax(torch.tensor([0.0, 2.0, 1.0]), 0).tolist()
    (scores,) = [value for value in results.values() if isinstance(value, dict)]
    assert scores == pytest.approx(dict(zip(classes, expected, strict=True)))


def _flexible() -> Any:
    weight = random(3, 3, 2, 4, seed=1)
    built = builder({"x0": (2, 8, 10)})
    built.add_convolution("c", 2, 4, 3, 3, 2, 2, "same", 1, weight, None, False, input_name="x0", output_name="h")
    built.add_upsample("u", 2, 2, "h", "u", "NN")
    built.add_crop("k", 0, 0, 0, 0, [0, 0], ["u", "x0"], "y")
    return built, weight


def _expected(x: NDArray[Any], weight: NDArray[Any]) -> Any:
    height, width = x.shape[1:]
    pads = []
    for length in (width, height):
        total = max((-(-length // 2) - 1) * 2 + 3 - length, 0)
        pads += [total // 2, total - total // 2]
    maps = F.conv2d(F.pad(torch.from_numpy(x[None]), pads), torch.from_numpy(weight).permute(3, 2, 0, 1), stride=2)[0].numpy()
    return maps.repeat(2, 1).repeat(2, 2)[:, :height, :width]


@pytest.mark.parametrize("size", [(8, 10), (5, 7), (13, 16)])
def test_sizes_may_vary_within_a_range(size: tuple[int, int]) -> None:
    built, weight = _flexible()
    shape = flexible_shape_utils.NeuralNetworkMultiArrayShapeRange()
    shape.add_channel_range((2, 2))
    shape.add_height_range((4, 20))
    shape.add_width_range((4, -1))
    flexible_shape_utils.update_multiarray_shape_range(built.spec, "x0", shape)
    program, x = load(built.spec), random(2, *size)
    close(program.predict({"x0": x})["y"], _expected(x, weight))
    assert next(operation for operation in program.operations if operation.name == "h").outputs[0].shape == (1, 4, -1, -1)
    with pytest.raises(MilError, match="the package takes"):
        program.predict({"x0": random(2, 3, 9)})


def test_sizes_may_be_some_and_no_others() -> None:
    built, weight = _flexible()
    flexible_shape_utils.add_multiarray_ndshape_enumeration(built.spec, "x0", [(2, 6, 6), (2, 8, 10), (2, 12, 6)])
    program = load(built.spec)
    for size in ((6, 6), (12, 6)):
        x = random(2, *size)
        close(program.predict({"x0": x})["y"], _expected(x, weight))


@pytest.mark.parametrize("high", [-1, 5000])
def test_a_length_is_tried_at_more_than_twice_its_default(high: int) -> None:
    """One window of 800 fits into the least and the default length, two into twice of them."""
    built = builder({"x0": (1, 1, 800)})
    built.add_pooling("p", 1, 800, 1, 800, "MAX", "VALID", "x0", "y")
    array = built.spec.description.input[0].type.multiArrayType
    for least, most in ((1, 1), (1, 1), (800, high)):
        array.shapeRange.sizeRanges.add(lowerBound=least, upperBound=most)
    program, x = load(built.spec), random(1, 1, 1700)
    assert next(operation for operation in program.operations if operation.kind == "max_pool").outputs[0].shape == (1, 1, 1, -1)
    close(program.predict({"x0": x})["y"], x[..., :1600].reshape(1, 1, 2, 800).max(-1))


@pytest.mark.parametrize("default", [8, 1])
@pytest.mark.parametrize("highest", [-1, 40])
def test_sizes_that_no_layer_takes_may_begin_a_range(default: int, highest: int) -> None:
    """A range from 1 on is what converters write for any size; a convolution of 3×3 without padding takes none below 3."""
    weight = np.random.default_rng(0).normal(size=(3, 3, 2, 4)).astype(np.float32)
    built = builder({"x0": (2, default, default)}, exact=False)
    built.add_convolution("c", 2, 4, 3, 3, 1, 1, "valid", 1, weight, None, False, input_name="x0", output_name="y")
    shape = flexible_shape_utils.NeuralNetworkMultiArrayShapeRange()
    shape.add_channel_range((2, 2))
    shape.add_height_range((1, highest))
    shape.add_width_range((1, highest))
    flexible_shape_utils.update_multiarray_shape_range(built.spec, "x0", shape)
    program = load(built.spec)
    x = np.random.default_rng(1).normal(size=(2, 5, 9)).astype(np.float32)
    expected = torch.nn.functional.conv2d(torch.from_numpy(x), torch.from_numpy(weight.transpose(3, 2, 0, 1)))
    close(program.predict({"x0": x})["y"], expected.numpy())


def test_an_image_beside_an_array_of_any_rank_may_have_the_five_axes_of_a_sequence() -> None:
    built = builder({"image": (3, 5, 6), "x0": (2,)}, ("y", "z"), exact=True)
    built.add_activation("a", "LINEAR", "image", "y", [1.0, 0.0])
    built.add_activation("b", "LINEAR", "x0", "z", [2.0, 0.0])
    built.set_pre_processing_parameters(image_input_names=["image"])
    built.spec.neuralNetwork.imageInputShapeMapping = 0
    results = load(built.spec).predict({"image": IMAGE, "x0": random(2)})
    close(results["y"], IMAGE.transpose(2, 0, 1)[None, None].astype(np.float32))
    close(results["z"], 2 * random(2))


def test_half_precision_rounds_every_result_and_runs_over() -> None:
    x = np.array([1.0, 1.0009, 70000.0], np.float32)
    built = builder({"x0": (3,)})
    built.add_activation("a", "LINEAR", "x0", "y", [1.0, 0.0])
    half = load(built.spec, "float16").predict({"x0": x})["y"].reshape(3)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(half, x.astype(np.float16).astype(np.float32))
    close(run(lambda b: b.add_activation("a", "LINEAR", "x0", "y", [1.0, 0.0]), x).reshape(3), x)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d.input[0].type.multiArrayType.shape.append(4), "has the shape 3×4: networks before version 4 take C, C×H×W"),
        (lambda d: d.output[0].__setattr__("name", "z"), "output 'z' .* is given by no layer"),
        (lambda d: d.input[0].type.multiArrayType.ClearField("shape"), "is a array of no shape"),
    ],
)
def test_an_interface_that_no_network_has_is_refused(change: Any, reason: str) -> None:
    built = builder({"x0": (3,)})
    built.add_activation("a", "RELU", "x0", "y")
    change(built.spec.description)
    with pytest.raises(MilError, match=reason):
        load(built.spec)
