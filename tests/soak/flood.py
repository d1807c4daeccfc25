"""The clients of the soak: one that sends cookies nobody knows, as fast as they are answered, and one that keeps asking with a good one."""

from __future__ import annotations

import collections
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator

from harness.client import Client, head

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)")
TIMEOUT_SECONDS = 30


class Flood:
    """Requests with random cookies, one at a time on each of many connections: Envoy closes those on which many are written ahead.

    A load generator would do as much, but those there are count seconds and not cookies, and not every machine has one.
    """

    def __init__(self, port: int, connections: int) -> None:
        self.statuses: collections.Counter[int] = collections.Counter()
        self.sent = 0
        self._connections = [socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) for _ in range(connections)]

    def __enter__(self) -> Flood:
        return self

    def __exit__(self, *_exc) -> None:
        for connection in self._connections:
            connection.close()

    def send(self, cookies: int) -> None:
        """Sends so many more, one after the other on whichever connection has waited longest, and reads all answers."""
        waiting: collections.deque[socket.socket] = collections.deque()
        idle = iter(self._connections)
        for cookie in cookies_nobody_knows(cookies):
            connection = next(idle, None) or self._answered(waiting.popleft())
            connection.sendall(head("/api/flood", ("cookie", cookie)))
            waiting.append(connection)
        self.sent += cookies
        for connection in waiting:
            self._answered(connection)

    def _answered(self, connection: socket.socket) -> socket.socket:
        """The connection, once its answer has been read and counted."""
        answer = b""
        while not is_whole(answer):
            data = connection.recv(1 << 16)
            if not data:
                raise ConnectionError(f"the proxy closed a connection inside an answer, after {answer!r}")
            answer += data
        self.statuses[int(answer[9:12])] += 1
        return connection


def cookies_nobody_knows(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"session=" + secrets.token_hex(16).encode()


def is_whole(answer: bytes) -> bool:
    """Whether these bytes are an answer to its end, which its content-length tells."""
    fields, end, body = answer.partition(b"\r\n\r\n")
    return bool(end) and len(body) >= int(LENGTH.search(fields)[1])


class Known:
    """A signed-in user: the same cookie again and again on a few connections at once, from a thread of its own."""

    def __init__(self, client: Client, cookie: str, connections: int) -> None:
        self.statuses: collections.Counter[int] = collections.Counter()
        self.broken: list[str] = []
        self.slowest = 0.0
        self._request = head("/api/known", ("cookie", cookie.encode()))
        self._connections = [client.open() for _ in range(connections)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Known:
        return self

    def __exit__(self, *_exc) -> None:
        self.end()
        for connection in self._connections:
            connection.close()

    def sign_in(self) -> None:
        """Has the session exchanged, and found by each connection's worker."""
        self._round()
        assert self.statuses == {200: len(self._connections)}, self.statuses
        self.statuses.clear()

    def begin(self) -> None:
        """Keeps asking from now on."""
        self._thread.start()

    def end(self) -> None:
        """Stops asking; all that was asked has been answered."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.wait(0.005):
                self._round()
        except OSError as error:
            self.broken.append(repr(error))

    def _round(self) -> None:
        began = time.monotonic()
        for connection in self._connections:
            connection.send(self._request)
        for connection in self._connections:
            self.statuses[connection.read().status] += 1
        self.slowest = max(self.slowest, time.monotonic() - began)
