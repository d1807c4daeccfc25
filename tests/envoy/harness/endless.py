"""Answers of a backend that go on until their connection ends: server-sent events, and a WebSocket."""

from __future__ import annotations

import asyncio
import threading

EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WEB_SOCKET = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
EVERY_SECONDS = 0.1


class Endless:
    """One such answer: a head, then the same bytes again and again."""

    def __init__(self, head: bytes, piece: bytes) -> None:
        self._head, self._piece = head, piece
        self.ended = threading.Event()

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(self._head)
            while not writer.is_closing():
                writer.write(self._piece)
                await writer.drain()
                await asyncio.sleep(EVERY_SECONDS)
        finally:
            self.ended.set()


def events() -> Endless:
    return Endless(EVENTS, b"9\r\ndata: 1\n\n\r\n")


def web_socket() -> Endless:
    """An upgraded connection with a text frame now and then."""
    return Endless(WEB_SOCKET, b"\x81\x04tick")
