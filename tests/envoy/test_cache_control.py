"""Proves that caches on the way are told to keep nothing of what was let through with a token, unless the backend says something."""

import pytest

from harness import answers, endless, tokens
from harness.bootstrap import PLUGIN, plugin
from harness.client import head
from harness.http2_connection import Http2Connection
from harness.origin import OWN_PAGE
from harness.problem import assert_problem

OURS = "private, no-store"


@pytest.fixture(scope="module")
def client(start_envoy):
    return start_envoy(plugin(credentials=[{"bearer": {}}, {"token_cookie": {"names": ["access_token"]}}, *PLUGIN["credentials"]])).client()


@pytest.fixture(params=["session_cookie", "token_cookie", "bearer"])
def credential(request, auth):
    """A credential of each kind, as arguments of a request."""
    if request.param == "session_cookie":
        return {"cookie": auth.sign_in().cookie}
    token = tokens.mint()
    return {"cookie": f"access_token={token}"} if request.param == "token_cookie" else {"authorization": f"Bearer {token}"}


def answering(*cache_control: str, status: int = 200, others: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Fields of a request that tell the echo backend what to answer."""
    lines = [f"cache-control:{value}" for value in cache_control] + list(others)
    return [("x-answer-status", str(status)), *(("x-answer-header", line) for line in lines)]


@pytest.mark.parametrize("prefix", ["/api", "/optional"])
def test_response_without_a_cache_control_gets_one(client, target, credential, prefix):
    for _asked_then_remembered in range(3):
        answer = client.get(target(prefix), **credential)
        assert answer.upstream.values("authorization") != []
        assert answer.values("cache-control") == [OURS]


@pytest.mark.parametrize("status", [200, 201, 204, 301, 304, 401, 404, 500])
def test_response_of_every_status_gets_one(client, target, credential, status):
    answer = client.get(target(), **credential, headers=answering(status=status))
    assert answer.status == status
    assert answer.values("cache-control") == [OURS]


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE", "OPTIONS"])
def test_response_to_every_method_gets_one(client, target, credential, method):
    answer = client.request(method, target(), **credential, headers=[OWN_PAGE])
    assert answer.status == 200
    assert answer.values("cache-control") == [OURS]


@pytest.mark.parametrize(
    "lines",
    [
        ["public, max-age=60"],
        ["no-cache"],
        ["private"],
        ["max-age=0"],
        ["no-store"],
        ["x-unheard-of"],
        ["s-maxage=60", "public"],
    ],
    ids="_".join,
)
def test_cache_control_of_the_backend_stays_as_it_is(client, target, credential, lines):
    answer = client.get(target(), **credential, headers=answering(*lines))
    assert answer.status == 200
    assert ",".join(answer.values("cache-control")).replace(", ", ",") == ",".join(lines).replace(", ", ",")  # Envoy joins lines


def test_empty_cache_control_says_nothing(client, target, credential):
    answer = client.get(target(), **credential, headers=answering(""))
    assert answer.status == 200
    assert answer.values("cache-control") == [OURS]


def test_other_fields_about_caching_stay_as_they_are(client, target, credential):
    others = {"expires": "Thu, 01 Jan 2099 00:00:00 GMT", "pragma": "x", "vary": "accept", "etag": '"1"', "surrogate-control": "max-age=60"}
    lines = tuple(f"{name}:{value}" for name, value in others.items())
    answer = client.get(target(), **credential, headers=answering(others=lines))
    assert answer.values("cache-control") == [OURS]
    for name, value in others.items():
        assert answer.values(name) == [value]


def test_response_over_http2_gets_one(auth, client, target):
    session = auth.sign_in()
    with Http2Connection(client) as connection:
        for _asked_then_remembered in range(2):
            assert connection.get(target(), ("cookie", session.cookie)).values("cache-control") == [OURS]


def test_response_that_does_not_end_gets_one(auth, backend, client, target):
    session, path = auth.sign_in(), target()
    backend.script(path, endless.events())
    with Http2Connection(client) as connection:
        request = connection.send(path, ("cookie", session.cookie))
        connection.wait(lambda: request.body, within=5, what="an event")
    assert request.answer.values("cache-control") == [OURS]


def test_line_of_the_auth_service_and_cache_control_come_together(auth, client, target):
    line = "session=x; Path=/; HttpOnly"
    session = auth.sign_in()
    auth.script(session, answers.token(session.token, ("set-cookie", line)))
    answer = client.get(target(), cookie=session.cookie)
    assert answer.values("set-cookie") == [line]
    assert answer.values("cache-control") == [OURS]


# What is let through without a token


ANONYMOUS = [
    pytest.param("/optional", {}, id="no_credential"),
    pytest.param("/optional", {"cookie": "theme=dark"}, id="other_cookie"),
    pytest.param("/optional", {"cookie": "session=unknown"}, id="refused_session"),
    pytest.param("/off", {}, id="off"),
    pytest.param("/off", {"cookie": "session=unknown"}, id="off_with_a_cookie"),
    pytest.param("/off-own", {"authorization": "Bearer of.the.client"}, id="off_with_authorization"),
]


@pytest.mark.parametrize("sent", [[], ["public, max-age=60"]], ids=["none", "some"])
@pytest.mark.parametrize(("prefix", "credential"), ANONYMOUS)
def test_response_to_an_anonymous_or_off_request_is_left_alone(client, target, prefix, credential, sent):
    answer = client.get(target(prefix), **credential, headers=answering(*sent))
    assert answer.status == 200
    assert answer.values("cache-control") == sent


def test_response_to_a_session_on_an_off_route_is_left_alone(auth, client, target):
    answer = client.get(target("/off"), cookie=auth.sign_in().cookie)
    assert answer.upstream.values("cache-control") == answer.values("cache-control") == []


def test_response_in_an_outage_to_an_anonymous_request_is_left_alone(auth, client, target):
    answer = client.get(target("/optional"), cookie=auth.sign_in(answers.status(404)).cookie)
    assert answer.upstream.values("authorization") == answer.values("cache-control") == []


def test_preflight_is_left_alone(auth, client, target):
    headers = [("origin", "https://elsewhere.example"), ("access-control-request-method", "POST")]
    answer = client.request("OPTIONS", target(), cookie=auth.sign_in().cookie, headers=headers)
    assert answer.upstream.method == "OPTIONS"
    assert answer.values("cache-control") == []


def test_kept_connection_mixes_nothing_up(auth, client, target):
    session = auth.sign_in()
    with client.open() as connection:
        for _ in range(3):
            connection.send(head(target(), ("cookie", session.cookie.encode())))
            assert connection.read().values("cache-control") == [OURS]
            for path in (target("/optional"), target("/off")):
                connection.send(head(path))
                assert connection.read().values("cache-control") == []


# Our own replies: no-store, and never more


@pytest.mark.parametrize(
    ("method", "request_fields", "status"),
    [
        ("GET", {}, 401),
        ("GET", {"authorization": "Bearer a.b.c"}, 401),
        ("GET", {"cookie": "session=one; session=two"}, 400),
        ("GET", {"cookie": "session=unknown"}, 401),
        ("POST", {"cookie": "session=unknown"}, 403),
    ],
    ids=["no_credential", "invalid_token", "conflicting_cookies", "refused_session", "another_site"],
)
def test_reply_of_our_own_is_not_to_be_stored(client, target, method, request_fields, status):
    assert_problem(client.request(method, target(), **request_fields), status)


def test_reply_of_our_own_in_an_outage_is_not_to_be_stored(auth, client, target):
    assert_problem(client.get(target(), cookie=auth.sign_in(answers.status(404)).cookie), 503)


def test_reply_of_envoy_for_a_backend_that_is_down_gets_one(auth, backend, client, target):
    session = auth.sign_in()
    assert client.get(target(), cookie=session.cookie).status == 200
    backend.stop()
    try:
        answer = client.get(target(), cookie=session.cookie)
    finally:
        backend.start()
    assert answer.status == 503
    assert answer.values("cache-control") == [OURS]
