"""docs/tutorials/drift-gate.md, executed as written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.journeys.page import perform, read_page


def test_the_page_does_what_it_says(tmp_path: Path, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    first, valid, green, red, again = perform(read_page("tutorials/drift-gate.md"), tmp_path, call)
    assert "next: fcrn-mobile check" in first.stdout and valid.stderr == ""
    assert "exported models/phone.mlpackage" in green.stdout
    assert json.loads((tmp_path / "green.json").read_text(encoding="utf-8"))
    assert "exported models/phone.mlpackage" in red.stdout and "exported models/phone.mlpackage" in again.stdout
    (failure,) = ElementTree.parse(tmp_path / "junit.xml").getroot().iter("failure")
    assert failure.get("type") == "fidelity" and "operator: " in (failure.text or "")
    report = (tmp_path / "depth-report" / "report.md").read_text(encoding="utf-8")
    assert "phone" in report and "BROKEN" not in report
