"""Frames that cannot be read are left out when that is asked for, counted and named."""

from pathlib import Path

import pytest

from fcrn_mobile.data import open_source
from fcrn_mobile.data.skipping import skip_bad, skipped_note, sort_out
from fcrn_mobile.data.source import Subset
from fcrn_mobile.errors import InputError
from tests.data.test_sources import write_pair


def nothing(*_: object) -> None:
    """A check that every frame passes, and progress that nobody sees."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Frames 00 to 19; 03 is damaged, 05 has no valid depth, 07 is of another size than its depth."""
    for number in range(20):
        write_pair(tmp_path, f"{number:02d}", millimetres=0 if number == 5 else 1000 + number)
    (tmp_path / "rgb" / "03.png").write_bytes(b"no picture")
    (tmp_path / "other").mkdir()
    write_pair(tmp_path / "other", "07", size=(20, 20))
    (tmp_path / "other" / "rgb" / "07.png").rename(tmp_path / "rgb" / "07.png")
    (tmp_path / "other" / "depth" / "07.png").unlink()
    return tmp_path


def test_sound_frames_stay_in_their_order_and_bad_ones_are_named_with_their_reason(folder: Path) -> None:
    progress = []
    sound, bad = skip_bad(open_source(f"folder:{folder}"), nothing, lambda done, total: progress.append((done, total)))
    note = skipped_note(bad, 20)
    assert sound.names == tuple(f"{number:02d}" for number in range(20) if number not in (3, 5, 7))
    assert [round(float(sound[i].depth[0, 0] * 1000)) for i in (2, 3, 4)] == [1002, 1004, 1006]
    assert list(bad) == ["03", "05", "07"]
    assert all(word in reason for word, reason in zip(("not an image", "no valid pixel", "register"), bad.values(), strict=True))
    assert note.startswith("3 of 20 frames left out, they cannot be read: 03: ")
    assert "\n" not in note
    assert progress[-1] == (20, 20)


def test_a_part_keeps_its_frames(folder: Path) -> None:
    whole = open_source(f"folder:{folder}#train")
    assert set(skip_bad(whole, nothing, nothing)[0].names) == set(whole.names) - {"03", "05", "07"}


def test_nothing_is_said_where_all_is_sound() -> None:
    sound, bad = skip_bad(open_source("sample#val"), nothing, nothing)
    assert (len(sound), bad, skipped_note(bad, 4)) == (4, {}, "")


def test_many_bad_frames_are_counted_and_a_few_named() -> None:
    def read(name: str) -> None:
        if name != "n0":
            raise InputError(f"'{name[1]}' is damaged")

    sound, bad = sort_out([f"n{i}" for i in range(9)], read, nothing)
    assert sound == ["n0"]
    assert skipped_note(bad, 9).endswith("n3: '3' is damaged; and 5 more")


def test_data_without_one_sound_frame_and_faults_of_the_program_are_not_passed_over() -> None:
    def damaged(item: object) -> None:
        raise InputError("it is damaged")

    with pytest.raises(InputError, match="none of 2 frames can be read, the first because it is damaged"):
        skip_bad(Subset(open_source("sample"), (0, 1)), damaged, nothing)
    with pytest.raises(IndexError):
        sort_out([0], [].__getitem__, nothing)
    assert sort_out([], damaged, nothing) == ([], {})
