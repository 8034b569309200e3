"""A few frames in folders, and what packs them."""

from pathlib import Path

import numpy as np
import pytest
from pack import Origin, pack
from PIL import Image

from fcrn_mobile.data.depth_maps import save_depth_png

#: Trains in a second or two: --set of train.py.
TINY = ("preset='fcrn-plain'", "widths=[16, 8, 8, 8]", "input_size=[32, 48]", "encoder_weights='random'", "batch_size=4", "lr=5e-3")


def write_frames(folder: Path, count: int, size: tuple[int, int], seed: int) -> None:
    """Photo-like frames: waves of colour with noise over slanted planes with an edge, a corner of them without depth."""
    rng = np.random.default_rng(seed)
    (folder / "rgb").mkdir(parents=True)
    (folder / "depth").mkdir()
    rows, columns = np.mgrid[: size[0], : size[1]] / max(size)
    for index in range(count):
        waves = [np.sin(rng.uniform(2, 9) * rows + rng.uniform(2, 9) * columns + rng.uniform(0, 6)) for _ in range(3)]
        image = 128 + 80 * np.stack(waves, axis=2) + rng.normal(0, 3, (*size, 3))
        depth = 1 + 2 * rng.random() + rows + 0.7 * columns + (columns > rng.uniform(0.3, 0.7))
        depth[: size[0] // 5, : size[1] // 4] = 0
        # PNG, which loses nothing: the packed file's own loss is what is measured.
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / "rgb" / f"{index:04d}.png")
        save_depth_png(depth.astype(np.float32), folder / "depth" / f"{index:04d}.png")


ORIGINS = (
    Origin("real", "folder:real", 1.0, focal=0.8, validates=True),
    Origin("blind", "folder:blind", 1.0),
    Origin("rooms", "folder:rooms", 0.5, coarseness=1.0),
)


@pytest.fixture(scope="session")
def frames_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 frames of 45×61, 4 of another camera and with depth at one pixel, 8 of 48×64."""
    folder = tmp_path_factory.mktemp("frames")
    write_frames(folder / "real", 14, (45, 61), 0)
    write_frames(folder / "blind", 4, (48, 64), 1)
    write_frames(folder / "rooms", 8, (48, 64), 2)
    for path in (folder / "blind" / "depth").iterdir():
        # A source refuses frames without any.
        save_depth_png(np.pad(np.full((1, 1), 2.0, np.float32), ((0, 47), (0, 63))), path)
    table = "id\tfx_at_320px\n0000\t?\n" + "".join(f"{index:04d}\t270.0\n" for index in range(1, 4))
    (folder / "blind" / "frames.tsv").write_text(table)
    return folder


@pytest.fixture(scope="session")
def packed_file(frames_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("packed") / "training.npz"
    pack(ORIGINS, frames_folder, (), out, 10**7, workers=1)
    return out


@pytest.fixture
def command(packed_file: Path, tmp_path: Path) -> list[str]:
    """A short training on a CPU into tmp_path/out, to which options are added."""
    settings = [argument for change in TINY for argument in ("--set", change)]
    return [str(packed_file), "--out", str(tmp_path / "out"), "--device", "cpu", "--no-compile", *settings]
