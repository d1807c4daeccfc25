"""A response that is read while it arrives, over a bare HTTP/1.1 connection."""

from __future__ import annotations

import socket
import time

from .client import TIMEOUT_SECONDS, Client


class Stream:
    """Sends one request, whose response may never end. Moments are those of `time.time()`."""

    def __init__(self, client: Client, request: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", client.port), timeout=TIMEOUT_SECONDS)
        self._socket.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive()
        self.status = int(received.split(b" ", 2)[1])
        self.last_byte = time.time()
        self.closed = False

    def watch(self, *, until: float) -> Stream:
        """Reads until the proxy closes the connection, or until a moment."""
        while not self.closed and time.time() < until:
            try:
                self._receive()
                self.last_byte = time.time()
            except ConnectionError:
                self.closed = True
        return self

    def close(self) -> None:
        self._socket.close()

    def _receive(self) -> bytes:
        received = self._socket.recv(65536)
        if not received:
            raise ConnectionResetError("the proxy closed the connection")
        return received
