"""A scripted key endpoint: it publishes a key set or answers as told, and counts how often it was asked."""

from __future__ import annotations

import asyncio
import threading

from . import answers
from .http1 import Received, Server, read_body
from .keys import SigningKey, key_set


class KeyEndpoint(Server):
    """Answers every request alike."""

    def __init__(self, *keys: SigningKey | dict) -> None:
        self._lock = threading.Lock()
        self._requests: list[Received] = []
        self.publish(*keys)
        super().__init__()

    def publish(self, *keys: SigningKey | dict) -> None:
        """Answers with these keys from now on."""
        self.script(answers.json_body(key_set(*keys)))

    def script(self, answer: answers.Answer) -> None:
        """Answers so from now on."""
        with self._lock:
            self._answer = answer

    def requests(self) -> list[Received]:
        """The fetches so far."""
        with self._lock:
            return list(self._requests)

    def fetches(self) -> int:
        return len(self.requests())

    async def answer(self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader, request)
        with self._lock:
            self._requests.append(request)
            answer = self._answer
        await answer(writer)
