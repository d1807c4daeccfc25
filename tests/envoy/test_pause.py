"""Proves that an auth service that asks for a pause gets it, in every form in which it can ask, and who notices."""

import time
from email.utils import formatdate

import pytest

from harness import answers
from harness.bootstrap import bootstrap, plugin
from harness.counts import Moves
from harness.envoy import Envoy
from harness.eventually import eventually
from harness.problem import assert_anonymous, assert_problem
from harness.visitor import Visitor

MAX_TTL_SECONDS = 2
CAP_SECONDS = 30
TICK_SECONDS = 1  # pauses are counted in whole seconds, the one that has begun left out
LONG = ("retry-after", "30")


@pytest.fixture
def fresh(auth, backend, tmp_path):
    """An Envoy of one worker that this test alone brings to a pause."""
    cache = {"max_ttl": f"{MAX_TTL_SECONDS}s", "refresh_ahead": "0s", "stale_if_error": "1m"}
    with Envoy(bootstrap(auth.port, backend.port, plugin(cache=cache)), tmp_path, workers=1) as envoy:
        yield envoy
        assert envoy.failures() == []


def throttle(auth, client, target, *headers, status=429):
    """Lets the auth service answer a new session with these headers."""
    session = auth.sign_in(answers.status(status, "{}", *headers))
    assert_problem(client.get(target, cookie=session.cookie), 503)
    assert len(auth.calls(session)) == 1
    return session


def date(seconds: float) -> str:
    return formatdate(time.time() + seconds, usegmt=True)


PAUSES = [
    pytest.param(429, lambda: [("retry-after", "7")], 7, id="retry_after"),
    pytest.param(429, lambda: [("x-retry-after", "7")], 7, id="x_retry_after"),
    pytest.param(429, lambda: [("retry-after", "5"), ("x-retry-after", "12")], 12, id="x_retry_after_is_longer"),
    pytest.param(429, lambda: [("retry-after", "12"), ("x-retry-after", "5")], 12, id="retry_after_is_longer"),
    pytest.param(429, lambda: [("retry-after", date(14))], 14, id="date"),
    pytest.param(429, lambda: [("retry-after", date(20)), ("x-retry-after", "3")], 20, id="date_is_longer"),
    pytest.param(429, lambda: [("retry-after", date(3)), ("x-retry-after", "20")], 20, id="seconds_are_longer_than_the_date"),
    pytest.param(429, lambda: [("retry-after", "soon"), ("x-retry-after", "8")], 8, id="nonsense_beside_seconds"),
    pytest.param(429, lambda: [("retry-after", "8"), ("x-retry-after", "soon")], 8, id="seconds_beside_nonsense"),
    pytest.param(429, lambda: [("retry-after", "31")], CAP_SECONDS, id="just_over_the_cap"),
    pytest.param(429, lambda: [("x-retry-after", "86400")], CAP_SECONDS, id="a_day"),
    pytest.param(429, lambda: [("retry-after", date(86400))], CAP_SECONDS, id="date_of_tomorrow"),
    pytest.param(429, lambda: [("retry-after", "9" * 30)], CAP_SECONDS, id="more_than_fits"),
    pytest.param(503, lambda: [("retry-after", "7")], 7, id="503_retry_after"),
    pytest.param(503, lambda: [("x-retry-after", "7")], 7, id="503_x_retry_after"),
    pytest.param(503, lambda: [("retry-after", date(14))], 14, id="503_date"),
]


@pytest.mark.parametrize(("status", "headers", "seconds"), PAUSES)
def test_new_session_is_told_the_seconds_that_remain_and_costs_no_callout(auth, backend, fresh, target, status, headers, seconds):
    client, path, began = fresh.client(), target(), time.monotonic()
    throttle(auth, client, target(), *headers(), status=status)
    for session in [auth.sign_in() for _ in range(3)]:
        answer = client.get(path, cookie=session.cookie)
        passed = time.monotonic() - began
        assert_problem(answer, 503)
        # A date is cut to whole seconds, too.
        assert seconds - passed - 1 <= int(answer.value("retry-after")) <= min(seconds + TICK_SECONDS, CAP_SECONDS)
        assert auth.calls(session) == []
    assert backend.requests(path) == []


NO_PAUSE = [
    pytest.param([], id="none"),
    pytest.param([("retry-after", "")], id="empty"),
    pytest.param([("retry-after", "0")], id="zero"),
    pytest.param([("retry-after", "soon")], id="word"),
    pytest.param([("retry-after", "-5")], id="negative"),
    pytest.param([("retry-after", "+5")], id="plus"),
    pytest.param([("retry-after", "5s")], id="unit"),
    pytest.param([("retry-after", "1.5")], id="fraction"),
    pytest.param([("retry-after", "0x10")], id="hexadecimal"),
    pytest.param([("retry-after", "Fri, 31 Feb 2090 25:61:00 GMT")], id="impossible_date"),
    pytest.param([("retry-after", date(-60))], id="date_in_the_past"),
    pytest.param([("x-retry-after", "soon")], id="x_word"),
    pytest.param([("ratelimit-reset", "20")], id="another_field"),
]


@pytest.mark.parametrize("headers", NO_PAUSE)
def test_429_that_asks_for_no_pause_causes_none(auth, fresh, target, headers):
    throttle(auth, fresh.client(), target(), *headers)
    session = auth.sign_in()
    assert fresh.client().get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]


@pytest.mark.parametrize("status", [301, 400, 404, 418])
def test_other_status_with_retry_after_causes_no_pause(auth, fresh, target, status):
    throttle(auth, fresh.client(), target(), LONG, status=status)
    assert fresh.client().get(target(), cookie=auth.sign_in().cookie).status == 200


@pytest.mark.parametrize("status", [500, 502, 504])
def test_5xx_with_retry_after_is_retried_and_causes_no_pause(auth, fresh, target, status):
    session = auth.sign_in(answers.status(status, "{}", LONG))
    assert_problem(fresh.client().get(target(), cookie=session.cookie), 503)
    assert len(auth.calls(session)) == 2
    assert fresh.client().get(target(), cookie=auth.sign_in().cookie).status == 200


def test_definite_no_with_retry_after_causes_no_pause(auth, fresh, target):
    session = auth.sign_in(answers.status(401, "{}", LONG))
    assert_problem(fresh.client().get(target(), cookie=session.cookie), 401)
    assert fresh.client().get(target(), cookie=auth.sign_in().cookie).status == 200


def test_503_without_retry_after_is_retried_and_causes_no_pause(auth, fresh, target):
    session = auth.sign_in(answers.status(503), answers.status(503))
    assert_problem(fresh.client().get(target(), cookie=session.cookie), 503)
    assert len(auth.calls(session)) == 2
    assert fresh.client().get(target(), cookie=auth.sign_in().cookie).status == 200


@pytest.mark.parametrize("status", [429, 503])
def test_throttled_exchange_tells_its_own_client_how_long(auth, fresh, target, status):
    session = auth.sign_in(answers.status(status, "{}", ("retry-after", "20")))
    answer = fresh.client().get(target(), cookie=session.cookie)
    assert_problem(answer, 503)
    assert 18 <= int(answer.value("retry-after")) <= 20 + TICK_SECONDS


def test_remembered_sessions_are_served_fresh_and_stale_without_a_callout(auth, fresh, target):
    client, known = fresh.client(), auth.sign_in()
    with Visitor(client, known, target()) as visitor:
        assert visitor.visit().bearer == known.bearer
        throttle(auth, client, target(), LONG)
        auth.script(known, answers.status(401))
        end = visitor.visits[0].ended + MAX_TTL_SECONDS + 1
        visitor.until(lambda visit: visit.began > end, within=MAX_TTL_SECONDS + 3, what="requests past max_ttl")
        assert {visit.bearer for visit in visitor.visits} == {known.bearer}
    assert len(auth.calls(known)) == 1


def test_optional_route_is_passed_anonymous_without_a_callout(auth, fresh, target):
    client = fresh.client()
    throttle(auth, client, target(), LONG)
    session = auth.sign_in()
    for _ in range(3):
        assert_anonymous(client.get(target("/optional"), cookie=session.cookie))
    assert auth.calls(session) == []


def test_remembered_no_stays_a_no(auth, fresh, target):
    client, refused = fresh.client(), auth.sign_in(answers.status(401))
    assert_problem(client.get(target(), cookie=refused.cookie), 401)
    throttle(auth, client, target(), LONG)
    assert_problem(client.get(target(), cookie=refused.cookie), 401)
    assert len(auth.calls(refused)) == 1


def test_exchange_under_way_is_not_cut_short(auth, fresh, target):
    client, gate, session = fresh.client(), answers.Gate(), auth.sign_in()
    auth.script(session, gate.before(answers.token(session.token)))
    with Visitor(client, session, target()) as visitor:
        visitor.send()
        try:
            eventually(lambda: auth.calls(session), what="the callout")
            throttle(auth, client, target(), LONG)
        finally:
            gate.open()
        assert visitor.receive().bearer == session.bearer


@pytest.mark.parametrize("status", [429, 503])
def test_callouts_go_on_when_the_pause_is_over_and_not_before(auth, fresh, target, status):
    client, session = fresh.client(), auth.sign_in()
    began = time.time()
    throttle(auth, client, target(), ("retry-after", "2"), status=status)
    ended = time.time()
    with Visitor(client, session, target()) as visitor:
        served = visitor.until(lambda visit: visit.status == 200, within=6, what="the end of the pause")
        assert served.bearer == session.bearer
        assert served.ended >= began + 2
        assert {visit.status for visit in visitor.visits[:-1]} == {503}
        assert all(visit.began < ended + 2 + TICK_SECONDS for visit in visitor.visits[:-1])
    assert len(auth.calls(session)) == 1


def test_pause_is_counted_for_what_it_is(auth, fresh, target):
    client = fresh.client()
    moves = Moves(fresh)
    throttle(auth, client, target(), LONG)
    moves.assert_exactly("denied_paused", "exchange_callouts", "exchange_throttled")
    moves = Moves(fresh)
    assert_problem(client.get(target(), cookie=auth.sign_in().cookie), 503)
    assert client.get(target("/optional"), cookie=auth.sign_in().cookie).status == 200
    moves.assert_exactly("denied_paused", "allowed_anonymous")
