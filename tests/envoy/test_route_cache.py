"""Proves which of Envoy's routes a request takes when routes ask for fields that the filter edits: that of what the backend sees.

For a module of ABI 0.2.1 Envoy forgets the route it chose whenever a request field is edited, and chooses again with the
fields as they are then. No foreign function is called for that, and none could prevent it.
"""

import pytest

from harness import answers
from harness.bootstrap import connection_manager, plugin
from harness.client import head

ROUTE = "x-route"
BEARER = {"name": "authorization", "string_match": {"prefix": "Bearer "}}
AUTHORIZATION = {"name": "authorization", "present_match": True}
IDENTITY = {"name": "x-user-id", "present_match": True}
SESSION = {"name": "cookie", "string_match": {"contains": "session="}}
BETA = {"name": "x-beta", "present_match": True}


def routes(**matches: dict) -> list[dict]:
    """Routes to the backend, which learns by which it was reached; the first whose field matches is taken."""
    return [
        {
            "match": {"prefix": "/", "headers": [match] if match else []},
            "route": {"cluster": "backend"},
            "request_headers_to_add": [{"header": {"key": ROUTE, "value": name}}],
        }
        for name, match in matches.items()
    ]


@pytest.fixture(scope="module")
def start(start_envoy):
    """Starts an Envoy with routes of its own."""

    def start(**matches: dict):
        def edit(bootstrap):
            (host,) = connection_manager(bootstrap)["route_config"]["virtual_hosts"]
            host["routes"] = routes(**matches)

        return start_envoy(plugin(upstream={"claim_headers": {"x-user-id": "/sub"}}), edit=edit)

    return start


@pytest.fixture(scope="module")
def client(start):
    return start(beta=BETA, bearer=BEARER, other=AUTHORIZATION, identity=IDENTITY, session=SESSION, plain={}).client()


def taken(connection, path: str, *fields: tuple[str, bytes]) -> str:
    """The route by which a request reached the backend."""
    connection.send(head(path, *fields))
    (name,) = connection.read().upstream.values(ROUTE)
    return name


@pytest.fixture
def connection(client):
    with client.open() as opened:
        yield opened


@pytest.mark.parametrize("prefix", ["/api", "/optional"])
@pytest.mark.parametrize("sent", [[], [("authorization", b"Basic dTpw")], [("x-user-id", b"admin")]], ids=["nothing", "basic", "identity"])
def test_route_of_our_bearer_is_taken_with_a_session(auth, connection, prefix, sent):
    session = auth.sign_in()
    for _exchanged_then_cached in range(2):
        assert taken(connection, prefix, ("cookie", session.cookie.encode()), *sent) == "bearer"
    assert len(auth.calls(session)) == 1


FORGED = [
    pytest.param([("authorization", b"Bearer forged.by.client")], id="bearer"),
    pytest.param([("Authorization", b"Basic dTpw")], id="basic"),
    pytest.param([("X-User-Id", b"admin")], id="identity"),
    pytest.param([("authorization", b"Bearer forged.by.client"), ("x-user-id", b"admin")], id="both"),
]


@pytest.mark.parametrize("prefix", ["/optional", "/off"])
@pytest.mark.parametrize("forged", FORGED)
def test_client_cannot_choose_a_route_by_a_field_that_is_taken_out(connection, prefix, forged):
    assert taken(connection, prefix, *forged) == "plain"


def test_route_of_an_own_authorization_is_taken_where_it_passes(connection):
    assert taken(connection, "/off-own", ("authorization", b"Bearer of-the-client")) == "bearer"
    assert taken(connection, "/off-own", ("authorization", b"Basic dTpw")) == "other"


def test_route_of_a_session_cookie_is_taken_only_where_the_backend_gets_it(auth, connection):
    refused = ("cookie", b"session=" + auth.sign_in(answers.status(401)).value.encode())
    assert taken(connection, "/optional", refused) == "plain"
    assert taken(connection, "/off", refused) == "session"


@pytest.mark.parametrize("prefix", ["/api", "/optional", "/off"])
def test_route_that_asks_for_no_such_field_stays(auth, connection, prefix):
    session = auth.sign_in()
    for _exchanged_then_cached in range(2):
        assert taken(connection, prefix, ("cookie", session.cookie.encode()), ("x-beta", b"1")) == "beta"


def test_request_whose_route_is_gone_is_answered_404_by_envoy(auth, backend, start, target):
    envoy = start(anonymous={**AUTHORIZATION, "invert_match": True})
    session, path = auth.sign_in(), target()
    with envoy.client().open() as connection:
        for _exchanged_then_cached in range(2):
            connection.send(head(path, ("cookie", session.cookie.encode())))
            assert connection.read().status == 404
        assert taken(connection, "/optional") == "anonymous"
    assert backend.requests(path) == []
    assert envoy.failures() == []
