"""Kept connections to every worker of an Envoy, which all ask at the same time."""

from __future__ import annotations

import contextlib

from .client import Answer, Connection, head
from .envoy import Envoy
from .workers import connections


class Crowd:
    """As many connections on each worker; the listener has to be balanced."""

    def __init__(self, envoy: Envoy, *, each: int = 10) -> None:
        self.envoy, self.client = envoy, envoy.client()
        self.connections: list[Connection] = []
        self._each = each
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Crowd:
        self.connections = self._stack.enter_context(connections(self.envoy, self.client, each=self._each))
        return self

    def __exit__(self, *_exc) -> None:
        self._stack.close()

    def get(self, target: str, *headers: tuple[str, bytes]) -> list[Answer]:
        """One GET on every connection, all sent before the first answer is read."""
        self.send(head(target, *headers))
        return self.read()

    def send(self, request: bytes) -> None:
        """These bytes on every connection."""
        for connection in self.connections:
            connection.send(request)

    def read(self) -> list[Answer]:
        """One answer from every connection."""
        return [connection.read() for connection in self.connections]
