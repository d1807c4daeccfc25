"""A real gRPC server for every method of every service: how a call streams is the last part of its path."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc

from .client import TIMEOUT_SECONDS

STREAMED = 500
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
Metadata = list[tuple[str, str]]


class GrpcService(grpc.GenericRpcHandler):
    """Keeps the metadata of every call. Messages are bytes as they are; answers repeat what came in."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, Metadata]] = []
        self._holds: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(16), handlers=[self])
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def close(self) -> None:
        self._server.stop(None).wait()

    def calls(self, path: str) -> list[Metadata]:
        """The metadata of the calls of a method, from the moment their head arrived."""
        with self._lock:
            return [metadata for called, metadata in self._calls if called == path]

    def hold(self, path: str) -> Callable[[], None]:
        """Lets a method's answering stream pause after its first message until the returned function is called."""
        with self._lock:
            event = self._holds[path] = threading.Event()
        return event.set

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        with self._lock:
            self._calls.append((details.method, [(name, value) for name, value in details.invocation_metadata]))
            hold = self._holds.get(details.method)
        kind = details.method.rpartition("/")[2]

        def unary_stream(request: bytes, _context: grpc.ServicerContext) -> Iterator[bytes]:
            yield request
            if hold:
                assert hold.wait(TIMEOUT_SECONDS), "nobody let the stream go on"
            yield from (b"%d" % number for number in range(1, STREAMED))

        behaviour = {
            "unary_unary": _repeat,
            "unary_stream": unary_stream,
            "stream_unary": lambda requests, _context: b" ".join(requests),
            "stream_stream": lambda requests, _context: (b"again " + request for request in requests),
        }[kind]
        return getattr(grpc, f"{kind}_rpc_method_handler")(behaviour)


def _repeat(request: bytes, context: grpc.ServicerContext) -> bytes:
    context.set_trailing_metadata([("x-trailer", "of the backend")])
    return b"again " + request
