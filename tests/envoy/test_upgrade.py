"""Proves that no spelling of an upgrade gets past the filter: it is authenticated and checked like a WebSocket, or it is none."""

import pytest

from harness.bootstrap import connection_manager
from harness.client import TIMEOUT_SECONDS, head
from harness.http2_connection import Http2Connection
from harness.origin import TRUSTED
from harness.problem import assert_problem

FOREIGN = "https://evil.example"
HANDSHAKE = ("sec-websocket-version", b"13"), ("sec-websocket-key", b"c2l4dGVlbiBieXRlcyEhIQ==")

# What Envoy makes of each spelling when it allows upgrades to `websocket` and `foo`.
UPGRADED = {
    "websocket": ["connection: upgrade", "upgrade: websocket"],
    "other_case": ["connection: UPGRADE", "upgrade: WebSocket"],
    "blanks": ["connection: upgrade", "upgrade:  websocket "],
    "kept_alive": ["connection: keep-alive, upgrade", "upgrade: websocket"],
    "foo": ["connection: upgrade", "upgrade: foo"],
}
REFUSED_BY_ENVOY = {
    "not_allowed": ["connection: upgrade", "upgrade: TLS/1.0"],
    "with_a_version": ["connection: upgrade", "upgrade: websocket/13"],
    "list": ["connection: upgrade", "upgrade: websocket, foo"],
    "list_turned_round": ["connection: upgrade", "upgrade: foo, websocket"],
    "two_lines": ["connection: upgrade", "upgrade: foo", "upgrade: websocket"],
    "twice_the_same": ["connection: upgrade", "upgrade: websocket", "upgrade: websocket"],
    "empty": ["connection: upgrade", "upgrade: "],
}
NO_UPGRADE = {
    "h2c": ["connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABkAARAAAAAAAIAAAAA"],
    "not_named_by_connection": ["upgrade: websocket"],
    "connection_closes": ["connection: close", "upgrade: websocket"],
    "connection_alone": ["connection: upgrade"],
}
SPELLINGS = UPGRADED | REFUSED_BY_ENVOY | NO_UPGRADE


@pytest.fixture(scope="module")
def client(start_envoy):
    """A client of an Envoy that allows more upgrades than the shipped one: to `foo` too, and over HTTP/2."""

    def edit(bootstrap):
        manager = connection_manager(bootstrap)
        manager["http2_protocol_options"]["allow_connect"] = True
        manager["upgrade_configs"].append({"upgrade_type": "foo"})

    return start_envoy(edit=edit).client()


def ask(client, path, spelling, session=None, origin=None):
    """One GET with these lines, from a page of this origin."""
    lines = [line.split(": ", 1) for line in SPELLINGS[spelling]]
    fields = [(name, value.encode()) for name, value in lines]
    fields += [("cookie", session.cookie.encode())] if session else []
    fields += [("origin", origin.encode())] if origin else []
    return client.raw(head(path, *fields, *HANDSHAKE))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_upgrade_without_a_credential_reaches_nobody(backend, client, target, spelling):
    path = target()
    answer = ask(client, path, spelling)
    assert answer.status == (403 if spelling in REFUSED_BY_ENVOY else 401)
    assert backend.requests(path) == []


@pytest.mark.parametrize("spelling", [*UPGRADED, *REFUSED_BY_ENVOY])
def test_upgrade_asked_for_by_a_page_of_another_site_reaches_nobody(auth, backend, client, target, spelling):
    session, path = auth.sign_in(), target()
    assert ask(client, path, spelling, session, FOREIGN).status == 403
    assert backend.requests(path) == []
    assert auth.calls(session) == []


@pytest.mark.parametrize("spelling", NO_UPGRADE)
def test_what_envoy_takes_for_no_upgrade_is_none_for_the_backend_either(auth, backend, client, target, spelling):
    session, path = auth.sign_in(), target()
    assert ask(client, path, spelling, session, FOREIGN).upstream.values("authorization") == [session.bearer]
    (received,) = backend.requests(path)
    assert received.values("upgrade") + received.values("connection") + received.values("http2-settings") == []


@pytest.mark.parametrize("spelling", UPGRADED)
def test_upgrade_asked_for_by_a_page_of_the_site_carries_the_token(auth, backend, client, target, spelling):
    session, path = auth.sign_in(), target()
    assert ask(client, path, spelling, session, TRUSTED).status == 200
    (received,) = backend.requests(path)
    assert received.values("authorization") == [session.bearer.encode()]
    assert received.values("cookie") == []
    assert received.values("upgrade") == [SPELLINGS[spelling][1].partition(":")[2].strip().encode()]


# Over HTTP/2 (RFC 8441) the name of the protocol stands where HTTP/1.1 has `Upgrade`.

PROTOCOLS = ["websocket", "WebSocket", "foo"]


def connect(client, path, protocol, *fields):
    """An extended CONNECT, and what was answered."""
    with Http2Connection(client) as connection:
        request = connection.send(path, (":protocol", protocol), *fields, method="CONNECT", end=False)
        connection.wait(lambda: request.headers, within=TIMEOUT_SECONDS, what="a response")
        return request.answer


@pytest.mark.parametrize("protocol", [*PROTOCOLS, "connect-udp"])
def test_extended_connect_without_a_credential_reaches_nobody(backend, client, target, protocol):
    path = target()
    assert connect(client, path, protocol).status == (404 if protocol == "connect-udp" else 401)
    assert backend.requests(path) == []


@pytest.mark.parametrize("protocol", [*PROTOCOLS, "connect-udp"])
def test_extended_connect_by_a_page_of_another_site_reaches_nobody(auth, backend, client, target, protocol):
    session, path = auth.sign_in(), target()
    answer = connect(client, path, protocol, ("cookie", session.cookie), ("origin", FOREIGN))
    assert answer.status == (404 if protocol == "connect-udp" else 403)
    assert backend.requests(path) == []
    assert auth.calls(session) == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_extended_connect_by_a_page_of_the_site_becomes_an_upgrade_with_the_token(auth, backend, client, target, protocol):
    session, path = auth.sign_in(), target()
    assert connect(client, path, protocol, ("cookie", session.cookie), ("origin", TRUSTED)).status == 200
    (received,) = backend.requests(path)
    assert received.method == "GET"
    assert received.values("upgrade") == [protocol.encode()]
    assert received.values("authorization") == [session.bearer.encode()]


@pytest.mark.parametrize("origin", [TRUSTED, FOREIGN], ids=["own_page", "foreign_page"])
def test_connect_to_an_authority_has_no_path_and_is_answered_400(auth, backend, client, origin):
    session, before = auth.sign_in(), backend.count()
    fields = ("cookie", session.cookie.encode()), ("origin", origin.encode())
    assert_problem(client.raw(head("localhost:80", *fields, method="CONNECT")), 400)
    assert backend.count() == before
    assert auth.calls(session) == []
