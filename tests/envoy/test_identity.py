"""Proves that the backend learns who the user is from the token alone: no client can send a field that says so."""

import pytest

from harness import tokens
from harness.bootstrap import plugin
from harness.client import head
from harness.origin import OWN_PAGE

CLAIMS = {"x-user-id": "/sub", "x-user-email": "/email", "x-user-roles": "/roles", "x-tenant": "/org/id"}
FORGED = "of-the-client"

# Envoy itself refuses names with an underscore; the filter has to hold where an operator lets them pass.
SPELLINGS = ["x-user-id", "X-User-Id", "x_user_id", "X_USER-id", "x-user-email", "x-tenant"]
SPELLINGS += ["x-admin", "X_Admin", "x-internal-a", "x_internal_b"]
NEIGHBOURS = ["x-user-ids", "x-user", "xx-admin", "x-internal"]


@pytest.fixture(scope="module")
def client(start_envoy):
    def with_underscores(bootstrap):
        manager = bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        manager["common_http_protocol_options"]["headers_with_underscores_action"] = "ALLOW"

    upstream = {"claim_headers": CLAIMS, "remove_headers": ["x-admin", "x-internal-*"]}
    return start_envoy(plugin(upstream=upstream), edit=with_underscores).client()


def forged(upstream) -> set[str]:
    """The names of fields with which the backend was told something by the client."""
    return {name for name, value in upstream.headers if value == FORGED}


@pytest.mark.parametrize("connection_header", [None, "x-user-id, authorization"], ids=["plain", "nominated"])
@pytest.mark.parametrize(
    ("prefix", "signed_in"),
    [("/api", True), ("/optional", True), ("/optional", False), ("/off", True), ("/off", False), ("/off-own", True), ("/off-own", False)],
)
def test_client_can_send_none_of_them(auth, client, target, prefix, signed_in, connection_header):
    fields = [(name, FORGED.encode()) for name in SPELLINGS + NEIGHBOURS]
    fields += [("connection", connection_header.encode())] if connection_header else []
    fields += [("cookie", auth.sign_in().cookie.encode())] if signed_in else []
    with client.open() as connection:
        for _ in range(2):  # from the exchange, and from the cache
            connection.send(head(target(prefix), *fields))
            upstream = connection.read().upstream
            assert forged(upstream) == set(NEIGHBOURS)
            told = signed_in and prefix in {"/api", "/optional"}
            assert len(upstream.values("x-user-id")) == (1 if told else 0)


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("admin", "admin"),
        ("Bücher & mehr", "B%C3%BCcher & mehr"),
        ("a\r\nx-admin: 1", "a%0D%0Ax-admin: 1"),
        ("100%", "100%25"),
        (" ends ", "%20ends%20"),
        (7, "7"),
        (True, "true"),
        (["a", "b,c", "ü"], "a,b%2Cc,%C3%BC"),
        ({"a": ["b"]}, '{"a":["b"]}'),
        (None, None),
        ("", None),
        ([], None),
    ],
)
def test_claim_becomes_a_value_that_arrives_as_it_was_written(auth, client, target, claim, value):
    session = auth.sign_in(token=tokens.mint(roles=claim, org={"id": "t-1"}))
    upstream = client.get(target(), cookie=session.cookie, headers=[("x-user-roles", FORGED)]).upstream
    assert upstream.values("x-user-roles") == ([] if value is None else [value])
    assert upstream.values("x-tenant") == ["t-1"]
    assert "x-admin" not in upstream.names()


def test_method_override_of_a_client_with_a_cookie_does_not_arrive(auth, client, target):
    session = auth.sign_in()
    headers = [("x-http-method-override", "DELETE"), ("X_HTTP_Method", "DELETE"), OWN_PAGE]
    upstream = client.get(target(), cookie=session.cookie, headers=headers).upstream
    assert not [name for name in upstream.names() if "method" in name.lower()]


def test_cookie_that_a_client_nominates_for_its_connection_is_seen_by_nobody(auth, client, target):
    """Envoy takes nominated fields out before any filter, so that none can be hidden from the filter and shown to the backend."""
    session = auth.sign_in()
    fields = [("cookie", session.cookie.encode()), ("connection", b"cookie")]
    assert client.raw(head(target(), *fields)).status == 401
    assert client.raw(head(target("/off"), *fields)).upstream.values("cookie") == []
    assert auth.calls(session) == []
