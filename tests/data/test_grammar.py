"""The text of a data spec: its pieces, and paths that hold the characters it is made of."""

import logging
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.data.grammar import encoded, parse, portable, split_off
from fcrn_mobile.data.spec import default_protocol, open_source
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.metrics import protocol
from tests.data.test_sources import write_pair

MARKS = "#?=&%:+ é"
names = st.text(string.ascii_letters + string.digits + "._-" + MARKS, min_size=1, max_size=12).filter(lambda name: name.strip(".") != "")
paths = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/nowhere/" + "/".join(parts))
forms = st.sampled_from(["folder", "nyu-mat", "list", "kitti", "frames"])
parts = st.sampled_from(["", "train", "val", "test"])
options = st.dictionaries(st.sampled_from(["root", "scale", "fx"]), names, max_size=2)


def written(form: str, path: str, values: dict[str, str], part: str) -> str:
    query = "&".join(f"{name}={encoded(value)}" for name, value in values.items())
    return f"{form}:{encoded(path)}{'?' if query else ''}{query}{'#' if part else ''}{part}"


@settings(max_examples=60, deadline=None)
@given(form=forms, path=paths, values=options, part=parts)
def test_any_path_and_value_can_be_said(form: str, path: str, values: dict[str, str], part: str) -> None:
    text = parse(written(form, path, values, part))
    assert (text.form, text.path, dict(text.options()), text.part) == (form, Path(path), values, part)


@settings(max_examples=60, deadline=None)
@given(form=forms, path=paths, values=options, part=parts)
def test_a_part_comes_off_and_goes_on_again(form: str, path: str, values: dict[str, str], part: str) -> None:
    whole, name = split_off(written(form, path, values, part))
    assert name == part
    assert parse(f"{whole}#train") == parse(written(form, path, values, "train"))


@settings(max_examples=60, deadline=None)
@given(form=forms, path=paths, values=options, part=parts)
def test_a_record_holds_no_folder_and_is_its_own_record(form: str, path: str, values: dict[str, str], part: str) -> None:
    record = portable(written(form, path, values, part))
    assert "/" not in record
    assert portable(record) == record
    assert parse(record).path == Path(Path(path).name)
    assert parse(record).part == part


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_every_text_has_a_reading(spec: str) -> None:
    text = parse(spec)
    assert text.form == spec[: len(text.form)]
    assert isinstance(portable(spec), str)


@pytest.mark.parametrize("name", ["a#b", "a?b", "why?x=1", "a=b&c", "50%", "a%23b", "a#train", "50%25"])
def test_a_folder_of_any_name_is_read_as_it_is_and_encoded(name: str, tmp_path: Path) -> None:
    write_pair(tmp_path / name, "only")
    for path in (f"{tmp_path}/{name}", f"{tmp_path}/{encoded(name)}"):
        assert open_source(f"folder:{path}").names == ("only",)
        assert open_source(f"folder:{path}?scale=500")[0].depth[0, 0] == 3.0
    for number in range(20):
        write_pair(tmp_path / name, f"{number}")
    assert len(open_source(f"folder:{tmp_path}/{name}#val")) == 3


def test_a_part_wins_over_a_folder_of_that_name_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(20):
        write_pair(tmp_path / "set", f"{number}")
    write_pair(tmp_path / "set#val", "other")
    with caplog.at_level(logging.WARNING):
        assert len(open_source(f"folder:{tmp_path}/set#val")) == 3
        assert len(open_source(f"folder:{tmp_path}/set#val")) == 3
    assert len(caplog.records) == 1
    assert "set%23val'" in caplog.text
    assert open_source(f"folder:{tmp_path}/set%23val").names == ("other",)


def test_home_is_where_the_shell_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_pair(tmp_path / "set", "only")
    assert open_source("folder:~/set").names == ("only",)


def test_unknown_parts_and_options_say_how_a_path_is_written(tmp_path: Path) -> None:
    write_pair(tmp_path, "only")
    with pytest.raises(InputError, match=r"unknown split '#b' in .*: use #train or #val; in a path write %23 for #"):
        open_source(f"folder:{tmp_path}#b")
    with pytest.raises(InputError, match=r"unknown option 'c' in .*in an option's value %26 for &"):
        open_source(f"list:{tmp_path}/a.txt?root=/a/b&c")
    with pytest.raises(InputError, match="option 'scale' stands twice"):
        open_source(f"folder:{tmp_path}?scale=1&scale=2")


@pytest.mark.parametrize("spec", ["sample", "folder:/a/kitti#val", "nyu-mat:x.mat#test", "tum:/data/desk"])
def test_rooms_have_the_protocol_that_their_results_are_published_with(spec: str) -> None:
    assert default_protocol(spec) == "eigen"
    assert protocol("eigen").max_depth == 10


@pytest.mark.parametrize("spec", ["kitti:/data/kitti#val", "list:eigen_test.txt?root=/data&scale=256#val"])
def test_streets_have_the_protocol_that_their_results_are_published_with(spec: str) -> None:
    assert default_protocol(spec) == "garg"
    assert protocol("garg").max_depth == 80
