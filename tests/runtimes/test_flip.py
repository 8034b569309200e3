from pathlib import Path

import numpy as np
import pytest

from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.runtimes.flip import FlipProcessed, flip_processed


def test_either_border_comes_from_the_picture_that_sees_it() -> None:
    own, mirrored = np.full((2, 40), 1, np.float32), np.tile(np.arange(40, dtype=np.float32), (2, 1))
    result = flip_processed(own, mirrored)[0].tolist()
    assert result[:2] == [39, 38]
    assert result[-2:] == [1, 1]
    assert result[2:-2] == [(1 + 39 - column) / 2 for column in range(2, 38)]


class Sided:
    """Predicts the red of the picture, and an error at its left border only, as networks trained on stereo do."""

    name, path, backend, input_size, metadata = "sided", Path("x.safetensors"), "torch", (4, 40), {"key": "value"}
    contract = DepthContract()

    def predict(self, image: np.ndarray) -> np.ndarray:
        depth = image[..., 0].astype(np.float32)
        depth[:, :2] *= 3
        return depth


def test_what_a_network_gets_wrong_at_one_side_is_mended_from_the_mirror_image() -> None:
    image = np.random.default_rng(0).integers(50, 99, (4, 40, 3), dtype=np.uint8)
    runtime = FlipProcessed(Sided())
    np.testing.assert_allclose(runtime.predict(image), image[..., 0], rtol=1e-5)
    assert (runtime.name, runtime.metadata) == ("sided, flip-processed", {"key": "value"})


def test_inverse_depth_is_joined_as_it_is() -> None:
    image = np.random.default_rng(1).integers(50, 99, (4, 40, 3), dtype=np.uint8)
    disparity = Sided()
    disparity.contract = DepthContract("inverse")
    expected = flip_processed(*(disparity.predict(view) for view in (image, image[:, ::-1])))
    np.testing.assert_array_equal(FlipProcessed(disparity).predict(image), expected)


def test_a_depth_of_zero_stays_finite() -> None:
    assert np.isfinite(FlipProcessed(Sided()).predict(np.zeros((4, 40, 3), np.uint8))).all()


def test_a_symmetric_network_is_not_changed() -> None:
    depth = np.random.default_rng(0).random((3, 20), dtype=np.float32) + 1
    assert flip_processed(depth, depth[:, ::-1]) == pytest.approx(depth)
