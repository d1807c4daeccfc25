"""Requests with a trailer section, from the client's side and from the backend's, over HTTP/1.1 and over HTTP/2."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import defaultdict
from dataclasses import dataclass, field

import uvicorn
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded, TrailersReceived

from .client import head
from .http1 import Received, Server, response
from .http2_connection import Http2Connection, Http2Request

Fields = list[tuple[str, str]]


def http1_request(target: str, headers: Fields, body: bytes, trailers: Fields) -> tuple[bytes, bytes]:
    """A chunked POST in two parts: its head, and the rest."""
    fields = [(name, value.encode()) for name, value in headers]
    lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in trailers)
    opening = head(target, *fields, ("transfer-encoding", b"chunked"), method="POST")
    return opening, b"%x\r\n%s\r\n0\r\n%s\r\n" % (len(body), body, lines)


class TrailingHttp2Connection(Http2Connection):
    """Can end a request that was begun with `end=False`. With `holds_back` all of it is sent at once, in the end."""

    holds_back = False

    def finish(self, request: Http2Request, body: bytes, trailers: Fields) -> None:
        self._protocol.send_data(request.number, body)
        self._protocol.send_headers(request.number, trailers, end_stream=True)
        self.holds_back = False
        self._flush()

    def _flush(self) -> None:
        if not self.holds_back:
            super()._flush()


@dataclass
class Sections:
    """A request as a backend got it, section by section. A backend that does not show trailers leaves them empty."""

    headers: Fields
    body: bytes = b""
    trailers: Fields = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


class _Requests:
    """The requests of a backend, by target."""

    def __init__(self) -> None:
        self._by_target: dict[str, list[Sections]] = defaultdict(list)
        self._lock = threading.Lock()

    def add(self, target: str, headers: Fields) -> Sections:
        with self._lock:
            self._by_target[target].append(Sections(headers))
            return self._by_target[target][-1]

    def of(self, target: str) -> list[Sections]:
        with self._lock:
            return list(self._by_target[target])


class Http1Recorder(Server):
    """Keeps the trailer section of chunked requests."""

    def __init__(self) -> None:
        self.requests = _Requests()
        super().__init__()

    async def answer(self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sections = self.requests.add(request.target, [(name, value.decode("latin-1")) for name, value in request.headers])
        while size := int(await reader.readuntil(b"\r\n"), 16):
            sections.body += await reader.readexactly(size)
            await reader.readexactly(2)
        while line := (await reader.readuntil(b"\r\n"))[:-2]:
            name, _, value = line.decode("latin-1").partition(":")
            sections.trailers.append((name.lower(), value.strip()))
        writer.write(response(200, [], b""))
        await writer.drain()


class Http2Recorder(Server):
    """Keeps the trailer section as HTTP/2 delivers it, a HEADERS frame of its own."""

    def __init__(self) -> None:
        self.requests = _Requests()
        super().__init__()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[asyncio.current_task()] = writer
        protocol = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        streams: dict[int, Sections] = {}
        protocol.initiate_connection()
        try:
            while True:
                writer.write(protocol.data_to_send())
                if not (data := await reader.read(65536)):
                    return
                for event in protocol.receive_data(data):
                    self._take(event, protocol, streams)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            del self._connections[asyncio.current_task()]
            writer.close()

    def _take(self, event, protocol: H2Connection, streams: dict[int, Sections]) -> None:
        if isinstance(event, RequestReceived):
            streams[event.stream_id] = self.requests.add(dict(event.headers)[":path"], list(event.headers))
        elif isinstance(event, DataReceived):
            streams[event.stream_id].body += event.data
            protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, TrailersReceived):
            streams[event.stream_id].trailers += event.headers
        elif isinstance(event, StreamEnded):
            protocol.send_headers(event.stream_id, [(":status", "200")], end_stream=True)


class UvicornRecorder:
    """A real server of Python applications, which sees what an application would see: no trailers."""

    def __init__(self) -> None:
        self.requests = _Requests()
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = listener.getsockname()[1]
        self._server = uvicorn.Server(uvicorn.Config(self, http="h11", ws="none", lifespan="off", log_config=None, access_log=False))
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True, name="uvicorn")
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    async def __call__(self, scope, receive, send) -> None:
        sections = self.requests.add(scope["path"], [])
        more = True
        while more:
            message = await receive()
            sections.body += message["body"]
            more = message.get("more_body", False)
        # Read last: a server that merged trailers into the headers would have done so by now.
        sections.headers += [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
