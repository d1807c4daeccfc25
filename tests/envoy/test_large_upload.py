"""Proves that an upload of a gigabyte passes through without being collected, and stands still while its session is exchanged."""

from __future__ import annotations

import concurrent.futures
import socket
import time

import pytest

from harness import answers
from harness.bootstrap import bootstrap, plugin, wasm_plugin
from harness.client import head
from harness.envoy import Envoy
from harness.eventually import eventually
from harness.h2load import Load, Summary
from harness.origin import OWN_PAGE, TRUSTED
from harness.sink import BLOCK_BYTES, Sink, blocks

GIGABYTE = 1 << 30
BLOCKS = GIGABYTE // BLOCK_BYTES
GROWTH_BYTES = 16 << 20  # of the process; what it may hold of one upload is 64 KiB on one side and 1 MiB on the other
STANDING_BYTES = 8 << 20  # what the sockets of the kernel take, and a little in Envoy
STANDSTILL_SECONDS = 0.5
SEND_BUFFER_BYTES = 1 << 18
SEND_SECONDS = 60
GLANCE_SECONDS = 0.02
HTTP2_BLOCKS = 256


@pytest.fixture(scope="module")
def sink():
    server = Sink()
    yield server
    server.close()


@pytest.fixture(scope="module")
def envoy(auth, sink, tmp_path_factory):
    """Does nothing but what is measured here; an exchange may take longer than usual."""
    configuration = bootstrap(auth.port, sink.port, plugin(exchange={"timeout": "30s"}))
    with Envoy(configuration, tmp_path_factory.mktemp("large"), workers=1, log_level="warning") as started:
        yield started
        assert started.failures() == []


@pytest.fixture(scope="module")
def at_rest(envoy):
    """What Envoy holds before the first upload: memory that one of them cost is not always given back."""
    return envoy.resident()


class Upload:
    """One POST of numbered blocks over a bare connection, with a look at Envoy's memory now and then."""

    def __init__(self, envoy: Envoy, path: str, session, *, chunked: bool) -> None:
        self._envoy = envoy
        self._chunked = chunked
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._socket.settimeout(SEND_SECONDS)
        self._socket.connect(("127.0.0.1", envoy.client().port))
        framing = ("transfer-encoding", b"chunked") if chunked else ("content-length", b"%d" % GIGABYTE)
        self.sent = 0
        self.resident_at_most = 0
        self._socket.sendall(head(path, ("cookie", session.cookie.encode()), OWN_PAGE, framing, method="POST"))

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *_exc) -> None:
        self._socket.close()

    def send(self) -> int:
        """All of it, and the status of the answer."""
        for number, block in enumerate(blocks(BLOCKS)):
            self._send_block(block)
            if number % 8 == 0:
                self.resident_at_most = max(self.resident_at_most, self._envoy.resident())
        if self._chunked:
            self._socket.sendall(b"0\r\n\r\n")
        return int(self._socket.recv(65536).split(b" ", 2)[1])

    def stands_still(self) -> bool:
        """Whether nothing has been taken from the sender for a while."""
        before = self.sent
        time.sleep(STANDSTILL_SECONDS)
        return self.sent == before

    def _send_block(self, block: memoryview) -> None:
        if self._chunked:
            self._socket.sendall(b"%x\r\n" % len(block))
        left = block
        while left:
            taken = self._socket.send(left)
            self.sent += taken
            left = left[taken:]
        if self._chunked:
            self._socket.sendall(b"\r\n")


def assert_arrived_whole(sink, path, session, *, count=BLOCKS):
    (request,) = sink.requests(path)
    assert request.values("authorization") == [session.bearer]
    assert request.values("cookie") == []
    assert request.intact == count


def test_gigabyte_arrives_whole_and_is_not_collected(auth, envoy, sink, target, at_rest):
    session, path = auth.sign_in(), target()
    with Upload(envoy, path, session, chunked=False) as upload:
        assert upload.send() == 200
        assert upload.resident_at_most - at_rest < GROWTH_BYTES
    assert_arrived_whole(sink, path, session)


def test_gigabyte_in_chunks_stands_still_while_its_session_is_exchanged_and_then_arrives_whole(auth, envoy, sink, target, at_rest):
    gate, session, path = answers.Gate(), auth.sign_in(), target()
    auth.script(session, gate.before(answers.token(session.token)))
    with Upload(envoy, path, session, chunked=True) as upload, concurrent.futures.ThreadPoolExecutor(1) as pool:
        status = pool.submit(upload.send)
        try:
            eventually(lambda: auth.calls(session), what="the callout")
            eventually(upload.stands_still, what="a standstill")
            assert 0 < upload.sent < STANDING_BYTES
            assert envoy.resident() - at_rest < GROWTH_BYTES
            assert sink.requests(path) == []
        finally:
            gate.open()
        assert status.result(SEND_SECONDS) == 200
        assert upload.resident_at_most - at_rest < GROWTH_BYTES
    assert_arrived_whole(sink, path, session)
    assert len(auth.calls(session)) == 1


def test_large_upload_over_http2_arrives_whole_and_is_not_collected(auth, envoy, sink, target, at_rest, tmp_path):
    session, path, body = auth.sign_in(), target(), tmp_path / "body"
    with body.open("wb") as file:
        file.writelines(blocks(HTTP2_BLOCKS))
    most = 0
    load = Load(envoy.client(), path, ("cookie", session.cookie), ("origin", TRUSTED), requests=1, connections=1, streams=1, body=body)
    while load.is_running():
        most = max(most, envoy.resident())
        time.sleep(GLANCE_SECONDS)
    body.unlink()
    assert load.summary() == Summary({"2xx": 1}, unanswered=0)
    assert most - at_rest < GROWTH_BYTES
    assert_arrived_whole(sink, path, session, count=HTTP2_BLOCKS)


@pytest.mark.parametrize("side", ["request", "response"])
def test_shipped_configuration_lets_bodies_pass_the_module_by(side):
    callbacks = wasm_plugin(bootstrap(0, 0, plugin()))["capability_restriction_config"]["allowed_capabilities"]
    assert f"proxy_on_{side}_headers" in callbacks
    assert f"proxy_on_{side}_body" not in callbacks
