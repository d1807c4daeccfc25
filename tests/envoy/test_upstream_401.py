"""Proves that a 401 of the backend has its session exchanged anew, once, and that it has no other consequence."""

import pytest

from harness import answers, tokens
from harness.bootstrap import PLUGIN, plugin
from harness.client import head
from harness.counts import WITHIN_SECONDS, values
from harness.crowd import Crowd
from harness.eventually import eventually
from harness.workers import balanced

FORGOTTEN = "session_bearer_forgotten_upstream_401"
CREDENTIALS = [{"bearer": {}}, {"token_cookie": {"names": ["access_token"]}}, *PLUGIN["credentials"]]
WITHIN_ALL_WORKERS_SECONDS = 2
WORKERS = 4


@pytest.fixture(scope="module")
def envoy(start_envoy):
    return start_envoy(plugin(credentials=CREDENTIALS), workers=1)


@pytest.fixture(scope="module")
def client(envoy):
    return envoy.client()


@pytest.fixture(scope="module")
def crowd(start_envoy):
    with Crowd(start_envoy(plugin(), workers=WORKERS, edit=balanced)) as crowd:
        yield crowd


@pytest.fixture
def renewed():
    """The bearer of the token that the auth service gives when it is asked once more."""
    return f"Bearer {tokens.mint(sub='renewed')}"


@pytest.fixture
def session(auth, renewed):
    session = auth.sign_in()
    auth.script(session, answers.token(session.token), answers.token(renewed.removeprefix("Bearer ")))
    return session


def refuse(client, session, prefix="/api/refusing", status=401):
    """A request that the backend answers so, and the bearer that it answered so."""
    answer = client.get(prefix, cookie=session.cookie, headers=[("x-answer-status", str(status))])
    assert answer.status == status
    return bearer_in(answer)


def ask(client, session):
    return bearer_in(client.get("/api/asked", cookie=session.cookie))


def bearer_in(answer):
    """What the backend says it received, whatever its status."""
    (bearer,) = [value for name, value in answer.json()["headers"] if name == "authorization"]
    return bearer


@pytest.mark.parametrize("prefix", ["/api/refusing", "/optional/refusing"])
def test_session_is_exchanged_anew_after_a_401(auth, client, session, renewed, prefix):
    assert ask(client, session) == session.bearer
    assert refuse(client, session, prefix) == session.bearer
    assert [ask(client, session) for _ in range(3)] == [renewed] * 3
    assert len(auth.calls(session)) == 2


def test_401_on_the_very_first_request_has_the_session_exchanged_anew(auth, client, session, renewed):
    assert refuse(client, session) == session.bearer
    assert ask(client, session) == renewed
    assert len(auth.calls(session)) == 2


def test_401_reaches_the_client_unchanged(client, session):
    headers = [("x-answer-status", "401"), ("x-answer-header", 'www-authenticate:Bearer realm="api", error="x"')]
    answer = client.get("/api/refusing", cookie=session.cookie, headers=headers)
    assert answer.status == 401
    assert answer.values("www-authenticate") == ['Bearer realm="api", error="x"']
    assert answer.value("content-type") == "application/json"
    assert answer.json()["target"] == "/api/refusing"


def test_20_requests_answered_401_cost_one_exchange_more(auth, client, session, renewed):
    assert [refuse(client, session) for _ in range(20)] == [session.bearer] + [renewed] * 19
    assert len(auth.calls(session)) == 2


def test_same_token_given_again_is_no_loop_either(auth, client):
    session = auth.sign_in()
    assert [refuse(client, session) for _ in range(20)] == [session.bearer] * 20
    assert len(auth.calls(session)) == 2


def test_requests_that_are_answered_401_together_cost_one_exchange_more(auth, backend, client, session, renewed, target):
    gate, path = answers.Gate(), target()
    backend.script(path, gate.before(answers.status(401)))
    connections = [client.open() for _ in range(10)]
    try:
        for connection in connections:
            connection.send(head(path, ("cookie", session.cookie.encode())))
        eventually(lambda: len(backend.requests(path)) == 10, what="all requests at the backend")
    finally:
        gate.open()
    assert [connection.read().status for connection in connections] == [401] * 10
    assert ask(client, session) == renewed
    assert len(auth.calls(session)) == 2


def test_late_401_for_the_old_token_leaves_the_new_one(auth, backend, client, session, renewed, target):
    gate, path = answers.Gate(), target()
    backend.script(path, gate.before(answers.status(401)))
    with client.open() as connection:
        try:
            connection.send(head(path, ("cookie", session.cookie.encode())))
            eventually(lambda: backend.requests(path), what="the request at the backend")
            assert refuse(client, session) == session.bearer
            assert ask(client, session) == renewed
        finally:
            gate.open()
        assert connection.read().status == 401
    assert [ask(client, session) for _ in range(3)] == [renewed] * 3
    assert len(auth.calls(session)) == 2


def test_401_after_max_ttl_has_the_session_exchanged_anew_again(auth, start_envoy):
    client, session = start_envoy(plugin(cache={"max_ttl": "1s", "refresh_ahead": "0s"}), workers=1).client(), auth.sign_in()
    for _ in range(3):
        refuse(client, session)
    assert len(auth.calls(session)) == 2

    def asked_again():
        refuse(client, session)
        return len(auth.calls(session)) > 2

    eventually(asked_again, what="an exchange after max_ttl")


def test_session_that_is_refused_after_a_401_is_refused(auth, client, session):
    assert refuse(client, session) == session.bearer
    auth.script(session, answers.status(401))
    assert client.get("/optional/asked", cookie=session.cookie).upstream.values("authorization") == []
    assert client.get("/api/asked", cookie=session.cookie).status == 401
    assert len(auth.calls(session)) == 2


def test_other_sessions_are_left_alone(auth, client, session):
    others = [auth.sign_in() for _ in range(5)]
    for other in others:
        assert ask(client, other) == other.bearer
    refuse(client, session)
    for other in others:
        assert ask(client, other) == other.bearer
    assert [len(auth.calls(other)) for other in others] == [1] * 5


def test_401_is_noticed_by_all_workers(auth, crowd, renewed):
    session = auth.sign_in()
    jar = ("cookie", session.cookie.encode())
    assert ask(crowd.client, session) == session.bearer
    auth.script(session, answers.token(renewed.removeprefix("Bearer ")))
    assert {bearer_in(reply) for reply in crowd.get("/api/asked", jar)} == {session.bearer}
    assert refuse(crowd.client, session) == session.bearer
    eventually(
        lambda: {bearer_in(reply) for reply in crowd.get("/api/asked", jar)} == {renewed},
        within=WITHIN_ALL_WORKERS_SECONDS,
        what="the new token on every worker",
    )
    assert 2 <= len(auth.calls(session)) <= 1 + WORKERS


def test_401s_to_all_workers_cost_each_of_them_one_exchange_more_at_most(auth, crowd):
    session = auth.sign_in()
    assert ask(crowd.client, session) == session.bearer
    refusing = head("/api/refusing", ("cookie", session.cookie.encode()), ("x-answer-status", b"401"))
    for _ in range(3):
        for connection in crowd.connections:
            connection.send(refusing)
            assert bearer_in(connection.read()) == session.bearer
    assert 2 <= len(auth.calls(session)) <= 1 + WORKERS


# What has no consequence


@pytest.mark.parametrize("status", [400, 403, 404, 407, 500, 503])
def test_other_statuses_have_no_consequence(auth, client, session, status):
    assert [refuse(client, session, status=status) for _ in range(3)] == [session.bearer] * 3
    assert len(auth.calls(session)) == 1


@pytest.mark.parametrize("prefix", ["/off", "/off-own", "/optional"])
def test_401_to_a_request_without_our_token_has_no_consequence(auth, client, session, prefix):
    assert ask(client, session) == session.bearer
    jar = session.cookie if prefix != "/optional" else "theme=dark"
    assert client.get(f"{prefix}/refusing", cookie=jar, headers=[("x-answer-status", "401")]).status == 401
    assert ask(client, session) == session.bearer
    assert len(auth.calls(session)) == 1


@pytest.mark.parametrize("carrier", ["authorization", "cookie"])
def test_401_to_a_clients_own_token_leaves_token_and_session_alone(auth, envoy, client, session, carrier):
    assert ask(client, session) == session.bearer
    before, own = values(envoy), tokens.mint(sub="own")
    jar = f"{session.cookie}; access_token={own}" if carrier == "cookie" else session.cookie
    headers = [("authorization", f"Bearer {own}")] if carrier == "authorization" else []
    for _ in range(3):
        answer = client.get("/api/refusing", cookie=jar, headers=[*headers, ("x-answer-status", "401")])
        assert (answer.status, bearer_in(answer)) == (401, f"Bearer {own}")
    assert ask(client, session) == session.bearer
    assert len(auth.calls(session)) == 1
    verified = "session_bearer_allowed_hit"
    eventually(lambda: values(envoy)[verified] >= before[verified] + 3, within=WITHIN_SECONDS, what="hits of the token that was verified")
    assert values(envoy)[FORGOTTEN] == before[FORGOTTEN]


def test_forgotten_session_is_counted_once(envoy, client, session):
    before = values(envoy)[FORGOTTEN]
    for _ in range(5):
        refuse(client, session)
    eventually(lambda: values(envoy)[FORGOTTEN] == before + 1, within=WITHIN_SECONDS, what="one counted session")
