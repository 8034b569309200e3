"""The command and its page, with real clicks in headless Chromium."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fcrn_mobile.data import open_source
from fcrn_mobile.runtimes import open_runtime
from tests.journeys.command import COMMAND
from tests.report.browser import CHROMIUM, Tab, browse_address

READING = "document.querySelector('.reading').textContent"
READY = "document.querySelector('.scene')?.dataset.ready === 'true' && !document.body.classList.contains('busy')"


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the command's page; ends it as a user does."""
    written = tmp_path_factory.mktemp("said") / "view.json"
    words = ["view", "net.safetensors", "coarse.mlpackage", "--port", "0", "--no-browser", "--json", str(written)]
    process = subprocess.Popen([*COMMAND, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    line = process.stdout.readline()
    said = json.loads(written.read_text())
    assert said["models"] == ["net", "coarse"] and line.startswith(f"{said['address']} shows net, coarse")
    yield said["address"]
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert process.stderr.read() == ""


async def choose(tab: Tab, path: Path) -> None:
    """A file, as the dialog of the browser gives it."""
    document = await tab.ask("DOM.getDocument")
    node = await tab.ask("DOM.querySelector", nodeId=document["root"]["nodeId"], selector="#file")
    await tab.ask("DOM.setFileInputFiles", files=[str(path)], nodeId=node["nodeId"])


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: the page was not looked at")
@pytest.mark.parametrize("width", [400, 1400])
def test_a_hand_compares_models_on_a_frame(address: str, folder: Path, tmp_path: Path, width: int) -> None:
    frame = open_source("sample")[1]
    maps = {name: open_runtime(str(folder / name)).predict(frame.image) for name in ("net.safetensors", "coarse.mlpackage")}

    async def work(tab: Tab) -> None:
        await tab.until(READY)
        await tab.value("document.querySelector('#frame').focus()")
        for kind in ("keyDown", "keyUp"):
            await tab.ask("Input.dispatchKeyEvent", type=kind, key="ArrowDown", code="ArrowDown", windowsVirtualKeyCode=40)
        await tab.until(f"document.querySelector('.scene h3').textContent === {json.dumps(frame.name)} && {READY}")
        box = await tab.box(".stack img")
        rows, columns = maps["net.safetensors"].shape
        row, column = rows // 3, columns // 2
        await tab.mouse("mouseMoved", box["x"] + box["width"] * (column + 0.5) / columns, box["y"] + box["height"] * (row + 0.5) / rows)
        numbers = dict(re.findall(r"(\w+): ([\d.]+) m", await tab.value(READING)))
        assert float(numbers["reference"]) == pytest.approx(maps["net.safetensors"][row, column], abs=2e-3)
        assert float(numbers["coarse"]) == pytest.approx(maps["coarse.mlpackage"][row, column], abs=2e-3)
        await tab.click(".stack + input")
        clip = "document.querySelector('.over').style.clipPath"
        assert float(re.findall(r"([\d.]+)%", await tab.value(clip))[0]) == pytest.approx(50, abs=4)
        # Another picture leaves the slider where it was.
        share = await tab.value(clip)
        await choose(tab, folder / "noise.png")
        await tab.until(f"document.querySelector('.scene h3').textContent === 'noise.png' && {READY}")
        assert await tab.value(clip) == share
        assert await tab.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        await tab.picture(tmp_path / "page.png", whole=True)
        assert tab.complaints == []

    browse_address(address, tmp_path / "profile", width, work)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: the page was not looked at")
def test_a_hand_turns_the_cloud_and_asks_for_drift(address: str, tmp_path: Path) -> None:
    pixels = "document.querySelector('#points').getContext('2d').getImageData(0, 0, 760, 570).data"
    drawn = f"[...{pixels}].filter((value, index) => index % 4 === 3 && value).length"
    look = "document.querySelector('#points').toDataURL()"

    async def work(tab: Tab) -> None:
        await tab.until(READY)
        await tab.click("#cloud")
        await tab.until("!document.querySelector('#ply').hidden")
        assert await tab.value(drawn) > 20_000
        before, box = await tab.value(look), await tab.box("#points")
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        await tab.mouse("mousePressed", *middle)
        await tab.ask("Input.dispatchMouseEvent", type="mouseMoved", x=middle[0] + 60, y=middle[1], button="left", buttons=1)
        await tab.mouse("mouseReleased", middle[0] + 60, middle[1])
        assert await tab.value(look) != before
        saved = "fetch(document.querySelector('#ply').href).then((file) => file.text()).then((text) => text.slice(0, 3))"
        assert await tab.value(saved) == "ply"

        await tab.click("details.graph summary", 0.05)
        await tab.until("document.querySelector('button.drift') !== null")
        await tab.click("button.drift")
        await tab.until("document.querySelector('svg .own') !== null")
        largest = "[...document.querySelectorAll('svg .own')].find((bar) => bar.getAttribute('height') === '32.0').parentElement"
        await tab.value(f"{largest}.id = 'largest'")
        await tab.click("#largest rect")
        await tab.until("document.querySelector('tr:target') !== null")
        target = await tab.value("document.querySelector('tr:target').id")
        assert f"#{target}" == await tab.value("document.querySelector('#largest').getAttribute('href')")
        drifts = await tab.value("[...document.querySelectorAll('tr[id] td:nth-child(5)')].map((cell) => Number(cell.textContent))")
        assert max(drifts) == await tab.value("Number(document.querySelector('tr:target td:nth-child(5)').textContent)") > 0
        assert await tab.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        await tab.picture(tmp_path / "page.png", whole=True)
        assert tab.complaints == []

    browse_address(address, tmp_path / "profile", 400, work)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: the page was not looked at")
def test_a_webcam_is_seen_frame_after_frame_and_no_picture_is_a_line(address: str, folder: Path, tmp_path: Path) -> None:
    number = "Number(document.querySelector('[data-sight]').dataset.sight)"

    async def work(tab: Tab) -> None:
        await tab.until(READY)
        start = await tab.value(number)
        await tab.click("#webcam")
        await tab.until(f"{number} > {start} + 2 && document.querySelector('.scene h3').textContent === 'webcam'")
        await tab.click("#webcam")
        await tab.until("document.querySelector('#video').hidden && !document.querySelector('#video').srcObject.active")
        assert tab.complaints == []
        await choose(tab, folder / "broken.png")
        await tab.until("!document.querySelector('#problem').hidden")
        assert "'broken.png' is not an image" in await tab.value("document.querySelector('#problem').textContent")
        assert await tab.value("document.querySelector('.scene h3').textContent") == "webcam"

    browse_address(address, tmp_path / "profile", 1400, work)
