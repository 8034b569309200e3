"""Wrong uses of ``view``: one line, exit code 2, before any page is served."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fcrn_mobile.view.server import listen
from tests.journeys.command import Result, call, refused
from tests.project.small import save_small

__all__ = ["call"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("missing.mlpackage",), ("no model at 'missing.mlpackage'",)),
        (("net.safetensors", "net.txt"), ("'net.txt' is not a model",)),
        (("net.safetensors", "--data", "frobnicate:x"), ("frobnicate",)),
        (("net.safetensors", "--framing", "sideways"), ("--framing 'sideways'", "phone-portrait")),
        (("net.safetensors", "--port", "70000"), ("--port", "65535")),
        ((), ("MODELS",)),
    ],
)
def test_a_wrong_use_is_one_line(words: tuple[str, ...], expected: tuple[str, ...], call: Callable[..., Result], tmp_path: Path) -> None:
    save_small(tmp_path / "net.safetensors")
    refused(call("view", *words, "--no-browser", *(() if "--port" in words else ("--port", "0"))), *expected)


def test_a_port_in_use_is_named_before_any_model_is_opened(call: Callable[..., Result]) -> None:
    with listen(0) as other:
        port = str(other.getsockname()[1])
        refused(call("view", "missing.mlpackage", "--no-browser", "--port", port), f"port {port}", "--port")


def test_without_the_extra_the_line_says_which(call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith(("starlette", "fcrn_mobile.view"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    refused(call("view", "builtin", "--no-browser"), "pip install 'fcrn-mobile[view]'")
