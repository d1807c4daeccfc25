"""Proves that a session in use is exchanged anew in the background before its token's time is over, and that nobody waits for it."""

import time

import pytest

from harness import answers, tokens
from harness.bootstrap import plugin
from harness.counts import WITHIN_SECONDS, values
from harness.eventually import eventually
from harness.problem import assert_problem
from harness.visitor import Visitor
from harness.workers import balanced

LONG_SECONDS = 6  # max_ttl where something is held back for a while
SHORT_SECONDS = 3
REFRESHES = "session_bearer_exchange_refreshes"


@pytest.fixture(scope="module")
def start_refreshing(start_envoy):
    """Starts an Envoy of one worker with this max_ttl, a third of which is refresh_ahead when nothing else is said."""

    def start(max_ttl, **cache):
        ahead = {"refresh_ahead": f"{max_ttl * 1000 // 3}ms"}
        changes = {"max_ttl": f"{max_ttl}s"} | ahead | cache
        exchange = {"timeout": "8s"}  # longer than anything is held back
        return start_envoy(plugin(exchange=exchange, cache={k: v for k, v in changes.items() if v is not None}), workers=1)

    return start


@pytest.fixture(scope="module")
def long(start_refreshing):
    return start_refreshing(LONG_SECONDS)


@pytest.fixture(scope="module")
def short(start_refreshing):
    return start_refreshing(SHORT_SECONDS)


@pytest.fixture
def gate():
    gate = answers.Gate()
    yield gate
    gate.open()


def another_token():
    return tokens.mint(sub="renewed")


def refresh_begins(auth, session, visitor, within=LONG_SECONDS + 2):
    visitor.until(lambda _visit: len(auth.calls(session)) == 2, within=within, what="the callout of a refresh")


def visit_until(visitor, end):
    """Comes back without a pause until a moment is near."""
    while time.time() < end - 0.2:
        visitor.visit()


def test_hit_near_its_end_is_served_at_once_while_one_refresh_is_under_way(auth, long, known, gate):
    session, visitor = known(long)
    first = visitor.visits[0]
    auth.script(session, gate.before(answers.token(another_token())))
    refresh_begins(auth, session, visitor)
    assert visitor.visits[-1].ended >= first.began + LONG_SECONDS * 2 / 3, "refreshed before the window of refresh_ahead"
    begun = len(visitor.visits)
    visit_until(visitor, first.began + LONG_SECONDS)
    assert len(visitor.visits) > begun + 5
    assert {visit.bearer for visit in visitor.visits} == {session.bearer}
    assert len(auth.calls(session)) == 2


def test_refreshed_token_is_used_afterwards_and_lives_from_then_on(auth, long, known):
    session, visitor = known(long)
    end, renewed = visitor.visits[0].ended + LONG_SECONDS, another_token()
    auth.script(session, answers.token(renewed))
    fetched = visitor.until(lambda visit: visit.bearer == f"Bearer {renewed}", within=LONG_SECONDS + 2, what="the refreshed token")
    assert fetched.began < end
    visitor.until(lambda visit: visit.began > end, within=LONG_SECONDS, what="requests past the first token's time")
    bearers = [visit.bearer for visit in visitor.visits]
    changed = bearers.index(f"Bearer {renewed}")
    assert bearers == [session.bearer] * changed + [f"Bearer {renewed}"] * (len(bearers) - changed)
    assert len(auth.calls(session)) == 2


def test_request_after_the_end_waits_for_the_refresh_that_is_under_way(auth, short, known, gate):
    session, visitor = known(short)
    end, renewed = visitor.visits[0].ended + SHORT_SECONDS, another_token()
    auth.script(session, gate.before(answers.token(renewed)))
    refresh_begins(auth, session, visitor)
    eventually(lambda: time.time() > end, what="the end of max_ttl")
    visitor.send()
    eventually(lambda: time.time() > end + 0.5, what="time for an answer that should not come")
    gate.open()
    assert visitor.receive().bearer == f"Bearer {renewed}"
    assert len(auth.calls(session)) == 2


@pytest.mark.parametrize("refusal", [answers.status(401), answers.json_body(None)], ids=["401", "200_null"])
def test_no_in_the_background_ends_the_session_before_max_ttl(auth, backend, long, known, refusal):
    session, visitor = known(long)
    auth.script(session, refusal)
    refused = visitor.until(lambda visit: visit.status != 200, within=LONG_SECONDS + 2, what="a refusal")
    assert_problem(refused.answer, 401)
    assert refused.began < visitor.visits[0].ended + LONG_SECONDS
    assert {visit.bearer for visit in visitor.visits[:-1]} == {session.bearer}


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(answers.status(404), id="404"),
        pytest.param(answers.status(500), id="500"),
        pytest.param(answers.connection_reset(), id="reset"),
        pytest.param(answers.never(), id="no_answer"),
        pytest.param(answers.html(), id="html"),
        pytest.param(answers.token(tokens.mint(tokens.WRONG_SECRET)), id="token_does_not_verify"),
    ],
)
def test_failing_refresh_costs_nobody_anything(auth, start_refreshing, known, failure):
    session, visitor = known(start_refreshing(SHORT_SECONDS))
    auth.script(session, failure)
    refresh_begins(auth, session, visitor)
    visit_until(visitor, visitor.visits[0].began + SHORT_SECONDS)
    assert {visit.bearer for visit in visitor.visits} == {session.bearer}
    assert len(auth.calls(session)) <= 4  # of hundreds of requests: the first, the refresh, a retry of it, and one more


def test_refresh_ahead_of_nothing_turns_it_off(auth, start_refreshing, known):
    envoy = start_refreshing(2, refresh_ahead="0s")
    session, visitor = known(envoy)
    first, renewed = visitor.visits[0], another_token()
    auth.script(session, answers.token(renewed))
    refresh_begins(auth, session, visitor)
    assert visitor.visits[-1].ended >= first.began + 2
    assert visitor.visits[-1].bearer == f"Bearer {renewed}"  # it waited
    assert {visit.bearer for visit in visitor.visits[:-1]} == {session.bearer}
    eventually(lambda: values(envoy)["session_bearer_allowed_miss"] == 2, within=WITHIN_SECONDS, what="two requests that waited")
    assert values(envoy)[REFRESHES] == 0


def test_last_third_of_max_ttl_is_the_window_when_nothing_is_configured(auth, start_refreshing, known, gate):
    session, visitor = known(start_refreshing(SHORT_SECONDS, refresh_ahead=None))
    first = visitor.visits[0]
    auth.script(session, gate.before(answers.token(another_token())))
    refresh_begins(auth, session, visitor)
    assert first.began + SHORT_SECONDS * 2 / 3 <= visitor.visits[-1].ended
    assert visitor.visits[-1].began < first.ended + SHORT_SECONDS
    assert {visit.bearer for visit in visitor.visits} == {session.bearer}


def test_session_that_nobody_uses_is_not_refreshed(auth, short, known):
    session, visitor = known(short)
    end = visitor.visits[0].ended + SHORT_SECONDS
    eventually(lambda: time.time() > end + 0.5, what="the end of max_ttl")
    assert len(auth.calls(session)) == 1


def test_refresh_is_counted_apart_from_the_exchanges_that_requests_wait_for(auth, start_refreshing, known):
    envoy = start_refreshing(SHORT_SECONDS)
    session, visitor = known(envoy)
    refresh_begins(auth, session, visitor)
    eventually(lambda: values(envoy)[REFRESHES] == 1, within=WITHIN_SECONDS, what="one refresh counted")
    assert values(envoy)["session_bearer_exchange_callouts"] == 2
    assert values(envoy)["session_bearer_allowed_miss"] == 1


def test_refresh_serves_all_workers_and_costs_one_callout_each_at_most(auth, start_envoy, target):
    cache = {"max_ttl": f"{LONG_SECONDS}s", "refresh_ahead": f"{LONG_SECONDS // 3}s"}
    envoy = start_envoy(plugin(cache=cache), edit=balanced)
    session, renewed = auth.sign_in(), another_token()
    with Visitor(envoy.client(), session, target()) as one, Visitor(envoy.client(), session, target()) as other:
        assert {one.visit().bearer, other.visit().bearer} == {session.bearer}
        asked, end = len(auth.calls(session)), one.visits[0].began + LONG_SECONDS
        auth.script(session, answers.token(renewed))

        def renewed_everywhere():
            return {visitor.visit().bearer for visitor in (one, other)} == {f"Bearer {renewed}"}

        eventually(renewed_everywhere, within=LONG_SECONDS + 2, what="the refreshed token on both workers")
        assert time.time() < end, "the first token's time was over"
        assert len(auth.calls(session)) <= asked + envoy.workers
