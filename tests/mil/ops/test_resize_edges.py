"""Names that resizing does not know, maps without a batch or of integers, and factors on either side of a whole length."""

import pytest
import torch
import torch.nn.functional as F

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.resize import OPERATORS, grid, linear, unbounded_grid
from tests.mil.ops.defaults import check_defaults

RAMP = torch.arange(1.0, 13).reshape(1, 1, 3, 4)


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(MilError, match="sampling mode 'CUBIC' is not one of STRICT_ALIGN_CORNERS, ALIGN_CORNERS"):
        grid("CUBIC", 2, 3)
    with pytest.raises(MilError, match="interpolation mode 'CUBIC' is not one of LINEAR, NEAREST_NEIGHBOR"):
        OPERATORS["resize"].run(RAMP, torch.tensor([5]), torch.tensor(1), "CUBIC")
    with pytest.raises(MilError, match="align_corners and half_pixel_centers exclude each other"):
        OPERATORS["upsample_bilinear"].run(RAMP, 2, 2, align_corners=True, half_pixel_centers=True)


@pytest.mark.parametrize(
    ("mode", "one", "two"),
    [
        ("STRICT_ALIGN_CORNERS", 0.0, [0.0, 4.0]),
        ("ALIGN_CORNERS", 2.0, [0.0, 4.0]),
        ("DEFAULT", 0.0, [0.0, 2.5]),
        ("OFFSET_CORNERS", 2.0, [1.0, 3.0]),
        ("UNALIGN_CORNERS", 2.0, [0.75, 3.25]),
    ],
)
def test_one_and_two_points_of_five_pixels(mode: str, one: float, two: list[float]) -> None:
    assert grid(mode, 5, 1).tolist() == [one]
    assert grid(mode, 5, 2).tolist() == two


def test_points_are_held_inside_the_axis_and_those_of_a_box_are_not() -> None:
    assert grid("UNALIGN_CORNERS", 2, 4).tolist() == [0.0, 0.25, 0.75, 1.0]
    assert unbounded_grid("UNALIGN_CORNERS", 2, 4).tolist() == [-0.25, 0.25, 0.75, 1.25]
    assert unbounded_grid("OFFSET_CORNERS", 1, 2).tolist() == [0.25, 0.75]  # a box of one pixel spans one, not none


def test_linear_interpolation_at_the_last_pixel_reads_nothing_behind_it() -> None:
    x = torch.tensor([[1.0, 3.0, 7.0]])
    assert linear(x, 1, torch.tensor([0.0, 0.5, 1.25, 2.0])).tolist() == [[1.0, 2.0, 4.0, 7.0]]
    assert linear(x.T, -2, torch.tensor([2.0, 0.5])).tolist() == [[7.0], [2.0]]


@pytest.mark.parametrize("align", [True, False])
def test_bilinear_upsampling_of_a_map_without_a_batch_is_that_of_a_batch_of_one(align: bool) -> None:
    expected = F.interpolate(RAMP, scale_factor=2, mode="bilinear", align_corners=align)
    for x, wanted in ((RAMP, expected), (RAMP[0], expected[0]), (RAMP[0, 0], expected[0, 0]), (RAMP[None], expected[None])):
        torch.testing.assert_close(OPERATORS["upsample_bilinear"].run(x, 2, 2, align_corners=align), wanted)


def test_upsampling_aligns_corners_unless_told_and_takes_half_pixels_if_it_does_not() -> None:
    by_default = OPERATORS["upsample_bilinear"].run(RAMP, 2, 3)
    torch.testing.assert_close(by_default, F.interpolate(RAMP, size=(6, 12), mode="bilinear", align_corners=True))
    halves = OPERATORS["upsample_bilinear"].run(RAMP, 2, 3, align_corners=False)
    torch.testing.assert_close(halves, F.interpolate(RAMP, size=(6, 12), mode="bilinear", align_corners=False))
    torch.testing.assert_close(OPERATORS["upsample_bilinear"].run(RAMP, 2, 3, align_corners=True, half_pixel_centers=False), by_default)


def test_a_factor_takes_the_whole_part_of_a_length_down_and_up() -> None:
    for kind in ("upsample_bilinear", "upsample_nearest_neighbor"):
        assert OPERATORS[kind].run(RAMP, 1.9, 0.7).shape == (1, 1, 5, 2)
        assert OPERATORS[kind].run(RAMP).equal(RAMP)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32])
@pytest.mark.parametrize("lead", [(), (1,), (2, 1), (1, 1, 1)])
@pytest.mark.parametrize("size", [(3, 4), (6, 4), (6, 8), (5, 8), (6, 7), (2, 2)])
def test_nearest_neighbours_of_any_rank_and_type(dtype: torch.dtype, lead: tuple[int, ...], size: tuple[int, int]) -> None:
    x = RAMP.reshape(3, 4).to(dtype).expand(*lead, 3, 4)
    rows, columns = ([(2 * i + 1) * length // (2 * out) for i in range(out)] for length, out in zip((3, 4), size, strict=True))
    expected = x[..., rows, :][..., columns]
    actual = OPERATORS["resize_nearest_neighbor"].run(x, torch.tensor(size[0]), torch.tensor(size[1]))
    assert actual.dtype == dtype
    assert actual.equal(expected)


def test_the_closest_pixel_of_a_centre_is_rounded_up_and_stays_in_the_map() -> None:
    x = torch.arange(5.0)
    arguments = {"resized_dims": torch.tensor(1), "interpolation_mode": "NEAREST_NEIGHBOR"}
    nearest = OPERATORS["resize"].run(x, torch.tensor([2]), sampling_mode="DEFAULT", **arguments)
    assert nearest.tolist() == [1.0, 3.0]
    # 1.25 and 3.75 of pixels from 0 to 5; 0.75 and 3.25 of their centres
    assert OPERATORS["resize"].run(x, torch.tensor([2]), sampling_mode="UNALIGN_CORNERS", **arguments).tolist() == [1.0, 3.0]
    # 0, 4/3, 8/3, 4
    assert OPERATORS["resize"].run(x, torch.tensor([4]), sampling_mode="STRICT_ALIGN_CORNERS", **arguments).tolist() == [0.0, 1.0, 3.0, 4.0]
    # A half goes to the pixel behind.
    assert OPERATORS["resize"].run(x[:2], torch.tensor([1]), sampling_mode="ALIGN_CORNERS", **arguments).tolist() == [1.0]


def test_resize_of_no_axes_of_length_zero_and_of_the_same_length_keeps_the_map() -> None:
    assert OPERATORS["resize"].run(RAMP, torch.tensor([9, 9]), torch.tensor(0)).equal(RAMP)
    assert OPERATORS["resize"].run(RAMP, torch.tensor([0, 4]), torch.tensor(2), "CUBIC").equal(RAMP)
    assert OPERATORS["resize"].run(RAMP, torch.tensor([0, 2]), torch.tensor(2)).shape == (1, 1, 3, 2)
    assert OPERATORS["resize"].run(RAMP, torch.tensor([6, 0]), torch.tensor(2)).shape == (1, 1, 6, 4)
