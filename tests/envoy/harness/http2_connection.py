"""One HTTP/2 connection, and so one worker, with several requests under way at a time."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset

from .client import TIMEOUT_SECONDS, Answer, Client


@dataclass
class Http2Request:
    """What has been received for a request so far."""

    number: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    ended: bool = False
    reset_at: float | None = None

    @property
    def answer(self) -> Answer:
        assert self.headers, "no response came"
        fields = dict(self.headers)
        return Answer(int(fields[":status"]), [header for header in self.headers if header[0] != ":status"], self.body)


class Http2Connection:
    """Reads only inside its methods; what arrives is kept for every request alike."""

    def __init__(self, client: Client) -> None:
        self._socket = socket.create_connection(("127.0.0.1", client.port), timeout=TIMEOUT_SECONDS)
        self._protocol = H2Connection(H2Configuration(client_side=True, header_encoding="latin-1"))
        self._requests: dict[int, Http2Request] = {}
        self._protocol.initiate_connection()
        self._flush()

    def __enter__(self) -> Http2Connection:
        return self

    def __exit__(self, *_exc) -> None:
        self._socket.close()

    def send(self, target: str, *headers: tuple[str, str], method: str = "GET", end: bool = True) -> Http2Request:
        """Begins a request and reads nothing of its response."""
        number = self._protocol.get_next_available_stream_id()
        request = self._requests[number] = Http2Request(number)
        pseudo = [(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", target)]
        self._protocol.send_headers(number, [*pseudo, *headers], end_stream=end)
        self._flush()
        return request

    def get(self, target: str, *headers: tuple[str, str], method: str = "GET") -> Answer:
        return self.read(self.send(target, *headers, method=method))

    def read(self, request: Http2Request) -> Answer:
        """The whole response to a request."""
        self.wait(lambda: request.ended, within=TIMEOUT_SECONDS, what="a response")
        assert request.reset_at is None, "the request was reset"
        return request.answer

    def wait(self, condition, *, within: float, what: str) -> None:
        """Receives until something is true."""
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come within {within} s"
            self.receive()

    def receive(self) -> None:
        """Takes what has arrived, waiting for it a short while."""
        self._socket.settimeout(0.05)
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return
        finally:
            self._socket.settimeout(TIMEOUT_SECONDS)
        if not data:
            raise ConnectionResetError("the proxy closed the connection")
        for event in self._protocol.receive_data(data):
            self._take(event)
        self._flush()

    def _take(self, event) -> None:
        assert not isinstance(event, ConnectionTerminated), "the proxy ended the connection"
        request = self._requests.get(getattr(event, "stream_id", None))
        if isinstance(event, ResponseReceived):
            request.headers = list(event.headers)
        elif isinstance(event, DataReceived):
            request.body += event.data
            self._protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            request.ended = True
        elif isinstance(event, StreamReset):
            request.ended, request.reset_at = True, time.time()

    def _flush(self) -> None:
        self._socket.sendall(self._protocol.data_to_send())
