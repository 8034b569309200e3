import re
from pathlib import Path

import pytest

IOS_DEMO = Path(__file__).resolve().parents[2] / "ios_demo"
SOURCES = sorted([*(IOS_DEMO / "DepthDemo").rglob("*.swift"), *(IOS_DEMO / "DepthCore/Sources/DepthCore").glob("*.swift")])
#: A literal that says metres of a number.
METRES = re.compile(r'"(?:\\.|[^"\\])*?(?<![\w\'])m(?![\w\'])(?:\\.|[^"\\])*"')


def metres_said(source: str) -> list[str]:
    return [line.strip() for line in source.splitlines() if METRES.search(line.partition("//")[0])]


def test_only_one_place_says_metres() -> None:
    """Depth that is known up to a scale must not be shown in metres by a second place that knows nothing of it."""
    said = {source.name: metres_said(source.read_text()) for source in SOURCES}
    places = {name: lines for name, lines in said.items() if lines}
    assert places == {"DepthScale.swift": ['case .metres: "m"', 'case .uncalibrated: "m, uncalibrated"']}


@pytest.mark.parametrize("line", ['String(format: "%.2f m", depth)', 'Text("\\(near) to \\(far) m")', '"m"', '"in m: \\(x)"'])
def test_the_search_would_find_metres(line: str) -> None:
    assert metres_said(line)


@pytest.mark.parametrize("line", ['"median %.2f ms"', '"the model fits"', "let m = 1", '// in "m"'])
def test_other_words_are_no_metres(line: str) -> None:
    assert not metres_said(line)
