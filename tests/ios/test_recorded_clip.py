"""What the app records of a phone with LiDAR is data like any other."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.data import open_source
from fcrn_mobile.data.source import camera_of

FIXTURES = Path(__file__).resolve().parents[2] / "ios_demo/DepthCore/Tests/DepthCoreTests/Fixtures"


@pytest.fixture()
def clip(tmp_path: Path) -> Path:
    """The layout that ``SensorClipWriter`` is tested to write, its depth being that writer's very bytes."""
    folder = tmp_path / "clip"
    for part in ("rgb", "depth"):
        (folder / part).mkdir(parents=True)
    Image.fromarray(np.full((24, 40, 3), 200, np.uint8)).save(folder / "rgb/0000.jpg")
    (folder / "depth/0000.png").write_bytes((FIXTURES / "clip_depth.png").read_bytes())
    (folder / "clip.json").write_text("{}")
    return folder


def test_a_recorded_clip_is_read_in_metres(clip: Path) -> None:
    source = open_source(f"folder:{clip}?fx=481.0")
    assert source.names == ("0000",)
    metres = np.frombuffer((FIXTURES / "clip_sensor.bin").read_bytes(), "<f4").reshape(24, 40)
    storable = np.isfinite(metres) & (metres > 5e-4) & (metres < 65.5345)
    assert (~storable).sum() == 7
    depth = source[0].depth
    np.testing.assert_allclose(depth[storable], metres[storable], atol=5.1e-4)
    assert (depth[~storable] == 0).all()
    assert camera_of(source).focal_px == 481.0


def test_the_depth_map_is_16_bits_of_millimetres_to_another_reader(clip: Path) -> None:
    with Image.open(clip / "depth/0000.png") as picture:
        picture.verify()
    with Image.open(clip / "depth/0000.png") as picture:
        assert picture.size == (40, 24)
        assert picture.mode == "I;16"
        pixels = np.asarray(picture)
    assert pixels.max() == 65_534
    assert np.unique(pixels).size > 800
