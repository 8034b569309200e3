"""Layouts in memory, and blocks that differ per axis."""

import pytest
import torch
import torch.nn.functional as F

from fcrn_mobile.mil.ops.space import OPERATORS

TWO = torch.tensor(2)


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_shuffle_of_channels_last_images_is_torchs_and_keeps_the_layout(factor: int, batch: int) -> None:
    x = torch.arange(float(batch * 2 * factor**2 * 3 * 4)).reshape(batch, 2 * factor**2, 3, 4)
    expected = F.pixel_shuffle(x, factor)
    last = x.contiguous(memory_format=torch.channels_last)
    for layout in (x, last):
        assert OPERATORS["pixel_shuffle"].run(layout, torch.tensor(factor)).equal(expected)
        assert OPERATORS["pixel_unshuffle"].run(OPERATORS["pixel_shuffle"].run(layout, torch.tensor(factor)), torch.tensor(factor)).equal(x)
    assert OPERATORS["pixel_shuffle"].run(last, torch.tensor(factor)).is_contiguous(memory_format=torch.channels_last)
    assert OPERATORS["pixel_shuffle"].run(x, torch.tensor(factor)).is_contiguous()


def test_a_channel_of_depth_goes_to_its_offset() -> None:
    x = torch.arange(8.0).reshape(1, 8, 1, 1)
    # Channel (2i + j)·2 + c at row i, column j of channel c.
    expected = [[[[0, 2], [4, 6]], [[1, 3], [5, 7]]]]
    assert OPERATORS["depth_to_space"].run(x, TWO).tolist() == expected
    assert OPERATORS["space_to_depth"].run(torch.tensor(expected), TWO).flatten().tolist() == list(range(8))
    wide = torch.arange(16.0).reshape(1, 4, 1, 4)
    assert OPERATORS["depth_to_space"].run(wide, TWO).shape == (1, 1, 2, 8)
    assert OPERATORS["space_to_depth"].run(OPERATORS["depth_to_space"].run(wide, TWO), TWO).equal(wide)


def test_blocks_and_pads_of_each_axis() -> None:
    x = torch.arange(1.0, 7).reshape(1, 1, 2, 3)
    pads = torch.tensor([[1, 0], [0, 3]])  # 3×6: a row of zeros above, three columns behind
    batches = OPERATORS["space_to_batch"].run(x, torch.tensor([3, 2]), pads)
    assert batches.tolist() == [[[[0, 0, 0]]], [[[0, 0, 0]]], [[[1, 3, 0]]], [[[2, 0, 0]]], [[[4, 6, 0]]], [[[5, 0, 0]]]]
    assert OPERATORS["batch_to_space"].run(batches, torch.tensor([3, 2]), pads).equal(x)
    assert OPERATORS["batch_to_space"].run(batches, torch.tensor([3, 2]), torch.tensor([[0, 1], [1, 0]])).tolist() == [
        [[[0, 0, 0, 0, 0], [2, 3, 0, 0, 0]]]
    ]


def test_images_of_a_batch_lie_innermost_among_the_entries() -> None:
    x = torch.arange(8.0).reshape(2, 1, 2, 2)
    none = torch.zeros(2, 2, dtype=torch.int64)
    assert OPERATORS["space_to_batch"].run(x, torch.tensor([1, 2]), none)[:, 0, :, 0].tolist() == [[0, 2], [4, 6], [1, 3], [5, 7]]
