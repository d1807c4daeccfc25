"""Proves that a WebSocket library works through the filter: the handshake carries the token, messages pass both ways."""

import concurrent.futures

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from harness import answers, tokens
from harness.bootstrap import PLUGIN, connection_manager, plugin, point_cluster
from harness.client import TIMEOUT_SECONDS, Answer
from harness.eventually import eventually
from harness.http2_connection import Http2Connection
from harness.origin import TRUSTED
from harness.problem import assert_problem
from harness.websocket_backend import CLOSE_CODE, CLOSE_REASON, FAREWELL, MAX_FRAME_BYTES, SUBPROTOCOL, WebSocketBackend

CREDENTIALS = [{"bearer": {}}, {"token_cookie": {"names": ["access_token"]}}, *PLUGIN["credentials"]]
FOREIGN = "https://evil.example"
FRAME_BYTES = 8 * 1024 * 1024
ROUNDS = 200
CLOSE_SECONDS = 0.1  # Envoy holds a connection whose backend is gone open for a second; no need to watch it


@pytest.fixture(scope="module")
def server():
    backend = WebSocketBackend()
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def client(start_envoy, server):
    """A client of an Envoy with a WebSocket server behind it."""

    def edit(bootstrap):
        point_cluster(bootstrap, "backend", server.port)
        connection_manager(bootstrap)["http2_protocol_options"]["allow_connect"] = True

    return start_envoy(plugin(credentials=CREDENTIALS), edit=edit).client()


@pytest.fixture
def open_socket(client):
    """Opens a WebSocket as a page of an origin does, or as a program that has none."""

    def open_socket(path, *, cookie=None, origin=TRUSTED, headers=(), **options):
        fields = [*([("cookie", cookie)] if cookie else []), *headers]
        return connect(
            f"ws://127.0.0.1:{client.port}{path}",
            origin=origin,
            additional_headers=fields,
            max_size=MAX_FRAME_BYTES,
            open_timeout=TIMEOUT_SECONDS,
            close_timeout=CLOSE_SECONDS,
            proxy=None,
            **options,
        )

    return open_socket


def values(handshake: list[tuple[str, str]], name: str) -> list[str]:
    return [value for key, value in handshake if key == name]


def refusal(error: InvalidStatus) -> Answer:
    response = error.response
    return Answer(response.status_code, [(name.lower(), value) for name, value in response.headers.raw_items()], response.body)


def assert_echoes(connection) -> None:
    for message in ("text, ünïcode ✓", b"\x00\xff binary", ""):
        connection.send(message)
        assert connection.recv(timeout=TIMEOUT_SECONDS) == message


def test_page_of_the_site_opens_a_socket_with_its_session(auth, server, open_socket, target):
    session, path = auth.sign_in(), target()
    with open_socket(path, cookie=f"theme=dark; {session.cookie}; lang=en") as connection:
        assert_echoes(connection)
    (handshake,) = server.handshakes(path)
    assert values(handshake, "authorization") == [session.bearer]
    assert values(handshake, "cookie") == ["theme=dark; lang=en"]
    assert values(handshake, "origin") == [TRUSTED]
    assert [name for name, value in handshake if session.value in value] == []


@pytest.mark.parametrize("origin", [None, FOREIGN], ids=["no_origin", "foreign_origin"])
def test_program_opens_a_socket_with_a_bearer_of_its_own(server, open_socket, target, origin):
    token, path = tokens.mint(), target()
    with open_socket(path, origin=origin, headers=[("Authorization", f"Bearer {token}")]) as connection:
        assert_echoes(connection)
    (handshake,) = server.handshakes(path)
    assert values(handshake, "authorization") == [f"Bearer {token}"]


def test_token_cookie_opens_a_socket_and_does_not_reach_the_backend(server, open_socket, target):
    token, path = tokens.mint(), target()
    with open_socket(path, cookie=f"access_token={token}; a=1") as connection:
        assert_echoes(connection)
    (handshake,) = server.handshakes(path)
    assert values(handshake, "authorization") == [f"Bearer {token}"]
    assert values(handshake, "cookie") == ["a=1"]


def test_socket_waits_for_the_exchange_of_its_session(auth, server, open_socket, target):
    gate, session, path = answers.Gate(), auth.sign_in(), target()
    auth.script(session, gate.before(answers.token(session.token)))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        opening = pool.submit(open_socket, path, cookie=session.cookie)
        try:
            eventually(lambda: auth.calls(session), what="the callout")
            assert server.handshakes(path) == []
            assert not opening.done()
        finally:
            gate.open()
        with opening.result(TIMEOUT_SECONDS) as connection:
            assert_echoes(connection)
    (handshake,) = server.handshakes(path)
    assert values(handshake, "authorization") == [session.bearer]


def test_large_frame_and_many_small_ones_pass_both_ways(auth, open_socket, target):
    frame = bytes(range(256)) * (FRAME_BYTES // 256)
    with open_socket(target(), cookie=auth.sign_in().cookie, compression=None) as connection:
        connection.send(frame)
        assert connection.recv(timeout=TIMEOUT_SECONDS) == frame
        for number in range(ROUNDS):
            connection.send(str(number))
        assert [connection.recv(timeout=TIMEOUT_SECONDS) for _ in range(ROUNDS)] == [str(number) for number in range(ROUNDS)]


def test_message_in_fragments_is_put_together(auth, open_socket, target):
    with open_socket(target(), cookie=auth.sign_in().cookie) as connection:
        connection.send(iter(["in ", "three ", "pieces"]))
        assert connection.recv(timeout=TIMEOUT_SECONDS) == "in three pieces"


def test_ping_is_answered_by_the_backend(auth, open_socket, target):
    with open_socket(target(), cookie=auth.sign_in().cookie) as connection:
        assert connection.ping().wait(TIMEOUT_SECONDS)


def test_backend_closes_with_a_code_and_a_reason(auth, open_socket, target):
    with open_socket(target(), cookie=auth.sign_in().cookie) as connection:
        connection.send(FAREWELL)
        with pytest.raises(ConnectionClosedError) as closed:
            connection.recv(timeout=TIMEOUT_SECONDS)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (CLOSE_CODE, CLOSE_REASON)


def test_subprotocol_and_compression_are_agreed_on_with_the_backend(auth, open_socket, target):
    with open_socket(target(), cookie=auth.sign_in().cookie, subprotocols=["other.example", SUBPROTOCOL]) as connection:
        assert connection.subprotocol == SUBPROTOCOL
        assert "permessage-deflate" in connection.response.headers["sec-websocket-extensions"]
        assert_echoes(connection)


def test_socket_opened_without_a_session_where_that_is_allowed_is_anonymous(server, open_socket, target):
    path = target("/optional")
    with open_socket(path, cookie="a=1", headers=[("Authorization", "Basic dXNlcjpwYXNz")]) as connection:
        assert_echoes(connection)
    (handshake,) = server.handshakes(path)
    assert values(handshake, "authorization") == []


@pytest.mark.parametrize("prefix", ["/api", "/optional"])
@pytest.mark.parametrize("origin", [FOREIGN, None, "null"], ids=["foreign", "none", "null"])
def test_page_of_another_site_is_refused_before_anybody_is_asked(auth, server, open_socket, target, prefix, origin):
    session, path = auth.sign_in(), target(prefix)
    with pytest.raises(InvalidStatus) as refused:
        open_socket(path, cookie=session.cookie, origin=origin)
    assert_problem(refusal(refused.value), 403)
    assert auth.calls(session) == []
    assert server.handshakes(path) == []


REFUSED = {
    "no_credential": ({}, 401),
    "unknown_session": ({"cookie": "session=unknown"}, 401),
    "two_sessions": ({"cookie": "session=one; session=two"}, 400),
    "bearer_that_does_not_verify": ({"headers": [("Authorization", f"Bearer {tokens.mint(tokens.WRONG_SECRET)}")]}, 401),
    "token_cookie_that_does_not_verify": ({"cookie": f"access_token={tokens.mint(tokens.WRONG_SECRET)}"}, 401),
}


@pytest.mark.parametrize("case", REFUSED)
def test_socket_without_a_valid_credential_is_refused(server, open_socket, target, case):
    arguments, status = REFUSED[case]
    path = target()
    with pytest.raises(InvalidStatus) as refused:
        open_socket(path, **arguments)
    assert_problem(refusal(refused.value), status)
    assert server.handshakes(path) == []


def test_outage_of_the_auth_service_is_503(auth, server, open_socket, target):
    session, path = auth.sign_in(answers.status(404)), target()
    with pytest.raises(InvalidStatus) as refused:
        open_socket(path, cookie=session.cookie)
    assert_problem(refusal(refused.value), 503)
    assert server.handshakes(path) == []


# Over HTTP/2 (RFC 8441): the filter sees `CONNECT` or what Envoy makes of it, the backend an HTTP/1.1 handshake.

KEY = ("sec-websocket-key", "c2l4dGVlbiBieXRlcyEhIQ==")
VERSION = ("sec-websocket-version", "13")


def test_socket_over_http2_reaches_the_backend_as_a_handshake_with_the_token(auth, server, client, target):
    session, path = auth.sign_in(), target()
    with Http2Connection(client) as connection:
        fields = (":protocol", "websocket"), ("cookie", session.cookie), ("origin", TRUSTED), VERSION, KEY
        request = connection.send(path, *fields, method="CONNECT", end=False)
        connection.wait(lambda: request.headers, within=TIMEOUT_SECONDS, what="a response")
    assert request.answer.status == 200
    (handshake,) = server.handshakes(path)
    assert values(handshake, "authorization") == [session.bearer]
    assert values(handshake, "upgrade") == ["websocket"]
    assert values(handshake, "cookie") == []


@pytest.mark.parametrize("case", [*REFUSED, "foreign"])
def test_socket_over_http2_is_refused_as_over_http1(auth, server, client, target, case):
    session, path = auth.sign_in(), target()
    arguments, status = REFUSED.get(case, ({"cookie": session.cookie}, 403))
    fields = [(name.lower(), value) for name, value in arguments.get("headers", [])]
    fields += [("cookie", arguments["cookie"])] if "cookie" in arguments else []
    origin = FOREIGN if case == "foreign" else TRUSTED
    with Http2Connection(client) as connection:
        request = connection.send(path, (":protocol", "websocket"), ("origin", origin), VERSION, KEY, *fields, method="CONNECT", end=False)
        connection.wait(lambda: request.ended, within=TIMEOUT_SECONDS, what="a refusal")
    assert_problem(request.answer, status)
    assert auth.calls(session) == []
    assert server.handshakes(path) == []
