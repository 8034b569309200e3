"""Names that sampling does not know, axes of one pixel, places far outside, and maps that are not square."""

import pytest
import torch
import torch.nn.functional as F

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.resize import GRIDS
from fcrn_mobile.mil.ops.sampling import OPERATORS
from tests.mil.ops.defaults import check_defaults

PIXELS = {"sampling_mode": "bilinear", "padding_value": -1.0, "coordinates_mode": "unnormalized", "align_corners": False}
RAMP = torch.arange(12.0).reshape(1, 1, 3, 4)
PADDINGS = ["constant", "border", "reflection", "symmetric"]


def line(length: int, at: list[float], padding: str, **arguments: object) -> list[float]:
    """0, 1, 2, … sampled along a row."""
    x = torch.arange(float(length)).reshape(1, 1, 1, length)
    points = torch.tensor([[[[value, 0.0] for value in at]]])
    return OPERATORS["resample"].run(x, points, **{**PIXELS, "padding_mode": padding, **arguments}).flatten().tolist()


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


@pytest.mark.parametrize("mode", sorted(GRIDS))
@pytest.mark.parametrize("box", [(1.0, 3.0), (3.0, 1.0), (2.0, 2.5), (2.0, 2.0)])
def test_a_box_is_sampled_inside_its_edges(mode: str, box: tuple[float, float]) -> None:
    """Of an image whose columns are their own numbers, what is sampled says where."""
    x = torch.arange(6.0).expand(1, 1, 2, 6)
    boxes = torch.tensor([[0.0, box[0], 1.0, box[1]]])
    found = OPERATORS["crop_resize"].run(x, boxes, target_height=1, target_width=9, sampling_mode=mode).flatten()
    low, high = sorted(box)
    assert (found >= low - 1e-6).all() and (found <= high + 1e-6).all()
    assert torch.equal(found.sort(descending=box[1] < box[0]).values, found)


@pytest.mark.parametrize(("padding", "place", "expected"), [("border", 80, 80), ("symmetric", -70, 69), ("reflection", -70, 70)])
def test_images_may_be_wide(padding: str, place: float, expected: float) -> None:
    assert line(100, [place], padding) == [expected]


def test_two_points_are_both_ends() -> None:
    """The identity, two columns of five, the corners aligned."""
    x = torch.arange(5.0).expand(1, 1, 3, 5)
    matrix = torch.tensor([[1.0, 0, 0, 0, 1, 0]])
    options = {"sampling_mode": "bilinear", "padding_mode": "border", "padding_value": 0.0}
    options |= {"coordinates_mode": "normalized_minus_one_to_one", "align_corners": True}
    found = OPERATORS["affine"].run(x, matrix, output_height=1, output_width=2, **options)
    assert found.flatten().tolist() == [0, 4]


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    for argument, known in (
        ("sampling_mode", "sampling mode 'odd' is not one of bilinear, nearest"),
        ("padding_mode", "padding mode 'odd' is not one of constant, border, reflection, symmetric"),
        ("coordinates_mode", "coordinates mode 'odd' is not one of unnormalized"),
    ):
        with pytest.raises(MilError, match=known):
            line(3, [0.0], **{"padding": "border", argument: "odd"} if argument != "padding_mode" else {"padding": "odd"})
    with pytest.raises(MilError, match="box coordinate mode 'odd' is not one of CORNERS_HEIGHT_FIRST"):
        OPERATORS["crop_resize"].run(RAMP, torch.zeros(1, 4), box_coordinate_mode="odd")


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        ("constant", [-1, -1, 0, 1, 2, -1, -1]),
        ("border", [0, 0, 0, 1, 2, 2, 2]),
        ("reflection", [2, 1, 0, 1, 2, 1, 0]),
        ("symmetric", [1, 0, 0, 1, 2, 2, 1]),
    ],
)
def test_whole_places_around_three_pixels(padding: str, expected: list[float]) -> None:
    at = [-2.0, -1, 0, 1, 2, 3, 4]
    assert line(3, at, padding) == expected
    assert line(3, at, padding, sampling_mode="nearest") == expected
    # The same along a column.
    x, points = torch.arange(3.0).reshape(1, 1, 3, 1), torch.tensor([[[[0.0, value] for value in at]]])
    assert OPERATORS["resample"].run(x, points, **PIXELS, padding_mode=padding).flatten().tolist() == expected


@pytest.mark.parametrize("padding", PADDINGS)
def test_an_axis_of_one_pixel_has_only_it(padding: str) -> None:
    outside = -1.0 if padding == "constant" else 7.0
    x = torch.full((1, 1, 1, 1), 7.0)
    points = torch.tensor([[[[-3.0, 0.0], [0.0, 0.0], [2.0, 0.0], [0.0, -2.0], [0.0, 1.0]]]])
    actual = OPERATORS["resample"].run(x, points, **PIXELS, padding_mode=padding)
    assert actual.flatten().tolist() == [outside, 7.0, outside, outside, outside]


@pytest.mark.parametrize("padding", PADDINGS)
def test_a_place_that_is_no_number_or_beyond_integers_is_no_error(padding: str) -> None:
    points = [torch.inf, -torch.inf, 1e30, -1e30]
    values = line(3, points, padding, sampling_mode="nearest")
    assert len(values) == len(points)
    if padding == "constant":
        assert values == [-1.0] * 4
    if padding == "border":
        assert values == [2.0, 0.0, 2.0, 0.0]
    assert line(3, [torch.nan], padding, sampling_mode="nearest") == [0.0]


def test_between_the_last_pixel_and_the_padding_values_are_mixed() -> None:
    assert line(3, [2.25, -0.25, 2.75], "constant") == [2 * 0.75 - 0.25, -0.25, 2 * 0.25 - 0.75]
    assert line(3, [2.25, -0.25], "border") == [2.0, 0.0]


def test_infinite_padding_spoils_no_pixel_but_what_lies_outside() -> None:
    assert line(3, [0.0, 1.0, 2.0, 0.5], "constant", padding_value=torch.inf) == [0.0, 1.0, 2.0, 0.5]
    assert line(3, [2.5, -0.5, 3.0], "constant", padding_value=torch.inf) == [torch.inf] * 3


@pytest.mark.parametrize("align", [True, False])
def test_units_of_coordinates(align: bool) -> None:
    unit = [0.0, 0.5, 1.0]
    expected = [0.0, 1.5, 3.0]  # unaligned, the ends are half a pixel outside: held at the border
    assert line(4, unit, "border", coordinates_mode="normalized_zero_to_one", align_corners=align) == expected
    both = [-1.0, 0.0, 1.0]
    assert line(4, both, "border", coordinates_mode="normalized_minus_one_to_one", align_corners=align) == expected
    inner = [0.125, 0.25]
    expected = [0.375, 0.75] if align else [0.0, 0.5]
    assert line(4, inner, "border", coordinates_mode="normalized_zero_to_one", align_corners=align) == expected


@pytest.mark.filterwarnings("ignore:Since version 1.3.0")
@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("size", [(3, 5), (1, 4), (4, 1), (1, 1)])
def test_affine_of_the_identity_resizes(align: bool, size: tuple[int, int]) -> None:
    matrix = torch.tensor([[1.0, 0, 0, 0, 1, 0]])
    grid = F.affine_grid(matrix.reshape(1, 2, 3), [1, 1, *size], align_corners=align)
    expected = F.grid_sample(RAMP, grid, align_corners=align, padding_mode="border")
    mode = {"sampling_mode": "bilinear", "padding_mode": "border", "padding_value": 0.0}
    mode |= {"coordinates_mode": "normalized_minus_one_to_one", "align_corners": align}
    actual = OPERATORS["affine"].run(RAMP, matrix, torch.tensor(size[0]), torch.tensor(size[1]), **mode)
    torch.testing.assert_close(actual, expected)


def test_normalized_boxes_count_rows_by_the_height_and_columns_by_the_width() -> None:
    box = torch.tensor([[0.5, 0.0, 1.0, 1.0]])  # rows 1 to 2, columns 0 to 3
    arguments = {"target_height": 2, "target_width": 2, "normalized_coordinates": True, "sampling_mode": "ALIGN_CORNERS"}
    assert OPERATORS["crop_resize"].run(RAMP, box, **arguments).tolist() == [[[[4.0, 7.0], [8.0, 11.0]]]]
    halved = OPERATORS["crop_resize"].run(RAMP, box * 2, spatial_scale=0.5, **arguments)
    assert halved.tolist() == [[[[4.0, 7.0], [8.0, 11.0]]]]


def test_a_box_without_a_size_gives_one_pixel_at_its_start_and_zero_outside() -> None:
    """The defaults: a 1×1 patch of corners (top, left, bottom, right) in pixels."""
    assert OPERATORS["crop_resize"].run(RAMP, torch.tensor([[1, 2, 2, 3]])).tolist() == [[[[6.0]]]]
    assert OPERATORS["crop_resize"].run(RAMP, torch.tensor([[-1, 2, 2, 3]])).tolist() == [[[[0.0]]]]


def test_every_edge_pixel_is_inside_and_the_next_is_not() -> None:
    arguments = {"target_height": 1, "target_width": 1, "pad_value": -1.0}
    for row, column in ((0, 0), (0, 3), (2, 0), (2, 3)):
        box = torch.tensor([[row, column, row, column]])
        assert OPERATORS["crop_resize"].run(RAMP, box, **arguments).item() == RAMP[0, 0, row, column]
    for row, column in ((-1, 0), (3, 0), (0, -1), (0, 4), (2.5, 0), (0, 3.5), (-0.5, 0), (0, -0.5)):
        box = torch.tensor([[row, column, row, column]])
        assert OPERATORS["crop_resize"].run(RAMP, box, **arguments).item() == -1.0


def test_a_region_names_its_image_or_cuts_all() -> None:
    x = torch.arange(24.0).reshape(2, 1, 3, 4)
    named = torch.tensor([[1.0, 0, 0, 0, 0], [0.0, 1, 1, 1, 1]]).reshape(2, 1, 5, 1, 1)
    assert OPERATORS["crop_resize"].run(x, roi=named).tolist() == [[[[[12.0]]]], [[[[5.0]]]]]
    every = named[:, :, 1:]
    assert OPERATORS["crop_resize"].run(x, roi=every).flatten().tolist() == [0.0, 12.0, 5.0, 17.0]
    boxes = torch.tensor([[0, 0, 0, 0], [1, 1, 1, 1]])
    assert OPERATORS["crop_resize"].run(x, boxes).flatten().tolist() == [0.0, 17.0]
    assert OPERATORS["crop_resize"].run(x, boxes, torch.tensor([[1], [0]])).flatten().tolist() == [12.0, 5.0]


def test_the_image_is_left_untouched() -> None:
    before = RAMP.clone()
    line(3, [0.5], "constant")
    OPERATORS["crop_resize"].run(RAMP, torch.tensor([[0, 0, 9, 9]]), target_height=3, target_width=3)
    assert RAMP.equal(before)


def test_the_nearest_pixel_of_a_half_is_the_one_behind() -> None:
    """Core ML's answers in coremltools' tests: points -2.5 and -4.5, -7.9 and -2.5, -0.5 twice, 6.5 and 1.9 of 2 × 2 pixels."""
    x = torch.tensor([[[[11.0, 22], [33, 44]]]])
    points = torch.tensor([-1.0, -2.0, -3.7, -1.0, 0.0, 0.0, 3.5, 1.2]).reshape(1, 2, 2, 2)
    symmetric = OPERATORS["resample"].run(x, points, "nearest", "symmetric", -1.0, "normalized_zero_to_one", False)
    assert symmetric.flatten().tolist() == [22, 33, 11, 33]
    border = OPERATORS["resample"].run(x, points, "nearest", "border", -1.0, "unnormalized", False)
    assert border.flatten().tolist() == [11, 11, 11, 44]
    halves = torch.tensor([0.5, 0.0, 0.0, 0.5]).reshape(1, 1, 2, 2)
    assert OPERATORS["resample"].run(x, halves, "nearest", "border", -1.0, "unnormalized", False).flatten().tolist() == [22, 33]
