"""Proves the main job: a session cookie goes in, exactly one verified bearer token comes out, and nothing else changes."""

import hashlib
import os

import pytest

from harness.jars import AMONG_NEIGHBOURS
from harness.origin import OWN_PAGE
from harness.problem import assert_anonymous, assert_problem


def test_session_cookie_alone_reaches_the_backend_as_exactly_one_bearer_token(auth, client, target):
    session = auth.sign_in()
    answer = client.get(target(), cookie=session.cookie)
    assert answer.upstream.values("authorization") == [session.bearer]


def test_each_session_gets_its_own_token(auth, client, target):
    sessions = [auth.sign_in() for _ in range(8)]
    for session in sessions + sessions[::-1]:
        assert client.get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]


def test_session_cookie_and_companion_are_not_sent_upstream(auth, client, target):
    session = auth.sign_in()
    answer = client.get(target(), cookie=f"{session.cookie}; dont_remember=true.sig")
    assert answer.upstream.values("cookie") == []


@pytest.mark.parametrize(
    ("jar", "upstream"),
    [
        *AMONG_NEIGHBOURS,
        pytest.param("a=1; {0}; dont_remember=true; b=2", "a=1; b=2", id="beside_its_companion"),
        pytest.param('q="x;{0}; e=; =v; raw=%20%3b==; SESSION=kept', 'q="x; e=; =v; raw=%20%3b==; SESSION=kept', id="odd_neighbours"),
        pytest.param("sessions=1; {0}; session2=2; xsession=3", "sessions=1; session2=2; xsession=3", id="names_that_contain_its_name"),
    ],
)
def test_neighbouring_cookies_arrive_byte_for_byte(auth, client, target, jar, upstream):
    session = auth.sign_in()
    answer = client.get(target(), cookie=jar.format(session.cookie))
    assert answer.upstream.values("authorization") == [session.bearer]
    assert answer.upstream.values("cookie") == [upstream]


def test_request_arrives_otherwise_unchanged(auth, client, target):
    session = auth.sign_in()
    path = target() + "?q=%2F+%20&q=2;x"
    body = os.urandom(1000)
    headers = [("x-custom", "a"), ("x-custom", "b"), ("content-type", "application/octet-stream"), ("x-session", "kept"), OWN_PAGE]
    upstream = client.request("PUT", path, cookie=session.cookie, headers=headers, body=body).upstream
    assert upstream.values("authorization") == [session.bearer]
    assert (upstream.method, upstream.target) == ("PUT", path)
    assert upstream.body_sha256 == hashlib.sha256(body).hexdigest()
    assert upstream.values("x-custom") == ["a", "b"]
    assert upstream.values("content-type") == ["application/octet-stream"]
    assert upstream.values("x-session") == ["kept"]
    assert upstream.values("origin") == [OWN_PAGE[1].decode()]


def test_backends_answer_arrives_unchanged(auth, client, target):
    session = auth.sign_in()
    headers = [("x-answer-status", "422"), ("x-answer-header", "x-reason:because"), ("x-answer-header", "set-cookie:theme=dark")]
    answer = client.get(target(), cookie=session.cookie, headers=headers)
    assert answer.status == 422
    assert answer.values("x-reason") == ["because"]
    assert answer.values("set-cookie") == ["theme=dark"]
    assert answer.json()["method"] == "GET"


@pytest.mark.parametrize(
    "cookie",
    [
        pytest.param(None, id="no_cookie"),
        pytest.param("", id="empty_cookie_header"),
        pytest.param("theme=dark; lang=en", id="other_cookies"),
        pytest.param("Session=abc; SESSION=abc", id="name_in_other_case"),
        pytest.param("xsession=abc; session.x=abc; session2=abc", id="similar_names"),
        pytest.param("dont_remember=true", id="companion_alone"),
        pytest.param("session", id="name_without_a_value"),
    ],
)
def test_no_credential_is_answered_401_and_backend_is_not_reached(auth, backend, client, target, cookie):
    path, calls = target(), auth.count()
    problem = assert_problem(client.get(path, cookie=cookie), 401)
    assert problem["detail"]
    assert backend.requests(path) == []
    assert auth.count() == calls


def test_no_credential_is_challenged_without_an_error_code(client, target):
    challenge = client.get(target()).value("www-authenticate")
    assert challenge.startswith("Bearer") and "error" not in challenge


def test_no_credential_on_an_optional_route_passes_anonymous(client, target):
    assert_anonymous(client.get(target("/optional")))


@pytest.mark.parametrize("carrier", ["?session={0}", "?access_token={0}"], ids=["session_in_query", "token_in_query"])
def test_credential_in_the_query_is_none(auth, backend, client, target, carrier):
    path = target() + carrier.format(auth.sign_in().value)
    assert_problem(client.get(path), 401)
    assert backend.requests(path) == []


@pytest.mark.parametrize("name", ["x-session", "session", "set-cookie", "x-cookie"])
def test_credential_in_another_header_is_none(auth, client, target, name):
    assert_problem(client.get(target(), headers=[(name, auth.sign_in().cookie)]), 401)


def test_unknown_session_is_answered_401_and_backend_is_not_reached(auth, backend, client, target):
    path = target()
    assert_problem(client.get(path, cookie="session=unknown-to-the-auth-service"), 401)
    assert backend.requests(path) == []


def test_local_reply_never_echoes_the_request(client, target):
    headers = [(name, "reflected") for name in ("accept", "user-agent", "x-request-id", "referer", "origin", "x-odd")]
    answer = client.get(target() + "/<i>reflected</i>?q=reflected", cookie="session=reflected", headers=headers)
    assert_problem(answer, 401)
    assert b"reflected" not in answer.body
    assert "reflected" not in str(answer.headers)
