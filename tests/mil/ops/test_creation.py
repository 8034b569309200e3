import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mil.build import check_op, mb
from tests.mil.ops.arrays import shapes, values


@settings(max_examples=20, deadline=None)
@given(shape=shapes(1, 5), value=st.sampled_from([np.float32(1.5), np.int32(-3)]))
def test_fill_and_fill_like_repeat_one_value(shape, value) -> None:
    expected = np.full(shape, value)
    lengths = np.array(shape, np.int32)
    check_op("fill", lambda x0: mb.fill(shape=x0, value=value), [lengths], expected)
    check_op("fill_like", lambda x0: mb.fill_like(ref_tensor=x0, value=value), [values(0, *shape)], expected)


@settings(max_examples=20, deadline=None)
@given(start=st.integers(-9, 9), count=st.integers(1, 9), step=st.integers(-3, 3).filter(bool))
def test_range_equals_numpys(start, count, step) -> None:
    bounds = [np.array([v], np.int32) for v in (start, start + count * step, step)]

    def body(x0, x1, x2):
        first, last, stride = (mb.squeeze(x=x) for x in (x0, x1, x2))
        return mb.range_1d(start=first, end=last, step=stride)

    check_op("range_1d", body, bounds, np.arange(start, start + count * step, step, dtype=np.int32))
    floats = [b.astype(np.float32) * np.float32(0.5) for b in bounds]
    check_op("range_1d", body, floats, np.arange(*(f.item() for f in floats), dtype=np.float32))


@given(shape=shapes(1, 5))
@settings(max_examples=10, deadline=None)
def test_shape_is_a_vector_of_lengths(shape) -> None:
    check_op("shape", lambda x0: mb.shape(x=x0), [values(0, *shape)], np.array(shape, np.int32))
