"""File names of any bytes: what names them in a table, a picture or a JSON must not end the work."""

import csv
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import fcrn_mobile.runtimes
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.json_text import json_text
from fcrn_mobile.report.examples import draw_examples
from fcrn_mobile.runs.examples import Example
from fcrn_mobile.text import printable
from tests.journeys.command import Result


@given(st.binary(max_size=20))
def test_any_file_name_becomes_text_that_utf_8_holds(name: bytes) -> None:
    kept = os.fsdecode(name)
    spelt = "".join(f"\\udc{ord(letter) - 0xDC00:02x}" if "\udc80" <= letter <= "\udcff" else letter for letter in kept)
    assert printable(kept) == spelt
    assert printable(kept).encode("utf-8").decode("utf-8") == spelt


@pytest.mark.parametrize("name", ["depth.png", "café.png", "部屋 $1$ #2?.png", ""])
def test_a_name_that_is_text_stays_as_it_is(name: str) -> None:
    assert printable(name) == name


def test_json_holds_names_in_keys_and_values_of_any_depth() -> None:
    name = os.fsdecode(b"a\xff")
    text = json_text({name: [{"file": (name, 1.5, None, float("nan"))}]})
    assert json.loads(text) == {"a\\udcff": [{"file": ["a\\udcff", 1.5, None, None]}]}
    text.encode("ascii")


def test_pictures_of_training_take_any_name() -> None:
    flat = np.ones((8, 8), np.float32)
    assert draw_examples([Example(np.zeros((8, 8, 3), np.uint8), flat, flat)], os.fsdecode(b"run\xe9")).ndim == 3


class Flat:
    name, path, backend, input_size, metadata = "flat", Path("flat"), "torch", (8, 8), {}
    contract = DepthContract()

    def predict(self, image: np.ndarray) -> np.ndarray:
        return np.full((8, 8), 1.4, np.float32)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS keeps no name that is not UTF-8")
def test_evaluate_writes_every_image_and_panels_whatever_they_are_called(
    call: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, array in (("rgb", np.zeros((16, 16, 3), np.uint8)), ("depth", np.full((16, 16), 1500, np.uint16))):
        (tmp_path / "set" / kind).mkdir(parents=True)
        Image.fromarray(array).save(tmp_path / "set" / kind / os.fsdecode(b"caf\xe9.png"))
    monkeypatch.setattr(fcrn_mobile.runtimes, "open_runtime", lambda *words, **named: Flat())
    result = call("evaluate", "m", "--data", "folder:set", "--per-image", "all.csv", "--panels", "panels", "--json", "all.json")
    assert result.returncode == 0, result.stderr
    _, (name, *_) = csv.reader((tmp_path / "all.csv").read_text(encoding="utf-8").splitlines())
    assert name.endswith("caf\\udce9") or name.endswith("caf\\udce9.png")
    assert sorted(path.name for path in (tmp_path / "panels").iterdir()) == ["best.png", "median.png", "worst.png"]
