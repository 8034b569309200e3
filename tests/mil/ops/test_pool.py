import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.mil.build import check_op, mb
from tests.mil.ops.arrays import seeds, values
from tests.mil.ops.test_convolution import named_pads

MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def windows(x: np.ndarray, kernel: tuple[int, ...], stride: tuple[int, ...], pads: list[tuple[int, int]], fill: float) -> np.ndarray:
    """All windows of the padded map, one flattened window per last axis, by NumPy."""
    padded = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=tuple(range(2, x.ndim)))
    steps = (slice(None), slice(None), *(slice(None, None, s) for s in stride))
    return view[steps].reshape(*view[steps].shape[: x.ndim], -1)


@st.composite
def geometries(draw, most_axes: int = 3):
    rank = draw(st.integers(1, most_axes))
    size = draw(st.tuples(*[st.integers(5, 9)] * rank))
    kernel = draw(st.tuples(*[st.integers(1, 4)] * rank))
    stride = draw(st.tuples(*[st.integers(1, 3)] * rank))
    pad_type = draw(st.sampled_from(["valid", "same", "same_lower", "custom"]))
    if pad_type == "custom":
        pads = [(draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in kernel]
    else:
        pads = [named_pads(pad_type, n, k, s, 1) for n, k, s in zip(size, kernel, stride, strict=True)]
    arguments = {"kernel_sizes": kernel, "strides": stride, "pad_type": pad_type}
    if pad_type == "custom":
        arguments["pad"] = [side for pair in pads for side in pair]
    return size, kernel, stride, pads, arguments


@settings(max_examples=50, deadline=None)
@given(geometry=geometries(), seed=seeds)
def test_padding_never_wins_a_maximum(geometry, seed) -> None:
    size, kernel, stride, pads, arguments = geometry
    x = values(seed, 1, 2, *size) - 10  # padding with zeros would win
    expected = windows(x, kernel, stride, pads, -np.inf).max(-1)
    check_op("max_pool", lambda x0: mb.max_pool(x=x0, **arguments), [x], expected)


@settings(max_examples=60, deadline=None)
@given(geometry=geometries(), seed=seeds, exclude=st.booleans())
def test_averages_count_padding_or_leave_it_out(geometry, seed, exclude) -> None:
    size, kernel, stride, pads, arguments = geometry
    x = values(seed, 2, 2, *size)
    mean = windows(x, kernel, stride, pads, 0).mean(-1)
    if exclude:
        mean /= windows(np.ones_like(x), kernel, stride, pads, 0).mean(-1)
    check_op("avg_pool", lambda x0: mb.avg_pool(x=x0, exclude_padding_from_average=exclude, **arguments), [x], mean)


@settings(max_examples=30, deadline=None)
@given(geometry=geometries(most_axes=2), seed=seeds)
def test_l2_pool_is_the_root_of_the_sum_of_squares(geometry, seed) -> None:
    size, kernel, stride, pads, arguments = geometry
    x = values(seed, 1, 2, *size)
    expected = np.sqrt((windows(x, kernel, stride, pads, 0).astype(np.float64) ** 2).sum(-1)).astype(np.float32)
    check_op("l2_pool", lambda x0: mb.l2_pool(x=x0, **arguments), [x], expected)


@st.composite
def ceil_geometries(draw):
    """Size, kernel, stride and padding of two axes, such that torch has as many windows as coremltools declares."""
    size = draw(st.tuples(st.integers(5, 12), st.integers(5, 12)))
    kernel, stride, pad = draw(st.integers(2, 4)), draw(st.integers(1, 5)), draw(st.integers(0, 2))
    assume(pad <= kernel // 2)
    assume(pad or all((-(-(side - kernel) // stride)) * stride < side for side in size))
    return size, kernel, stride, pad


def in_ceil_mode(kernel: int, stride: int, pad: int, axes: int = 2) -> dict[str, object]:
    return {
        "kernel_sizes": (kernel,) * axes,
        "strides": (stride,) * axes,
        "pad_type": "custom",
        "pad": (pad,) * 2 * axes,
        "ceil_mode": True,
    }


def overhanging_windows(x: np.ndarray, kernel: int, stride: int, pad: int, count: tuple[int, ...]) -> np.ndarray:
    """So many windows per axis of a map with zeros before it and as many behind it as the last window needs."""
    behind = [(n - 1) * stride + kernel - size - pad for n, size in zip(count, x.shape[2:], strict=True)]
    cut = x[:, :, *(slice(None, size + min(after, 0)) for size, after in zip(x.shape[2:], behind, strict=True))]
    return windows(cut, (kernel,) * len(count), (stride,) * len(count), [(pad, max(after, 0)) for after in behind], 0)


@settings(max_examples=30, deadline=None)
@given(geometry=ceil_geometries())
def test_a_maximum_in_ceil_mode_is_torchs(geometry) -> None:
    size, kernel, stride, pad = geometry
    x = values(sum(size), 1, 2, *size) - 10
    expected = F.max_pool2d(torch.from_numpy(x), kernel, stride, pad, ceil_mode=True)
    check_op("max_pool", lambda x0: mb.max_pool(x=x0, **in_ceil_mode(kernel, stride, pad)), [x], expected)


@settings(max_examples=15, deadline=None)
@given(geometry=ceil_geometries())
def test_an_average_in_ceil_mode_divides_by_the_whole_kernel_or_by_what_lies_inside(geometry) -> None:
    size, kernel, stride, pad = geometry
    x = values(sum(size), 1, 2, *size)
    inside = F.avg_pool2d(torch.from_numpy(x), kernel, stride, pad, ceil_mode=True, count_include_pad=False)
    whole = overhanging_windows(x, kernel, stride, pad, tuple(inside.shape[2:])).mean(-1)
    arguments = in_ceil_mode(kernel, stride, pad)
    check_op("avg_pool", lambda x0: mb.avg_pool(x=x0, exclude_padding_from_average=True, **arguments), [x], inside)
    check_op("avg_pool", lambda x0: mb.avg_pool(x=x0, exclude_padding_from_average=False, **arguments), [x], whole)
    check_op("avg_pool", lambda x0: mb.avg_pool(x=x0, **arguments), [x], whole)


def test_averages_in_ceil_mode_are_those_that_core_ml_was_seen_to_give() -> None:
    """The figures of coremltools #2844: kernel 2, stride 3, no padding."""
    x = np.arange(49, dtype=np.float32).reshape(1, 1, 7, 7)
    seen = np.array([[4, 7, 4.75], [25, 28, 15.25], [21.25, 22.75, 12]], np.float32).reshape(1, 1, 3, 3)
    check_op("avg_pool", lambda x0: mb.avg_pool(x=x0, kernel_sizes=[2, 2], strides=[3, 3], pad_type="valid", ceil_mode=True), [x], seen)
    x, seen = np.arange(7, dtype=np.float32).reshape(1, 1, 7), np.array([[[0.5, 3.5, 3]]], np.float32)
    check_op("avg_pool", lambda x0: mb.avg_pool(x=x0, kernel_sizes=[2], strides=[3], pad_type="valid", ceil_mode=True), [x], seen)


@pytest.mark.parametrize(("size", "kernel", "stride", "pad"), [(5, 2, 3, 1), (7, 2, 4, 1), (9, 4, 5, 1), (6, 3, 4, 1), (8, 3, 4, 1)])
def test_a_ceil_mode_window_that_starts_at_the_end_of_the_map_is_left_out_and_one_before_it_is_not(size, kernel, stride, pad) -> None:
    x = values(size, 1, 2, size)
    arguments = in_ceil_mode(kernel, stride, pad, axes=1)
    expected = F.max_pool1d(torch.from_numpy(x), kernel, stride, pad, ceil_mode=True)
    check_op("max_pool", lambda x0: mb.max_pool(x=x0, **arguments), [x], expected)
    inside = F.avg_pool1d(torch.from_numpy(x), kernel, stride, pad, ceil_mode=True, count_include_pad=False)
    check_op("avg_pool", lambda x0: mb.avg_pool(x=x0, exclude_padding_from_average=True, **arguments), [x], inside)
    squares = overhanging_windows(x, kernel, stride, pad, tuple(inside.shape[2:])).astype(np.float64) ** 2
    check_op("l2_pool", lambda x0: mb.l2_pool(x=x0, **arguments), [x], np.sqrt(squares.sum(-1)).astype(np.float32))


@pytest.mark.parametrize(("size", "kernel", "stride"), [(4, 1, 2), (6, 2, 3), (8, 2, 4), (9, 1, 3)])
def test_a_last_window_behind_the_map_is_there_as_declared_and_covers_nothing(size, kernel, stride) -> None:
    """Without padding MIL declares one window more than torch has, where a stride jumps over the end of the map."""
    x = values(size, 1, 2, size)
    shape = {"kernel_sizes": [kernel], "strides": [stride], "pad_type": "valid", "ceil_mode": True}
    tensor, after = torch.from_numpy(x), ((0, 0), (0, 0), (0, 1))
    largest = np.pad(F.max_pool1d(tensor, kernel, stride, ceil_mode=True).numpy(), after, constant_values=-np.inf)
    means = F.avg_pool1d(tensor, kernel, stride, ceil_mode=True, count_include_pad=False).numpy()
    check_op("max_pool", lambda x0: mb.max_pool(x=x0, **shape), [x], largest)
    check_op("avg_pool", lambda x0: mb.avg_pool(x=x0, **shape), [x], np.pad(means, after))
    excluded = np.pad(means, after, constant_values=np.nan)
    check_op("avg_pool", lambda x0: mb.avg_pool(x=x0, exclude_padding_from_average=True, **shape), [x], excluded)


def test_a_ceil_mode_window_that_starts_in_the_padding_behind_is_left_out() -> None:
    x = values(0, 1, 1, 5, 5) - 10
    # Pads beyond half the kernel, which torch refuses: the rule is Core ML's, worked by hand: ⌈(5+4-3)/4⌉ + 1 = 3, its start 8 ≥ 5+2.
    arguments = {"kernel_sizes": (3, 3), "strides": (4, 4), "pad_type": "custom", "pad": (2, 2, 2, 2), "ceil_mode": True}
    expected = windows(x, (3, 3), (4, 4), [(2, 2), (2, 2)], -np.inf).max(-1)[:, :, :2, :2]
    check_op("max_pool", lambda x0: mb.max_pool(x=x0, **arguments), [x], expected)
