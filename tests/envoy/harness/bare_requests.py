"""Requests with heads that a library would refuse to send, one at a time, on one connection as long as the proxy keeps it open."""

from __future__ import annotations

import socket

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

from .client import TIMEOUT_SECONDS, Answer, Client, Connection

Field = tuple[bytes, bytes]


class BareHttp1:
    """What is asked with a head of HTTP/1.1, byte for byte."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._connection: Connection | None = None

    def __enter__(self) -> BareHttp1:
        return self

    def __exit__(self, *_exc) -> None:
        self._close()

    def get(self, target: bytes, *fields: Field) -> Answer | None:
        lines = [b"GET " + target + b" HTTP/1.1", b"host: localhost", *(name + b": " + value for name, value in fields)]
        return self.ask(b"\r\n".join(lines) + b"\r\n\r\n")

    def ask(self, head: bytes) -> Answer | None:
        """The response; None when the proxy hangs up instead."""
        self._connection = self._connection or self._client.open()
        try:
            self._connection.send(head)
            answer = self._connection.read()
        except ConnectionError:
            self._close()
            return None
        if "close" in answer.values("connection"):
            self._close()
        return answer

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class BareHttp2:
    """What is asked with a head of HTTP/2, field for field."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._socket: socket.socket | None = None

    def __enter__(self) -> BareHttp2:
        return self

    def __exit__(self, *_exc) -> None:
        self._close()

    def get(self, target: bytes, *fields: Field) -> Answer | None:
        return self.ask([(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"localhost"), (b":path", target), *fields])

    def ask(self, head: list[Field]) -> Answer | None:
        """The response; None when the proxy resets the request or begins to close the connection."""
        if self._socket is None:
            self._open()
        number = self._protocol.get_next_available_stream_id()
        self._protocol.send_headers(number, head, end_stream=True)
        try:
            return self._read(number)
        except (ConnectionError, ProtocolError):  # the latter when frames follow a GOAWAY
            self._close()
            return None

    def _read(self, number: int) -> Answer | None:
        fields, body = [], b""
        while True:
            self._socket.sendall(self._protocol.data_to_send())
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("the proxy closed the connection")
            for event in self._protocol.receive_data(data):
                if isinstance(event, ConnectionTerminated):
                    raise ConnectionResetError("the proxy is about to close the connection")
                if getattr(event, "stream_id", None) != number:
                    continue
                if isinstance(event, StreamReset):
                    return None
                if isinstance(event, ResponseReceived):
                    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
                elif isinstance(event, DataReceived):
                    body += event.data
                    self._protocol.acknowledge_received_data(event.flow_controlled_length, number)
                elif isinstance(event, StreamEnded):
                    (_, status), *headers = fields
                    return Answer(int(status), headers, body)

    def _open(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._client.port), timeout=TIMEOUT_SECONDS)
        as_given = {"validate_outbound_headers": False, "normalize_outbound_headers": False, "header_encoding": None}
        self._protocol = H2Connection(H2Configuration(client_side=True, **as_given))
        self._protocol.initiate_connection()

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
