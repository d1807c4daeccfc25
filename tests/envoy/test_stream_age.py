"""Proves that `upstream.max_stream_age: token` ends a stream when its token ends, and ends nothing else."""

import concurrent.futures
import itertools
import time

import pytest

from harness import endless, tokens
from harness.bootstrap import PLUGIN, add_cluster, cluster, connection_manager, plugin
from harness.client import head
from harness.counts import WITHIN_SECONDS, values
from harness.eventually import eventually
from harness.http2_backend import Http2Backend
from harness.http2_connection import Http2Connection
from harness.origin import OWN_PAGE, TRUSTED
from harness.stream import Stream

WITHIN_CLOSE_SECONDS = 2
DELAYED_CLOSE_SECONDS = 1  # Envoy's own delayed_close_timeout: an HTTP/1 client gets nothing more, but sees the end so much later
PIECE_SECONDS = 5 * endless.EVERY_SECONDS  # the last byte came at most so long before the end
CLOSED = "session_bearer_streams_closed"
CREDENTIALS = [{"bearer": {}}, {"token_cookie": {"names": ["access_token"]}}, *PLUGIN["credentials"]]
UPGRADE = ("connection", b"upgrade"), ("upgrade", b"websocket"), ("sec-websocket-version", b"13"), ("sec-websocket-key", b"dGVzdHM=")
KINDS = {
    "web_socket": (endless.web_socket, [*UPGRADE, OWN_PAGE], 101),
    "events": (endless.events, [("accept", b"text/event-stream")], 200),
}
GRPC = ("content-type", "application/grpc"), ("te", "trailers"), ("origin", TRUSTED)
TARGETS = itertools.count(1)


@pytest.fixture(scope="module")
def grpc_backend():
    server = Http2Backend()
    yield server
    server.close()


@pytest.fixture(scope="module")
def start(start_envoy, grpc_backend):
    """Starts an Envoy with an HTTP/2 backend below /grpc besides the usual one."""

    def with_grpc(bootstrap):
        add_cluster(bootstrap, "grpc", grpc_backend.port)
        options = cluster(bootstrap, "grpc")["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
        options["explicit_http_config"] = {"http2_protocol_options": {}}
        (host,) = connection_manager(bootstrap)["route_config"]["virtual_hosts"]
        host["routes"].insert(0, {"match": {"prefix": "/grpc"}, "route": {"cluster": "grpc", "timeout": "0s"}})

    def start(**upstream):
        return start_envoy(plugin(credentials=CREDENTIALS, token={"leeway": "0s"}, upstream=upstream), edit=with_grpc)

    return start


@pytest.fixture(scope="module")
def envoy(start):
    return start(max_stream_age="token")


@pytest.fixture(scope="module")
def client(envoy):
    return envoy.client()


@pytest.fixture(scope="module")
def unbounded(start):
    """A client of an Envoy without the option."""
    return start().client()


@pytest.fixture
def end():
    return soon()


def soon():
    """The end of a token that lives two to three seconds more."""
    return int(time.time()) + 3


@pytest.fixture(scope="module")
def open_stream(backend):
    """Opens an endless stream of a kind, as a client that sends these fields; gives the backend's side of it too."""
    opened = []

    def open_stream(kind, client, prefix, *headers):
        answer, fields, status = KINDS[kind]
        answer, target = answer(), f"{prefix}/stream/{next(TARGETS)}"
        backend.script(target, answer)
        opened.append(Stream(client, head(target, *fields, *headers)))
        assert opened[-1].status == status
        return opened[-1], answer

    yield open_stream
    for stream in opened:
        stream.close()


def carrying(session):
    return "cookie", session.cookie.encode()


def watch(streams, until):
    """Reads several streams at a time until a moment, or until the end of each."""
    with concurrent.futures.ThreadPoolExecutor(len(streams)) as pool:
        list(pool.map(lambda stream: stream.watch(until=until), streams))


def assert_ended(stream, end):
    """The stream ended with its token, not before and not long after, and the client knows it."""
    assert_in_time(stream.last_byte, end)
    assert stream.closed, "the connection is still open"


def assert_in_time(moment, end):
    assert end - PIECE_SECONDS <= moment < end + WITHIN_CLOSE_SECONDS, f"the stream ended {moment - end:+.2f} s after its token"


def assert_goes_on(stream, moment):
    assert not stream.closed, "the connection was closed"
    assert moment - PIECE_SECONDS < stream.last_byte, f"nothing came since {stream.last_byte - moment:+.2f} s"


ENDING = ["required", "optional", "remembered", "bearer", "token_cookie"]
GOING_ON = ["off", "off_with_authorization", "anonymous", "without_the_option"]


@pytest.fixture(scope="module")
def watched(auth, client, unbounded, open_stream):
    """Streams of all these kinds, opened together and watched for so long that what has to end has ended: how they did, and when."""
    end = soon() + 1
    token = tokens.mint(exp=end)
    remembered, another = auth.sign_in(token=tokens.mint(exp=end)), auth.sign_in(token=tokens.mint(exp=end))
    for _ in range(20):
        assert client.get("/api/remembered", cookie=remembered.cookie).status == 200
    calls = len(auth.calls(remembered))
    bearer = ("authorization", f"Bearer {token}".encode())
    opening = {
        "required": (client, "/api", carrying(another)),
        "optional": (client, "/optional", carrying(another)),
        "remembered": (client, "/api", carrying(remembered)),
        "bearer": (client, "/api", bearer),
        "token_cookie": (client, "/api", ("cookie", f"access_token={token}".encode())),
        "off": (client, "/off", carrying(another), bearer),
        "off_with_authorization": (client, "/off-own", carrying(another), bearer),
        "anonymous": (client, "/optional"),
        "without_the_option": (unbounded, "/api", carrying(another)),
    }
    streams = {(case, kind): open_stream(kind, *arguments) for case, arguments in opening.items() for kind in KINDS}
    assert len(auth.calls(remembered)) == calls
    until = end + WITHIN_CLOSE_SECONDS + DELAYED_CLOSE_SECONDS
    watch([stream for stream, _ in streams.values()], until)
    return streams, end, until


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ENDING)
def test_stream_ends_with_its_token_on_both_sides(watched, case, kind):
    streams, end, _ = watched
    stream, answer = streams[case, kind]
    assert_ended(stream, end)
    assert answer.ended.wait(5), "the backend's side is still open"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", GOING_ON)
def test_stream_that_was_not_authorised_or_is_not_to_be_ended_goes_on(watched, case, kind):
    streams, _, until = watched
    stream, answer = streams[case, kind]
    assert_goes_on(stream, until)
    assert not answer.ended.is_set()


def test_each_stream_ends_with_its_own_token(auth, client, open_stream):
    now = int(time.time())
    ends = [now + 3, now + 5, now + 900]
    sessions = [auth.sign_in(token=tokens.mint(exp=end)) for end in ends]
    first, second, third = (open_stream("events", client, "/api", carrying(session))[0] for session in sessions)
    until = ends[1] + WITHIN_CLOSE_SECONDS + DELAYED_CLOSE_SECONDS
    watch([first, second, third], until)
    assert_ended(first, ends[0])
    assert_ended(second, ends[1])
    assert_goes_on(third, until)


@pytest.mark.parametrize("protocol", ["events", "grpc"])
def test_http2_stream_is_reset_and_its_connection_goes_on(auth, backend, grpc_backend, client, end, target, protocol):
    path = target("/grpc" if protocol == "grpc" else "/api")
    lasting_path, lasting, session = target("/grpc"), auth.sign_in(), auth.sign_in(token=tokens.mint(exp=end))
    if protocol == "events":
        backend.script(path, endless.events())
    with Http2Connection(client) as connection:
        stream = connection.send(path, ("cookie", session.cookie), *GRPC, method="POST", end=protocol == "events")
        other = connection.send(lasting_path, ("cookie", lasting.cookie), *GRPC, method="POST", end=False)
        connection.wait(lambda: stream.body and other.body, within=5, what="the beginning of both streams")
        assert stream.answer.status == 200
        connection.wait(lambda: stream.ended, within=8, what="the end of the stream")
        assert stream.reset_at is not None, "the stream ended as if it were complete"
        assert_in_time(stream.reset_at, end)
        received = len(other.body)
        connection.wait(lambda: len(other.body) > received + 20, within=5, what="more of the other stream")
        assert connection.get(target(), ("cookie", lasting.cookie)).status == 200
    if protocol == "grpc":
        eventually(lambda: grpc_backend.was_reset(path), what="the reset at the backend")


def test_http2_stream_goes_on_without_the_option(auth, unbounded, end, target):
    session = auth.sign_in(token=tokens.mint(exp=end))
    with Http2Connection(unbounded) as connection:
        stream = connection.send(target("/grpc"), ("cookie", session.cookie), *GRPC, method="POST", end=False)
        connection.wait(lambda: time.time() > end + WITHIN_CLOSE_SECONDS or stream.ended, within=10, what="the end of the token")
        received = len(stream.body)
        connection.wait(lambda: len(stream.body) > received, within=5, what="more of the stream")
        assert not stream.ended


def test_streams_that_are_ended_are_counted_and_nothing_else_is(auth, envoy, client, end, open_stream, target, capsys):
    before, session = values(envoy)[CLOSED], auth.sign_in(token=tokens.mint(exp=end))
    streams = [open_stream("events", client, "/api", carrying(session))[0] for _ in range(6)]
    left, backends_side = open_stream("events", client, "/api", carrying(session))
    left.close()
    assert backends_side.ended.wait(5), "the backend's side is still open"
    with client.open() as connection:
        for _ in range(5):
            connection.send(head(target(), carrying(session)))
            assert connection.read().upstream.values("authorization") == [session.bearer]
        watch(streams, end + WITHIN_CLOSE_SECONDS + DELAYED_CLOSE_SECONDS)
        connection.send(head(target("/off")))
        assert connection.read().status == 200, "the connection of requests that have long been answered was closed"
    for stream in streams:
        assert_ended(stream, end)
    with capsys.disabled():
        print(f"\n{len(streams)} streams ended {max(stream.last_byte for stream in streams) - end:+.2f} s after their token at most")
    eventually(lambda: values(envoy)[CLOSED] == before + len(streams), within=WITHIN_SECONDS, what="the count of exactly these streams")
