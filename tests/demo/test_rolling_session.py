"""Proves that a session in use stays alive: better-auth extends it when asked for a token, and the browser's cookie moves on with it."""

import datetime
import sqlite3
import time
import urllib.parse
from http.cookies import SimpleCookie

import pytest

from caller import ME
from demo_page import opened, press, session_cookie
from demo_page import sign_up as sign_up_on
from harness.eventually import eventually
from harness.presets import preset
from smoke import Browser
from stack import Ports, Stack, plugin

UPDATE_AGE_SECONDS = 2
EXPIRES_IN_SECONDS = 7 * 24 * 3600
NAME = "better-auth.session_token"


@pytest.fixture(scope="module")
def rolling(tmp_path_factory):
    """The demo, with sessions that are extended when they are used two seconds after they were last."""
    with Stack(tmp_path_factory.mktemp("rolling"), ports=Ports.free(), session_update_age=UPDATE_AGE_SECONDS) as stack:
        yield stack.start()


@pytest.fixture
def user(rolling):
    """Somebody whose session is due to be extended."""
    browser = Browser(rolling.url)
    browser.sign_up(f"User-{time.time_ns()}")
    signed_up = ends_at(rolling, browser)
    let_it_age(signed_up)
    return browser


def let_it_age(ends: float) -> None:
    due = ends - EXPIRES_IN_SECONDS + UPDATE_AGE_SECONDS
    eventually(lambda: time.time() > due + 0.1, within=UPDATE_AGE_SECONDS + 2, what="a session of some age")


def ends_at(stack, browser) -> float:
    """The end of a session in better-auth's database, in seconds since 1970."""
    token, _, _signature = urllib.parse.unquote(browser.cookies[NAME]).partition(".")
    with sqlite3.connect(stack.folder / "auth.sqlite") as database:
        ((text,),) = database.execute("SELECT expiresAt FROM session WHERE token = ?", [token]).fetchall()
    database.close()
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def cookie_lines(answer) -> list[str]:
    return answer.headers.get_all("set-cookie", [])


def test_cookie_in_a_browser_moves_on_with_a_call_of_the_backend(rolling, chromium):
    with opened(chromium, rolling.url) as page:
        sign_up_on(page, "rolling@browser.example")
        before = session_cookie(page)
        let_it_age(time.time() + EXPIRES_IN_SECONDS)
        assert "rolling@browser.example" in press(page, "call-me", 200)
        after = session_cookie(page)
        # Max-Age is rounded down to whole seconds.
        assert after["expires"] > before["expires"] + UPDATE_AGE_SECONDS - 1
        assert after | {"expires": 0} == before | {"expires": 0}
        press(page, "call-me", 200)
        assert session_cookie(page) == after


def test_request_that_is_exchanged_for_brings_the_line_with_the_backends_answer(rolling, user):
    ended, cookies = ends_at(rolling, user), dict(user.cookies)
    answer = user.call("GET", ME)
    assert answer.status == 200
    assert answer.json()["email"]
    (line,) = cookie_lines(answer)
    (cookie,) = SimpleCookie(line).values()
    assert (cookie.key, cookie.coded_value) == (NAME, cookies[NAME])
    assert EXPIRES_IN_SECONDS - 2 <= int(cookie["max-age"]) <= EXPIRES_IN_SECONDS
    assert cookie["httponly"]
    assert ends_at(rolling, user) >= ended + UPDATE_AGE_SECONDS
    assert user.cookies == cookies


def test_nobody_else_with_the_cookie_is_sent_the_line(rolling, user):
    elsewhere = Browser(rolling.url, user.cookies)
    assert len(cookie_lines(user.call("GET", ME))) == 1
    for browser in (elsewhere, user):
        answer = browser.call("GET", ME)
        assert answer.status == 200
        assert cookie_lines(answer) == []


def test_line_that_moves_a_session_on_does_not_sign_it_out(rolling, user):
    exchanges = rolling.auth.log().count("/api/auth/jwt")
    others = [Browser(rolling.url, user.cookies) for _ in range(8)]
    assert len(cookie_lines(user.call("GET", "/api/auth/get-session"))) == 1
    assert {other.call("GET", ME).status for other in others} == {200}
    let_it_age(ends_at(rolling, user))
    assert len(cookie_lines(user.call("GET", "/api/auth/get-session"))) == 1
    assert {other.call("GET", ME).status for other in others} == {200}
    assert rolling.auth.log().count("/api/auth/jwt") == exchanges + 1


def test_session_that_has_ended_takes_its_cookie_along(rolling, user):
    cookies = dict(user.cookies)
    assert user.post("/api/auth/sign-out", {}).status == 200
    late = Browser(rolling.url, cookies)
    answer = late.call("GET", ME)
    assert answer.status == 401
    assert [line.partition(";")[0] for line in cookie_lines(answer)] == [f"{NAME}=", "better-auth.dont_remember="]
    assert late.cookies == {}


@pytest.mark.parametrize(
    ("name", "query", "extended", "lines"),
    [
        # What docs/presets.md warns of: extended where the browser does not see it.
        ("better-auth", "", True, 0),
        ("better-auth", "?disableRefresh=true", False, 0),
        ("better-auth with set-auth-jwt", "?disableRefresh=true", False, 0),
        ("better-auth with set-auth-jwt", "", True, 1),
    ],
)
def test_preset_extends_a_session_or_leaves_it_alone(rolling, user, name, query, extended, lines):
    host = rolling.url.removeprefix("http://")
    configuration = preset("better-auth", {"https://app.example.com": rolling.url, "app.example.com": host})
    if name != "better-auth":
        configuration |= preset(name, {"app.example.com": host})
    configuration["exchange"]["path"] += query

    def edit(config):
        plugin(config).clear()
        plugin(config).update(configuration)

    envoy = rolling.add_envoy(f"{name}{query}".translate(str.maketrans(" ?=", "---")), edit=edit)
    envoy.start()
    try:
        ended = ends_at(rolling, user)
        # The demo's backend knows another key than better-auth's own: what counts is that the request got there.
        answer = Browser(f"http://localhost:{envoy.port}", user.cookies).call("GET", f"{ME}?as={name}".replace(" ", "-"))
        assert answer.status == 401
        assert answer.json() == {"detail": "Could not validate credentials"}
        assert len(cookie_lines(answer)) == lines
        assert (ends_at(rolling, user) > ended) == extended
    finally:
        envoy.stop()
