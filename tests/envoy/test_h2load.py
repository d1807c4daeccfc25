"""Proves under h2load, a real HTTP/2 client, that many streams at a time each get the token of their own session."""

import pytest

from harness import answers
from harness.eventually import eventually
from harness.h2load import Load, Summary
from harness.origin import TRUSTED

REQUESTS = 2000
CONNECTIONS, STREAMS = 20, 10


def carrying(session):
    return "cookie", f"theme=dark; {session.cookie}"


def assert_carried(backend, path, session, count):
    """The backend got so many requests for a target, each with the session's token and without its cookie."""
    received = backend.requests(path)
    assert len(received) == count
    assert {(*request.values("authorization"),) for request in received} == {(session.bearer.encode(),)}
    assert {(*request.values("cookie"),) for request in received} == {(b"theme=dark",)}


@pytest.mark.parametrize("http1", [False, True], ids=["http2", "http1"])
def test_session_is_exchanged_once_per_worker_at_most_and_used_for_every_request(auth, backend, envoy, client, target, http1):
    session, path = auth.sign_in(), target()
    load = Load(client, path, carrying(session), requests=REQUESTS, connections=CONNECTIONS, streams=1 if http1 else STREAMS, http1=http1)
    assert load.summary() == Summary({"2xx": REQUESTS}, unanswered=0)
    assert_carried(backend, path, session, REQUESTS)
    assert 1 <= len(auth.calls(session)) <= envoy.workers


def test_every_stream_waits_for_the_one_exchange(auth, backend, envoy, client, target):
    gate, session, path = answers.Gate(), auth.sign_in(), target()
    auth.script(session, gate.before(answers.token(session.token)))
    load = Load(client, path, carrying(session), requests=CONNECTIONS * STREAMS, connections=CONNECTIONS, streams=STREAMS)
    try:
        waiting = "http.edge.downstream_rq_active"
        eventually(lambda: envoy.stat(waiting) >= CONNECTIONS * STREAMS, what="all requests in Envoy")
        assert backend.requests(path) == []
    finally:
        gate.open()
    assert load.summary() == Summary({"2xx": CONNECTIONS * STREAMS}, unanswered=0)
    assert_carried(backend, path, session, CONNECTIONS * STREAMS)
    assert 1 <= len(auth.calls(session)) <= envoy.workers


def test_two_users_at_the_same_time_are_never_mixed_up(auth, backend, client, target):
    loads = {target(): auth.sign_in() for _ in range(2)}
    running = [Load(client, path, carrying(session), requests=REQUESTS // 2) for path, session in loads.items()]
    assert [load.summary() for load in running] == [Summary({"2xx": REQUESTS // 2}, unanswered=0)] * 2
    for path, session in loads.items():
        assert_carried(backend, path, session, REQUESTS // 2)


def test_uploads_of_many_streams_arrive_whole(auth, backend, client, target, tmp_path):
    session, path, body = auth.sign_in(), target(), tmp_path / "body"
    body.write_bytes(bytes(range(256)) * 400)
    load = Load(client, path, carrying(session), ("origin", TRUSTED), requests=200, connections=5, streams=10, body=body)
    assert load.summary() == Summary({"2xx": 200}, unanswered=0)
    assert_carried(backend, path, session, 200)
    assert {request.body_length for request in backend.requests(path)} == {body.stat().st_size}
    assert len({request.body_sha256 for request in backend.requests(path)}) == 1


@pytest.mark.parametrize(
    ("cookie", "status"),
    [pytest.param("session=unknown-under-load", 401, id="unknown"), pytest.param("session=one; session=two", 400, id="conflicting")],
)
def test_load_without_a_valid_session_reaches_nobody(auth, backend, envoy, client, target, cookie, status):
    path, callouts = target(), auth.count()
    assert Load(client, path, ("cookie", cookie), requests=REQUESTS).summary() == Summary({"4xx": REQUESTS}, unanswered=0)
    assert client.get(path, cookie=cookie).status == status
    assert backend.requests(path) == []
    assert auth.count() - callouts <= (envoy.workers if status == 401 else 0)
    assert envoy.failures() == []
