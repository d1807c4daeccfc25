"""Proves how long a session outlives a failing auth service: never past its token's end or stale_if_error, and never past a "no"."""

import time

import pytest

from harness import answers, tokens
from harness.bootstrap import plugin
from harness.counts import WITHIN_SECONDS, values
from harness.eventually import eventually
from harness.problem import assert_problem

MAX_TTL_SECONDS = 1
TIMEOUT_SECONDS = 8  # longer than any test leaves a request waiting
OUTAGE = answers.status(404)  # not retried, so that each exchange is one callout


@pytest.fixture(scope="module")
def start_stale(start_envoy):
    """Starts an Envoy of one worker, for which a session is due for an exchange after a second, with no leeway for tokens."""

    def start(stale_if_error, **changes):
        cache = {"max_ttl": f"{MAX_TTL_SECONDS}s", "refresh_ahead": "0s", "stale_if_error": stale_if_error, "negative_ttl": "0s"}
        exchange = {"timeout": f"{TIMEOUT_SECONDS}s"}
        return start_envoy(plugin(exchange=exchange, cache=cache | changes, token={"leeway": "0s"}), workers=1)

    return start


@pytest.fixture(scope="module")
def lenient(start_stale):
    """An Envoy that serves a stale session for as long as any of these tests takes."""
    return start_stale("1m")


def asked_again(auth, session, visitor):
    """The first visit for which the auth service is asked anew."""
    before = len(auth.calls(session))
    return visitor.until(lambda _visit: len(auth.calls(session)) > before, within=MAX_TTL_SECONDS + 3, what="one more callout")


def test_stale_token_is_never_served_past_its_own_end(auth, lenient, known):
    end = int(time.time()) + 4
    session, visitor = known(lenient, token=tokens.mint(exp=end))
    auth.script(session, OUTAGE)
    assert asked_again(auth, session, visitor).bearer == session.bearer
    assert_problem(visitor.until(lambda visit: visit.status != 200, within=6, what="the end of the token").answer, 503)
    assert all(visit.began < end for visit in visitor.visits if visit.status == 200)
    assert visitor.visits[-1].ended >= end
    assert_problem(visitor.visit().answer, 503)


def test_stale_token_is_not_served_longer_than_stale_if_error(auth, start_stale, known):
    session, visitor = known(start_stale("2s"))
    exchanged = visitor.visits[0]
    auth.script(session, OUTAGE)
    assert asked_again(auth, session, visitor).bearer == session.bearer
    assert_problem(visitor.until(lambda visit: visit.status != 200, within=6, what="the end of stale_if_error").answer, 503)
    assert all(visit.began < exchanged.ended + MAX_TTL_SECONDS + 2 for visit in visitor.visits if visit.status == 200)
    assert visitor.visits[-1].ended >= exchanged.began + MAX_TTL_SECONDS + 2
    assert_problem(visitor.visit().answer, 503)


def test_stale_if_error_of_nothing_turns_it_off(auth, start_stale, known):
    session, visitor = known(start_stale("0s"))
    auth.script(session, OUTAGE)
    assert_problem(asked_again(auth, session, visitor).answer, 503)
    assert_problem(visitor.visit().answer, 503)
    auth.script(session, answers.token(session.token))
    assert visitor.visit().bearer == session.bearer


REFUSALS = [
    pytest.param(answers.status(401), id="401"),
    pytest.param(answers.status(403), id="403"),
    pytest.param(answers.json_body(None), id="200_null"),
    pytest.param(answers.json_body({"token": None}), id="200_token_null"),
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_session_revoked_at_a_healthy_auth_service_is_refused_after_max_ttl(auth, lenient, known, refusal):
    session, visitor = known(lenient)
    exchanged = visitor.visits[0]
    auth.script(session, refusal)
    assert_problem(visitor.until(lambda visit: visit.status != 200, within=MAX_TTL_SECONDS + 3, what="a refusal").answer, 401)
    assert all(visit.began < exchanged.ended + MAX_TTL_SECONDS for visit in visitor.visits if visit.status == 200)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_definite_no_ends_a_stale_session_for_good(auth, lenient, known, refusal):
    session, visitor = known(lenient)
    auth.script(session, OUTAGE)
    assert asked_again(auth, session, visitor).bearer == session.bearer
    auth.script(session, refusal)
    assert_problem(visitor.until(lambda visit: visit.status != 200, within=10, what="a refusal").answer, 401)
    auth.script(session, OUTAGE)
    assert_problem(visitor.visit().answer, 503)


@pytest.mark.parametrize("reason", ["wrong_secret", "wrong_issuer", "not_a_token", "unsigned"])
def test_token_that_does_not_verify_is_503_and_not_covered_by_the_stale_one(auth, lenient, known, reason):
    session, visitor = known(lenient)
    auth.script(session, answers.token(tokens.that_do_not_verify()[reason]))
    assert_problem(asked_again(auth, session, visitor).answer, 503)


def test_first_stale_request_waits_for_the_failing_exchange_and_later_ones_are_served_at_once(auth, lenient, known):
    session, visitor = known(lenient)
    auth.script(session, OUTAGE)
    assert asked_again(auth, session, visitor).bearer == session.bearer
    gate = answers.Gate()
    auth.script(session, gate.before(OUTAGE))
    asked, began = len(auth.calls(session)), time.monotonic()
    try:
        while len(auth.calls(session)) == asked or len(visitor.visits) < 50:
            assert visitor.visit().bearer == session.bearer
        for _ in range(20):  # while the exchange in the background is held back
            assert visitor.visit().bearer == session.bearer
        assert time.monotonic() - began < TIMEOUT_SECONDS, "requests waited for the exchange"
        assert len(auth.calls(session)) == asked + 1
    finally:
        gate.open()


def test_failing_auth_service_is_asked_ever_more_seldom(auth, lenient, known):
    session, visitor = known(lenient)
    auth.script(session, OUTAGE)
    assert asked_again(auth, session, visitor).bearer == session.bearer
    began = time.monotonic()
    visitor.until(lambda visit: visit.status != 200 or time.monotonic() > began + 4, within=6, what="four seconds of requests")
    assert {visit.status for visit in visitor.visits} == {200}
    assert len(auth.calls(session)) <= 8  # of more than a hundred requests


def test_stale_session_is_renewed_in_the_background_when_the_auth_service_is_back(auth, lenient, known):
    session, visitor = known(lenient)
    auth.script(session, OUTAGE)
    assert asked_again(auth, session, visitor).bearer == session.bearer
    renewed = tokens.mint(sub="renewed")
    auth.script(session, answers.token(renewed))
    visitor.until(lambda visit: visit.bearer == f"Bearer {renewed}", within=10, what="the renewed token")
    assert {visit.bearer for visit in visitor.visits[:-1]} == {session.bearer}


def test_stale_session_is_served_on_every_worker(auth, start_envoy, target):
    cache = {"max_ttl": f"{MAX_TTL_SECONDS}s", "refresh_ahead": "0s", "stale_if_error": "1m"}
    envoy = start_envoy(plugin(cache=cache))
    session, used = auth.sign_in(), r"listener\.127.*\.worker_\d+\.downstream_cx_total"
    assert envoy.client().get(target(), cookie=session.cookie).status == 200
    fresh_until = time.monotonic() + MAX_TTL_SECONDS
    auth.script(session, OUTAGE)
    eventually(lambda: time.monotonic() > fresh_until, what="the end of max_ttl")

    def every_worker_asked():
        assert envoy.client().get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]
        return all(count > 2 for count in envoy.stats(used).values())

    eventually(every_worker_asked, within=10, what="requests on every worker")


def test_new_session_is_asked_about_at_once_whatever_failed_before(auth, lenient, known, target):
    session, visitor = known(lenient)
    auth.script(session, OUTAGE)
    assert asked_again(auth, session, visitor).status == 200
    client = lenient.client()
    for _ in range(5):
        failing, fine = auth.sign_in(OUTAGE), auth.sign_in()
        assert_problem(client.get(target(), cookie=failing.cookie), 503)
        assert client.get(target(), cookie=fine.cookie).upstream.values("authorization") == [fine.bearer]
        auth.script(failing, answers.token(failing.token))
        assert client.get(target(), cookie=failing.cookie).upstream.values("authorization") == [failing.bearer]


def test_requests_served_stale_are_counted(auth, start_stale, known):
    envoy, metric = start_stale("1m"), "session_bearer_allowed_stale"
    session, visitor = known(envoy)
    auth.script(session, OUTAGE)
    asked_again(auth, session, visitor)
    for _ in range(3):
        visitor.visit()
    eventually(lambda: values(envoy)[metric] == 4, within=WITHIN_SECONDS, what="four requests counted as stale")
