"""Values at and beyond what a feature declares, in both directions."""

from typing import Any

import numpy as np
import pytest
import torch
from coremltools.proto.Model_pb2 import FeatureDescription
from PIL import Image

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.shapes import ShapeRule


def array(dtype: str, *shape: int, default: float | None = None) -> Feature:
    return Feature("x", "array", dtype, ShapeRule(shape), default=default)


def image(dtype: str, height: int = 2, width: int = 3) -> Feature:
    return Feature("x", "image", dtype, ShapeRule((height, width)))


@pytest.mark.parametrize(
    ("number", "name"), [(65552, "FLOAT16"), (65568, "FLOAT32"), (65600, "DOUBLE"), (131104, "INT32"), (131080, "INT8"), (0, "unknown")]
)
def test_the_types_of_arrays(number: int, name: str) -> None:
    described = FeatureDescription(name="a", shortDescription="words")
    described.type.multiArrayType.shape.extend([1, 2])
    described.type.multiArrayType.dataType = number
    feature = Feature.from_description(described)
    assert (feature.name, feature.kind, feature.dtype, feature.shape, feature.description) == ("a", "array", name, (1, 2), "words")
    assert feature.default is None
    described.type.isOptional = True
    assert Feature.from_description(described).default == 0.0
    described.type.multiArrayType.floatDefaultValue = 2.5
    assert Feature.from_description(described).default == 2.5
    described.type.multiArrayType.intDefaultValue = 3
    described.type.isOptional = False
    assert Feature.from_description(described).default == 3.0


@pytest.mark.parametrize(("number", "name"), [(10, "GRAYSCALE"), (20, "RGB"), (30, "BGR"), (40, "GRAYSCALE_FLOAT16")])
def test_the_layouts_of_images(number: int, name: str) -> None:
    described = FeatureDescription(name="a", shortDescription="words")
    picture = described.type.imageType
    picture.colorSpace, picture.height, picture.width = number, 4, 6
    feature = Feature.from_description(described)
    assert (feature.kind, feature.dtype, feature.shape, feature.description) == ("image", name, (4, 6), "words")


def test_the_outputs_of_classifiers_and_what_is_neither() -> None:
    described = FeatureDescription(name="a")
    described.type.stringType.SetInParent()
    assert (Feature.from_description(described).kind, Feature.from_description(described).dtype) == ("label", "STRING")
    described.type.int64Type.SetInParent()
    assert (Feature.from_description(described).kind, Feature.from_description(described).dtype) == ("label", "INT64")
    described.type.dictionaryType.SetInParent()
    scores = Feature.from_description(described)
    assert (scores.kind, scores.dtype) == ("scores", "INT64")
    assert scores.to_tensor({2: 1}) == {2: 1.0}
    with pytest.raises(MilError, match="input 'a' is int: give a dictionary of numbers"):
        scores.to_tensor(2)
    described.type.sequenceType.SetInParent()
    with pytest.raises(MilError, match="'a' is a sequenceType: only images, arrays, numbers, texts and dictionaries are supported"):
        Feature.from_description(described)


@pytest.mark.parametrize(("dtype", "least", "greatest"), [("INT8", -128, 127), ("INT32", -(2**31), 2**31 - 1)])
def test_integers_at_the_ends_of_their_range_go_in_and_the_next_do_not(dtype: str, least: int, greatest: int) -> None:
    feature = array(dtype, 2)
    taken = feature.to_tensor([least, greatest])
    assert (taken.dtype, taken.tolist()) == (torch.int32, [least, greatest])
    for beyond in ([least - 1, 0], [0, greatest + 1]):
        with pytest.raises(MilError, match=f"has values beyond {dtype}"):
            feature.to_tensor(np.array(beyond, np.int64))
    assert feature.to_tensor([True, False]).tolist() == [1, 0]
    with pytest.raises(MilError, match="is <U1, the package takes INT"):
        feature.to_tensor(["1", "2"])
    assert array(dtype, 0).to_tensor(np.zeros(0, np.int32)).shape == (0,)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_whole_numbers_may_come_as_floats(kind: type) -> None:
    feature = array("INT32", 3)
    taken = feature.to_tensor(np.array([-7.0, 0.0, 2048.0], kind))
    assert (taken.dtype, taken.tolist()) == (torch.int32, [-7, 0, 2048])
    for wrong in (0.5, np.nan, np.inf, -np.inf):
        with pytest.raises(MilError, match="the package takes INT32: give whole numbers"):
            feature.to_tensor(np.array([1, 2, wrong], kind))
    with pytest.raises(MilError, match="has values beyond INT32"):
        feature.to_tensor([1.0, 2.0, 2.0**31])
    assert array("INT8", 0).to_tensor(np.zeros(0)).shape == (0,)


def test_a_result_without_axes_comes_as_an_array_of_one() -> None:
    assert array("FLOAT32").to_array(torch.tensor(2.5)).tolist() == [2.5]
    assert array("INT32").to_array(torch.tensor(3)).dtype == np.int32
    assert array("FLOAT32", 1, 1).to_array(torch.tensor([[2.5]])).tolist() == [[2.5]]


def test_floats_are_rounded_where_the_input_is_half_and_nowhere_else() -> None:
    value = 1 + 2**-12
    assert array("FLOAT16", 1).to_tensor([value]).item() == 1.0
    assert array("FLOAT32", 1).to_tensor([value]).item() == value
    assert array("FLOAT16", 1).to_tensor([1e6]).item() == np.inf
    assert array("FLOAT32", 1).to_tensor([3]).dtype == torch.float32
    assert array("FLOAT32", 1).to_tensor([True]).item() == 1.0
    for value_of_no_use in (["a"], [1j]):
        with pytest.raises(MilError, match="the package takes FLOAT32: give real numbers"):
            array("FLOAT32", 1).to_tensor(value_of_no_use)
    with pytest.raises(MilError, match="input 'x' has shape 3, the package takes 2: resize it first"):
        array("FLOAT32", 2).to_tensor([1.0, 2, 3])


def test_what_goes_in_is_a_copy() -> None:
    given = np.ones(2, np.float32)
    array("FLOAT32", 2).to_tensor(given)[0] = 5
    assert given.tolist() == [1, 1]


def test_an_input_that_is_left_out_is_its_default_everywhere() -> None:
    assert array("FLOAT32", 2, default=2.5).default_tensor().tolist() == [2.5, 2.5]
    whole = array("INT32", 2, default=3.0).default_tensor()
    assert (whole.dtype, whole.tolist()) == (torch.int32, [3, 3])


PIXELS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)


def test_pixels_become_planes_in_the_order_of_the_layout() -> None:
    planes = PIXELS.transpose(2, 0, 1)[None].astype(np.float32)
    assert image("RGB").to_tensor(PIXELS).numpy().tolist() == planes.tolist()
    assert image("BGR").to_tensor(PIXELS).numpy().tolist() == planes[:, ::-1].tolist()
    gray = image("GRAYSCALE").to_tensor(PIXELS[..., 0])
    assert gray.tolist() == [[PIXELS[..., 0].tolist()]]
    floats = image("GRAYSCALE_FLOAT16").to_tensor(np.full((2, 3), 1 + 2**-12, np.float32))
    assert (floats.shape, floats.dtype, floats.unique().tolist()) == ((1, 1, 2, 3), torch.float32, [1.0])
    assert image("RGB").to_tensor(PIXELS).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("RGB", PIXELS[..., 0], "has shape 2×3, the package takes RGB pixels such as 2×3×3"),
        ("RGB", PIXELS[..., :2], "has shape 2×3×2, the package takes RGB pixels such as 2×3×3"),
        ("GRAYSCALE", PIXELS, "has shape 2×3×3, the package takes GRAYSCALE pixels such as 2×3"),
        ("RGB", PIXELS[:1], "has shape 1×3×3, the package takes 2×3: resize it first"),
        ("RGB", PIXELS.astype(np.float32), "is float32: give 8-bit pixels"),
        ("GRAYSCALE", PIXELS[..., 0].astype(np.int32), "is int32: give 8-bit pixels"),
        ("GRAYSCALE_FLOAT16", PIXELS[..., 0], "is uint8: give floating-point pixels"),
        ("RGB", Image.fromarray(PIXELS[..., 0]), "is a 'L' image: convert it to 'RGB' first"),
        ("GRAYSCALE", Image.fromarray(PIXELS), "is a 'RGB' image: convert it to 'L' first"),
        ("GRAYSCALE_FLOAT16", Image.fromarray(PIXELS[..., 0]), "is a 'L' image: convert it to 'F' first"),
    ],
)
def test_pixels_of_another_form_are_refused(dtype: str, value: Any, message: str) -> None:
    with pytest.raises(MilError, match=f"input 'x' {message}"):
        image(dtype).to_tensor(value)


def test_results_are_rounded_to_even_and_held_within_a_byte() -> None:
    values = torch.tensor([[-1.0, 0.5, 1.5], [254.6, 256.0, torch.nan]])
    gray = image("GRAYSCALE").to_array(values[None, None])
    assert (gray.dtype, gray.tolist()) == (np.uint8, [[0, 0, 2], [255, 255, 0]])
    assert image("GRAYSCALE").to_array(torch.tensor([[0.4, -torch.inf, torch.inf]] * 2)).tolist() == [[0, 0, 255]] * 2
    floats = image("GRAYSCALE_FLOAT16").to_array(values[None])
    assert floats.dtype == np.float32
    assert floats[0].tolist() == [-1, 0.5, 1.5]


def test_planes_become_pixels_in_the_order_of_the_layout() -> None:
    planes = torch.from_numpy(PIXELS.transpose(2, 0, 1).astype(np.float32))
    assert image("RGB").to_array(planes[None]).tolist() == PIXELS.tolist()
    bgr = image("BGR").to_array(planes)
    assert bgr.tolist() == PIXELS[..., ::-1].tolist()
    assert bgr.flags.c_contiguous


@pytest.mark.parametrize(("dtype", "shape"), [("RGB", (2, 3)), ("RGB", (2, 3, 2, 3)), ("GRAYSCALE", (3, 2, 3)), ("GRAYSCALE", (6,))])
def test_a_result_that_is_no_image_is_refused(dtype: str, shape: tuple[int, ...]) -> None:
    shown = "×".join(map(str, shape))
    with pytest.raises(MilError, match=f"output 'x' has shape {shown}, which is no {dtype} image"):
        image(dtype).to_array(torch.zeros(shape))


def test_arrays_come_out_in_their_type_and_labels_as_they_are() -> None:
    assert array("INT32", 2).to_array(torch.tensor([1, 2])).dtype == np.int32
    assert array("FLOAT32", 2).to_array(torch.tensor([1, 2])).dtype == np.float32
    assert array("FLOAT16", 2).to_array(torch.tensor([0.5, 2])).tolist() == [0.5, 2]
    assert Feature("x", "label", "STRING", ShapeRule(())).to_array("cat") == "cat"
    assert Feature("x", "scores", "STRING", ShapeRule(())).to_array({"cat": 0.5}) == {"cat": 0.5}
    for feature in (array("FLOAT32", 2), image("RGB")):
        with pytest.raises(MilError, match=f"output 'x' is no {feature.kind} but a str"):
            feature.to_array("cat")


def test_only_images_and_arrays_have_shapes_for_people() -> None:
    for feature, text in (
        (array("FLOAT32", 2, 3), "FLOAT32 array 2×3"),
        (array("FLOAT32"), "FLOAT32 array"),
        (image("RGB"), "RGB image 2×3"),
        (Feature("x", "array", "INT32", ShapeRule((2,), ranges=((1, None),))), "INT32 array 1.."),
        (Feature("x", "number", "DOUBLE", ShapeRule(())), "DOUBLE number"),
        (Feature("x", "number", "DOUBLE", ShapeRule((2,))), "DOUBLE number"),
    ):
        assert feature.type_text == text


@pytest.mark.parametrize("value", ["1", [1.0, 2.0], [], 1j, None, {"a": 1}])
def test_a_number_is_one_real_number(value: Any) -> None:
    number, scores = Feature("x", "number", "DOUBLE", ShapeRule(())), Feature("x", "scores", "STRING", ShapeRule(()))
    for feature, given in ((number, value), (scores, {"a": value})):
        with pytest.raises(MilError, match="give a number"):
            feature.to_tensor(given)


@pytest.mark.parametrize("value", [2.5, np.float32(1 / 3), 7, [4.0], np.array([[3]])])
def test_a_number_keeps_all_its_digits(value: Any) -> None:
    number = Feature("x", "number", "DOUBLE", ShapeRule(()), default=0.1)
    taken = number.to_tensor(value)
    assert (taken.dtype, taken.shape, float(taken)) == (torch.float64, (), float(np.asarray(value).item()))
    assert type(number.to_array(taken)) is float and number.to_array(taken) == float(taken)
    assert (number.default_tensor().dtype, float(number.default_tensor())) == (torch.float64, 0.1)


def test_labels_are_texts_or_single_whole_numbers() -> None:
    text, whole = (Feature("x", "label", dtype, ShapeRule(())) for dtype in ("STRING", "INT64"))
    assert (text.to_tensor("cat"), whole.to_tensor(np.int32(-3)), whole.to_tensor([5])) == ("cat", -3, 5)
    assert type(whole.to_tensor(np.int64(5))) is int
    with pytest.raises(MilError, match="input 'x' is '3': give a text"):
        text.to_tensor(3)
    for wrong in ([1, 2], [], 2.5, "cat"):
        with pytest.raises(MilError, match="give a whole number"):
            whole.to_tensor(wrong)


def test_keys_of_scores_are_of_the_type_that_they_have_in_the_description() -> None:
    described = FeatureDescription(name="a")
    described.type.dictionaryType.stringKeyType.SetInParent()
    texts = Feature.from_description(described)
    described.type.dictionaryType.int64KeyType.SetInParent()
    numbers = Feature.from_description(described)
    assert (texts.dtype, texts.to_tensor({"a": 1}), numbers.dtype, numbers.to_tensor({np.int64(2): 0.5})) == (
        "STRING",
        {"a": 1},
        "INT64",
        {2: 0.5},
    )
    for scores, wrong, told in ((texts, {1: 1}, "give a text"), (numbers, {"a": 1}, "give a whole number")):
        with pytest.raises(MilError, match=told):
            scores.to_tensor(wrong)


def test_a_state_begins_at_zero_and_a_number_has_no_shape() -> None:
    described = FeatureDescription(name="s")
    described.type.stateType.arrayType.shape.extend([2, 3])
    described.type.stateType.arrayType.dataType = 65552
    state = Feature.from_description(described)
    assert (state.kind, state.dtype, state.shape, state.default) == ("array", "FLOAT16", (2, 3), 0.0)
    described.type.doubleType.SetInParent()
    number = Feature.from_description(described)
    assert (number.kind, number.dtype, number.shape, number.default) == ("number", "DOUBLE", (), None)
