"""Pictures without depth: where they may lie, what they are called, and that whatever needs depth refuses them."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.data.mixture import open_mixture
from fcrn_mobile.data.pictures import HolesMarked, open_pictures
from fcrn_mobile.data.source import Sample
from fcrn_mobile.data.spec import open_source, open_unlabelled, without_depth
from fcrn_mobile.data.transforms import Augmentation
from fcrn_mobile.errors import InputError
from tests.journeys.command import Result, refused

NAMES = ("a/1.png", "a/2.png", "a/10.png", "b/1.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures whose red is their number, and a file that is none."""
    root = tmp_path / "pictures"
    for number, name in enumerate(NAMES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), (number, 100, 200), np.uint8)).save(root / name)
    (root / "notes.txt").write_text("none")
    return root


@pytest.fixture
def places(folder: Path, tmp_path: Path) -> list[Path]:
    """The same as a folder, a .zip and a list."""
    archive, listed = tmp_path / "pictures.zip", tmp_path / "list.txt"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("notes.txt", *NAMES):
            file.write(folder / name, name)
    listed.write_text("".join(f"pictures/{name}\n" for name in NAMES) + "\n")
    return [folder, archive, listed]


def test_a_folder_a_zip_and_a_list_hold_the_same_pictures(places: list[Path]) -> None:
    for place, names in zip(places, (NAMES, NAMES, tuple(f"pictures/{name}" for name in NAMES)), strict=True):
        source = pickle.loads(pickle.dumps(open_unlabelled(f"images:{place}")))  # as loader processes get it
        assert source.names == names
        for number in range(4):
            sample = source[number]
            assert (sample.image == (number, 100, 200)).all()
            assert sample.depth.shape == (20, 30) and sample.depth.dtype == np.float32 and np.isnan(sample.depth).all()
    assert open_unlabelled(f"images:{places[0] / NAMES[2]}").names == ("10.png",)


def test_parts_of_pictures_share_none(folder: Path) -> None:
    for number in range(10, 20):
        Image.new("RGB", (16, 16)).save(folder / f"{number}.png")
    train, val = (set(open_unlabelled(f"images:{folder}#{part}").names) for part in ("train", "val"))
    assert len(train | val) == 14 and not train & val and len(val) == 2


def test_what_cannot_be_read_is_one_line(folder: Path, tmp_path: Path) -> None:
    def written(text: str) -> Path:
        (tmp_path / "list.txt").write_text(text)
        return tmp_path / "list.txt"

    (tmp_path / "empty").mkdir()
    (folder / "bad.png").write_bytes(b"none")
    cases = [
        (lambda: open_pictures(tmp_path / "nothing"), "no pictures at"),
        (lambda: open_pictures(tmp_path / "empty"), "it needs files ending in .jpg"),
        (lambda: open_pictures(written("pictures/a/1.png\nother.png\n")), "line 2 of .*no file 'other.png'.*restore the file"),
        (lambda: open_pictures(written("pictures/a/1.png\npictures/a/1.png\n")), "lists 'pictures/a/1.png' twice"),
        (lambda: open_pictures(written("\n")), "no pictures in"),
        (lambda: open_pictures(folder)[4], "bad.png' is not an image"),
        (lambda: open_unlabelled(f"images:{folder}?fx=3"), "unknown option 'fx'"),
        (lambda: open_unlabelled("images"), "has no path: use images:PATH"),
        (lambda: open_unlabelled("pictures:x"), "is not for train --unlabelled: use one of images:PATH.*sample, folder:PATH"),
    ]
    for action, words in cases:
        with pytest.raises(InputError, match=words):
            action()


def test_pictures_are_refused_where_depth_is_needed(folder: Path, call: Callable[..., Result]) -> None:
    spec = f"images:{folder}"
    assert without_depth(spec)
    with pytest.raises(InputError, match="holds no depth: it is for train --unlabelled"):
        open_source(spec)
    message = "holds no depth: it is for train --unlabelled"
    refused(call("evaluate", "builtin", "--data", spec), message)
    refused(call("train", "--data", spec, "--out", "run"), message)
    refused(call("train", "--data", "sample", "--val-data", spec, "--out", "run"), message)
    refused(call("train", "--objective", "video", "--data", spec, "--out", "run"), "is not for the video objective")


def test_depth_of_unlabelled_frames_is_not_looked_at() -> None:
    source = open_unlabelled("sample#val")
    frames = open_source("sample#val")
    assert source.names == frames.names
    assert np.array_equal(source[1].image, frames[1].image)
    assert np.isnan(source[1].depth).all() and (frames[1].depth > 0).any()


def test_a_mixture_tells_what_it_knows_from_what_it_does_not(folder: Path) -> None:
    mixture = open_mixture("sample#val", unlabelled=f"images:{folder}*0.5")
    assert (len(mixture), len(mixture.labelled), mixture.shown) == (8, 4, (4, 2))
    assert mixture.names[4] == "images:pictures/a/1.png"
    assert not np.isnan(mixture[3].depth).all() and np.isnan(mixture[4].depth).all()


def test_zero_is_what_the_frame_does_not_show() -> None:
    """Holes are NaN and stay so; behind a rotation and a crop 0 is left in the corners alone."""

    class One:
        names = ("one",)

        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> Sample:
            depth = np.full((40, 40), 2.0, np.float32)
            depth[15:25, 15:25] = 0
            depth[0, 0] = np.inf
            return Sample(np.full((40, 40, 3), 255, np.uint8), depth, "one")

    sample = HolesMarked(One())[0]
    assert np.isnan(sample.depth).sum() == 101
    assert not (sample.depth == 0).any()
    turned = Augmentation((40, 40), max_scale=1.0, max_degrees=30, jitter=0.0)(sample, np.random.default_rng(3))
    dark = (turned.image == 0).all(2)
    assert dark.sum() > 20
    assert np.isnan(turned.depth[~dark]).any()
    # The picture is turned bilinearly, depth by nearest neighbour: along the border they may differ by a pixel.
    assert ((turned.depth == 0) != dark).mean() < 0.05
