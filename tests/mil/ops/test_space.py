import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mil.build import check_op, mb
from tests.mil.ops.arrays import seeds, values

sizes = st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=20, deadline=None)
@given(size=sizes, r=st.integers(2, 3), seed=seeds)
def test_pixel_shuffle_and_its_inverse_equal_torchs(size, r, seed) -> None:
    n, c, h, w = size
    x = values(seed, n, c * r * r, h, w)
    shuffled = F.pixel_shuffle(torch.from_numpy(x), r)
    check_op("pixel_shuffle", lambda x0: mb.pixel_shuffle(x=x0, upscale_factor=r), [x], shuffled)
    unshuffle = {"downscale_factor": np.uint32(r)}
    check_op("pixel_unshuffle", lambda x0: mb.pixel_unshuffle(x=x0, **unshuffle), [shuffled.numpy()], x)


@settings(max_examples=20, deadline=None)
@given(size=sizes, r=st.integers(2, 3), seed=seeds)
def test_depth_to_space_orders_channels_block_first(size, r, seed) -> None:
    n, c, h, w = size
    x = values(seed, n, c * r * r, h, w)
    expected = np.zeros((n, c, h * r, w * r), np.float32)
    for i in range(r):
        for j in range(r):
            expected[:, :, i::r, j::r] = x[:, (i * r + j) * c : (i * r + j + 1) * c]
    check_op("depth_to_space", lambda x0: mb.depth_to_space(x=x0, block_size=r), [x], expected)
    check_op("space_to_depth", lambda x0: mb.space_to_depth(x=x0, block_size=r), [expected], x)


@settings(max_examples=20, deadline=None)
@given(size=sizes, block=st.tuples(st.integers(1, 3), st.integers(1, 3)), pads=st.tuples(*[st.integers(0, 2)] * 2), seed=seeds)
def test_space_to_batch_moves_every_block_offset_to_an_entry(size, block, pads, seed) -> None:
    n, c, h, w = size
    rows, columns = block
    top, left = pads
    bottom, right = -(h + top) % rows, -(w + left) % columns
    x = values(seed, n, c, h, w)
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    expected = np.concatenate([padded[:, :, i::rows, j::columns] for i in range(rows) for j in range(columns)])
    paddings = np.array([[top, bottom], [left, right]], np.int32)

    def there(x0):
        return mb.space_to_batch(x=x0, block_shape=block, paddings=paddings)

    def back(x0):
        return mb.batch_to_space(x=x0, block_shape=block, crops=paddings)

    check_op("space_to_batch", there, [x], expected)
    check_op("batch_to_space", back, [expected], x)
