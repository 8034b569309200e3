"""How a picture goes in and depth comes out: values computed by hand with NumPy, and every model that is refused, without one on disk."""

from typing import Any

import numpy as np
import pytest

from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.depth_interface import ZERO_TO_ONE, DepthInterface, PictureInput, Port, depth_map
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.shapes import ShapeRule

MEAN, STD = (0.5, 0.25, 0.125), (0.5, 2.0, 4.0)
FIRST = DepthContract(mean=MEAN, std=STD)
LAST = DepthContract(mean=MEAN, std=STD, layout="channels-last")
MAP = Port("depth", "float32", (1, 1, 4, 6))
#: 4×6 pixels in every channel of which both ends of 0..255 stand.
PICTURE = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
PICTURE[0, 0], PICTURE[3, 5] = 0, 255


def array(*shape: int | None, dtype: str = "float32", shapes: ShapeRule | None = None) -> Port:
    return Port("x", dtype, shape, shapes=shapes)


def image(height: int = 4, width: int = 6, dtype: str = "RGB", **rule: Any) -> Port:
    return Port("x", dtype, (height, width), "image", ShapeRule((height, width), **rule))


def taking(port: Port, contract: DepthContract | None = None, custom: DepthContract | None = None) -> PictureInput:
    return PictureInput.of("net", [port], contract, custom)


def refusal(*ports: Port, contract: DepthContract | None = None, custom: DepthContract | None = None) -> str:
    with pytest.raises(InputError) as caught:
        PictureInput.of("net", ports, contract, custom)
    return str(caught.value)


def normalised(mean: Any = MEAN, std: Any = STD) -> np.ndarray:
    """4×6×3."""
    return (PICTURE / 255 - np.array(mean)) / np.array(std)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    ("shape", "contract", "expected"),
    [
        ((1, 3, 4, 6), FIRST, normalised().transpose(2, 0, 1)[None]),
        ((None, 3, 4, 6), FIRST, normalised().transpose(2, 0, 1)[None]),
        ((3, 4, 6), FIRST, normalised().transpose(2, 0, 1)),
        ((1, 4, 6, 3), LAST, normalised()[None]),
        ((4, 6, 3), LAST, normalised()),
    ],
)
def test_an_array_gets_normalised_values_in_its_shape_and_type(
    shape: tuple[int, ...], contract: DepthContract, expected: np.ndarray, dtype: str
) -> None:
    values = taking(array(*shape, dtype=dtype), contract).fill(PICTURE)
    assert values.dtype == dtype
    assert values.shape == expected.shape
    np.testing.assert_array_equal(values, expected.astype(dtype))


def test_the_mean_of_an_array_that_takes_blue_first_is_in_its_order() -> None:
    contract = DepthContract(mean=MEAN, std=STD, channels="BGR")
    expected = (PICTURE[..., ::-1] / 255 - np.array(MEAN)) / np.array(STD)
    np.testing.assert_array_equal(taking(array(1, 3, 4, 6), contract).fill(PICTURE)[0], expected.transpose(2, 0, 1).astype(np.float32))


@pytest.mark.parametrize("dtype", ["RGB", "BGR"])
def test_an_image_gets_pixels_as_they_are_whose_order_is_the_models_business(dtype: str) -> None:
    taken = taking(image(dtype=dtype))
    np.testing.assert_array_equal(taken.fill(PICTURE), PICTURE)
    assert (taken.size, taken.contract.channels) == ((4, 6), dtype)
    assert taking(image(dtype=dtype), DepthContract(channels="BGR", depth="scale")).contract == DepthContract(channels=dtype, depth="scale")


def test_a_picture_of_another_size_is_framed_first() -> None:
    taken = taking(array(1, 3, 4, 6), DepthContract(mean=(0, 0, 0), std=(1, 1, 1), framing="letterbox"))
    values = taken.fill(np.full((10, 10, 3), 255, np.uint8))
    assert (values[..., 1:5] == 1).all() and (values[..., [0, 5]] == 0).all()
    frame = taken.frame(np.zeros((20, 10, 3), np.uint8))
    assert (frame.picture, frame.model, frame.framing) == ((20, 10), (4, 6), "letterbox")


def test_where_nobody_says_it_an_array_is_as_its_kind_of_file_has_it() -> None:
    taken = taking(array(1, 3, 4, 6), custom=ZERO_TO_ONE)
    assert taken.contract == ZERO_TO_ONE
    np.testing.assert_array_equal(taken.fill(PICTURE)[0], (PICTURE / 255).transpose(2, 0, 1).astype(np.float32))
    silent = taking(array(1, 3, 4, 6), DepthContract(depth="inverse"), ZERO_TO_ONE)
    assert silent.contract == DepthContract(depth="inverse", mean=(0, 0, 0), std=(1, 1, 1))
    assert taking(array(1, 3, 4, 6), FIRST, ZERO_TO_ONE).contract is FIRST
    assert refusal(array(1, 3, 4, 6), contract=DepthContract()).endswith(
        "'x', float32 1×3×4×6, and its contract does not say which values: "
        "say mean, std in NAME.toml beside the file or with --model-config FILE"
    )


@pytest.mark.parametrize(
    ("port", "contract", "custom", "words"),
    [
        (array(1, 3, 4, 6), None, None, "takes one RGB image (image type, RGB or BGR); say depth = "),
        (array(1, 3, 4, 6, dtype="float64"), FIRST, None, "float32 or float16 1×3×height×width of fixed size"),
        (array(3, 4), FIRST, None, "float32 or float16 1×3"),
        (array(1, 1, 3, 4, 6), FIRST, None, "float32 or float16 1×3"),
        (Port("x", "float32", None), FIRST, None, "'x', float32 of any shape: a depth model takes"),
        (array(1, 3, 4, 6, dtype="float16"), None, ZERO_TO_ONE, "one RGB image, float32 1×3×height×width of fixed size; say depth"),
        (array(3, 4, 6), None, ZERO_TO_ONE, "one RGB image, float32 1×3×height×width of fixed size; say depth"),
        (array(1, 4, 6, 3), FIRST, None, "its channels last: a depth model takes one RGB image, float32 or float16 1×3×height×width"),
        (array(4, 6, 3), FIRST, None, 'say depth = "…", layout = "channels-last", mean, std'),
        (array(2, 3, 4, 6), FIRST, None, "of fixed size, channels-first as its contract says"),
        (array(2, 4, 6, 3), LAST, None, "of fixed size, channels-last as its contract says"),
        (array(1, 3, 4, 6), LAST, None, "channels-last as its contract says"),
        (array(1, 4, 4, 6), FIRST, None, "channels-first as its contract says"),
        (array(4, 4, 6), FIRST, None, "channels-first as its contract says"),
        (array(1, 1, 4, 6), None, ZERO_TO_ONE, "takes 'x', float32 1×1×4×6: a depth model takes one RGB image, float32 1×3"),
        (image(), FIRST, None, "which needs no mean and std"),
        (image(dtype="GRAYSCALE"), None, None, "a depth model takes one RGB image (image type, RGB or BGR)"),
        (
            array(1, 3, None, 6),
            None,
            ZERO_TO_ONE,
            "takes 'x', float32 1×3×?×6: a depth model takes one RGB image, float32 1×3×height×width",
        ),
        (array(1, 3, None, 6), FIRST, None, "'x', float32 1×3×?×6, whose size is open: say sizes = [[height, width]] in"),
        (array(1, 3, 4, None), FIRST, None, "whose size is open"),
        (array(1, 3, 0, 6), FIRST, None, "'x', float32 1×3×0×6: a depth model takes one RGB image"),
        (array(1, 3, 4, 0), FIRST, None, "'x', float32 1×3×4×0: a depth model takes one RGB image"),
    ],
)
def test_what_is_no_picture_is_refused_with_what_there_is_and_the_remedy(
    port: Port, contract: DepthContract | None, custom: DepthContract | None, words: str
) -> None:
    line = refusal(port, contract=contract, custom=custom)
    assert line.startswith("net takes 'x', ") and words in line, line


def test_a_custom_says_nothing_of_the_contract() -> None:
    assert "as its contract says" not in refusal(array(2, 3, 4, 6), custom=ZERO_TO_ONE)
    assert "make_dynamic_shape_fixed" in refusal(array(1, 3, None, 6), custom=ZERO_TO_ONE)


def test_a_model_of_no_or_several_inputs_lists_them() -> None:
    assert refusal() == "net takes nothing: a depth model takes one RGB image"
    assert refusal(array(3), array()) == "net takes 2 tensors ('x', float32 3; 'x', float32 scalar): a depth model takes one RGB image"
    assert refusal(*[array(3)] * 8).count("'x'") == 8 and "…" not in refusal(*[array(3)] * 8)
    assert "net takes 9 tensors ('x', " in refusal(*[array(3)] * 9)
    assert refusal(*[array(3)] * 9).count("'x'") == 8 and "; …)" in refusal(*[array(3)] * 9)


SIZES = ((8, 12), (4, 6), (16, 24))


@pytest.mark.parametrize(
    ("port", "layout"),
    [
        (array(1, 3, None, None), "channels-first"),
        (array(1, 3, None, 12), "channels-first"),
        (array(3, 8, None), "channels-first"),
        (array(None, 3, None, None), "channels-first"),
        (array(1, None, None, 3), "channels-last"),
        (array(None, 12, 3), "channels-last"),
        (array(1, 3, 4, 6, shapes=ShapeRule((1, 3, 4, 6), tuple((1, 3, *size) for size in SIZES))), "channels-first"),
        (array(1, 4, 6, 3, shapes=ShapeRule((1, 4, 6, 3), ranges=((1, 1), (4, 16), (6, 24), (3, 3)))), "channels-last"),
    ],
)
def test_a_model_of_several_sizes_takes_the_first_of_its_contract(port: Port, layout: Any) -> None:
    assert taking(port, DepthContract(mean=MEAN, std=STD, layout=layout, sizes=SIZES)).size == (8, 12)


def test_an_image_of_several_sizes_does_so_too() -> None:
    contract = DepthContract(sizes=SIZES)
    assert taking(image(enumerated=SIZES), contract).size == (8, 12)
    assert taking(image(ranges=((4, 16), (6, 24))), contract).size == (8, 12)
    assert taking(image(enumerated=SIZES)).size == (4, 6)
    assert taking(image(), DepthContract(sizes=SIZES)).size == (4, 6)  # its own is among them


def test_sizes_that_a_model_does_not_take_are_listed() -> None:
    ending = " of sizes in its contract or of --size: correct sizes or --size"
    assert refusal(image(2, 2), contract=DepthContract(sizes=SIZES)) == f"net takes 'x', RGB 2×2, not the 8×12 or 4×6 or 16×24{ending}"
    assert (
        refusal(image(enumerated=((4, 6), (2, 2))), contract=DepthContract(sizes=SIZES)) == f"net takes 'x', RGB 4×6, not the 8×12{ending}"
    )
    assert f"not the 8×12{ending}" in refusal(array(1, 3, 4, None), contract=DepthContract(mean=MEAN, std=STD, sizes=SIZES))
    many = tuple((side, side) for side in range(10, 20))
    assert refusal(image(), contract=DepthContract(sizes=many)).endswith(f" or 17×17{ending}")


def test_sides_are_multiples_of_the_contracts() -> None:
    assert taking(image(4, 6), DepthContract(multiple=2)).size == (4, 6)
    assert refusal(image(4, 6), contract=DepthContract(multiple=4)) == (
        "net takes 'x', RGB 4×6, whose sides are no multiples of 4: correct multiple in its contract"
    )


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (Feature("x", "array", "DOUBLE", ShapeRule((2, 3))), Port("x", "float64", (2, 3), "array", ShapeRule((2, 3)), "DOUBLE array 2×3")),
        (Feature("x", "array", "FLOAT16", ShapeRule(())), Port("x", "float16", None, "array", ShapeRule(()), "FLOAT16 array")),
        (Feature("x", "image", "BGR", ShapeRule((2, 3))), Port("x", "BGR", (2, 3), "image", ShapeRule((2, 3)), "BGR image 2×3")),
        (Feature("x", "label", "STRING", ShapeRule(())), Port("x", "STRING", (), "label", ShapeRule(()), "STRING label")),
    ],
)
def test_a_port_is_as_core_ml_describes_it(feature: Feature, expected: Port) -> None:
    assert Port.of(feature) == expected
    assert str(expected) == f"'x', {feature.type_text}"
    assert not expected.is_flexible


@pytest.mark.parametrize(
    ("port", "shape", "takes"),
    [
        (array(1, None), (1, 7), True),
        (array(1, None), (2, 7), False),
        (array(1, None), (1, 7, 1), False),
        (array(1, 7), (1, 7), True),
        (Port("x", "float32", None), (), True),
        (Port("x", "float32", None), (1,), False),
        (image(), (4, 6), True),
        (image(), (6, 4), False),
        (image(enumerated=SIZES), (16, 24), True),
        (image(ranges=((4, 8), (6, 6))), (9, 6), False),
    ],
)
def test_which_shapes_a_port_may_have(port: Port, shape: tuple[int, ...], takes: bool) -> None:
    assert port.takes(shape) is takes
    assert port.is_flexible is bool(port.shapes and (port.shapes.enumerated or port.shapes.ranges))


@pytest.mark.parametrize(
    "shape", [(4, 6), (1, 4, 6), (1, 1, 4, 6), (1, 1, 1, 4, 6), (4, 6, 1), (1, 4, 6, 1), (4, 6, 1, 1), (1, 1, 4, 6, 1, 1)]
)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_map_has_two_axes_between_those_of_length_1(shape: tuple[int, ...], dtype: str) -> None:
    depth = np.arange(24, dtype=dtype).reshape(shape)
    result = depth_map(depth)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, np.arange(24).reshape(4, 6))
    assert DepthInterface.of("net", [image()], [Port("depth", dtype, shape)]).output.shape == shape


@pytest.mark.parametrize(
    "shape", [(), (1,), (6,), (1, 6), (6, 1), (2, 4, 6), (4, 1, 6), (1, 1, 1), (2, 1, 4, 6), (0, 6), (4, 0), (1, 6, 1)]
)
def test_anything_else_is_none(shape: tuple[int, ...]) -> None:
    written = "×".join(map(str, shape)) or "scalar"
    with pytest.raises(InputError, match=f"^the model gave float32 {written} when it ran: a depth model gives one map of floating-point"):
        depth_map(np.zeros(shape, np.float32))
    with pytest.raises(
        InputError, match=f"^net gives 'depth', float32 {written}: a depth model gives one map of floating-point depth, such"
    ):
        DepthInterface.of("net", [image()], [Port("depth", "float32", shape)])


def test_whole_numbers_are_no_depth() -> None:
    with pytest.raises(InputError, match=r"^net gave int32 4×6 when it ran"):
        depth_map(np.zeros((4, 6), np.int32), "net")
    for dtype in ("int32", "bool", "string"):
        with pytest.raises(InputError, match=f"'depth', {dtype} 4×6: .* 1×1×height×width$"):
            DepthInterface.of("net", [image()], [Port("depth", dtype, (4, 6))])


@pytest.mark.parametrize("shape", [None, (None, 1, 4, 6), (1, 1, None, None), (None,)])
def test_what_a_file_leaves_open_is_left_to_the_first_result(shape: tuple[int | None, ...] | None) -> None:
    assert DepthInterface.of("net", [image()], [Port("depth", "float32", shape)]).output.shape == shape


def test_outputs_of_several_shapes_and_gray_images_are_maps() -> None:
    flexible = Port("depth", "float32", (5,), shapes=ShapeRule((5,), ranges=((5, 7),)))
    gray = Port("depth", "GRAYSCALE_FLOAT16", (4, 6), "image", ShapeRule((4, 6)), "GRAYSCALE_FLOAT16 image 4×6")
    for port in (flexible, gray):
        assert DepthInterface.of("net", [image()], [port]).output is port
    with pytest.raises(InputError, match=r"1×1×height×width, or a Float16 gray image$"):
        DepthInterface.of("net", [image()], [Port("depth", "GRAYSCALE", (4, 6), "image", text="GRAYSCALE image 4×6")])
    with pytest.raises(InputError, match="gives 'depth', float32 4×6"):
        DepthInterface.of("net", [image()], [Port("depth", "float32", (4, 6), "image")])


def test_the_contract_says_which_output_is_depth() -> None:
    other = Port("sky", "int32", (1,))
    both = DepthInterface.of("net", [image()], [other, MAP], DepthContract(output="depth"))
    assert both.output is MAP
    assert (both.size, both.input, both.contract) == ((4, 6), image(), DepthContract(output="depth"))
    with pytest.raises(
        InputError, match=r"^net gives 2 tensors \('sky', int32 1; 'depth', float32 1×1×4×6\), no output 'y' as its contract"
    ):
        DepthInterface.of("net", [image()], [other, MAP], DepthContract(output="y"))
    with pytest.raises(
        InputError, match=r'^net gives 2 tensors .*: a depth model gives one map .*; say depth = "…", output = "NAME" in NAME'
    ):
        DepthInterface.of("net", [image()], [other, MAP])
    with pytest.raises(InputError, match=r"^net gives nothing: a depth model gives one map"):
        DepthInterface.of("net", [image()], [])
    with pytest.raises(InputError, match=r"^net gives 'sky', int32 1: a depth model gives one map"):
        DepthInterface.of("net", [image()], [other, MAP], DepthContract(output="sky"))


def test_depth_is_that_of_what_the_model_saw_or_of_the_picture() -> None:
    net = DepthInterface.of("net", [image()], [MAP], DepthContract(framing="letterbox"))
    depth = np.arange(24, dtype=np.float32).reshape(1, 1, 4, 6)
    np.testing.assert_array_equal(net.depth(depth), depth[0, 0])
    np.testing.assert_array_equal(net.depth(depth, np.zeros((10, 10, 3), np.uint8)), depth[0, 0, :, 1:5])
    np.testing.assert_array_equal(net.picture(PICTURE), PICTURE)
    with pytest.raises(InputError, match=r"^net gave float32 2×4×6"):
        net.depth(np.zeros((2, 4, 6), np.float32))
