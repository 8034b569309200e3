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


@pytest.mark.parametrize("kind", ["max_pool", "avg_pool"])
@settings(max_examples=30, deadline=None)
@given(size=st.tuples(st.integers(5, 12), st.integers(5, 12)), kernel=st.integers(2, 4), stride=st.integers(1, 3), pad=st.integers(0, 2))
def test_ceil_mode_is_torchs(kind, size, kernel, stride, pad) -> None:
    assume(pad <= kernel // 2)
    # Without padding coremltools declares one window more than torch has where that window would start behind the map.
    assume(pad or all((-(-(side - kernel) // stride)) * stride < side for side in size))
    x = values(sum(size), 1, 2, *size)
    if kind == "max_pool":
        expected = F.max_pool2d(torch.from_numpy(x), kernel, stride, pad, ceil_mode=True)
    else:
        expected = F.avg_pool2d(torch.from_numpy(x), kernel, stride, pad, ceil_mode=True)
    arguments = {"kernel_sizes": (kernel,) * 2, "strides": (stride,) * 2, "pad_type": "custom", "pad": (pad,) * 4, "ceil_mode": True}
    check_op(kind, lambda x0: getattr(mb, kind)(x=x0, **arguments), [x], expected)


def test_a_ceil_mode_window_that_starts_in_the_padding_behind_is_left_out() -> None:
    x = values(0, 1, 1, 5, 5) - 10
    # Pads beyond half the kernel, which torch refuses: the rule is Core ML's, worked by hand: ⌈(5+4-3)/4⌉ + 1 = 3, its start 8 ≥ 5+2.
    arguments = {"kernel_sizes": (3, 3), "strides": (4, 4), "pad_type": "custom", "pad": (2, 2, 2, 2), "ceil_mode": True}
    expected = windows(x, (3, 3), (4, 4), [(2, 2), (2, 2)], -np.inf).max(-1)[:, :, :2, :2]
    check_op("max_pool", lambda x0: mb.max_pool(x=x0, **arguments), [x], expected)
