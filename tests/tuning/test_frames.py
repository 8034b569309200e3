from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.data import open_source
from fcrn_mobile.errors import InputError
from fcrn_mobile.tuning.frames import choose_frames


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six frames, of which two are the same picture."""
    for part in ("rgb", "depth"):
        (tmp_path / part).mkdir()
    pictures = np.random.default_rng(0).integers(0, 256, (6, 12, 16, 3), dtype=np.uint8)
    pictures[5] = pictures[4]
    for index in range(6):
        Image.fromarray(pictures[index]).save(tmp_path / "rgb" / f"{index}.png")
        Image.fromarray(np.full((12, 16), 1000, np.uint16)).save(tmp_path / "depth" / f"{index}.png")
    return tmp_path


def test_without_a_split_train_is_searched_and_val_verifies() -> None:
    frames = choose_frames("sample", 3, 2, seed=1)
    assert set(frames.names) <= set(open_source("sample#train").names)
    assert set(frames.unseen.names) <= set(open_source("sample#val").names)
    assert (len(frames.images), len(frames.unseen)) == (3, 2)


def test_a_split_is_divided_by_the_seed() -> None:
    spec, seen = "sample#train", set()
    for seed in range(6):
        frames = choose_frames(spec, 4, 5, seed)
        assert len(set(frames.names) | set(frames.unseen.names)) == 9
        assert choose_frames(spec, 4, 5, seed).hashes == frames.hashes
        seen.add(frames.names)
    assert len(seen) > 1


@pytest.mark.parametrize("search", [9, 10, 11, 40])
def test_of_a_split_half_is_searched_at_most(search: int) -> None:
    """The sample's training part has 20 frames."""
    frames = choose_frames("sample#train", search, 40, 0)
    count = min(search, 10)
    assert (len(frames.images), len(frames.unseen)) == (count, 20 - count)
    assert len(choose_frames("sample#train", search, 3, 0).unseen) == 3


def test_a_picture_that_was_searched_on_never_verifies(folder: Path) -> None:
    """Whichever way the seed divides them, pixels count, not names."""
    for seed in range(8):
        # The fixed split of six frames holds one back.
        frames = choose_frames(f"folder:{folder}#train", 2, 4, seed)
        searched = [image.tobytes() for image in frames.images]
        assert all(frames.unseen[index].image.tobytes() not in searched for index in range(len(frames.unseen)))


@pytest.mark.parametrize("spec", ["sample#train", "sample"])
def test_fewer_images_than_asked_for_are_said(spec: str) -> None:
    frames = choose_frames(spec, 40, 2, 0)
    assert frames.notes == (f"{len(frames.images)} images to search on, not the 40 of --images: '{spec}' has too few",)
    assert choose_frames(spec, 4, 3, 0).notes == ()


def test_too_few_frames_are_refused(folder: Path) -> None:
    for part in ("", "#val"):  # without a split, one frame is left to verify on: it has no spread
        with pytest.raises(InputError, match="too few frames"):
            choose_frames(f"folder:{folder}{part}", 8, 8, 0)
