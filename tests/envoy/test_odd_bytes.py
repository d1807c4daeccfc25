"""Proves that no byte a client can send in a header breaks the filter: each is answered, no VM fails, the next request works."""

import pytest

from harness.client import Client, head

OBS_TEXT = range(0x80, 0x100)

PLACES = {
    "session_cookie": lambda cookie, byte: [("cookie", b"session=ab" + byte + b"cd")],
    "neighbouring_cookie": lambda cookie, byte: [("cookie", b"other=" + byte + b"; " + cookie)],
    "cookie_name": lambda cookie, byte: [("cookie", byte + b"session=abc; " + cookie)],
    "companion": lambda cookie, byte: [("cookie", cookie + b"; dont_remember=" + byte)],
    "authorization": lambda cookie, byte: [("authorization", b"Bearer " + byte)],
    "authorization_beside_a_session": lambda cookie, byte: [("cookie", cookie), ("authorization", byte)],
    "unrelated_header": lambda cookie, byte: [("cookie", cookie), ("x-unrelated", b"a" + byte + b"b")],
    "forwarded_header": lambda cookie, byte: [("cookie", b"session=unknown"), ("user-agent", byte), ("traceparent", byte)],
    "forwarded_for": lambda cookie, byte: [("cookie", b"session=unknown"), ("x-forwarded-for", byte)],
}


def answers(client: Client, requests: list[bytes]) -> list:
    """The answers to these requests, over one connection as long as the proxy keeps it open."""
    received, connection = [], client.open()
    try:
        for request in requests:
            connection.send(request)
            answer = connection.read()
            received.append(answer)
            if "close" in answer.values("connection"):
                connection.close()
                connection = client.open()
    finally:
        connection.close()
    return received


@pytest.mark.parametrize("prefix", ["/api", "/optional", "/off"])
@pytest.mark.parametrize("place", PLACES)
def test_every_byte_from_80_to_ff_is_answered_and_no_vm_fails(auth, envoy, client, target, place, prefix):
    session = auth.sign_in()
    requests = [head(target(prefix), *PLACES[place](session.cookie.encode(), bytes([byte]))) for byte in OBS_TEXT]
    received = answers(client, requests)
    assert len(received) == len(OBS_TEXT)
    assert {answer.status for answer in received} <= {200, 400, 401}
    assert envoy.failures() == []
    assert client.get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]


@pytest.mark.parametrize("place", ["neighbouring_cookie", "cookie_name", "unrelated_header", "authorization_beside_a_session"])
def test_byte_beside_a_session_does_not_hide_it(auth, client, target, place):
    session = auth.sign_in()
    requests = [head(target(), *PLACES[place](session.cookie.encode(), bytes([byte]))) for byte in OBS_TEXT]
    for answer in answers(client, requests):
        assert answer.upstream.values("authorization") == [session.bearer]


def test_bytes_of_neighbours_arrive_as_they_were_sent(auth, client, target):
    session = auth.sign_in()
    every = bytes(OBS_TEXT)
    answer = client.raw(head(target(), ("cookie", b"n=" + every + b"; " + session.cookie.encode()), ("x-unrelated", every)))
    assert answer.upstream.values("cookie") == [(b"n=" + every).decode("latin-1")]
    assert answer.upstream.values("x-unrelated") == [every.decode("latin-1")]


@pytest.mark.parametrize("byte", list(range(0x00, 0x21)) + [0x22, 0x2C, 0x5C, 0x7F], ids=lambda byte: f"{byte:02x}")
def test_control_byte_in_the_session_cookie_never_passes(auth, backend, envoy, client, target, byte):
    path = target()
    try:
        status = client.raw(head(path, ("cookie", b"session=ab" + bytes([byte]) + b"cd"))).status
    except ConnectionError:
        status = None  # Envoy may simply hang up on what is no HTTP
    assert status in (None, 400, 401)
    assert backend.requests(path) == []
    assert envoy.failures() == []
