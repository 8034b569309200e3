"""How operators read vectors, paddings and layouts."""

import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.arguments import channels_last, flags, ints, spatial_pads, torch_pads


def test_an_omitted_vector_repeats_its_default() -> None:
    assert ints(None, 7, 3) == [7, 7, 7]
    assert ints(None, count=2) == [0, 0]
    assert ints(None, 7) == []
    assert ints(torch.tensor([[1, 2], [3, 4]]), 7, 3) == [1, 2, 3, 4]
    assert ints(torch.tensor(5), 7, 3) == [5]
    assert flags(None, 2) == [False, False]
    assert flags(True, 2) == [True, True]
    assert flags(torch.tensor([True, False, True]), 1) == [True, False, True]


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "before", "after"),
    [
        (5, 3, 1, 1, 1, 1),
        (5, 2, 1, 1, 0, 1),
        (5, 4, 1, 1, 1, 2),
        (6, 3, 2, 1, 0, 1),
        (5, 3, 2, 1, 1, 1),
        (7, 2, 2, 1, 0, 1),
        (5, 3, 1, 2, 2, 2),
        (8, 1, 3, 1, 0, 0),  # windows leave gaps: nothing is cut off
        (1, 1, 1, 1, 0, 0),
        (4, 5, 3, 1, 2, 2),
    ],
)
def test_the_odd_pixel_goes_behind_or_in_front(size: int, kernel: int, stride: int, dilation: int, before: int, after: int) -> None:
    """TensorFlow's table of SAME paddings, worked by hand."""
    axis = ([size], [kernel], [stride], [dilation])
    assert spatial_pads("same", None, *axis) == [(before, after)]
    assert spatial_pads("same_lower", None, *axis) == [(after, before)]
    assert spatial_pads("valid", torch.tensor([9, 9]), *axis) == [(0, 0)]


def test_axes_are_padded_each_by_its_own_lengths() -> None:
    assert spatial_pads("same", None, [5, 6], [3, 4], [1, 2], [1, 1]) == [(1, 1), (1, 1)]
    assert spatial_pads("same", None, [6, 5], [4, 3], [2, 1], [1, 2]) == [(1, 1), (2, 2)]
    assert spatial_pads("custom", torch.tensor([1, 2, 3, 4]), [5, 6], [3, 4], [1, 2], [1, 1]) == [(1, 2), (3, 4)]
    assert spatial_pads("custom", None, [5, 6], [3, 4], [1, 2], [1, 1]) == [(0, 0), (0, 0)]
    with pytest.raises(MilError, match="padding 'full' is not one of valid, custom, same, same_lower"):
        spatial_pads("full", None, [5], [3], [1], [1])
    assert torch_pads([(1, 2), (3, 4)]) == [3, 4, 1, 2]


def test_channels_are_last_where_they_lie_side_by_side_and_nowhere_else() -> None:
    images = torch.zeros(1, 2, 3, 4)
    last = images.contiguous(memory_format=torch.channels_last)
    assert channels_last(last)
    assert not channels_last(images)
    assert not channels_last(last[:, :, :, 1:])
    # One channel lies both ways: no reason to keep a layout.
    assert not channels_last(torch.zeros(1, 1, 3, 4).contiguous(memory_format=torch.channels_last))
    assert not channels_last(torch.zeros(2, 3, 4).transpose(0, 2))
    assert not channels_last(torch.zeros(1, 2, 3, 4, 5).contiguous(memory_format=torch.channels_last_3d))
