"""Proves that every outcome is counted where operators look: /stats/prometheus, under names that begin with session_bearer_."""

import contextlib

import pytest

from harness import answers, tokens
from harness.bootstrap import plugin
from harness.client import head
from harness.counts import LATENCY, WITHIN_SECONDS, Moves, values
from harness.eventually import eventually

IN_FLIGHT = "session_bearer_exchange_in_flight"
GAUGES = {IN_FLIGHT, "session_bearer_cache_entries", "session_bearer_host_algorithms"}

COUNTERS = """
    allowed_hit allowed_shared allowed_stale allowed_miss allowed_verified allowed_anonymous allowed_off allowed_report_only
    denied_malformed_request denied_repeated_authorization denied_conflicting_cookies denied_no_credential denied_malformed_session
    denied_session_refused denied_invalid_token denied_cross_origin denied_insufficient_scope denied_keys_unavailable denied_exchange_failed
    denied_overloaded denied_paused denied_unverified_token sent_to_sign_in abandoned
    exchange_callouts exchange_token exchange_no_session exchange_unverified_token exchange_not_sent exchange_reset exchange_timeout
    exchange_server_error exchange_unexpected_status exchange_unreadable exchange_throttled exchange_refreshes
    cache_evicted forgotten_signed_out forgotten_upstream_401 forgotten_here_only set_cookies_relayed streams_closed
    keys_fetches keys_loaded keys_failed
    token_refused_form token_refused_header token_refused_algorithm token_refused_type token_refused_unknown_key token_refused_signature
    token_refused_claims token_refused_time token_refused_issuer token_refused_audience token_refused_required_claim
""".split()


@pytest.fixture(scope="module")
def counted(start_envoy):
    """An Envoy of its own, so that counts are this file's alone."""

    def often(bootstrap):
        bootstrap["stats_flush_interval"] = "0.5s"  # how often Envoy brings the workers' histograms together

    return start_envoy(plugin(exchange={"timeout": "400ms", "max_in_flight": 1}), edit=often)


@pytest.fixture
def connection(counted):
    with counted.client().open() as opened:
        yield opened


def test_every_counter_is_there_before_it_is_needed(counted):
    eventually(
        lambda: {f"session_bearer_{name}" for name in COUNTERS} <= values(counted).keys(), within=WITHIN_SECONDS, what="all counters"
    )
    assert values(counted).keys() >= GAUGES


def ask(connection, path, cookie, *headers, method="GET"):
    connection.send(head(path, ("cookie", cookie.encode()), *headers, method=method))
    return connection.read().status


UNVERIFIED = answers.token(tokens.mint(tokens.WRONG_SECRET))
AUTHORIZATION = ("authorization", b"Bearer a.b.c")

OUTCOMES = [
    pytest.param(None, "/api", [], 401, ["denied_no_credential"], id="no_credential"),
    pytest.param(None, "/optional", [], 200, ["allowed_anonymous"], id="anonymous"),
    pytest.param(None, "/off", [], 200, ["allowed_off"], id="off"),
    pytest.param(None, "/api", [AUTHORIZATION, AUTHORIZATION], 400, ["denied_repeated_authorization"], id="repeated_authorization"),
    pytest.param(None, "/api", [("cookie", b"session=a; session=b")], 400, ["denied_conflicting_cookies"], id="conflicting_cookies"),
    pytest.param(None, "/api", [("cookie", b'session="a')], 401, ["denied_malformed_session"], id="malformed_session"),
    pytest.param([], "/api", [], 200, ["allowed_miss", "exchange_callouts", "exchange_token", "cache_entries"], id="exchanged"),
    pytest.param(
        [answers.status(401)], "/api", [], 401, ["denied_session_refused", "exchange_callouts", "exchange_no_session"], id="refused"
    ),
    pytest.param(
        [UNVERIFIED],
        "/api",
        [],
        503,
        ["denied_unverified_token", "exchange_callouts", "exchange_unverified_token", "token_refused_signature"],
        id="unverified",
    ),
    pytest.param(
        [answers.status(404)], "/api", [], 503, ["denied_exchange_failed", "exchange_callouts", "exchange_unexpected_status"], id="404"
    ),
    pytest.param(
        [answers.status(429)], "/api", [], 503, ["denied_exchange_failed", "exchange_callouts", "exchange_throttled"], id="throttled"
    ),
    pytest.param([answers.html()], "/api", [], 503, ["denied_exchange_failed", "exchange_callouts", "exchange_unreadable"], id="html"),
    pytest.param([answers.never()], "/api", [], 503, ["denied_exchange_failed", "exchange_callouts", "exchange_timeout"], id="timeout"),
    pytest.param(
        [answers.status(500)], "/api", [], 503, ["denied_exchange_failed", "exchange_callouts*2", "exchange_server_error"], id="500"
    ),
    pytest.param(
        [answers.cut_inside_the_body("x")], "/api", [], 503, ["denied_exchange_failed", "exchange_callouts*2", "exchange_reset"], id="reset"
    ),
    pytest.param(
        [answers.status(404)],
        "/optional",
        [],
        200,
        ["allowed_anonymous", "exchange_callouts", "exchange_unexpected_status"],
        id="anonymous_in_an_outage",
    ),
]


@pytest.fixture
def moves(counted):
    """Checks at the end that exactly the counters named have moved since the test began."""
    return Moves(counted).assert_exactly


@pytest.mark.parametrize(("script", "prefix", "headers", "status", "counters"), OUTCOMES)
def test_outcome_moves_exactly_its_counters(auth, connection, target, moves, script, prefix, headers, status, counters):
    cookie = auth.sign_in(*script).cookie if script is not None else "a=1"
    answered = ask(connection, target(prefix), cookie, *headers)
    moves(*counters)
    assert answered == status


@pytest.mark.parametrize("prefix", ["/api", "/optional"])
def test_request_that_another_site_may_have_sent_is_counted_and_not_as_anything_else(auth, connection, target, moves, prefix):
    cookie, no_body = auth.sign_in().cookie, ("content-length", b"0")
    for origin in ([], [("origin", b"https://elsewhere.example")], [("origin", b"null")]):
        assert ask(connection, target(prefix), cookie, *origin, no_body, method="POST") == 403
    moves("denied_cross_origin*3")


def test_hits_are_counted_apart_from_the_miss_before_them(auth, connection, target, moves):
    session = auth.sign_in()
    for _ in range(4):
        assert ask(connection, target(), session.cookie) == 200
    moves("allowed_miss", "allowed_hit*3", "exchange_callouts", "exchange_token", "cache_entries")


def test_refusal_that_is_remembered_is_counted_like_the_first_one_and_takes_no_place_among_the_sessions(auth, connection, target, moves):
    session = auth.sign_in(answers.status(401))
    for _ in range(3):
        assert ask(connection, target(), session.cookie) == 401
    moves("denied_session_refused*3", "exchange_callouts", "exchange_no_session")


def test_failed_connects_are_counted_with_their_retry(auth, connection, target, moves):
    session = auth.sign_in()
    auth.stop()
    try:
        assert ask(connection, target(), session.cookie) == 503
    finally:
        auth.start()
    moves("denied_exchange_failed", "exchange_callouts*2", "exchange_server_error")


def test_request_beyond_max_in_flight_is_counted_as_overload(auth, counted, target, moves):
    client = counted.client()
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(client.open()) for _ in range(12)]
        sessions = [auth.sign_in(answers.never()) for _ in connections]
        for connection, session in zip(connections, sessions, strict=True):
            connection.send(head(target(), ("cookie", session.cookie.encode())))
        assert {connection.read().status for connection in connections} == {503}
    asked = sum(len(auth.calls(session)) for session in sessions)
    assert asked in (1, 2)  # one for each worker that was given a connection
    each = f"*{asked}"
    moves(
        f"denied_overloaded*{len(sessions) - asked}", f"denied_exchange_failed{each}", f"exchange_callouts{each}", f"exchange_timeout{each}"
    )


def test_client_that_goes_away_while_it_waits_is_counted(auth, counted, target, moves):
    session = auth.sign_in(answers.never())
    with counted.client().open() as connection:
        connection.send(head(target(), ("cookie", session.cookie.encode())))
        eventually(lambda: auth.calls(session), what="the callout")
    moves("abandoned", "exchange_callouts", "exchange_timeout")


def test_gauge_of_exchanges_in_flight_rises_and_returns_to_zero(auth, envoy, client, target):
    gate = answers.Gate()
    session = auth.sign_in()
    auth.script(session, gate.before(answers.token(session.token)))
    with client.open() as connection:
        connection.send(head(target(), ("cookie", session.cookie.encode())))
        try:
            eventually(lambda: values(envoy)[IN_FLIGHT] == 1, within=WITHIN_SECONDS, what="one exchange in flight")
        finally:
            gate.open()
        assert connection.read().status == 200
    eventually(lambda: values(envoy)[IN_FLIGHT] == 0, within=WITHIN_SECONDS, what="no exchange in flight")


def test_latency_of_exchanges_is_a_histogram(auth, counted, connection, target):
    before = values(counted).get(f"{LATENCY}_count", 0)
    assert ask(connection, target(), auth.sign_in().cookie) == 200
    eventually(lambda: values(counted).get(f"{LATENCY}_count", 0) > before, within=12, what="a recorded latency")
    assert any(f"{LATENCY}_bucket" in key and 'le="' in key for key in counted.metrics())


def test_names_and_labels_hold_no_input(auth, counted, connection, target):
    session = auth.sign_in()
    ask(connection, target("/api/secret-path"), session.cookie, ("x-tenant", b"secret-tenant"))
    text = counted.admin("/stats/prometheus") + counted.admin("/stats")
    for secret in (session.value, session.token, "secret-path", "secret-tenant"):
        assert secret not in text
