"""The page served to this machine alone. Needs the optional extra ``view``."""

import socket
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from fcrn_mobile.errors import InputError
from fcrn_mobile.view.session import Session

__all__ = ["HOST", "application", "listen", "serve"]

HOST = "127.0.0.1"
#: The page may load nothing but from here, whatever stands in a picture's name.
_POLICY = "default-src 'self' 'unsafe-inline' data: blob:; frame-ancestors 'none'"
#: Bytes of a picture that is sent.
_MOST_BYTES = 2**28


def application(session: Session) -> Starlette:
    """What answers the page.

    Pages of elsewhere, open in the same browser, are refused: other names for this machine (DNS rebinding), and requests that the
    browser says come from another site.
    """
    answers = _Answers(session)
    routes = [
        Route("/", answers.page),
        Route("/frame/{index:int}", answers.frame, methods=["POST"]),
        Route("/picture", answers.picture, methods=["POST"]),
        Route("/cloud/{sight:int}/{model:int}", answers.cloud, methods=["POST"]),
        Route("/graph/{model:int}", answers.graph, methods=["POST"]),
        Route("/graph/{model:int}/{sight:int}", answers.graph, methods=["POST"]),
    ]
    guards = [Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]), Middleware(_OwnSite)]
    return Starlette(routes=routes, middleware=guards, exception_handlers={InputError: _refused})


class _Answers:
    """One request after the other, since models share the processor's cores."""

    def __init__(self, session: Session) -> None:
        self._session, self._lock = session, threading.Lock()

    async def _in_turn(self, ask: Callable[..., Any], *arguments: Any) -> Any:
        def alone() -> Any:
            with self._lock:
                return ask(*arguments)

        return await run_in_threadpool(alone)

    async def page(self, _: Request) -> Response:
        return HTMLResponse(await self._in_turn(self._session.page), headers={"Content-Security-Policy": _POLICY})

    async def frame(self, request: Request) -> Response:
        return HTMLResponse(await self._in_turn(self._session.frame, request.path_params["index"]))

    async def picture(self, request: Request) -> Response:
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > _MOST_BYTES:
                raise InputError(f"the picture has more than {_MOST_BYTES >> 20} MB: give a smaller one")
        return HTMLResponse(await self._in_turn(self._session.picture, bytes(data), request.query_params.get("name", "picture")))

    async def cloud(self, request: Request) -> Response:
        try:
            angle = float(request.query_params.get("fov", ""))
        except ValueError as error:
            raise InputError("the field of view is no number: give degrees") from error
        points = await self._in_turn(self._session.cloud, request.path_params["sight"], request.path_params["model"], angle)
        return Response(points, media_type="application/octet-stream")

    async def graph(self, request: Request) -> Response:
        return HTMLResponse(await self._in_turn(self._session.graph, request.path_params["model"], request.path_params.get("sight")))


async def _refused(_: Request, error: Exception) -> Response:
    return PlainTextResponse(" ".join(str(error).split()), 422)


class _OwnSite:
    """Lets through what a browser says this page, or the user, asked for."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        site = dict(scope.get("headers", ())).get(b"sec-fetch-site", b"none")
        if scope["type"] == "http" and site not in (b"none", b"same-origin"):
            await PlainTextResponse("asked by another site", 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def listen(port: int) -> socket.socket:
    """A port of this machine alone; 0 takes any that is free.

    Raises:
        InputError: it is taken, or not allowed.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise InputError(f"port {port} cannot be used ({error.strerror}): give another --port, or 0 for any that is free") from error


def serve(session: Session, listener: socket.socket, open_browser: bool) -> None:
    """Answer until Ctrl-C.

    Args:
        session: what is shown.
        listener: as ``listen`` gives it.
        open_browser: show the page in the user's browser.
    """
    if open_browser:
        # It waits for the first answer; some browsers only return when they are closed.
        address = f"http://{HOST}:{listener.getsockname()[1]}/"
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    settings = uvicorn.Config(application(session), log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    with suppress(KeyboardInterrupt):  # which uvicorn raises anew once it has ended
        uvicorn.Server(settings).run(sockets=[listener])
