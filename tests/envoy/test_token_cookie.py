"""Proves what becomes of a cookie that is itself the token: verified, set as the bearer, taken out of the jar, or nothing passes."""

import pytest

from harness import tokens
from harness.bootstrap import PLUGIN, plugin
from harness.client import head
from harness.jars import AMONG_NEIGHBOURS
from harness.problem import assert_anonymous, assert_invalid_token, assert_problem

SESSION_COOKIE = PLUGIN["credentials"][0]
TOKEN_COOKIE = {"token_cookie": {"names": ["access_token", "legacy_token"]}}
UNSENDABLE = {"line_break", "trailing_space"}  # no cookie's value has a line break, and space around it does not belong to it
INVALID = {reason: token for reason, token in tokens.that_do_not_verify().items() if reason not in UNSENDABLE} | {
    "empty": "",
    "quoted": f'"{tokens.mint()}"',
    "with_a_scheme": f"Bearer {tokens.mint()}",
    "over_8_kib": tokens.mint(filler="x" * 8192),
}


@pytest.fixture(scope="module")
def client(start_envoy):
    return start_envoy(plugin(credentials=[{"bearer": {}}, TOKEN_COOKIE, SESSION_COOKIE])).client()


@pytest.mark.parametrize("prefix", ["/api", "/optional"])
@pytest.mark.parametrize("name", ["access_token", "legacy_token"])
def test_token_cookie_reaches_the_backend_as_a_bearer_and_not_as_a_cookie(auth, client, target, prefix, name):
    token, calls = tokens.mint(), auth.count()
    upstream = client.get(target(prefix), cookie=f"{name}={token}").upstream
    assert upstream.values("authorization") == [f"Bearer {token}"]
    assert upstream.values("cookie") == []
    assert auth.count() == calls


@pytest.mark.parametrize(
    ("jar", "upstream"),
    [
        *AMONG_NEIGHBOURS,
        pytest.param("a=1; {0}; session=x; dont_remember=1; b=2", "a=1; b=2", id="beside_a_session"),
        pytest.param('q="x;{0}; e=; =v; raw=%20%3b==; Access_Token=k', 'q="x; e=; =v; raw=%20%3b==; Access_Token=k', id="odd_neighbours"),
        pytest.param("client_token; {0}; access_token2=2; xaccess_token=", "client_token; access_token2=2; xaccess_token=", id="similar"),
    ],
)
def test_neighbours_of_a_token_cookie_arrive_byte_for_byte(client, target, jar, upstream):
    token = tokens.mint()
    answer = client.get(target(), cookie=jar.format(f"access_token={token}"))
    assert answer.upstream.values("authorization") == [f"Bearer {token}"]
    assert answer.upstream.values("cookie") == [upstream]


@pytest.mark.parametrize("prefix", ["/api", "/optional"])
@pytest.mark.parametrize("reason", INVALID)
def test_invalid_token_cookie_is_answered_401_and_not_helped_by_a_valid_session(auth, backend, client, target, reason, prefix):
    path, session = target(prefix), auth.sign_in()
    for jar in (f"access_token={INVALID[reason]}", f"access_token={INVALID[reason]}; {session.cookie}"):
        assert_invalid_token(client.raw(head(path, ("cookie", jar.encode()))))
    assert backend.requests(path) == []
    assert auth.calls(session) == []


@pytest.mark.parametrize("prefix", ["/api", "/optional"])
@pytest.mark.parametrize("other", ["", "another"], ids=["empty", "another_token"])
def test_two_values_of_a_token_cookie_are_answered_400(backend, client, target, other, prefix):
    path, token = target(prefix), tokens.mint()
    other = tokens.mint(sub=other) if other else other
    one_line = client.get(path, cookie=f"access_token={token}; access_token={other}")
    two_lines = client.raw(head(path, ("cookie", f"access_token={other}".encode()), ("cookie", f"access_token={token}".encode())))
    for answer in (one_line, two_lines):
        assert_problem(answer, 400)
    assert backend.requests(path) == []


def test_first_listed_name_decides_and_both_are_removed(client, target):
    first, second = tokens.mint(sub="first"), tokens.mint(sub="second")
    upstream = client.get(target(), cookie=f"legacy_token={second}; a=1; access_token={first}").upstream
    assert upstream.values("authorization") == [f"Bearer {first}"]
    assert upstream.values("cookie") == ["a=1"]


def test_order_of_credentials_decides(auth, client, target):
    by_header, by_cookie, session = tokens.mint(sub="by-header"), tokens.mint(sub="by-cookie"), auth.sign_in()
    jar = f"{session.cookie}; access_token={by_cookie}"
    assert client.get(target(), cookie=jar, authorization=f"Bearer {by_header}").upstream.values("authorization") == [f"Bearer {by_header}"]
    assert client.get(target(), cookie=jar).upstream.values("authorization") == [f"Bearer {by_cookie}"]
    assert client.get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]


def test_invalid_bearer_is_not_helped_by_a_valid_token_cookie(backend, client, target):
    path = target()
    assert_invalid_token(client.get(path, cookie=f"access_token={tokens.mint()}", authorization="Bearer undefined"))
    assert backend.requests(path) == []


def test_no_token_cookie_is_no_credential(client, target):
    answer = client.get(target(), cookie="client_token=x; Access_Token=y")
    assert_problem(answer, 401)
    assert answer.value("www-authenticate") == "Bearer"
    assert_anonymous(client.get(target("/optional"), cookie="client_token=x"))


def test_off_route_leaves_a_token_cookie_in_place(client, target):
    jar = f"a=1; access_token={tokens.mint()}"
    answer = client.get(target("/off"), cookie=jar)
    assert_anonymous(answer)
    assert answer.upstream.values("cookie") == [jar]
