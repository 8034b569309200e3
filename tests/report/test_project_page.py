"""The page of a project: all models of ``depth.toml`` one below the other."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from fcrn_mobile.report.html import Page, render
from fcrn_mobile.report.verdict import of_all
from fcrn_mobile.validation.baseline import Change
from tests.report.browser import CHROMIUM, Tab, browse
from tests.report.page import WHEN, drift_of, parsed, validated


def project(folder: Path) -> Page:
    """Three models: one holds its budget and was made anew, one breaks it, one has none."""
    close = validated(folder, {"close": [1.01, 1.02, 1.03], "closer": [1.001, 1.002, 1.003]}, "fidelity=0.05")
    close = replace(close, exported={"close.mlpackage": "it was not there"}, changes=(Change("close", "fidelity", 0.05, 0.02),))
    far = validated(folder, {"far": [1.1, 1.3, 1.2]}, "fidelity=0.05")
    return Page(models=(close, far, validated(folder, {"free": [1.0, 1.1, 1.2]})))


def test_every_model_has_a_part_that_the_top_leads_to(tmp_path: Path) -> None:
    page = parsed(project(tmp_path))
    (title,) = page.all("title")
    (top,) = page.all("h1")
    assert top.text == title.text == "far breaks its budget (1 of 4 artefacts of 3 models)"
    parts = [element for element in page.all("section") if element.attributes["class"] == "model"]
    links = [element.attributes["href"] for element in page.all("a")]
    assert links == [f"#{part.attributes['id']}" for part in parts] and len(set(links)) == 3
    assert [re.findall(r"(?:closer?|far|free)\b.*?budgets?", part.text)[0] for part in parts[:2]] == [
        "close and closer hold their budgets",
        "far breaks its budget",
    ]
    assert "close.mlpackage was exported: it was not there" in parts[0].text
    assert "Since the last run" in parts[0].text and "−0.0300" in parts[0].text
    assert not any("Since the last run" in part.text for part in parts[1:])


def test_it_is_well_formed_with_one_script_and_needs_nothing(tmp_path: Path) -> None:
    text = render(project(tmp_path), WHEN)
    page = parsed(project(tmp_path))
    levels = [int(element.tag[1]) for element in page.elements if re.fullmatch("h[1-6]", element.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert [element.attributes for element in page.all("script")] == [{}]
    assert "//" not in re.sub(r"base64,[^\"]*", "", text)
    assert text.count("How to read it") == 1 and text.count("Fidelity is the mean") == 1


@pytest.mark.parametrize(
    ("budgets", "expected"),
    [
        ((["fidelity=1"], ["fidelity=1"]), ("held", "All 2 artefacts of 2 models hold their budgets")),
        ((["fidelity=1"], []), ("held", "1 of 2 artefacts of 2 models hold their budgets; 1 without a budget")),
        (([], []), ("no budget", "No budget to hold 2 artefacts of 2 models to: drift measured, not judged")),
        ((["fidelity=0.01"], ["fidelity=0.01"]), ("broken", "m and m break their budgets (2 of 2 artefacts of 2 models)")),
    ],
)
def test_one_line_judges_all(budgets: tuple[list[str], ...], expected: tuple[str, str], tmp_path: Path) -> None:
    assert of_all([drift_of(validated(tmp_path, {"m": [1.1]}, *limits)) for limits in budgets]) == expected


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: the page was not looked at")
@pytest.mark.parametrize("width", [400, 1400])
def test_links_lead_to_parts_and_every_part_has_its_sliders(tmp_path: Path, width: int) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(project(tmp_path), WHEN), encoding="utf-8")

    async def work(tab: Tab) -> None:
        await tab.until("[...document.querySelectorAll('.scene')].every((scene) => scene.dataset.ready === 'true')")
        assert await tab.value("document.querySelectorAll('.scene').length") == 9
        # Three frames of four candidates, a slider each: the script ran once over all parts.
        assert await tab.value("document.querySelectorAll('.stack + input').length") == 12
        box = await tab.value("JSON.parse(JSON.stringify(document.querySelectorAll('.verdict a')[1].getBoundingClientRect()))")
        for kind in ("mousePressed", "mouseReleased"):
            await tab.mouse(kind, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        await tab.until("Math.abs(document.getElementById('model-2').getBoundingClientRect().top) < 2")
        assert await tab.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert tab.complaints == []

    browse(page, width, work)
