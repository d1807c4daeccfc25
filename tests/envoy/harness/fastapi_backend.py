"""A FastAPI service behind a real uvicorn that checks nothing: it only tells which of its handlers a request has run.

Servers differ in how they read a path. So each request is also handed to the handlers the way other servers would read it.
"""

from __future__ import annotations

import posixpath
import re
import socket
import threading
from collections import defaultdict
from dataclasses import dataclass
from urllib.parse import unquote

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles

CASE_HEADER = "x-case"
METHODS = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"]

OPEN = ["/healthz", "/optional/{rest:path}", "/pages/{page}/view", "/public", "/public/{rest:path}"]
PROTECTED_INSIDE_OPEN = ["/public/admin", "/public/admin/{rest:path}"]
PROTECTED = ["/public-not", "/admin", "/admin/{rest:path}", "/api/me", "/api/{rest:path}", "/pages/{page}", "/pages/{page}/edit"]
REPORTS, FILES = "/reports", "/files"
EVERYTHING_ELSE = "/{rest:path}"
NONE_OF_THEM = "none of them"


@dataclass(frozen=True)
class Run:
    """A handler that ran, in which reading of the path, and what the request was authorised with."""

    handler: str
    reading: str
    authorization: tuple[bytes, ...]

    @property
    def is_open(self) -> bool:
        return self.handler in OPEN


def normalised(path: str) -> str:
    return "/" + posixpath.normpath("/" + path).lstrip("/")


def without_parameters(path: str) -> str:
    return re.sub(r";[^/]*", "", path)


def before_query_and_fragment(path: str) -> str:
    return re.split(r"[?#\0]", path)[0]


def forward_slashes(path: str) -> str:
    return path.replace("\\", "/")


def leniently(path: str) -> str:
    """All of these until nothing is left to do."""
    while True:
        read = normalised(without_parameters(forward_slashes(before_query_and_fragment(unquote(path)))))
        if read == path:
            return path
        path = read


READINGS = [unquote, normalised, without_parameters, before_query_and_fragment, forward_slashes, leniently]


class FastApiBackend:
    """Serves on its own thread; keeps, for each value of the case header, the handlers that ran."""

    def __init__(self) -> None:
        self._runs: dict[str, list[Run]] = defaultdict(list)
        self._app = _app()
        # asyncio sends small writes at once on a socket of this protocol only. Listening before uvicorn does,
        # it lets early connections wait instead of refusing them.
        listener = socket.socket(proto=socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.port = listener.getsockname()[1]
        quiet = {"lifespan": "off", "log_config": None, "log_level": "critical", "access_log": False}
        self._server = uvicorn.Server(uvicorn.Config(self, http="h11", ws="none", **quiet))
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True, name="uvicorn")
        self._thread.start()

    def runs(self, case: str) -> list[Run]:
        return self._runs[case]

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    async def __call__(self, scope, receive, send) -> None:
        path = scope["path"]
        others = {reading(path): reading.__name__ for reading in READINGS}
        others.pop(path, None)
        for other, name in others.items():
            await self._handle(scope, other, name, _no_body, _nowhere)
        await self._handle(scope, path, "as uvicorn does", receive, send)

    async def _handle(self, scope, path: str, reading: str, receive, send) -> None:
        values = defaultdict(list)
        for name, value in scope["headers"]:
            values[name.decode()].append(value)
        ran: list[str] = []

        async def recorded(message) -> None:
            # Before the answer leaves, so that whoever has it can ask what ran.
            if message["type"] == "http.response.start":
                run = Run(ran[0] if ran else NONE_OF_THEM, reading, tuple(values["authorization"]))
                self._runs[b"".join(values[CASE_HEADER]).decode()].append(run)
            await send(message)

        await self._app(scope | {"path": path, "ran": ran}, receive, recorded)


class _Files(StaticFiles):
    """Has no file; being asked for one is what counts."""

    async def get_response(self, path: str, scope):
        scope["ran"].append(FILES)
        return PlainTextResponse(path)


def _app() -> FastAPI:
    app, reports = FastAPI(openapi_url=None), FastAPI(openapi_url=None)
    for path in [*PROTECTED_INSIDE_OPEN, *OPEN, *PROTECTED]:
        app.add_api_route(path, _handler(path), methods=METHODS)
    reports.add_api_route(EVERYTHING_ELSE, _handler(REPORTS), methods=METHODS)
    app.mount(REPORTS, reports)
    app.mount(FILES, _Files(directory=".", check_dir=False))
    app.add_api_route(EVERYTHING_ELSE, _handler(EVERYTHING_ELSE), methods=METHODS)
    return app


def _handler(name: str):
    async def run(request: Request) -> PlainTextResponse:
        request.scope["ran"].append(name)
        return PlainTextResponse(name)

    return run


async def _no_body() -> dict:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _nowhere(_message) -> None:
    pass
