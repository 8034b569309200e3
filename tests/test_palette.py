"""Colours stand in one module, and the app has those that it shares with this toolkit."""

import re
from pathlib import Path

import numpy as np
import pytest

import fcrn_mobile
from fcrn_mobile import palette
from fcrn_mobile.report.figures import coloured
from fcrn_mobile.report.html import Page, render
from tests.report.page import WHEN, drift_of, validated

PACKAGE = Path(fcrn_mobile.__file__).parent
APP = PACKAGE.parent / "ios_demo" / "DepthCore" / "Sources" / "DepthCore"
#: #12ab34; #1a3 where it is a colour, but for white; matplotlib's maps by name.
COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b|[:\"'] *#(?!fff\b)[0-9a-fA-F]{3}\b|\b(magma|viridis|RdBu)")


def test_no_colour_is_spelt_out_anywhere_else() -> None:
    files = [path for ending in ("py", "html", "css") for path in PACKAGE.rglob(f"*.{ending}") if path.name != "palette.py"]
    spelt = {str(path.relative_to(PACKAGE)): COLOUR.search(path.read_text()) for path in files}
    assert {name: match[0] for name, match in spelt.items() if match} == {}


@pytest.mark.parametrize("text", ['"#9a9a9a"', "color: #abc;", 'colormaps["magma_r"]'])
def test_a_colour_would_be_seen(text: str) -> None:
    assert COLOUR.search(text)


def test_the_app_shows_the_unknown_in_the_same_colour() -> None:
    (level,) = re.findall(r"unknown: UInt8 = (\d+)", (APP / "Colormap.swift").read_text())
    assert "#" + 3 * f"{int(level):02x}" == palette.UNKNOWN
    assert coloured(np.full((1, 1), np.nan, np.float32), 0, 1).ravel().tolist() == [int(level)] * 3


def test_every_custom_property_of_a_page_has_a_colour_and_every_colour_a_use(tmp_path: Path) -> None:
    style = render(Page(drift_of(validated(tmp_path, {"m": [1.0]}))), WHEN).partition("<style>")[2].partition("</style>")[0]
    assert dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", style)) == palette.PAGE
    assert set(re.findall(r"var\(--([a-z]+)\)", style)) == palette.PAGE.keys() | {"columns"}
