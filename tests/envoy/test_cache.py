"""Proves how long a token is remembered: never past max_ttl, never past the token's own end, and no refusal instead of it."""

import time

import pytest

from harness import answers, tokens
from harness.bootstrap import plugin
from harness.client import head
from harness.eventually import eventually
from harness.problem import assert_problem
from harness.visitor import Visitor

MAX_TTL_SECONDS = 1


@pytest.fixture(scope="module")
def forgetful(start_envoy):
    """A client of an Envoy that remembers a token for one second, and refreshes none before."""
    return start_envoy(plugin(cache={"max_ttl": f"{MAX_TTL_SECONDS}s", "refresh_ahead": "0s"})).client()


@pytest.fixture
def connection(client):
    """One kept connection, and so one worker and one cache."""
    with client.open() as opened:
        yield opened


def ask(connection, session, path="/api/cache"):
    connection.send(head(path, ("cookie", session.cookie.encode())))
    return connection.read()


def test_second_request_on_the_same_worker_makes_no_callout(auth, connection):
    session = auth.sign_in()
    for _ in range(5):
        assert ask(connection, session).upstream.values("authorization") == [session.bearer]
    assert len(auth.calls(session)) == 1


def test_sessions_on_one_connection_are_not_mixed_up(auth, connection):
    sessions = [auth.sign_in() for _ in range(20)]
    for session in sessions * 2:
        assert ask(connection, session).upstream.values("authorization") == [session.bearer]
    assert [len(auth.calls(session)) for session in sessions] == [1] * 20


def test_rotated_cookie_is_asked_for_anew(auth, connection):
    before, after = auth.sign_in(), auth.sign_in()
    assert ask(connection, before).upstream.values("authorization") == [before.bearer]
    auth.script(before, answers.status(401))
    assert ask(connection, after).upstream.values("authorization") == [after.bearer]


def test_revoked_session_is_refused_within_max_ttl(auth, forgetful, target):
    session = auth.sign_in()
    assert forgetful.get(target(), cookie=session.cookie).status == 200
    auth.script(session, answers.status(401))
    revoked = time.monotonic()
    eventually(lambda: forgetful.get(target(), cookie=session.cookie).status == 401, what="a 401 for the revoked session")
    assert time.monotonic() - revoked < MAX_TTL_SECONDS + 1


def test_new_token_is_fetched_after_max_ttl(auth, forgetful, target):
    session, renewed = auth.sign_in(), f"Bearer {tokens.mint(sub='renewed')}"
    assert forgetful.get(target(), cookie=session.cookie).status == 200
    auth.script(session, answers.token(renewed.removeprefix("Bearer ")))
    eventually(
        lambda: forgetful.get(target(), cookie=session.cookie).upstream.values("authorization") == [renewed], what="the renewed token"
    )


def test_token_is_served_from_memory_until_its_end_and_not_past_it(auth, start_envoy, target):
    client = start_envoy(plugin(cache={"refresh_ahead": "0s"}, token={"leeway": "0s"})).client()
    end = int(time.time()) + 3
    session = auth.sign_in(answers.token(token := tokens.mint(exp=end)), answers.status(401))
    with Visitor(client, session, target()) as visitor:
        refused = visitor.until(lambda visit: visit.status != 200, within=5, what="the end of the token")
        assert_problem(refused.answer, 401)
        assert refused.ended >= end
        assert all(visit.began < end for visit in visitor.visits[:-1])
        assert {visit.bearer for visit in visitor.visits[:-1]} == {f"Bearer {token}"}
        assert_problem(visitor.visit().answer, 401)


def test_token_inside_its_leeway_is_used_once_and_not_remembered(auth, connection):
    late = tokens.mint(exp=int(time.time()) - 2)
    session = auth.sign_in(answers.token(late), answers.token(tokens.mint()))
    assert ask(connection, session).upstream.values("authorization") == [f"Bearer {late}"]
    assert ask(connection, session).upstream.values("authorization") != [f"Bearer {late}"]
    assert len(auth.calls(session)) == 2


def test_flood_of_unknown_cookies_does_not_push_a_known_session_out(auth, start_envoy):
    with start_envoy(plugin(cache={"max_entries": 10, "shared_slots": 0})).client().open() as connection:
        session = auth.sign_in()
        assert ask(connection, session).status == 200
        for number in range(50):
            assert ask(connection, type(session)(f"unknown-{number}", "")).status == 401
        assert ask(connection, session).status == 200
        assert len(auth.calls(session)) == 1


@pytest.mark.parametrize("shared_slots", [0, 8, 4096])
def test_more_sessions_than_entries_are_all_served(auth, start_envoy, shared_slots):
    with start_envoy(plugin(cache={"max_entries": 10, "shared_slots": shared_slots})).client().open() as connection:
        sessions = [auth.sign_in() for _ in range(40)]
        for session in sessions * 2:
            assert ask(connection, session).upstream.values("authorization") == [session.bearer]
