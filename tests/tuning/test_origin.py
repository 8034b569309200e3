"""What packages are tuned from, and by which contract."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.errors import InputError
from fcrn_mobile.tuning.origin import open_origin
from tests.mil.build import mb, save_program

IMAGE = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
WEIGHTS = np.random.default_rng(1).random((1, 3, 3, 3)).astype(np.float32)


def _conv(x0: Any) -> Any:
    return mb.conv(x=x0, weight=WEIGHTS, pad_type="same", name="depth")


def test_a_package_is_tuned_by_the_model_config_that_is_named(tmp_path: Path) -> None:
    package = save_program(tmp_path, _conv, [np.zeros((1, 3, 8, 12), np.float32)])
    depths = {}
    for name, channels in (("rgb", "RGB"), ("bgr", "BGR")):
        config = tmp_path / f"{name}.toml"
        config.write_text(f"depth = 'scale'\nmean = 0\nstd = 1\nchannels = '{channels}'\n")
        origin = open_origin(str(package), config)
        assert origin.contract is not None
        assert (origin.contract.depth, origin.contract.channels) == ("scale", channels)
        depths[name] = origin.runtime().predict(IMAGE)
    mirrored = open_origin(str(package), tmp_path / "rgb.toml").runtime().predict(np.ascontiguousarray(IMAGE[..., ::-1]))
    np.testing.assert_array_equal(depths["bgr"], mirrored)
    assert not np.array_equal(depths["rgb"], mirrored)


def test_a_network_says_itself_what_it_takes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'own.toml' is for packages, and 'builtin' is a network"):
        open_origin("builtin", Path("own.toml"))
