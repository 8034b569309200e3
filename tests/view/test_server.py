"""The server as others on this machine meet it, by plain HTTP."""

import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest
import uvicorn

from fcrn_mobile.errors import InputError
from fcrn_mobile.view.server import HOST, application, listen


class Recorder:
    """In the place of a session: says what it was asked."""

    def page(self) -> str:
        return "page"

    def frame(self, index: int) -> str:
        if index > 5:
            raise InputError(f"there is no frame\n{index}")
        return f"frame {index}"

    def picture(self, data: bytes, name: str) -> str:
        return f"{name}: {len(data)}"

    def cloud(self, sight: int, model: int, field_of_view: float) -> bytes:
        return f"{sight} {model} {field_of_view}".encode()

    def graph(self, model: int, sight: int | None = None) -> str:
        if model == 9:
            raise ValueError("a fault")
        return f"graph {model} {sight}"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    listener = listen(0)
    server = uvicorn.Server(uvicorn.Config(application(Recorder()), log_level="critical", lifespan="off"))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()


def asked(port: int, address: str, method: str = "POST", body: bytes | None = None, **headers: str) -> tuple[int, bytes, HTTPResponse]:
    connection = HTTPConnection(HOST, port, timeout=30)
    names: dict[str, Any] = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, address, body, names)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("/frame/3", b"frame 3"),
        ("/picture?name=a%20b", b"a b: 70000"),
        ("/cloud/4/1?fov=61.5", b"4 1 61.5"),
        ("/graph/1", b"graph 1 None"),
        ("/graph/1/7", b"graph 1 7"),
    ],
)
def test_each_question_reaches_the_session(port: int, address: str, answer: bytes) -> None:
    assert asked(port, address, body=bytes(70000))[:2] == (200, answer)


def test_the_page_may_load_nothing_from_elsewhere(port: int) -> None:
    status, text, answer = asked(port, "/", "GET")
    assert (status, text) == (200, b"page")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "http" not in policy and "*" not in policy


def test_bad_input_is_one_line_and_a_fault_is_not_told(port: int) -> None:
    assert asked(port, "/frame/6")[:2] == (422, b"there is no frame 6")
    assert asked(port, "/cloud/1/1?fov=wide")[0] == 422
    status, text, _ = asked(port, "/graph/9")
    assert status == 500 and b"a fault" not in text
    assert asked(port, "/frame/1", "GET")[0] == 405


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_in_the_same_browser_are_refused(port: int, site: str) -> None:
    assert asked(port, "/frame/3", Sec_Fetch_Site=site)[0] == 403
    assert asked(port, "/", "GET", Sec_Fetch_Site=site)[0] == 403
    for own in ("same-origin", "none"):
        assert asked(port, "/frame/3", Sec_Fetch_Site=own)[0] == 200
    assert asked(port, "/", "GET", Host="example.com")[0] == 400


def test_only_this_machine_can_ask(port: int) -> None:
    with socket.socket() as other:
        other.settimeout(5)
        # Another address of the same machine.
        assert other.connect_ex(("127.0.0.2", port)) != 0


def test_a_port_that_is_taken_is_one_line() -> None:
    with listen(0) as first, pytest.raises(InputError, match=r"port \d+ cannot be used .*--port"):
        listen(first.getsockname()[1])
