"""The report's own script: the reference over a candidate's depth, and depth under the pointer."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from fcrn_mobile.report.html import render
from fcrn_mobile.report.scenes import Values, stored_values
from tests.report.browser import CHROMIUM, Tab, browse
from tests.report.page import WHEN, validated


def read(values: Values) -> np.ndarray:
    """As the script reads a map; NaN where it is not known."""
    red, green, blue = np.moveaxis(
        np.asarray(Image.open(io.BytesIO(base64.b64decode(values.picture.partition(",")[2])))).astype(np.float64), 2, 0
    )
    return np.where(blue > 0, values.low + values.span * (256 * red + green) / 65535, np.nan)


@settings(deadline=None)
@given(arrays(np.float32, (5, 7), elements=st.floats(-2, 80, width=32)), st.booleans())
def test_a_map_is_stored_to_the_step_of_its_range(depth: np.ndarray, inverse: bool) -> None:
    values = stored_values(depth, inverse)
    result = read(values)
    known = (depth > 0) | inverse
    np.testing.assert_array_equal(np.isnan(result), ~known)
    np.testing.assert_allclose(result[known], depth[known], rtol=1e-6, atol=values.span / 65535)


def test_what_is_not_finite_is_unknown_and_a_large_map_keeps_the_nearest() -> None:
    assert np.isnan(read(stored_values(np.full((2, 3), np.nan, np.float32)))).all()
    assert read(stored_values(np.array([[1, np.inf, 3]], np.float32)))[0].tolist() == pytest.approx([1, np.nan, 3], nan_ok=True)
    large = np.full((480, 640), 4, np.float32)
    large[101, 201] = 1.5
    small = read(stored_values(large))
    assert small.shape == (240, 320)
    assert small[50, 100] == pytest.approx(1.5) and (small == 1.5).sum() == 1


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: what the script does was not looked at")
@pytest.mark.parametrize("width", [400, 1400])
def test_a_hand_reads_depth_and_moves_the_slider(tmp_path: Path, width: int) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(validated(tmp_path, {"far": [1.1, 1.3, 1.2]}), WHEN), encoding="utf-8")

    async def work(tab: Tab) -> None:
        await tab.until("[...document.querySelectorAll('.scene')].every((scene) => scene.dataset.ready === 'true')")
        await tab.value("document.querySelectorAll('.scene')[2].querySelector('.stack').scrollIntoView({block: 'center'})")
        box = await tab.value(
            "JSON.parse(JSON.stringify(document.querySelectorAll('.scene')[2].querySelector('.stack img').getBoundingClientRect()))"
        )
        # The worst frame's factor is 1.3, and the reference's depth rises from 1 to 4 m over 32 columns.
        x, y = box["x"] + box["width"] * 20.5 / 32, box["y"] + box["height"] / 2
        await tab.mouse("mouseMoved", x, y)
        reading = await tab.value("document.querySelectorAll('.scene')[2].querySelector('.reading').textContent")
        numbers = dict(re.findall(r"([\w ]+): ([\d.]+) m", reading))
        depth = 1 + 3 * 20 / 31
        assert float(numbers[" far"]) == pytest.approx(1.3 * depth, abs=2e-3)
        assert float(numbers[" reference"]) == pytest.approx(depth, abs=2e-3)
        assert float(numbers["true depth"]) == pytest.approx(1.2 + 3.2 * 41 / 63, abs=0.06)
        await tab.mouse("mouseMoved", 1, 1)
        assert "Point at a picture" in await tab.value("document.querySelectorAll('.scene')[2].querySelector('.reading').textContent")

        clip = "document.querySelectorAll('.scene')[2].querySelector('.over').style.clipPath"
        assert await tab.value(clip) == "inset(0px 100% 0px 0px)"
        slider = await tab.value(
            "JSON.parse(JSON.stringify(document.querySelectorAll('.scene')[2].querySelector('input').getBoundingClientRect()))"
        )
        middle = slider["x"] + slider["width"] / 2, slider["y"] + slider["height"] / 2
        await tab.mouse("mousePressed", *middle)
        await tab.mouse("mouseReleased", *middle)
        share = float(re.findall(r"([\d.]+)%", await tab.value(clip))[0])
        assert share == pytest.approx(50, abs=4)
        assert await tab.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        shot = await tab.ask("Page.captureScreenshot", format="png")
        (tmp_path / "shot.png").write_bytes(base64.b64decode(shot["data"]))
        assert tab.complaints == []

    browse(page, width, work)
