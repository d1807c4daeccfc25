"""Proves that no cookie, token or key is seen in logs (at trace level), statistics, the admin interface or a local reply."""

import pytest

from harness import answers, tokens
from harness.bootstrap import plugin
from harness.eventually import eventually

SECRET = "planted-secret-0123456789-abcdefghijklmnop"
HEADER_KEY = "planted-static-header-key"


@pytest.fixture(scope="module")
def observed(auth, start_envoy):
    """An Envoy that has seen every outcome, the canaries it has seen, and its own replies."""
    changed = plugin(exchange={"timeout": "400ms", "headers": {"x-api-key": HEADER_KEY}})
    envoy = start_envoy(changed, secret=SECRET)
    client = envoy.client()
    canaries, replies = {SECRET, HEADER_KEY}, []

    def see(cookie, status, *secrets, **more):
        answer = client.get("/api/secrecy", cookie=cookie, **more)
        assert answer.status == status, answer
        canaries.update(secrets)
        if status != 200:
            replies.append(answer)

    def sign_in(make):
        token = tokens.mint(SECRET, jti="planted-jti")
        session = auth.sign_in(make(token))
        return session, (session.value, token, *token.split("."))

    outcomes = [
        (answers.token, 200),
        (lambda token: answers.status(401, token), 401),
        (lambda token: answers.status(500, token), 503),
        (lambda token: answers.status(404, token, ("x-token", token)), 503),
        (lambda token: answers.redirect("/?token=" + token), 503),
        (lambda token: answers.status(200, '{"token":"' + token), 503),
        (lambda token: answers.json_body({"token": [token]}), 503),
        (lambda token: answers.cut_inside_the_body(token), 503),
        (lambda token: answers.never(), 503),
        (lambda token: answers.token(token + "x"), 503),
        (lambda token: answers.token(tokens.tampered(token)), 503),
    ]
    for make, status in outcomes:
        session, secrets = sign_in(make)
        see(session.cookie, status, *secrets)
        if status == 200:
            see(session.cookie, 200)
    see("session=planted-cookie-1; session=planted-cookie-2", 400, "planted-cookie-1", "planted-cookie-2")
    see('session="planted-cookie-3', 401, "planted-cookie-3")
    see(None, 401, "planted-authorization", authorization="Bearer planted-authorization")
    see("other=planted-neighbour", 401, "planted-neighbour")
    eventually(lambda: "[trace][wasm]" in envoy.log(), what="trace lines of the wasm component")
    return envoy, {canary for canary in canaries if len(canary) > 8}, replies


def assert_absent(text, canaries):
    found = [canary[:12] + "…" for canary in canaries if canary in text]
    assert not found, f"seen in clear: {found}"


def test_log_at_trace_level_shows_no_secret(observed):
    envoy, canaries, _ = observed
    log = envoy.log()
    assert "planted" not in log
    assert_absent(log, canaries)


@pytest.mark.parametrize("page", ["/stats", "/stats/prometheus", "/clusters", "/listeners", "/server_info"])
def test_admin_page_shows_no_secret(observed, page):
    envoy, canaries, _ = observed
    assert_absent(envoy.admin(page), canaries)


def test_config_dump_shows_no_secret_of_the_environment(observed):
    envoy, canaries, _ = observed
    dump = envoy.admin("/config_dump?include_eds")
    assert "session_bearer" in dump
    assert_absent(dump, canaries - {HEADER_KEY})


def test_local_replies_show_no_secret(observed):
    _, canaries, replies = observed
    assert len(replies) == 14
    for reply in replies:
        assert_absent(reply.body.decode() + str(reply.headers), canaries)


def test_log_says_what_happened(observed):
    envoy, _, _ = observed
    lines = [line for line in envoy.log().splitlines() if "][wasm]" in line and "[trace]" not in line]
    text = "\n".join(lines)
    assert "does not verify" in text
    assert "exchange.timeout" in text
