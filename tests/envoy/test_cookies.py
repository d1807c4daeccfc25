"""Proves which cookie is the session: ordered names, duplicates, several Cookie lines, values that are no session."""

import pytest

from harness.bootstrap import plugin
from harness.client import head
from harness.problem import assert_problem


def test_first_configured_name_wins_whatever_the_order_in_the_jar(auth, client, target):
    first, second = auth.sign_in(name="__Host-session"), auth.sign_in(name="session")
    for jar in (f"{first.cookie}; {second.cookie}", f"{second.cookie}; {first.cookie}"):
        assert client.get(target(), cookie=jar).upstream.values("authorization") == [first.bearer]
    assert auth.calls(second) == []


def test_refused_first_name_does_not_fall_through_to_the_second(auth, backend, client, target):
    good, path = auth.sign_in(name="session"), target()
    assert_problem(client.get(path, cookie=f"__Host-session=refused; {good.cookie}"), 401)
    assert backend.requests(path) == []
    assert auth.calls(good) == []


def test_both_session_names_are_removed_upstream(auth, client, target):
    session = auth.sign_in(name="__Host-session")
    upstream = client.get(target(), cookie=f"a=1; session=other; {session.cookie}; b=2").upstream
    assert upstream.values("cookie") == ["a=1; b=2"]


def test_same_value_under_two_names_is_two_sessions(auth, client, target):
    session = auth.sign_in()
    with client.open() as connection:
        for name in ("session", "__Host-session"):
            connection.send(head(target(), ("cookie", f"{name}={session.value}".encode())))
            assert connection.read().upstream.values("authorization") == [session.bearer]
    assert [call.values("cookie") for call in auth.calls(session)] == [
        [f"session={session.value}".encode()],
        [f"__Host-session={session.value}".encode()],
    ]


@pytest.mark.parametrize(
    "jar",
    [
        pytest.param("{0}; session=other", id="good_then_other"),
        pytest.param("session=other; {0}", id="other_then_good"),
        pytest.param("{0}; session=", id="good_then_empty"),
        pytest.param("session=; {0}", id="empty_then_good"),
        pytest.param("{0}; a=1; {0}; session=third", id="third_differs"),
        pytest.param('{0}; session="{1}"', id="quoted_spelling"),
    ],
)
@pytest.mark.parametrize("prefix", ["/api", "/optional"])
def test_two_different_values_of_one_session_cookie_are_answered_400(auth, backend, client, target, jar, prefix):
    session, path = auth.sign_in(), target(prefix)
    assert_problem(client.get(path, cookie=jar.format(session.cookie, session.value)), 400)
    assert backend.requests(path) == []
    assert auth.calls(session) == []


def test_equal_duplicates_count_once(auth, client, target):
    session = auth.sign_in()
    answer = client.get(target(), cookie=f"{session.cookie}; a=1; {session.cookie}")
    assert answer.upstream.values("authorization") == [session.bearer]
    assert auth.calls(session)[0].values("cookie") == [session.cookie.encode()]


def test_session_in_the_second_cookie_line_is_found(auth, client, target):
    session = auth.sign_in()
    upstream = client.raw(head(target(), ("cookie", b"a=1"), ("cookie", session.cookie.encode()), ("cookie", b"b=2"))).upstream
    assert upstream.values("authorization") == [session.bearer]
    assert "; ".join(upstream.values("cookie")) == "a=1; b=2"


def test_equal_duplicates_over_two_cookie_lines_count_once(auth, client, target):
    session = auth.sign_in()
    line = ("cookie", session.cookie.encode())
    upstream = client.raw(head(target(), line, ("cookie", b"a=1"), line)).upstream
    assert upstream.values("authorization") == [session.bearer]
    assert upstream.values("cookie") == ["a=1"]


def test_different_values_over_two_cookie_lines_are_answered_400(auth, backend, client, target):
    session, path = auth.sign_in(), target()
    answer = client.raw(head(path, ("cookie", session.cookie.encode()), ("Cookie", b"session=other")))
    assert_problem(answer, 400)
    assert backend.requests(path) == []


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param(b"\xc2\x85{0}", id="next_line_before_the_name"),
        pytest.param(b"\xa0{0}", id="latin1_space_before_the_name"),
        pytest.param(b"\xe2\x80\x80{0}", id="unicode_space_before_the_name"),
        pytest.param(b"={0}", id="nameless_cookie"),
        pytest.param(b"$Version=1, {0}", id="comma_is_no_separator"),
        pytest.param(b"%73ession=abc", id="percent_encoded_name"),
    ],
)
def test_cookie_that_only_resembles_the_session_is_no_credential(auth, backend, client, target, spelling):
    session, path = auth.sign_in(name="__Host-session"), target()
    answer = client.raw(head(path, ("cookie", spelling.replace(b"{0}", session.cookie.encode()))))
    assert_problem(answer, 401)
    assert backend.requests(path) == []
    assert auth.calls(session) == []


@pytest.mark.parametrize("blank", [b" ", b"\t", b" \t "], ids=["space", "tab", "both"])
def test_blanks_around_the_session_pair_do_not_hide_it(auth, client, target, blank):
    session = auth.sign_in()
    answer = client.raw(head(target(), ("cookie", b"a=1;" + blank + session.cookie.encode() + blank + b";b=2")))
    assert answer.upstream.values("authorization") == [session.bearer]


def test_session_among_thousands_of_cookies_is_found_and_the_others_are_kept(auth, client, target):
    session = auth.sign_in()
    neighbours = "; ".join(f"c{number}=" for number in range(3000))
    upstream = client.get(target(), cookie=f"{neighbours}; {session.cookie}").upstream
    assert upstream.values("authorization") == [session.bearer]
    assert upstream.values("cookie") == [neighbours]


def test_session_cookie_can_be_kept_for_the_backend(auth, start_envoy, target):
    client = start_envoy(plugin(upstream={"remove_session_cookie": False})).client()
    session = auth.sign_in()
    jar = f"a=1; {session.cookie}; dont_remember=1"
    upstream = client.get(target(), cookie=jar).upstream
    assert upstream.values("authorization") == [session.bearer]
    assert upstream.values("cookie") == [jar]
