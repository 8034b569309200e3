"""What pooling takes omitted arguments for, and the layouts and geometries that torch's own pooling does not take."""

import pytest
import torch
import torch.nn.functional as F

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.pool import OPERATORS
from tests.mil.ops.defaults import check_defaults

POOLS = ["avg_pool", "l2_pool", "max_pool"]


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


@pytest.mark.parametrize("kind", POOLS)
def test_without_strides_and_padding_windows_lie_at_every_pixel_of_the_map(kind: str) -> None:
    x = torch.arange(1.0, 13).reshape(1, 1, 3, 4)
    view = x.unfold(2, 2, 1).unfold(3, 2, 1).flatten(4)
    expected = {"avg_pool": view.mean(-1), "l2_pool": view.square().sum(-1).sqrt(), "max_pool": view.amax(-1)}[kind]
    torch.testing.assert_close(OPERATORS[kind].run(x, torch.tensor([2, 2])), expected)
    # "custom" without pads is none either.
    torch.testing.assert_close(OPERATORS[kind].run(x, torch.tensor([2, 2]), pad_type="custom"), expected)


def test_padding_counts_as_zeros_in_an_average_unless_it_is_excluded() -> None:
    x = torch.ones(3, 3, 2, 2)
    for pads in ([1, 1, 1, 1], [0, 2, 1, 2]):  # as torch pads, and as it does not
        arguments = {"kernel_sizes": torch.tensor([2, 2]), "pad_type": "custom", "pad": torch.tensor(pads)}
        sums = F.avg_pool2d(F.pad(x, pads[2:] + pads[:2]), 2, 1)
        assert sums.min() < 1
        torch.testing.assert_close(OPERATORS["avg_pool"].run(x, **arguments), sums)
        excluded = OPERATORS["avg_pool"].run(x, exclude_padding_from_average=True, **arguments)
        assert excluded.shape == sums.shape
        assert excluded[sums > 0].eq(1).all()


def test_padding_of_half_a_kernel_goes_to_torch_and_more_is_padded_first() -> None:
    x = -torch.arange(1.0, 7).reshape(1, 1, 6)
    for kernel, pad in ((2, 1), (3, 1), (3, 2), (2, 2)):
        expected = F.max_pool1d(F.pad(x, (pad, pad), value=-torch.inf), kernel, 1)
        actual = OPERATORS["max_pool"].run(x, torch.tensor([kernel]), pad_type="custom", pad=torch.tensor([pad, pad]))
        torch.testing.assert_close(actual, expected)


def test_l2_pool_over_three_axes_is_refused_and_over_one_keeps_its_rank() -> None:
    with pytest.raises(MilError, match="l2_pool over more than two spatial axes"):
        OPERATORS["l2_pool"].run(torch.ones(1, 1, 2, 2, 2), torch.tensor([1, 1, 1]))
    x = torch.tensor([[[3.0, 4.0, 0.0, 5.0, 12.0]]])
    actual = OPERATORS["l2_pool"].run(x, torch.tensor([2]), torch.tensor([3]), "custom", torch.tensor([0, 0]))
    torch.testing.assert_close(actual, torch.tensor([[[5.0, 13.0]]]))
    padded = OPERATORS["l2_pool"].run(x, torch.tensor([2]), torch.tensor([3]), "custom", torch.tensor([1, 0]))
    torch.testing.assert_close(padded, torch.tensor([[[3.0, 5.0]]]))


@pytest.mark.parametrize("kind", ["avg_pool", "max_pool"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_each_axis_has_a_kernel_stride_and_pads_of_its_own(kind: str, rank: int) -> None:
    x = torch.randn(1, 2, *(7, 6, 5)[:rank], generator=torch.Generator().manual_seed(0))
    kernels, strides, pads = [3, 2, 2][:rank], [2, 1, 3][:rank], [1, 2, 0, 1, 1, 0][: 2 * rank]
    sides = [side for axis in reversed(range(rank)) for side in pads[2 * axis : 2 * axis + 2]]
    view = F.pad(x, sides, value=0 if kind == "avg_pool" else -torch.inf)
    for axis in range(rank):
        view = view.unfold(2 + axis, kernels[axis], strides[axis])
    expected = view.flatten(2 + rank).mean(-1) if kind == "avg_pool" else view.flatten(2 + rank).amax(-1)
    actual = OPERATORS[kind].run(x, torch.tensor(kernels), torch.tensor(strides), "custom", torch.tensor(pads))
    torch.testing.assert_close(actual, expected)
