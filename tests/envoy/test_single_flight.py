"""Proves that many requests of one session cost at most one callout per worker, and that everybody who waits is answered."""

import concurrent.futures
import time

import pytest

from harness import answers
from harness.active import waiting
from harness.bootstrap import plugin
from harness.client import head
from harness.eventually import eventually
from harness.problem import assert_problem

WORKERS = 2


def ask(client, session, path):
    """Sends a request for a session on a connection of its own and leaves the answer unread."""
    connection = client.open()
    connection.send(head(path, ("cookie", session.cookie.encode())))
    return connection


@pytest.fixture
def workers_used(envoy):
    """Tells how many workers accepted connections since the test began."""
    pattern = r"listener\.127.*\.worker_\d+\.downstream_cx_total"
    before = envoy.stats(pattern)

    def count() -> int:
        return sum(value > before.get(name, 0) for name, value in envoy.stats(pattern).items())

    return count


def test_200_concurrent_first_requests_cost_one_callout_per_worker_at_most_and_later_ones_none(auth, envoy, client, target, workers_used):
    gate = answers.Gate()
    session = auth.sign_in()
    auth.script(session, gate.before(answers.token(session.token)))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        crowd = pool.submit(client.crowd, 200, target(), cookie=session.cookie, connections=200)
        try:
            waiting(envoy, 200)
        finally:
            gate.open()
        replies = crowd.result(timeout=30)
    assert [reply.upstream.values("authorization") for reply in replies] == [[session.bearer]] * 200
    assert workers_used() == WORKERS
    assert (asked := len(auth.calls(session))) <= WORKERS
    again = client.crowd(200, target(), cookie=session.cookie, connections=50)
    assert [reply.upstream.values("authorization") for reply in again] == [[session.bearer]] * 200
    assert len(auth.calls(session)) == asked


def test_1000_requests_of_one_session_cost_at_most_2_callouts(auth, client, target, workers_used):
    session = auth.sign_in()
    replies = client.crowd(1000, target(), cookie=session.cookie, connections=50)
    assert [reply.upstream.values("authorization") for reply in replies] == [[session.bearer]] * 1000
    assert workers_used() == WORKERS
    assert len(auth.calls(session)) <= 2


def test_50_sessions_at_once_each_get_their_own_token(auth, envoy, client, target):
    gate = answers.Gate()
    sessions = [auth.sign_in() for _ in range(50)]
    for session in sessions:
        auth.script(session, gate.before(answers.token(session.token)))
    connections = [(session, ask(client, session, target())) for session in sessions for _ in range(3)]
    try:
        waiting(envoy, len(connections))
    finally:
        gate.open()
    for session, connection in connections:
        with connection:
            assert connection.read().upstream.values("authorization") == [session.bearer]


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        pytest.param(answers.status(401), 401, id="refused"),
        pytest.param(answers.status(404), 503, id="outage"),
        pytest.param(answers.connection_reset(), 503, id="reset"),
        pytest.param(answers.token("not-a-token"), 503, id="token_does_not_verify"),
    ],
)
def test_everybody_who_waits_gets_the_bad_news(auth, backend, envoy, client, target, outcome, status):
    gate, path = answers.Gate(), target()
    session = auth.sign_in(gate.before(outcome))
    connections = [ask(client, session, path) for _ in range(20)]
    try:
        waiting(envoy, 20)
    finally:
        gate.open()
    for connection in connections:
        with connection:
            assert_problem(connection.read(), status)
    assert backend.requests(path) == []


def test_first_clients_disconnect_does_not_strand_the_others(auth, envoy, client, target):
    gate = answers.Gate()
    session = auth.sign_in()
    auth.script(session, gate.before(answers.token(session.token)))
    first = ask(client, session, target())
    eventually(lambda: auth.calls(session), what="the callout for the first client")
    others = [ask(client, session, target()) for _ in range(8)]
    try:
        waiting(envoy, 9)
        first.close()
        waiting(envoy, 8)
    finally:
        gate.open()
    for other in others:
        with other:
            assert other.read().upstream.values("authorization") == [session.bearer]
    assert len(auth.calls(session)) <= WORKERS


def test_disconnect_of_everybody_harms_nobody_who_comes_later(auth, backend, envoy, client, target):
    gate, path = answers.Gate(), target()
    session = auth.sign_in()
    auth.script(session, gate.before(answers.token(session.token)))
    connections = [ask(client, session, path) for _ in range(6)]
    try:
        waiting(envoy, 6)
        for connection in connections:
            connection.close()
        waiting(envoy, 0)
    finally:
        gate.open()
    assert client.get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]
    assert backend.requests(path) == []


def test_disconnects_at_every_stage_break_nothing(auth, envoy, client, target):
    for number in range(60):
        session = auth.sign_in()
        connection = ask(client, session, target())
        if number % 3 == 1:
            eventually(lambda session=session: auth.calls(session), what="the callout")
        elif number % 3 == 2:
            connection.read()
        connection.close()
    waiting(envoy, 0)
    session = auth.sign_in()
    assert client.get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]
    assert envoy.failures() == []


def test_auth_service_that_dies_while_asked_releases_everybody(auth, envoy, client, target):
    session = auth.sign_in(answers.never())
    connections = [ask(client, session, target()) for _ in range(10)]
    waiting(envoy, 10)
    eventually(lambda: auth.calls(session), what="the callout")
    auth.stop()
    try:
        for connection in connections:
            with connection:
                assert_problem(connection.read(), 503)
    finally:
        auth.start()
    auth.script(session, answers.token(session.token))
    assert client.get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]


def test_exchange_beyond_max_in_flight_is_answered_503_at_once(auth, backend, start_envoy, target):
    envoy = start_envoy(plugin(exchange={"max_in_flight": 1}))
    client, gate, path = envoy.client(), answers.Gate(), target()
    sessions = [auth.sign_in() for _ in range(12)]
    for session in sessions:
        auth.script(session, gate.before(answers.token(session.token)))
    began = time.monotonic()
    connections = [(session, ask(client, session, path)) for session in sessions]
    try:
        refused = r"http\.(?!admin).*\.downstream_rq_5xx"
        eventually(lambda: sum(envoy.stats(refused).values()) >= len(sessions) - WORKERS, what="refusals of all but one per worker")
        assert time.monotonic() - began < 3
        assert backend.requests(path) == []
    finally:
        gate.open()
    statuses = []
    for session, connection in connections:
        with connection:
            reply = connection.read()
        if reply.status == 200:
            assert reply.upstream.values("authorization") == [session.bearer]
        else:
            assert_problem(reply, 503)
        statuses.append(reply.status)
    assert 1 <= statuses.count(200) <= WORKERS
    assert client.get(target(), cookie=sessions[-1].cookie).status == 200
