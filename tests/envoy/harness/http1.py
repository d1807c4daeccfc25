"""A deliberately small HTTP/1.1 server for tests: it shows every byte of a request's head and lets the answer be anything.

A library server would tidy up what the tests want to see (repeated headers, raw bytes) and refuse to send what they want to
send (half a body, a reset).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import struct
import threading
from dataclasses import dataclass, field


@dataclass
class Received:
    """One request as it arrived: the body is only counted and hashed, so that large uploads cost nothing."""

    method: str
    target: str
    headers: list[tuple[str, bytes]]
    head: bytes
    peer: tuple[str, int]
    body_length: int = 0
    body_sha256: str = ""
    complete: bool = field(default=False, compare=False)

    def values(self, name: str) -> list[bytes]:
        """Every value of a header, in order of arrival."""
        return [value for key, value in self.headers if key == name.lower()]

    def names(self) -> set[str]:
        return {key for key, _ in self.headers}


async def read_head(reader: asyncio.StreamReader, peer: tuple[str, int]) -> Received | None:
    """The next request's head, or None when the connection has ended."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head[:-4].split(b"\r\n")
    method, target, _version = first.decode("latin-1").split(" ", 2)
    headers = []
    for line in lines:
        name, _, value = line.partition(b":")
        headers.append((name.decode("latin-1").lower(), value.strip(b" \t")))
    return Received(method, target, headers, head, peer)


async def read_body(reader: asyncio.StreamReader, request: Received) -> None:
    """Counts and hashes the body that follows a head."""
    digest = hashlib.sha256()

    def take(chunk: bytes) -> None:
        digest.update(chunk)
        request.body_length += len(chunk)

    if any(value.lower() == b"chunked" for value in request.values("transfer-encoding")):
        while size := int(await reader.readuntil(b"\r\n"), 16):
            take(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
    else:
        left = int((request.values("content-length") or [b"0"])[0])
        while left:
            chunk = await reader.read(min(left, 65536))
            if not chunk:
                raise ConnectionResetError("the request's body ended early")
            take(chunk)
            left -= len(chunk)
    request.body_sha256 = digest.hexdigest()
    request.complete = True


def response(status: int, headers: list[tuple[str, str]], body: bytes) -> bytes:
    """A complete response with a content-length."""
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers), f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection with RST instead of FIN."""
    if writer.is_closing():
        return
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Server:
    """A server on its own thread and loop. It keeps its port, so it can be stopped and started again in its place."""

    def __init__(self) -> None:
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task, asyncio.StreamWriter] = {}
        threading.Thread(target=self._loop.run_forever, daemon=True, name=type(self).__name__).start()
        self.start()

    async def answer(self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Reads the rest of the request and writes the response; what a subclass is for."""
        raise NotImplementedError

    def start(self) -> None:
        async def listen() -> asyncio.Server:
            return await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1024, limit=1 << 20, reuse_address=True)

        self._server = self._run(listen())
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Refuses new connections and resets the open ones."""

        async def shut() -> None:
            self._server.close()
            for task, writer in list(self._connections.items()):
                reset(writer)
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

        if self._server is not None:
            self._run(shut())
            self._server = None

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[asyncio.current_task()] = writer
        try:
            while (request := await read_head(reader, writer.get_extra_info("peername"))) is not None:
                await self.answer(request, reader, writer)
                if writer.is_closing():
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            del self._connections[asyncio.current_task()]
            with contextlib.suppress(Exception):
                writer.close()
