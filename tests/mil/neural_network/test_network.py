"""What a network takes and gives as a whole: mappings to axes, sizes that vary, preprocessing, names, classes."""

from typing import Any

import numpy as np
import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.neural_network.network import translate
from fcrn_mobile.mil.values import shape_of
from tests.mil.neural_network.build import Shape, builder, close, load, random, run

IMAGE = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
PIXELS = IMAGE.transpose(2, 0, 1).astype(np.float32)


def _declare(built: Any, shape: Shape) -> None:
    """The shape of the output, which builders leave open."""
    array = built.spec.description.output[0].type.multiArrayType
    array.ClearField("shape")
    array.shape.extend(shape)


def _double(built: Any, source: str = "x0", target: str = "y") -> None:
    built.add_activation(target, "LINEAR", source, target, [2.0, 0.0])


@pytest.mark.parametrize(
    ("arrays", "images", "array", "image"),
    [
        (0, 1, (1, 1, 4, 1, 1), (1, 3, 5, 6)),
        (1, 0, (4,), (1, 1, 3, 5, 6)),
        (1, 1, (4,), (1, 3, 5, 6)),
    ],
)
def test_arrays_and_images_have_the_axes_of_their_mappings(arrays: int, images: int, array: Shape, image: Shape) -> None:
    """NeuralNetwork.proto: RANK5_ARRAY_MAPPING and RANK5_IMAGE_MAPPING are 0, EXACT_ARRAY_MAPPING and RANK4_IMAGE_MAPPING 1."""
    built = builder({"image": (3, 5, 6), "x0": (4,)}, ("y", "z"), exact=True)
    _double(built, "image", "y")
    _double(built, "x0", "z")
    built.set_pre_processing_parameters(image_input_names=["image"])
    built.spec.neuralNetwork.arrayInputShapeMapping, built.spec.neuralNetwork.imageInputShapeMapping = arrays, images
    results = load(built.spec).predict({"image": IMAGE, "x0": random(4)})
    close(results["y"], 2 * PIXELS.reshape(image))
    close(results["z"], 2 * random(4).reshape(array))


@pytest.mark.parametrize("shape", [(2, 3, 4), (6, 2, 2, 3, 4)])
def test_arrays_beside_images_of_four_axes_have_five(shape: Shape) -> None:
    built = builder({"image": (3, 5, 6), "x0": shape}, ("y", "z"), exact=True)
    _double(built, "image", "y")
    _double(built, "x0", "z")
    built.set_pre_processing_parameters(image_input_names=["image"])
    built.spec.neuralNetwork.arrayInputShapeMapping = 0
    results = load(built.spec).predict({"image": IMAGE, "x0": random(*shape)})
    close(results["z"], 2 * random(*shape).reshape((1,) * (5 - len(shape)) + shape))


@pytest.mark.parametrize("mapping", [0, 1])
def test_an_image_alone_is_given_with_the_axes_of_its_mapping(mapping: int) -> None:
    built = builder({"image": (3, 5, 6)}, exact=True)
    _double(built, "image", "y")
    built.set_pre_processing_parameters(image_input_names=["image"])
    built.spec.neuralNetwork.imageInputShapeMapping = mapping
    built.spec.neuralNetwork.arrayInputShapeMapping = 0
    close(load(built.spec).predict({"image": IMAGE})["y"], 2 * (PIXELS[None] if mapping else PIXELS))


@pytest.mark.parametrize(
    ("taken", "declared", "expected"),
    [
        ((4,), (4,), (4,)),
        ((4,), (4, 1, 1), (4, 1, 1)),
        ((4,), (), (4, 1, 1)),
        ((4, 2, 1), (4,), (4, 2, 1)),
        ((4, 1, 3), (4,), (4, 1, 3)),
        ((4, 1, 1), (1, 1, 4, 1, 1), (4, 1, 1)),
        ((1, 1, 4, 5, 6), (4, 5, 6), (4, 5, 6)),
        ((3, 1, 4, 5, 6), (4, 5, 6), (3, 1, 4, 5, 6)),
        ((1, 3, 4, 5, 6), (4, 5, 6), (1, 3, 4, 5, 6)),
        ((2, 3, 4, 1, 1), (4,), (2, 3, 4, 1, 1)),
    ],
)
def test_one_image_is_given_without_sequence_and_batch(taken: Shape, declared: Shape, expected: Shape) -> None:
    built = builder({"x0": taken})
    _double(built)
    _declare(built, declared)
    close(load(built.spec).predict({"x0": random(*taken)})["y"], 2 * random(*taken).reshape(expected))


@pytest.mark.parametrize("batch", [1, 3])
def test_a_sequence_of_open_length_is_given_with_its_batch(batch: int) -> None:
    built = builder({"x0": (2, batch, 4, 1, 1)})
    _double(built)
    sides = built.spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges
    for low, high in ((1, 9), (batch, batch), (4, 4), (1, 1), (1, 1)):
        sides.add(lowerBound=low, upperBound=high)
    program = load(built.spec)
    for steps in (1, 2, 7):
        close(program.predict({"x0": random(steps, batch, 4, 1, 1)})["y"], 2 * random(steps, batch, 4, 1, 1))


def test_a_stored_map_beside_a_batch_is_a_single_one() -> None:
    stored = random(4, 5, 6, seed=1)
    built = builder({"x0": (1, 3, 4, 5, 6)}, ("y", "z"))
    _double(built)
    built.add_load_constant("c", "z", stored, [4, 5, 6])
    close(load(built.spec).predict({"x0": random(1, 3, 4, 5, 6)})["z"], stored)


def test_the_largest_batch_is_that_of_the_network() -> None:
    one, three = random(1, 1, 4, 1, 1), random(1, 3, 4, 1, 1, seed=1)
    for inputs in ((one, three), (three, one)):
        close(run(lambda b: b.add_elementwise("e", ["x0", "x1"], "y", "ADD"), *inputs), one + three)


@pytest.mark.parametrize("exact", [True, False])
def test_whole_numbers_are_floats_to_every_layer(exact: bool) -> None:
    built = builder({"x0": (3,)}, exact=exact)
    built.add_activation("a", "LINEAR", "x0", "y", [0.5, 0.25])
    built.spec.description.input[0].type.multiArrayType.dataType = 131104
    expected = np.array([1.25, -0.25, 50000.25], np.float32)
    close(load(built.spec).predict({"x0": np.array([2, -1, 100000], np.int32)})["y"].reshape(3), expected)


def _shapes_of_y(built: Any) -> Shape:
    """Of the operator that gives the output, as far as it is known before running."""
    function = translate(built.spec, "net").block
    return next(shape_of(output.type) for each in function.operations for output in each.outputs if output.name == "y")


@pytest.mark.parametrize(
    ("default", "others", "expected"),
    [
        ((2, 4), [(2, 5), (3, 5)], (-1, -1)),
        ((3, 5), [(2, 5), (2, 4)], (-1, -1)),
        ((3, 5), [(3, 4), (2, 4)], (-1, -1)),
        ((2, 5), [(2, 4)], (2, -1)),
        ((2, 4), [(2, 5)], (2, -1)),
        ((2, 4), [], (2, 4)),
    ],
)
def test_lengths_that_differ_between_the_shapes_of_an_input_are_open(default: Shape, others: list[Shape], expected: Shape) -> None:
    built = builder({"x0": default}, exact=True)
    _double(built)
    for shape in (default, *others):
        built.spec.description.input[0].type.multiArrayType.enumeratedShapes.shapes.add(shape=shape)
    assert _shapes_of_y(built) == expected


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([(2, 2), (4, 4)], (2, 4)),
        ([(1, 2), (4, 4)], (-1, 4)),
        ([(2, 3), (4, 4)], (-1, 4)),
        ([(2, 2), (4, -1)], (2, -1)),
        ([(2, 2), (0, 4)], (2, -1)),
    ],
)
def test_lengths_of_a_range_are_open_and_others_are_not(ranges: list[Shape], expected: Shape) -> None:
    built = builder({"x0": (2, 4)}, exact=True)
    _double(built)
    for low, high in ranges:
        built.spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    assert _shapes_of_y(built) == expected


def test_an_axis_of_one_in_a_flexible_shape_stays_one() -> None:
    built = builder({"x0": (1, 4)}, exact=True)
    built.add_squeeze("s", "x0", "y", [0])
    for low, high in ((1, 1), (0, 9)):
        built.spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    assert _shapes_of_y(built) == (-1,)


def test_lengths_from_zero_are_tried_from_one() -> None:
    """A global maximum has none over nothing."""
    built = builder({"x0": (3, 4, 4)})
    built.add_reduce("r", "x0", "y", "HW", "max")
    for low, high in ((3, 3), (0, 9), (0, 9)):
        built.spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    x = random(3, 2, 5)
    close(load(built.spec).predict({"x0": x})["y"], x.max((1, 2), keepdims=True))


def _image(steps: list[dict[str, Any]], names: tuple[str, ...] = ("image",)) -> Any:
    """Images that come out as their preprocessing left them, as y0, y1…"""
    outputs = [f"y{index}" for index in range(len(names))]
    built = builder(dict.fromkeys(names, (3, 5, 6)), outputs)
    for name, output in zip(names, outputs, strict=True):
        built.add_activation(output, "LINEAR", name, output, [1.0, 0.0])
    built.set_pre_processing_parameters(image_input_names=list(names))
    del built.spec.neuralNetwork.preprocessing[:]
    for step in steps:
        scaler = built.spec.neuralNetwork.preprocessing.add(featureName=step.get("of", "")).scaler
        for field, value in ({"channelScale": 1.0} | step).items():
            if field != "of":
                setattr(scaler, field, value)
    return built.spec


def test_each_image_has_the_steps_that_name_it_and_those_that_name_none() -> None:
    steps = [{"of": "b", "channelScale": 3.0}, {"of": "a", "channelScale": 2.0}, {"redBias": 1.0}, {"of": "b", "channelScale": 0.5}]
    results = load(_image(steps, ("a", "b"))).predict({"a": IMAGE, "b": IMAGE[::-1]})
    red = np.array([1, 0, 0])[:, None, None]
    close(results["y0"], 2 * PIXELS + red)
    close(results["y1"], (3 * PIXELS[:, ::-1] + red) / 2)


@pytest.mark.parametrize("scale", [1.0, 2.0, 0.5])
def test_a_scale_of_one_and_no_bias_cost_no_operator(scale: float) -> None:
    program = load(_image([{"channelScale": scale}]))
    assert [operation.kind for operation in program.operations].count("mul") == (scale != 1)
    assert "add" not in [operation.kind for operation in program.operations]
    close(program.predict({"image": IMAGE})["y0"], scale * PIXELS)


@pytest.mark.parametrize("mapping", [0, 1])
def test_a_mean_image_is_taken_away_of_images_with_any_axes(mapping: int) -> None:
    built = builder({"image": (3, 5, 6)}, exact=True)
    _double(built, "image", "y")
    built.set_pre_processing_parameters(image_input_names=["image"])
    del built.spec.neuralNetwork.preprocessing[:]
    mean = random(3, 5, 6)
    built.spec.neuralNetwork.preprocessing.add(featureName="image").meanImage.meanImage.extend(mean.reshape(-1))
    built.spec.neuralNetwork.imageInputShapeMapping = mapping
    expected = 2 * (PIXELS - mean)
    close(load(built.spec).predict({"image": IMAGE})["y"], expected[None] if mapping else expected)


def test_operators_bear_the_name_of_their_layer_or_its_kind() -> None:
    built = builder({"x0": (3,)})
    built.add_unary("named", "x0", "h", "sqrt", scale=2.0)
    built.add_unary("other", "h", "y", "sqrt", scale=2.0)
    built.spec.neuralNetwork.layers[1].name = ""
    names = [output.name for each in translate(built.spec, "net").block.operations for output in each.outputs]
    assert [name for name in names if "linear" in name] == ["named/linear_activation", "unary/linear_activation"]
    assert names.index("h") < names.index("y")


def test_a_name_that_is_given_anew_is_another_value_from_there_on() -> None:
    """``z`` is y's first value under another name, the output y its second."""

    def body(b: Any) -> None:
        b.add_unary("first", "x0", "y", "abs")
        b.add_copy("copy", "y", "z")
        b.add_activation("second", "LINEAR", "y", "y'", [2.0, 1.0])
        b.add_copy("again", "y'", "y")

    x = random(4)
    second, first = run(body, x, exact=True, outputs=("y", "z"))
    close(first, np.abs(x))
    close(second, 2 * np.abs(x) + 1)


def test_what_a_loop_alone_gives_is_an_output() -> None:
    def body(b: Any) -> None:
        inner = b.add_loop("loop", max_iterations=2).loop.bodyNetwork
        layer = inner.layers.add(name="a", input=["x0"], output=["y"]).activation.linear
        layer.alpha = 3.0

    close(run(body, random(4), exact=True), 3 * random(4))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda network: network.layers[0].output.append("z"), "layer 'a' .*names 2 outputs, it has 1"),
        (lambda network: network.layers[0].input.__setitem__(0, "none"), "layer 'a' .*reads 'none', which no layer before it gives"),
        (lambda network: network.layers[0].ClearField("activation"), "layer 'a' .unknown kind. .*not known"),
    ],
)
def test_a_layer_that_does_not_hang_together_is_named(change: Any, reason: str) -> None:
    built = builder({"x0": (3,)})
    built.add_activation("a", "RELU", "x0", "y")
    change(built.spec.neuralNetwork)
    with pytest.raises(MilError, match=reason):
        translate(built.spec, "net")


def test_a_layer_may_leave_outputs_unnamed() -> None:
    def body(b: Any) -> None:
        b.add_topk("t", ["x0"], ["y", "i"], 2, -1)
        del b.nn_spec.layers[0].output[1]

    close(run(body, random(5), exact=True), np.sort(random(5))[:-3:-1])


SCORES = np.array([0.0, 2.0, 1.0], np.float32)


def _classifier(named: str = "y", second: str = "", outputs: tuple[str, ...] = ("y",)) -> Any:
    """A softmax between two other layers, by the name of the blob with the probabilities."""
    built = builder({"x0": (3,)}, outputs, mode="classifier")
    built.add_activation("a", "LINEAR", "x0", "h", [1.0, 0.0])
    built.add_softmax("s", "h", "y")
    built.set_class_labels(["cat", "dog", "owl"], "label", "y")
    if second:
        built.add_activation("b", "LINEAR", "y", second, [-1.0, 1.0])
    built.spec.neuralNetworkClassifier.labelProbabilityLayerName = named
    return built.spec


def _probabilities(scores: Any) -> Any:
    return pytest.approx(dict(zip(("cat", "dog", "owl"), scores, strict=True)))


def test_classes_are_those_of_the_blob_that_is_named_or_of_the_last_layers_first_output() -> None:
    soft = torch.softmax(torch.from_numpy(SCORES), 0).numpy()
    for named, scores in (("y", soft), ("", 1 - soft), ("h", SCORES), ("z", 1 - soft)):
        results = load(_classifier(named, "z")).predict({"x0": SCORES})
        assert results["y"] == _probabilities(scores)
        assert results["label"] == ("cat", "dog", "owl")[int(np.argmax(scores))]
    spec = _classifier("", "z")
    layer = spec.neuralNetworkClassifier.layers.add(name="p", input=["z"], output=["ordered", "places"])
    layer.topK.K, layer.topK.axis = 3, -3
    assert load(spec).predict({"x0": SCORES})["y"] == _probabilities(np.sort(1 - soft)[::-1])


@pytest.mark.parametrize("label", ["label", ""])
def test_a_classifier_may_leave_its_label_unnamed(label: str) -> None:
    spec = _classifier()
    spec.description.predictedFeatureName = label
    if not label:
        del spec.description.output[1]
    results = load(spec).predict({"x0": SCORES})
    assert set(results) == {"y", label} - {""}
    assert results["y"]["dog"] == pytest.approx(float(torch.softmax(torch.from_numpy(SCORES), 0)[1]))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda network: network.ClearField("ClassLabels"), "without labels"),
        (lambda network: network.__setattr__("labelProbabilityLayerName", "none"), "without probabilities"),
        (lambda network: network.ClearField("layers"), "without probabilities"),
    ],
)
def test_a_classifier_without_labels_or_probabilities_is_refused(change: Any, reason: str) -> None:
    spec = _classifier("")
    change(spec.neuralNetworkClassifier)
    with pytest.raises(MilError, match=reason):
        translate(spec, "net")


def test_an_output_that_is_neither_label_nor_probabilities_is_refused() -> None:
    spec = _classifier()
    spec.description.output.add(name="odd").type.int64Type.SetInParent()
    with pytest.raises(MilError, match=r"'odd' .*is nothing that its network gives"):
        translate(spec, "net")
