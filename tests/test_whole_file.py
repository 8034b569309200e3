"""Files and packages appear whole or not at all, and leave nothing behind."""

from fnmatch import fnmatch
from pathlib import Path

import pytest

from fcrn_mobile.errors import InputError
from fcrn_mobile.whole_file import partial_name, replaced_whole, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_there_all_the_time_while_another_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    path.write_text("old")
    seen: list[str] = []
    replace = Path.replace

    def watched(partial: Path, target: Path) -> Path:
        seen.append(target.read_text())
        return replace(partial, target)

    monkeypatch.setattr(Path, "replace", watched)
    with replaced_whole(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert fnmatch(partial.name, partial_name("run.json"))
        assert partial.suffix == ".json"
    assert seen == ["old"]
    assert path.read_text() == "new"
    assert names(tmp_path) == ["run.json"]


@pytest.mark.parametrize("folder", [False, True])
def test_what_fails_leaves_what_was_there_and_its_error_as_it_is(folder: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.mlpackage"
    path.write_text("old")
    with pytest.raises(OSError, match=r"^no room$"), replaced_whole(path) as partial:
        if folder:
            partial.mkdir()
        (partial / "weights" if folder else partial).write_text("half")
        raise OSError("no room")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.mlpackage"]


@pytest.mark.parametrize("old", ["file", "folder"])
@pytest.mark.parametrize("new", ["file", "folder"])
def test_files_and_folders_take_the_place_of_either(old: str, new: str, tmp_path: Path) -> None:
    def write(path: Path, kind: str, text: str) -> None:
        if kind == "folder":
            path.mkdir()
        (path / text if kind == "folder" else path).write_text(text)

    path = tmp_path / "a.mlpackage"
    write(path, old, "old")
    with replaced_whole(path) as partial:
        write(partial, new, "new")
    assert names(tmp_path) == ["a.mlpackage"]
    assert (names(path) if new == "folder" else [path.read_text()]) == ["new"]


def test_text_is_utf_8_whatever_it_holds_and_not_written_over_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, "δ\udcff\n", force=False)
    assert path.read_bytes() == b"\xce\xb4?\n"
    with pytest.raises(InputError, match="exists"):
        write_whole(path, "new", force=False)
    write_whole(path, "new")
    assert (path.read_text(), names(tmp_path)) == ("new", ["a.txt"])
