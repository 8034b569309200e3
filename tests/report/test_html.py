import base64
import io
import math
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile import palette
from fcrn_mobile.data.cameras import TrainingCamera
from fcrn_mobile.depth_contract import Depth
from fcrn_mobile.evaluation.focus import Focus
from fcrn_mobile.latency.latency import Latency
from fcrn_mobile.report.html import Page, labels, render
from fcrn_mobile.report.operators import Operators, OpRow
from tests.report.page import WHEN, Parsed, drift_of, parsed, validated


def latency(model: str, *samples: float) -> Latency:
    ordered = sorted(samples)
    middle = ordered[len(ordered) // 2]
    numbers = {"mean_ms": sum(samples) / len(samples), "median_ms": middle, "p90_ms": 91.0, "p95_ms": 95.5, "p99_ms": 99.25}
    ends = {"min_ms": ordered[0], "max_ms": ordered[-1], "fps": 1000 / middle, "load_ms": 1234.0, "peak_memory_bytes": 1}
    return Latency(model, "mil", "a processor", "cpuOnly", list(samples), **numbers, **ends)


def two(folder: Path) -> Page:
    page = validated(folder, {"close": [1.01, 1.02, 1.03], "far": [1.1, 1.3, 1.2]}, "fidelity=0.05", "abs_rel=50%")
    return replace(page, latencies=(latency("close", 10, 11, 12), latency("float", 20, 21, 22)))


def test_the_page_is_well_formed(tmp_path) -> None:
    page = parsed(two(tmp_path))
    assert [e.attributes for e in page.all("html")] == [{"lang": "en"}]
    assert any(e.attributes.get("name") == "viewport" for e in page.all("meta"))
    # Headings go down one level at a time.
    levels = [int(e.tag[1]) for e in page.elements if re.fullmatch("h[1-6]", e.tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_page_needs_nothing_from_outside(tmp_path) -> None:
    text = render(two(tmp_path), WHEN)
    page = Parsed(text)
    assert not {"link", "iframe", "object", "base"} & {e.tag for e in page.elements}
    assert [e.attributes for e in page.all("script")] == [{}]  # its own, inside
    for element in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert element.attributes.get(name, "#").startswith(("data:image/", "#")), element
        assert not any(name.startswith("on") for name in element.attributes)
    assert "//" not in re.sub(r"base64,[^\"]*", "", text)
    assert "@import" not in text
    assert all(address.startswith("#") for address in re.findall(r"url\(([^)]*)", text))


def test_the_page_says_that_depth_is_scaled_to_the_data_s_camera(tmp_path) -> None:
    page = two(tmp_path)
    assert page.validation is not None
    focus = Focus(TrainingCamera("NYU", 518.9, 640), TrainingCamera("mine", 700.0, 640))
    scaled = replace(page, validation=replace(page.validation, focus=focus))
    facts = {name.text: value.text for name, value in zip(*(parsed(scaled).all(tag) for tag in ("dt", "dd")), strict=True)}
    assert f"depth is multiplied by {700 / 518.9:.4f}" in facts["camera"]
    assert "from the camera of NYU" in facts["camera"]
    assert "camera" not in {name.text for name in parsed(page).all("dt")}


def test_a_broken_candidate_does_not_bend_the_depth_scale(tmp_path) -> None:
    ticks = [
        [
            figure.attributes["alt"]
            for figure in parsed(validated(tmp_path, {"a": [factor]})).all("img")
            if "scale of depth" in figure.attributes["alt"]
        ]
        for factor in (1.1, 1e5)
    ]
    assert ticks[0] == ticks[1] != []


@pytest.mark.parametrize(("meaning", "title"), [("scale", "depth, up to scale"), ("inverse", "inverse depth, up to scale and shift")])
def test_what_is_not_in_metres_is_not_called_so_and_has_no_scale_with_the_truth(tmp_path, meaning: Depth, title: str) -> None:
    page = two(tmp_path)
    assert page.validation is not None
    text = render(replace(page, validation=replace(page.validation, depth=meaning)), WHEN)
    bars = [e.text for e in Parsed(text).all("figcaption") if e.text in (title, "depth, metres", "true depth, metres")]
    assert bars == [title, "true depth, metres"]
    assert "one for true depth" in text
    assert not re.search(r"colours to ±[0-9.]+ m", text)
    assert re.search(r"colours to ±[0-9.]+ m", render(page, WHEN))
    # The truth goes from 1.2 to 4.4 m, what the reference sees from 1 to 4: each has ticks of its own.
    (own, true) = (
        e.attributes["alt"] for e in Parsed(text).all("img") if "Colour scale of" in e.attributes["alt"] and "depth" in e.attributes["alt"]
    )
    assert own.startswith("Colour scale of depth from 1.00 to 4.00")
    assert not own.endswith("metres")
    assert true.startswith("Colour scale of true depth from 1.") and true.endswith("metres")


def test_the_verdict_comes_first_and_says_which_budget_by_how_much(tmp_path) -> None:
    page = parsed(two(tmp_path))
    tags = [e.tag for e in page.elements]
    assert tags.index("h1") < tags.index("table")
    assert page.all("h1")[0].text == "far breaks its budget (1 of 2 candidates)"
    broken, held = (" ".join(e.text.split()) for e in page.all("li")[:2])
    # far: factors 1.1, 1.3, 1.2 on an output of which they are the error: 0.2 on average.
    assert broken.startswith("BROKEN far: budget fidelity=0.05 BROKEN: the output differs from the reference's by 0.2000, 0.1500 too much")
    assert "4 times the limit" in broken
    assert held.startswith(
        "HELD close: budget fidelity=0.05 held: the output differs from the reference's by 0.0200, 40% of what is allowed"
    )
    assert "not run on a device" in page.all("header")[0].text


def test_a_single_candidate_and_none_with_a_budget_have_headlines_too(tmp_path) -> None:
    assert parsed(validated(tmp_path, {"a": [1.01] * 3}, "fidelity=1")).all("h1")[0].text == "a holds its budget"
    both = validated(tmp_path, {"a": [1.01] * 3, "b": [1.0] * 3})
    assert parsed(both).all("h1")[0].text == "No budget to hold a and b to: drift measured, not judged"
    broken = validated(tmp_path, {"a": [2.0], "b": [3.0]}, "fidelity=0.001")
    assert parsed(broken).all("h1")[0].text.startswith("a and b break their budgets")


def test_the_table_has_the_numbers_of_the_json(tmp_path) -> None:
    page = two(tmp_path)
    rows: dict[str, list[str]] = {}
    document = parsed(page)
    for element in document.elements:
        if element.tag == "tr" and "tbody" in element.inside:
            rows.setdefault(" ".join(element.text.split()).split()[0], []).append(element.text.replace("−", "-"))
    value = drift_of(page).to_json()
    for candidate in value["candidates"]:
        for key, change in candidate["change"].items():
            (row,) = rows[key]
            assert f"{candidate['metrics'][key]:.4f}" in row
            assert f"{change:+.4f}" in row
            assert f"{value['reference']['metrics'][key]:.4f}" in row
        assert f"{candidate['fidelity']['abs_rel']:.4f}" in rows["fidelity"][0]
        assert f"{candidate['fidelity']['psnr_db']:.1f}" in rows["PSNR"][0]
        assert f"{candidate['fidelity']['max_abs']:.4f}" in rows["largest"][0]
    for result in page.latencies:
        (row,) = rows[result.model]
        for number in (
            result.median_ms,
            result.mean_ms,
            result.p90_ms,
            result.p95_ms,
            result.p99_ms,
            result.min_ms,
            result.max_ms,
            result.fps,
        ):
            assert f"{number:.1f}" in row


def test_every_picture_and_every_heading_of_a_table_is_described(tmp_path) -> None:
    page = parsed(two(tmp_path))
    pictures = page.all("img")
    # Two scales; of three frames image, truth and reference, and two pictures per candidate.
    assert len(pictures) == 2 + 3 * (3 + 2 * 2)
    assert all(len(e.attributes["alt"]) > 10 for e in pictures)
    drawn = [e for e in page.elements if e.attributes.get("role") == "img"]
    assert len(drawn) == len(page.all("svg")) == 3
    assert all(len(e.attributes["aria-label"]) > 10 for e in drawn)
    assert all(e.attributes["scope"] in ("col", "row") for e in page.all("th"))
    # A table wider than the page scrolls in a box that the keyboard reaches.
    boxes = [e for e in page.elements if e.attributes.get("class") == "box"]
    assert len(boxes) == len(page.all("table"))
    assert all(e.attributes["tabindex"] == "0" for e in boxes)


HOSTILE = ("<script>alert(1)</script>", '" onload="alert(1)', r"$\frac{x$", "</style></title><b>", "{{ 7 * 7 }}")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_only_text(tmp_path, name: str) -> None:
    recipe = '{"name": "<img src=x>", "precision": "<b>"}'
    page = validated(tmp_path, {name: [1.1, 1.2, 1.3]}, names=[f"{name}{i}" for i in range(3)], data=f"folder:{name}", recipe=recipe)
    page = replace(page, latencies=(latency(name, 1, 2, 3),), ops=Operators(name, (OpRow(name, 0.1, None),), 3, name))
    document = parsed(page)
    assert len(document.all("script")) == 1 and "alert" not in document.all("script")[0].text
    assert not any(e.attributes.get("src") == "x" for e in document.all("img"))
    assert not any("onload" in e.attributes for e in document.elements)
    assert name in document.all("h1")[0].text
    assert [e.text for e in document.all("h3")] == [f"{rank}: {name}{index}" for rank, index in (("Best", 0), ("Median", 1), ("Worst", 2))]


def test_a_value_that_is_no_number_is_shown_as_broken(tmp_path) -> None:
    page = validated(tmp_path, {"good": [1.01] * 3, "lost": [1.0, math.nan, 1.0]}, "fidelity=0.05")
    document = parsed(page)
    assert document.all("h1")[0].text == "lost breaks its budget (1 of 2 candidates)"
    broken = [" ".join(e.text.split()) for e in document.all("td") if e.attributes.get("class") == "broken"]
    assert broken[0] == "BROKEN"
    # Every metric but the shares of right pixels, of which a NaN is none, and fidelity.
    assert broken.count("NaN NaN") == 10
    assert broken.count("NaN") == 1
    reason = " ".join(document.all("li")[0].text.split())
    assert reason.startswith("BROKEN lost: its output is not finite on 1 of 3 images, so there is no value for abs_rel")
    assert "1 not finite, not drawn" in " ".join(e.text for e in document.all("figcaption"))
    gray = next(e for e in document.all("img") if e.attributes["alt"].startswith("Depth that lost sees in frame_1"))
    assert set(colours(gray.attributes["src"])) == {(128, 128, 128)}


def test_an_infinite_output_is_shown_too(tmp_path) -> None:
    document = parsed(validated(tmp_path, {"lost": [math.inf] * 3}, "fidelity=0.05"))
    assert document.all("h1")[0].text == "lost breaks its budget"


def colours(uri: str) -> list[tuple[int, int, int]]:
    picture = Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2]))).convert("RGB")
    return [(int(r), int(g), int(b)) for r, g, b in np.asarray(picture).reshape(-1, 3)]


def test_an_unbroken_validation_without_a_difference_can_be_drawn(tmp_path) -> None:
    document = parsed(validated(tmp_path, {"same": [1.0, 1.0]}, "fidelity=0.001"))
    assert document.all("h1")[0].text == "same holds its budget"
    assert "∞" in document.all("table")[0].text


def test_folders_of_the_maker_stay_out_of_the_page(tmp_path) -> None:
    recipe = '{"name": "m", "calibration": {"data": "folder:/secret/place/rooms#train", "images": 24}}'
    page = validated(tmp_path, {"m": [1.1] * 3}, data="folder:/secret/place/rooms?scale=256#val", recipe=recipe)
    text = render(page, WHEN)
    assert "secret" not in text
    assert str(tmp_path) not in text
    assert "folder:rooms?scale=256#val" in text
    assert "data=folder:rooms#train, images=24" in text


def test_the_recipe_of_each_candidate_is_told(tmp_path) -> None:
    recipe = (
        '{"name": "m", "precision": "int8", "input_size": [224, 320], "budget": {"fidelity": "0.05"}, "dtype": null,'
        ' "ops": [{"match": ["a*", "b"], "precision": "fp16"}]}'
    )
    table = parsed(validated(tmp_path, {"m": [1.01] * 3}, recipe=recipe)).all("table")[-1].text
    for word in ("precision", "int8", "224×320", "fidelity=0.05", "match=a*; b, precision=fp16"):
        assert word in table
    assert "Recipes" not in render(validated(tmp_path, {"m": [1.01] * 3}), WHEN)


def test_date_versions_and_machine_are_told(tmp_path) -> None:
    text = render(two(tmp_path), WHEN)
    for word in ("2026-01-02 03:04 UTC", "fcrn-mobile ", "torch ", "python ", "cores", "full: mean of images"):
        assert word in text


def test_a_benchmark_alone_names_the_shortest_median_and_calls_nothing_the_fastest() -> None:
    document = parsed(Page(latencies=(latency("slow", 30, 31, 32), latency("quick", 3, 4, 5))))
    assert document.all("h1")[0].text == "Shortest median of 2: quick (mil), 4.0 ms median, 250.0 images per second"
    assert "not on a device" in document.all("header")[0].text
    assert len(document.all("table")) == len(document.all("svg")) == 1


def test_a_noisy_measurement_is_called_so_on_every_page(tmp_path) -> None:
    noisy = replace(latency("m", 3, 4, 5), spread=0.3)
    for page in (Page(latencies=(noisy,)), replace(two(tmp_path), latencies=(noisy,))):
        assert "m (mil): this machine is too noisy" in render(page, WHEN)
    assert "too noisy" not in render(Page(latencies=(latency("m", 3, 4, 5),)), WHEN)


def test_each_candidate_s_difference_says_its_own_scale(tmp_path) -> None:
    text = render(validated(tmp_path, {"near": [1.001] * 3, "far": [1.5] * 3}), WHEN)
    limits = set(re.findall(r"differs by [0-9.]+, colours to ±([0-9.]+) m", text))
    assert limits == {"0.0040", "2.0"}


def test_equal_times_can_be_drawn() -> None:
    assert len(parsed(Page(latencies=(latency("still", 5, 5, 5),))).all("svg")) == 1


def test_operators_have_a_section_only_if_they_are_known(tmp_path) -> None:
    page = two(tmp_path)
    assert "Drift by operator" not in render(page, WHEN)
    ops = tuple(OpRow(f"conv_{i}", i / 100, None if i % 2 else 30.0) for i in range(30))
    table = parsed(replace(page, ops=Operators("far", (*ops, OpRow("lost", math.nan, -math.inf)), 3))).all("table")[-1]
    names = re.findall(r"conv_\d+|lost", table.text)
    assert names == ["lost", *(f"conv_{i}" for i in range(29, 15, -1))]
    assert "0.290000" in table.text
    text = render(replace(page, ops=Operators("far", missing="only an .mlpackage shows its operators")), WHEN)
    assert "far, which drifts most, has no table here: only an .mlpackage shows its operators." in text


def test_candidates_of_one_name_are_told_apart(tmp_path) -> None:
    result = drift_of(validated(tmp_path, {"m": [1.0], "n": [1.0]}))
    first, second = result.candidates
    same = replace(result, candidates=(replace(first, path="/x/a/m.mlpackage"), replace(second, name="m", path="/x/b/m.mlpackage")))
    assert labels(same) == ["a/m.mlpackage", "b/m.mlpackage"]
    assert labels(result) == ["m", "n"]


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_and_marks_stand_out_from_white_and_from_panels() -> None:
    for ground in ("#ffffff", palette.PANEL):
        for colour in (palette.INK, palette.SOFT, palette.GOOD, palette.BAD, palette.PLAIN, palette.REFERENCE, *palette.SERIES):
            assert (luminance(ground) + 0.05) / (luminance(colour) + 0.05) >= 4.5, colour
