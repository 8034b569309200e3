"""The Motorcycle pair of Middlebury 2014 at a quarter of its size, as wheels of scikit-image up to 0.17 carry it."""

import sys
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

#: Of its calibration file: focal length 3979.911 px at four times this size, metres between the cameras.
FOCAL, BASELINE = 3979.911 / 4, 0.193001

# Those wheels are for Pythons of their time: this one cannot install them, but read what is in them. The Makefile downloads one.
_FOLDER = Path(sys.prefix) / "share" / "test-data"
_REMEDY = "pip download scikit-image==0.17.2 --no-deps --only-binary :all: --python-version 38 --abi cp38 --platform manylinux1_x86_64"


class Pair(NamedTuple):
    """Pictures 500×741×3 uint8, and the left one's disparity in pixels; 0 where unknown."""

    left: NDArray[np.uint8]
    right: NDArray[np.uint8]
    disparity: NDArray[np.float64]


def motorcycle() -> Pair:
    """The pair, from the wheel; skips without it."""
    wheel = next(iter(sorted(_FOLDER.glob("scikit_image-0.1[4-7]*.whl"))), None)
    if wheel is None:
        pytest.skip(f"no wheel of scikit-image with the Motorcycle pair: {_REMEDY} --dest {_FOLDER}")
    with ZipFile(wheel) as archive:
        left, right = (
            np.array(Image.open(BytesIO(archive.read(f"skimage/data/motorcycle_{side}.png"))).convert("RGB")) for side in ("left", "right")
        )
        disparity = np.load(BytesIO(archive.read("skimage/data/motorcycle_disp.npz")))["arr_0"].astype(np.float64)
    return Pair(left, right, np.where(np.isfinite(disparity), disparity, 0.0))
