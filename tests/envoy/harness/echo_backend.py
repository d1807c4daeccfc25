"""A backend that tells what reached it, to the caller in its answer and to the test afterwards."""

from __future__ import annotations

import asyncio
import json
import threading

from .answers import Answer
from .http1 import Received, Server, read_body, response


class EchoBackend(Server):
    """Answers every request with what it received; `x-answer-status` and `x-answer-header` choose the answer's status and a header."""

    def __init__(self) -> None:
        self._requests: list[Received] = []
        self._scripts: dict[str, Answer] = {}
        self._lock = threading.Lock()
        super().__init__()

    def script(self, target: str, answer: Answer) -> None:
        """What requests for a target get from now on, instead of the echo."""
        with self._lock:
            self._scripts[target] = answer

    def requests(self, target: str) -> list[Received]:
        """The requests for a target, from the moment their head arrived."""
        with self._lock:
            return [request for request in self._requests if request.target == target]

    def count(self) -> int:
        with self._lock:
            return len(self._requests)

    async def answer(self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._lock:
            self._requests.append(request)
            scripted = self._scripts.get(request.target)
        await read_body(reader, request)
        if scripted is not None:
            await scripted(writer)
            return
        echo = {
            "method": request.method,
            "target": request.target,
            "headers": [[name, value.decode("latin-1")] for name, value in request.headers],
            "body_length": request.body_length,
            "body_sha256": request.body_sha256,
        }
        status = int((request.values("x-answer-status") or [b"200"])[0])
        headers = [("content-type", "application/json")]
        for header in request.values("x-answer-header"):
            name, _, value = header.decode("latin-1").partition(":")
            headers.append((name, value))
        body = b"" if request.method == "HEAD" or status in (204, 304) else json.dumps(echo).encode()
        writer.write(response(status, headers, body))
        await writer.drain()
