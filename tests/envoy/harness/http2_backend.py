"""A backend that speaks HTTP/2 and answers every request with a stream that does not end, as a gRPC subscription does."""

from __future__ import annotations

import asyncio
import threading

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamReset

from .http1 import Received, Server

HEAD = [(":status", "200"), ("content-type", "application/grpc")]
MESSAGE = b"\x00\x00\x00\x00\x04tick"  # not compressed, four bytes
EVERY_SECONDS = 0.1


class Http2Backend(Server):
    """Streams until it is told to stop; tells which streams it was told to stop."""

    def __init__(self) -> None:
        self._reset: set[str] = set()
        self._lock = threading.Lock()
        super().__init__()

    def was_reset(self, target: str) -> bool:
        """Whether the proxy has reset the stream of the request for a target."""
        with self._lock:
            return target in self._reset

    async def answer(self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError("no HTTP/1 here")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[asyncio.current_task()] = writer
        protocol = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        targets: dict[int, str] = {}
        protocol.initiate_connection()
        ticking = asyncio.ensure_future(self._tick(protocol, writer, targets))
        try:
            while data := await reader.read(65536):
                for event in protocol.receive_data(data):
                    if isinstance(event, RequestReceived):
                        targets[event.stream_id] = dict(event.headers)[":path"]
                        protocol.send_headers(event.stream_id, HEAD)
                    elif isinstance(event, DataReceived):
                        protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, StreamReset):
                        with self._lock:
                            self._reset.add(targets.pop(event.stream_id))
                writer.write(protocol.data_to_send())
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            ticking.cancel()
            del self._connections[asyncio.current_task()]
            writer.close()

    async def _tick(self, protocol: H2Connection, writer: asyncio.StreamWriter, targets: dict[int, str]) -> None:
        while True:
            for stream_id in targets:
                protocol.send_data(stream_id, MESSAGE)
            writer.write(protocol.data_to_send())
            await asyncio.sleep(EVERY_SECONDS)
