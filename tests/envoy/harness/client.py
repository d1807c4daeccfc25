"""Clients of the proxy: httpx for ordinary requests and HTTP/2; bare sockets for crowds and for bytes a library would not send."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from dataclasses import dataclass, field

import httpx

TIMEOUT_SECONDS = 15
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used; making one for each client would cost more than the request


@dataclass(frozen=True)
class Answer:
    """A response: the header list as it came, names in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = field(repr=False)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]

    def value(self, name: str) -> str | None:
        """The only value of a header; None when it is absent."""
        values = self.values(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def json(self):
        return json.loads(self.body)

    @property
    def upstream(self) -> Upstream:
        """What the echo backend says it received; fails when this is not its answer."""
        assert self.status == 200, f"expected the backend's answer, got {self.status}: {self.body[:400]!r}"
        echo = self.json()
        return Upstream(
            echo["method"], echo["target"], [tuple(header) for header in echo["headers"]], echo["body_length"], echo["body_sha256"]
        )


@dataclass(frozen=True)
class Upstream:
    """A request as the backend received it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body_length: int
    body_sha256: str

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]

    def names(self) -> set[str]:
        return {key for key, _ in self.headers}


def _headers(cookie: str | bytes | None, authorization: str | bytes | None, headers: list) -> list:
    both = [("cookie", cookie), ("authorization", authorization)]
    return [(name, value) for name, value in both if value is not None] + list(headers)


def _answer(response: httpx.Response) -> Answer:
    return Answer(response.status_code, [(name.lower(), value) for name, value in response.headers.multi_items()], response.content)


class Client:
    """Speaks to one listener. Keeps no cookies: a request carries what the call says and nothing else."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def get(self, target: str, *, cookie=None, authorization=None, headers=()) -> Answer:
        return self.request("GET", target, cookie=cookie, authorization=authorization, headers=headers)

    def request(
        self, method: str, target: str, *, cookie=None, authorization=None, headers=(), body: bytes = b"", source: str | None = None
    ) -> Answer:
        """One request on a connection of its own, from the loopback address `source` when given."""
        transport = httpx.HTTPTransport(verify=NO_TLS, local_address=source)
        with httpx.Client(trust_env=False, timeout=TIMEOUT_SECONDS, transport=transport) as client:
            return _answer(client.request(method, self.url + target, headers=_headers(cookie, authorization, headers), content=body))

    def http2(self, target: str, headers: list[tuple[str, str | bytes]]) -> Answer:
        """One GET over HTTP/2 without TLS; each cookie header given is a crumb of its own."""
        with httpx.Client(trust_env=False, verify=NO_TLS, timeout=TIMEOUT_SECONDS, http1=False, http2=True) as client:
            response = client.get(self.url + target, headers=headers)
            assert response.http_version == "HTTP/2"
            return _answer(response)

    def crowd(self, count: int, target: str, *, cookie: str, connections: int) -> list[Answer]:
        """`count` GETs in rounds: in each, one on every connection, all sent before the first answer is read."""
        answers, request = [], head(target, ("cookie", cookie.encode()))
        with contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(self.open()) for _ in range(connections)]
            while len(answers) < count:
                for connection in crowd:
                    connection.send(request)
                answers += [connection.read() for connection in crowd]
        return answers

    def open(self) -> Connection:
        return Connection(self.port)

    def raw(self, data: bytes) -> Answer:
        """Sends exactly these bytes on a connection of its own and reads one response."""
        with self.open() as connection:
            connection.send(data)
            return connection.read()


class Connection:
    """A bare connection to the proxy."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_exc) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self, *, to: str = "GET") -> Answer:
        """One whole response, to a request of this method."""
        status = int(self._line().split(b" ", 2)[1])
        headers = []
        while line := self._line():
            name, _, value = line.partition(b":")
            headers.append((name.decode("latin-1").lower(), value.strip().decode("latin-1")))
        fields = dict(headers)
        if fields.get("transfer-encoding") == "chunked" and to != "HEAD":
            body = b""
            while size := int(self._line(), 16):
                body += self._file.read(size)
                self._line()
            self._line()
        else:
            body = self._file.read(int(fields.get("content-length", 0)) if to != "HEAD" else 0)
        return Answer(status, headers, body)

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _line(self) -> bytes:
        line = self._file.readline(1 << 20)
        if not line.endswith(b"\r\n"):
            raise ConnectionError(f"the proxy closed the connection inside an answer, after {line!r}")
        return line[:-2]


def head(target: str, *headers: tuple[str, bytes], method: str = "GET") -> bytes:
    """The head of an HTTP/1.1 request with exactly these header values."""
    lines = [f"{method} {target} HTTP/1.1".encode(), b"host: localhost", *(name.encode() + b": " + value for name, value in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"
