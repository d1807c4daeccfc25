"""What the scripted auth service can do with a callout, from the proper answer to none at all."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Awaitable, Callable

from .http1 import reset, response

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]

JSON = ("content-type", "application/json")


def raw(data: bytes) -> Answer:
    """Exactly these bytes."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return send


def status(code: int, body: str = '{"message":"scripted"}', *headers: tuple[str, str]) -> Answer:
    return raw(response(code, [JSON, *headers], body.encode()))


def json_body(value, *headers: tuple[str, str]) -> Answer:
    """200 with this JSON value."""
    return status(200, json.dumps(value), *headers)


def token(value: str, *headers: tuple[str, str]) -> Answer:
    """200 with the token where the demo's auth service puts it."""
    return json_body({"token": value}, *headers)


def token_in_header(name: str, value: str) -> Answer:
    return status(200, "{}", (name, value))


def html() -> Answer:
    """200, but a page, as a misrouted callout gets it."""
    return raw(response(200, [("content-type", "text/html")], b"<!doctype html><title>Sign in</title>"))


def redirect(location: str) -> Answer:
    return status(302, "", ("location", location))


def never() -> Answer:
    """Keeps the connection open and says nothing."""

    async def wait(_writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    return wait


def dribble() -> Answer:
    """Announces a body and sends a byte of it now and then, never all of it."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4096\r\n\r\n")
        for _ in range(300):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.2)

    return send


def connection_reset() -> Answer:
    async def cut(writer: asyncio.StreamWriter) -> None:
        reset(writer)

    return cut


def closed_before_the_answer() -> Answer:
    async def close(writer: asyncio.StreamWriter) -> None:
        writer.close()

    return close


def cut_inside_the_body(value: str) -> Answer:
    """A good token in an answer whose connection ends before the announced length."""

    async def send(writer: asyncio.StreamWriter) -> None:
        body = json.dumps({"token": value}).encode()
        writer.write(response(200, [JSON], body + b" " * 64)[:-64])
        await writer.drain()
        writer.close()

    return send


def oversized(value: str, size: int) -> Answer:
    """A good token, followed by so much white space that the answer is too large to be read."""
    body = json.dumps({"token": value}).encode()
    return raw(response(200, [JSON], body + b" " * (size - len(body))))


def streamed(value: str, size: int) -> Answer:
    """The same without holding so much in memory: the white space is sent piece by piece."""

    async def send(writer: asyncio.StreamWriter) -> None:
        body = json.dumps({"token": value}).encode()
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n".encode() + body)
        left = size - len(body)
        while left:
            piece = min(left, 65536)
            writer.write(b" " * piece)
            await writer.drain()
            left -= piece

    return send


def reset_after_the_head() -> Answer:
    """Announces a good answer and resets the connection instead of sending it."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 512\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)  # a reset at once would overtake the head in the proxy's socket
        reset(writer)

    return send


def gzipped(value: str) -> Answer:
    """A good token in a body that is compressed, though nobody said that it may be."""
    return raw(response(200, [JSON, ("content-encoding", "gzip")], gzip.compress(json.dumps({"token": value}).encode())))


class Gate:
    """Holds callouts back until the test opens it, so that a race needs no sleep to be provoked."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def before(self, answer: Answer) -> Answer:
        async def wait(writer: asyncio.StreamWriter) -> None:
            while not self._open.is_set():
                await asyncio.sleep(0.005)
            await answer(writer)

        return wait
