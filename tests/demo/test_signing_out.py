"""Proves that a sign-out is noticed at once, by every worker, whoever still holds the cookie."""

import contextlib
import time

from playwright.sync_api import expect

from caller import ME, Asked, Caller, always, cookie_header
from counters import connections_by_worker
from demo_page import press, session_cookie
from demo_page import sign_up as sign_up_on
from harness.client import Connection
from harness.eventually import eventually
from smoke import Browser

LAG_SECONDS = 2


@contextlib.contextmanager
def every_worker_asked(demo, cookie: str):
    """A caller with this cookie and connections to every worker, all of which know the session."""
    connections = []
    while min(connections_by_worker(demo.envoy), default=0) < 3:
        assert len(connections) < 200, "the kernel keeps new connections from some worker"
        connections += [Connection(demo.envoy.port) for _ in range(demo.concurrency)]
        eventually(lambda: sum(connections_by_worker(demo.envoy)) >= len(connections), what="all connections accepted")
    with Caller([(connection, always(cookie)) for connection in connections], pause=0.005) as caller:
        eventually(lambda: caller.last() == [200] * len(connections), what="200 on every connection")
        yield caller


def lag(answers: list[Asked], signed_out: float) -> float:
    """How long after the sign-out the last request was sent that was let through; 0 when none was."""
    return max(0.0, *(asked.sent - signed_out for asked in answers if asked.status == 200))


def assert_refused_everywhere(caller: Caller, signed_out: float, tell) -> None:
    """Every connection is answered 401 soon after the sign-out, and nothing else from then on."""
    connections = len(caller.answers)
    eventually(lambda: caller.last() == [401] * connections, within=LAG_SECONDS + 1, what="401 on every connection")
    rounds = len(caller.answers[0])
    eventually(lambda: len(caller.answers[0]) >= rounds + 20, what="20 more rounds")
    first = [next(asked for asked in answers if asked.sent > signed_out) for answers in caller.answers]
    at_once = [asked.status for asked in first].count(401)
    soon = min(asked.sent for asked in first) - signed_out
    late = max(lag(answers, signed_out) for answers in caller.answers)
    tell(f"401 for the next request on {at_once} of {connections} connections, the first of them {soon * 1000:.1f} ms after the sign-out;")
    tell(f"the last request that was let through came {late * 1000:.1f} ms after it")
    assert late < LAG_SECONDS
    for answers in caller.answers:
        statuses = [asked.status for asked in answers]
        refused = statuses.index(401)
        assert set(statuses[:refused]) == {200}
        assert set(statuses[refused:]) == {401}


def test_sign_out_on_the_page_is_noticed_by_every_worker(demo, page, tell):
    sign_up_on(page, "sign-out@browser.example")
    cookie = session_cookie(page)
    with every_worker_asked(demo, f"{cookie['name']}={cookie['value']}") as caller:
        with page.expect_response("**/api/auth/sign-out") as answer:
            press(page, "sign-out", 200)
        timing = answer.value.request.timing
        assert_refused_everywhere(caller, (timing["startTime"] + timing["responseStart"]) / 1000, tell)
    expect(page.locator("#who")).to_have_text("Not signed in")


def test_sign_out_by_the_api_of_better_auth_is_noticed_by_every_worker(demo, sign_up, tell):
    user = sign_up()
    with every_worker_asked(demo, cookie_header(user.cookies)) as caller:
        assert user.post("/api/auth/sign-out", {}).status == 200
        assert_refused_everywhere(caller, time.time(), tell)
    assert user.cookies == {}


def test_sign_out_leaves_the_other_session_of_the_user_alone(demo, sign_up):
    user = sign_up()
    elsewhere = Browser(demo.url)
    assert elsewhere.post("/api/auth/sign-in/email", {"email": user.email, "password": user.password}).status == 200
    with every_worker_asked(demo, cookie_header(elsewhere.cookies)) as caller:
        assert user.call("GET", ME).status == 200
        assert user.post("/api/auth/sign-out", {}).status == 200
        rounds = len(caller.answers[0])
        eventually(lambda: len(caller.answers[0]) >= rounds + 20, what="20 more rounds")
    assert set(caller.counts()) == {200}


def test_sign_out_that_better_auth_refuses_signs_nobody_out(demo, sign_up):
    user, exchanges = sign_up(), demo.auth.log().count("/api/auth/jwt")
    with every_worker_asked(demo, cookie_header(user.cookies)) as caller:
        refused = Browser(demo.url, user.cookies).post("/api/auth/sign-out", {}, {"origin": "https://elsewhere.example"})
        assert refused.status == 403
        rounds = len(caller.answers[0])
        eventually(lambda: len(caller.answers[0]) >= rounds + 20, what="20 more rounds")
    assert set(caller.counts()) == {200}
    assert demo.auth.log().count("/api/auth/jwt") - exchanges <= demo.concurrency


def test_user_who_signs_in_again_is_let_in(sign_up):
    user = sign_up()
    assert user.call("GET", ME).status == 200
    old = dict(user.cookies)
    assert user.post("/api/auth/sign-out", {}).status == 200
    assert user.call("GET", ME).status == 401
    assert user.post("/api/auth/sign-in/email", {"email": user.email, "password": user.password}).status == 200
    assert user.call("GET", ME).json()["email"] == user.email
    assert Browser(user.origin, old).call("GET", ME).status == 401
