"""A page in headless Chromium, used as a hand uses it, over the protocol of its developer tools."""

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

__all__ = ["CHROMIUM", "Tab", "browse", "browse_address"]

#: Where it is, if it is.
CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


class Tab:
    """An open page.

    Attributes:
        address: of the page.
        events: what the browser has told of itself so far.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, address: str) -> None:
        self._socket, self._number, self.address = socket, 0, address
        self.events: list[dict[str, Any]] = []

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json(timeout=60)
            if message.get("id") == self._number:
                assert "error" not in message, message
                answer: dict[str, Any] = message["result"]
                return answer
            self.events.append(message)

    async def value(self, expression: str) -> Any:
        """What an expression gives in the page."""
        answer = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        for _ in range(300):
            if await self.value(expression):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"never true: {expression}")

    async def mouse(self, kind: str, x: float, y: float) -> None:
        """Let the pointer do something: ``mouseMoved``, ``mousePressed``, ``mouseReleased``."""
        button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        await self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    async def box(self, selector: str) -> dict[str, float]:
        """Where an element is, once it is in sight."""
        element = f"document.querySelector({json.dumps(selector)})"
        await self.value(f"{element}.scrollIntoView({{block: 'center'}})")
        box: dict[str, float] = await self.value(f"{element}.getBoundingClientRect().toJSON()")
        return box

    async def click(self, selector: str, across: float = 0.5) -> None:
        """Click an element at a share of its width."""
        box = await self.box(selector)
        place = box["x"] + across * box["width"], box["y"] + box["height"] / 2
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            await self.mouse(kind, *place)

    async def picture(self, path: Path, whole: bool = False) -> None:
        """Save what can be seen, or the whole page, as PNG."""
        shot = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """Errors and warnings of the console, exceptions, and requests to anywhere but where the page is from."""
        own = ("data:", "blob:", "file:" if self.address.startswith("file:") else self.address)
        return [
            event
            for event in self.events
            if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
            or (event["method"] == "Network.requestWillBeSent" and not event["params"]["request"]["url"].startswith(own))
        ]


def browse(page: Path, width: int, work: Callable[[Tab], Awaitable[None]]) -> None:
    """Open a page of a width in pixels, and work with it."""
    browse_address(page.as_uri(), page.parent / "profile", width, work)


def browse_address(address: str, profile: Path, width: int, work: Callable[[Tab], Awaitable[None]]) -> None:
    """The same of any page; ``profile`` is a folder for what the browser writes. Its webcam shows a moving picture made up for tests."""
    asyncio.run(_browse(address, profile, width, work))


async def _browse(page: str, profile: Path, width: int, work: Callable[[Tab], Awaitable[None]]) -> None:
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    words += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "about:blank"]
    assert CHROMIUM is not None
    process = subprocess.Popen([CHROMIUM, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = profile / "DevToolsActivePort"
        for _ in range(300):
            if port.exists() and len(port.read_text().split()) == 2:
                break
            await asyncio.sleep(0.1)
        address = f"http://127.0.0.1:{port.read_text().split()[0]}/json"
        async with aiohttp.ClientSession() as session:
            async with session.get(address) as answer:
                (tab, *_) = [target for target in json.loads(await answer.text()) if target["type"] == "page"]
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                await _in_tab(Tab(socket, page), width, work)
    finally:
        process.kill()
        process.wait()


async def _in_tab(tab: Tab, width: int, work: Callable[[Tab], Awaitable[None]]) -> None:
    for domain in ("Page", "Runtime", "Log", "Network"):
        await tab.ask(f"{domain}.enable")
    await tab.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    await tab.ask("Page.navigate", url=tab.address)
    await tab.until("document.readyState === 'complete'")
    await work(tab)
