"""A backend for bodies of any size: it counts them and compares them with what was to come, and keeps nothing."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from .http1 import response

BLOCK_BYTES = 1 << 20
NUMBER_BYTES = 8
FILLING = os.urandom(BLOCK_BYTES - NUMBER_BYTES)


def blocks(count: int) -> Iterator[memoryview]:
    """A body in numbered blocks, all in the same memory: each is gone when the next one is asked for."""
    block = bytearray(NUMBER_BYTES) + FILLING
    for number in range(count):
        block[:NUMBER_BYTES] = number.to_bytes(NUMBER_BYTES, "big")
        yield memoryview(block)


@dataclass
class Swallowed:
    """A request whose body has perhaps not all come yet. `intact` blocks have, each one in its place."""

    headers: list[tuple[str, str]]
    intact: int = 0

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


class Sink:
    """Plain sockets and a thread for each connection: a body passes as fast as the machine can copy it."""

    def __init__(self) -> None:
        self._requests: dict[str, list[Swallowed]] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True, name=type(self).__name__).start()

    def close(self) -> None:
        self._listener.close()

    def requests(self, target: str) -> list[Swallowed]:
        """The requests for a target, from the moment their head arrived."""
        return list(self._requests.get(target, []))

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(ConnectionError), connection, connection.makefile("rb", BLOCK_BYTES) as file:
            while first := file.readline():
                target = first.decode().split(" ")[1]
                headers = []
                while (line := file.readline()) != b"\r\n":
                    name, _, value = line.decode("latin-1").partition(":")
                    headers.append((name.lower(), value.strip()))
                request = Swallowed(headers)
                self._requests.setdefault(target, []).append(request)
                _swallow(file, request)
                connection.sendall(response(200, [], b""))


def _swallow(file: io.BufferedReader, request: Swallowed) -> None:
    buffer = bytearray(BLOCK_BYTES)
    body = _Chunked(file) if "chunked" in request.values("transfer-encoding") else _Counted(file, int(request.values("content-length")[0]))
    while filled := body.fill(memoryview(buffer)):
        in_place = int.from_bytes(buffer[:NUMBER_BYTES], "big") == request.intact
        if filled < BLOCK_BYTES or not in_place or memoryview(buffer)[NUMBER_BYTES:] != FILLING:
            raise ConnectionError(f"block {request.intact} is not the one that was sent")
        request.intact += 1


class _Counted:
    """A body of known length."""

    def __init__(self, file: io.BufferedReader, length: int) -> None:
        self._file, self._left = file, length

    def fill(self, buffer: memoryview) -> int:
        """Reads until the buffer is full or the body has ended."""
        count = min(self._left, len(buffer))
        if count and self._file.readinto(buffer[:count]) < count:
            raise ConnectionResetError("the body ended early")
        self._left -= count
        return count


class _Chunked:
    """A body in chunks, whose borders are not those of the blocks."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file, self._left = file, 0

    def fill(self, buffer: memoryview) -> int:
        filled = 0
        while filled < len(buffer):
            if not self._left:
                self._left = int(self._file.readline(), 16)
                if not self._left:
                    self._file.readline()
                    return filled
            count = self._file.readinto(buffer[filled : filled + self._left])
            if not count:
                raise ConnectionResetError("the body ended early")
            filled += count
            self._left -= count
            if not self._left:
                self._file.readline()
        return filled
