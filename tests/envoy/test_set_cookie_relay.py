"""Proves that the auth service's cookies for a session reach the one client whose request asked for it, and nobody else."""

import pytest

from harness import answers, tokens
from harness.active import waiting
from harness.bootstrap import plugin
from harness.client import head
from harness.counts import WITHIN_SECONDS, Moves, values
from harness.eventually import eventually
from harness.http2_connection import Http2Connection
from harness.problem import assert_anonymous, assert_problem

ROLLED = "session={0}; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=604800; Expires=Fri, 01 Jan 2100 00:00:00 GMT"
REMEMBERED = "dont_remember=true.c2ln; Path=/;  httponly;PARTITIONED; x-odd=\"a, b\"; priority=high"
CLEARED = "session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"
SCOPED = {"match": {"prefix": "/scoped"}, "auth": "required", "require": {"scopes": ["admin:write"]}}


def configuration(**changes):
    configuration = plugin(**changes)
    configuration["routes"].insert(0, SCOPED)
    return configuration


@pytest.fixture(scope="module")
def envoy(start_envoy):
    """One worker, so that one exchange serves all who wait."""
    return start_envoy(configuration(), workers=1)


@pytest.fixture(scope="module")
def client(envoy):
    return envoy.client()


def set_cookies(*lines):
    return [("set-cookie", line) for line in lines]


def roll(auth, *lines):
    """A session whose exchange gives its token and these lines, and the lines."""
    session = auth.sign_in()
    lines = [line.format(session.value) for line in lines]
    auth.script(session, answers.token(session.token, *set_cookies(*lines)))
    return session, lines


def wait_together(auth, envoy, client, session, target, count):
    """Requests that wait for one exchange, in the order of their arrival, on connections of their own."""
    connections = []
    for number in range(count):
        connections.append(client.open())
        connections[-1].send(head(target, ("cookie", session.cookie.encode())))
        waiting(envoy, number + 1)
    eventually(lambda: auth.calls(session), what="the callout")
    return connections


def test_lines_of_the_exchange_reach_the_client_separate_and_byte_for_byte(auth, client, target):
    session, lines = roll(auth, ROLLED, REMEMBERED)
    answer = client.get(target(), cookie=session.cookie)
    assert answer.upstream.values("authorization") == [session.bearer]
    assert answer.values("set-cookie") == lines


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("session={0}", id="no_attributes"),
        pytest.param("session={0};", id="empty_attribute"),
        pytest.param('session="quoted {0}"; path=/', id="quoted"),
        pytest.param("session=a=b==; Path=/a,b; Domain=.example.com", id="commas_and_equals"),
        pytest.param("session=%2F%00; Expires=Wed, 09 Jun 2100 10:18:14 GMT", id="escapes"),
        pytest.param("__Host-session=other; Secure; Path=/", id="another_listed_name"),
        pytest.param("dont_remember=; Max-Age=0", id="companion"),
    ],
)
def test_line_of_a_listed_name_is_relayed_as_it_is(auth, client, target, line):
    session, (line,) = roll(auth, line)
    answer = client.raw(head(target(), ("cookie", session.cookie.encode())))
    assert answer.status == 200
    assert answer.values("set-cookie") == [line]


@pytest.mark.parametrize(
    "line",
    [
        "theme=dark",
        "Session=x; Path=/",
        "session2=x",
        "xsession=x",
        "session.x=x",
        "better-auth.session_token=x",
        "theme=session=x; session=y",
        "=session=x",
        "; session=x",
        "",
    ],
)
def test_line_of_another_name_is_dropped(auth, client, target, line):
    session, lines = roll(auth, line, ROLLED, line)
    assert client.get(target(), cookie=session.cookie).values("set-cookie") == lines[1:2]


def test_upstreams_own_lines_stay(auth, client, target):
    session, lines = roll(auth, ROLLED, REMEMBERED)
    own = ["theme=dark; Path=/", "lang=en"]
    answer = client.get(target(), cookie=session.cookie, headers=[("x-answer-header", f"set-cookie:{line}") for line in own])
    assert sorted(answer.values("set-cookie")) == sorted(own + lines)
    assert [line for line in answer.values("set-cookie") if line in own] == own
    assert [line for line in answer.values("set-cookie") if line in lines] == lines


def test_cookie_that_the_backend_sets_too_is_in_the_end_the_backends(auth, client, target):
    session, lines = roll(auth, ROLLED, REMEMBERED)
    answer = client.get(target(), cookie=session.cookie, headers=[("x-answer-header", "set-cookie:session=backends; Path=/")])
    received = answer.values("set-cookie")
    assert [line for line in received if line.startswith("session=")][-1] == "session=backends; Path=/"
    assert lines[1] in received


@pytest.mark.parametrize("status", [204, 302, 404, 500])
def test_lines_are_added_to_whatever_the_backend_answers(auth, backend, client, target, status):
    session, lines = roll(auth, ROLLED)
    path = target()
    length = "" if status == 204 else "content-length: 0\r\n"
    backend.script(path, answers.raw(f"HTTP/1.1 {status} Scripted\r\n{length}\r\n".encode()))
    answer = client.raw(head(path, ("cookie", session.cookie.encode())))
    assert (answer.status, answer.values("set-cookie")) == (status, lines)


def test_lines_reach_the_client_although_the_backend_is_down(auth, backend, client, target):
    session, lines = roll(auth, ROLLED)
    backend.stop()
    try:
        answer = client.get(target(), cookie=session.cookie)
    finally:
        backend.start()
    assert (answer.status, answer.values("set-cookie")) == (503, lines)


def test_no_line_reaches_the_backend(auth, client, target):
    session, _ = roll(auth, ROLLED)
    upstream = client.get(target(), cookie=session.cookie).upstream
    assert not {"set-cookie", "cookie"} & upstream.names()


# To one client only


def test_first_of_ten_that_wait_gets_the_lines_and_nobody_else(auth, envoy, client, target):
    gate, (session, lines) = answers.Gate(), roll(auth, ROLLED, REMEMBERED)
    auth.script(session, gate.before(answers.token(session.token, *set_cookies(*lines))))
    connections = wait_together(auth, envoy, client, session, target(), 10)
    gate.open()
    received = [connection.read() for connection in connections]
    assert [reply.upstream.values("authorization") for reply in received] == [[session.bearer]] * 10
    assert [reply.values("set-cookie") for reply in received] == [lines] + [[]] * 9
    assert len(auth.calls(session)) == 1


@pytest.mark.parametrize("gone", [1, 4])
def test_next_one_that_waits_gets_them_when_those_before_have_hung_up(auth, envoy, client, target, gone):
    gate, (session, lines) = answers.Gate(), roll(auth, ROLLED)
    auth.script(session, gate.before(answers.token(session.token, *set_cookies(*lines))))
    connections = wait_together(auth, envoy, client, session, target(), 6)
    for connection in connections[:gone]:
        connection.close()
    waiting(envoy, 6 - gone)
    gate.open()
    received = [connection.read() for connection in connections[gone:]]
    assert [reply.values("set-cookie") for reply in received] == [lines] + [[]] * (5 - gone)


def test_nobody_gets_them_when_all_have_hung_up(auth, envoy, client, target):
    gate, (session, lines) = answers.Gate(), roll(auth, ROLLED)
    auth.script(session, gate.before(answers.token(session.token, *set_cookies(*lines))), answers.token(session.token))
    exchanged = values(envoy)["session_bearer_exchange_token"]
    connections = wait_together(auth, envoy, client, session, target(), 3)
    for connection in connections:
        connection.close()
    waiting(envoy, 0)
    gate.open()
    eventually(lambda: values(envoy)["session_bearer_exchange_token"] > exchanged, within=WITHIN_SECONDS, what="the token")
    for _ in range(5):
        assert client.get(target(), cookie=session.cookie).values("set-cookie") == []


def test_lines_never_come_from_the_cache(auth, client, target):
    session, lines = roll(auth, ROLLED)
    received = [client.get(target(), cookie=session.cookie).values("set-cookie") for _ in range(6)]
    assert received == [lines] + [[]] * 5
    assert len(auth.calls(session)) == 1


def test_lines_do_not_reach_another_worker_through_the_shared_level(auth, start_envoy, target):
    client = start_envoy(configuration(), workers=4).client()
    session, lines = roll(auth, ROLLED)
    assert client.get(target(), cookie=session.cookie).values("set-cookie") == lines
    received = [reply.values("set-cookie") for reply in client.crowd(80, target(), cookie=session.cookie, connections=40)]
    assert received == [[]] * 80
    assert len(auth.calls(session)) == 1


def test_sessions_exchanged_together_each_get_their_own_lines(auth, envoy, client, target):
    gate, rolled = answers.Gate(), [roll(auth, ROLLED) for _ in range(10)]
    connections = []
    for session, lines in rolled:
        auth.script(session, gate.before(answers.token(session.token, *set_cookies(*lines))))
        connections.append(client.open())
        connections[-1].send(head(target(), ("cookie", session.cookie.encode())))
    waiting(envoy, 10)
    gate.open()
    assert [connection.read().values("set-cookie") for connection in connections] == [lines for _, lines in rolled]


# With answers of ours


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(lambda fields: answers.status(401, "{}", *fields), id="401"),
        pytest.param(lambda fields: answers.status(403, "{}", *fields), id="403"),
        pytest.param(lambda fields: answers.json_body(None, *fields), id="null"),
        pytest.param(lambda fields: answers.json_body({"token": None}, *fields), id="null_token"),
    ],
)
def test_refusal_carries_the_lines_once(auth, client, target, refusal):
    session = auth.sign_in(refusal(set_cookies(CLEARED, "dont_remember=; Max-Age=0", "theme=; Max-Age=0")))
    answer = client.get(target(), cookie=session.cookie)
    assert_problem(answer, 401)
    assert answer.values("set-cookie") == [CLEARED, "dont_remember=; Max-Age=0"]
    again = client.get(target(), cookie=session.cookie)
    assert_problem(again, 401)
    assert again.values("set-cookie") == []
    assert len(auth.calls(session)) == 1


def test_first_of_those_that_are_refused_together_gets_the_lines(auth, envoy, client, target):
    gate, session = answers.Gate(), auth.sign_in()
    auth.script(session, gate.before(answers.status(401, "{}", *set_cookies(CLEARED))))
    connections = wait_together(auth, envoy, client, session, target(), 5)
    gate.open()
    received = [connection.read() for connection in connections]
    assert [reply.status for reply in received] == [401] * 5
    assert [reply.values("set-cookie") for reply in received] == [[CLEARED]] + [[]] * 4


def test_403_for_missing_scopes_carries_the_lines(auth, client, target):
    session, lines = roll(auth, ROLLED)
    answer = client.get(target("/scoped"), cookie=session.cookie)
    assert_problem(answer, 403)
    assert answer.values("set-cookie") == lines


@pytest.mark.parametrize("prefix", ["/api", "/optional"])
@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(lambda fields: answers.status(500, "{}", *fields), id="500"),
        pytest.param(lambda fields: answers.status(503, "{}", *fields), id="503"),
        pytest.param(lambda fields: answers.status(404, "{}", *fields), id="404"),
        pytest.param(lambda fields: answers.status(429, "{}", *fields), id="429"),
        pytest.param(lambda fields: answers.status(302, "", ("location", "/"), *fields), id="302"),
        pytest.param(lambda fields: answers.status(200, "<html>", *fields), id="unreadable"),
        pytest.param(lambda fields: answers.json_body({"token": 1}, *fields), id="token_of_another_type"),
        pytest.param(lambda fields: answers.token(tokens.mint(tokens.WRONG_SECRET), *fields), id="token_does_not_verify"),
    ],
)
def test_answer_that_is_not_definite_gives_no_lines(auth, client, target, prefix, failure):
    session = auth.sign_in(failure(set_cookies(ROLLED.format("x"), CLEARED)))
    answer = client.get(target(prefix), cookie=session.cookie)
    assert answer.status in ((503,) if prefix == "/api" else (200, 503))
    assert answer.values("set-cookie") == []


def test_only_the_lines_of_the_last_attempt_are_relayed(auth, client, target):
    session = auth.sign_in()
    first = answers.status(500, "{}", *set_cookies("session=first"))
    auth.script(session, first, answers.token(session.token, *set_cookies("session=second")))
    assert client.get(target(), cookie=session.cookie).values("set-cookie") == ["session=second"]


def test_optional_route_relays_the_lines_of_a_token(auth, client, target):
    session, lines = roll(auth, ROLLED, REMEMBERED)
    answer = client.get(target("/optional"), cookie=session.cookie)
    assert answer.upstream.values("authorization") == [session.bearer]
    assert answer.values("set-cookie") == lines


def test_optional_route_relays_the_lines_of_a_refusal(auth, client, target):
    session = auth.sign_in(answers.status(401, "{}", *set_cookies(CLEARED)))
    answer = client.get(target("/optional"), cookie=session.cookie)
    assert_anonymous(answer)
    assert answer.values("set-cookie") == [CLEARED]


def test_http2_client_gets_separate_lines(auth, client, target):
    session, lines = roll(auth, ROLLED, REMEMBERED)
    with Http2Connection(client) as connection:
        assert connection.get(target(), ("cookie", session.cookie)).values("set-cookie") == lines


# Switched off, in the background, counted


def test_nothing_is_relayed_when_switched_off(auth, start_envoy, target):
    client = start_envoy(configuration(exchange={"relay_set_cookie": False}), workers=1).client()
    session, _ = roll(auth, ROLLED, REMEMBERED)
    refused = auth.sign_in(answers.status(401, "{}", *set_cookies(CLEARED)))
    assert client.get(target(), cookie=session.cookie, headers=[("x-answer-header", "set-cookie:theme=dark")]).values("set-cookie") == [
        "theme=dark"
    ]
    answer = client.get(target(), cookie=refused.cookie)
    assert_problem(answer, 401)
    assert answer.values("set-cookie") == []


@pytest.fixture(scope="module")
def refreshing(start_envoy):
    """Sessions are refreshed in the background one to three seconds after their exchange."""
    return start_envoy(configuration(cache={"max_ttl": "3s", "refresh_ahead": "2s"}), workers=1)


def test_refresh_in_the_background_gives_its_lines_to_the_request_that_caused_it(auth, backend, refreshing, target):
    gate, (session, lines), path = answers.Gate(), roll(auth, ROLLED, REMEMBERED), target()
    renewed = tokens.mint(sub="renewed")
    auth.script(session, answers.token(session.token), answers.token(renewed, *set_cookies(*lines)))
    backend.script(path, gate.before(answers.status(200)))
    exchanged = values(refreshing)["session_bearer_exchange_token"]
    cookie, sent = ("cookie", session.cookie), []
    with Http2Connection(refreshing.client()) as connection:
        assert connection.get(target(), cookie).upstream.values("authorization") == [session.bearer]

        def refreshed():
            connection.receive()
            sent.append(connection.send(path, cookie))
            eventually(lambda: len(backend.requests(path)) == len(sent), what="the request at the backend, at once")
            return len(auth.calls(session)) == 2

        try:
            eventually(refreshed, what="a refresh in the background")
            eventually(
                lambda: values(refreshing)["session_bearer_exchange_token"] == exchanged + 2, within=WITHIN_SECONDS, what="its answer"
            )
        finally:
            gate.open()
        received = [connection.read(request).values("set-cookie") for request in sent]
        assert connection.get(target(), cookie).upstream.values("authorization") == [f"Bearer {renewed}"]
    assert sorted(received) == [[]] * (len(sent) - 1) + [lines]
    cause = received.index(lines)
    assert cause >= len(sent) - 2, "an earlier request than the one that caused the refresh got the lines"
    bearers = [value for request in backend.requests(path) for value in request.values("authorization")]
    assert bearers[: cause + 1] == [session.bearer.encode()] * (cause + 1), "a request waited for the refresh"
    assert len(auth.calls(session)) == 2


def test_lines_of_a_refresh_are_dropped_when_the_response_has_passed(auth, refreshing, target):
    gate, (session, lines), renewed = answers.Gate(), roll(auth, ROLLED), tokens.mint(sub="renewed")
    auth.script(session, answers.token(session.token), gate.before(answers.token(renewed, *set_cookies(*lines))))
    with refreshing.client().open() as connection:

        def ask():
            connection.send(head(target(), ("cookie", session.cookie.encode())))
            reply = connection.read()
            assert reply.values("set-cookie") == []
            return reply.upstream.values("authorization")

        def causes_a_refresh():
            assert ask() == [session.bearer]
            return len(auth.calls(session)) == 2

        try:
            eventually(causes_a_refresh, what="a refresh in the background")
        finally:
            gate.open()
        eventually(lambda: ask() == [f"Bearer {renewed}"], what="the renewed token")


def test_relayed_lines_are_counted(auth, envoy, client, target):
    moves = Moves(envoy)
    session, _ = roll(auth, ROLLED, "theme=dark")
    for _exchanged_then_cached in range(2):
        assert client.get(target(), cookie=session.cookie).status == 200
    moves.assert_exactly("allowed_miss", "allowed_hit", "exchange_callouts", "exchange_token", "set_cookies_relayed", "cache_entries")
