"""Proves that a React frontend with better-auth's client needs no token, and that one that still carries them works unchanged.

The browser is at the addresses of the frontend's source: pages on localhost:3000, sign-in on :3001, API on :8000.
"""

import re
import secrets
import sqlite3

import pytest
from playwright.sync_api import expect

from harness.browser import JWT, launched, screenshot, within_reach
from harness.eventually import eventually
from harness.presets import preset
from frontend import FRONTENDS, authorizations, built, configure, opened, serve_pages, served, take_out_the_filter, virtual_hosts
from stack import Ports, Stack, StackError

API = "http://localhost:8000"
# The pages come through the same Envoy as the API, or from a server of their own.
OWN, OTHER = API, "http://localhost:3000"
PERSONALIZE = "/api/personalize"
REPLACED = {"https://app.example.com": OTHER}


@pytest.fixture(scope="module")
def pages():
    with served(built(FRONTENDS / "react" / "dist")) as port:
        yield port


@pytest.fixture(scope="module")
def services(tmp_path_factory, pages):
    def edit(config):
        configure(config, preset("React with better-auth", REPLACED, page="frontends.md") | {"cache": {"max_ttl": "1s"}})
        let_in_other_origins(config)
        serve_pages(config, pages)

    stack = Stack(tmp_path_factory.mktemp("react"), ports=Ports.free(), edit=edit)
    stack.auth.environment["BETTER_AUTH_TRUSTED_ORIGINS"] = f"{OWN},{OTHER}"
    with stack:
        try:
            stack.start()
        except StackError as error:
            pytest.exit(f"the services do not start: {error}", returncode=2)
        yield stack


def let_in_other_origins(config):
    """As documented; and the API's own origin, whose pages sign in at yet another one."""
    (host,) = virtual_hosts(config)
    host["typed_per_filter_config"]["envoy.filters.http.cors"] |= preset("From another origin", REPLACED, page="frontends.md")
    host["typed_per_filter_config"]["envoy.filters.http.cors"]["allow_origin_string_match"].append({"exact": OWN})


@pytest.fixture(scope="module")
def browser(playwright, services, pages):
    envoy = services.envoy.port
    browser = launched(playwright, {"localhost:3000": pages, "localhost:3001": envoy, "localhost:8000": envoy})
    yield browser
    browser.close()


@pytest.fixture(params=[OWN, OTHER], ids=["same_origin", "another_origin"])
def origin(request):
    return request.param


@pytest.fixture
def user(browser, origin):
    """The page of somebody who has just signed up."""
    with opened(browser, f"{origin}/signin") as page:
        sign_up(page)
        yield page


def sign_up(page) -> None:
    page.email = f"user-{secrets.token_hex(4)}@example.com"
    fill(page)
    page.click("#sign-up")
    expect(page.locator("#who")).to_have_text(page.email)
    expect(page.locator("#personalize")).to_be_visible()


def sign_in(page) -> None:
    fill(page)
    page.click("#sign-in")


def fill(page) -> None:
    page.fill("[name=email]", page.email)
    page.fill("[name=password]", "correct horse")


def press(page, button: str) -> None:
    """Presses a button and waits for the personalized chapter."""
    shown = page.locator("#answers li").count()
    page.click(button)
    expect(page.locator("#answers li")).to_have_count(shown + 1)
    expect(page.locator("#answers li").first).to_have_text(re.compile(rf"told for Rust and Python, for {page.email}"))


def end_session(services, email: str) -> None:
    """As an administrator would, behind the back of Envoy."""
    with sqlite3.connect(services.folder / "auth.sqlite") as database:
        ended = database.execute("DELETE FROM session WHERE userId = (SELECT id FROM user WHERE email = ?)", [email])
        assert ended.rowcount == 1
    database.close()


def personalize_status(page) -> int:
    return page.evaluate(ASK, ["include", None])[0]


# Status and body of a call with these credentials and this Authorization.
ASK = """([credentials, authorization]) => fetch("http://localhost:8000/api/personalize", {
    method: "POST", credentials, body: JSON.stringify({chapter_id: "ch1"}),
    headers: {"Content-Type": "application/json", ...(authorization && {Authorization: authorization})},
}).then(async (response) => [response.status, await response.json()])"""
FETCH_TOKEN = """() => fetch("http://localhost:3001/api/auth/jwt", {credentials: "include"})
    .then((response) => response.json()).then(({token}) => token)"""


def test_call_without_any_token_is_answered(user, origin):
    press(user, "#personalize")
    assert authorizations(user, PERSONALIZE) == [None]
    assert not [request for request in user.sent if "/api/auth/jwt" in request.url]
    assert (user.refused, user.complaints) == ([], [])
    if origin == OWN:
        screenshot(user, "react-signed-in")


def test_old_helper_works_unchanged(user, origin):
    press(user, "#old-way")
    (sent,) = authorizations(user, PERSONALIZE)
    assert JWT.fullmatch(sent.removeprefix("Bearer "))
    assert (user.refused, user.complaints) == ([], [])
    if origin == OTHER:
        screenshot(user, "react-old-helper")


STALE = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2lnbmF0dXJl"

# What a frontend does with its token, and the answer where its pages have the API's origin and where they have not.
# The browser's own default for `credentials` is "same-origin".
WAYS = {
    "sends_the_token_and_the_cookie": ("include", "Bearer {token}", 200, 200),
    "sends_the_token_without_credentials": ("same-origin", "Bearer {token}", 200, 200),
    "forgets_the_token": ("include", None, 200, 200),
    "forgets_the_token_and_credentials": ("same-origin", None, 200, 401),
    "sends_an_expired_token": ("include", f"Bearer {STALE}", 200, 200),
    "sends_an_expired_token_without_credentials": ("same-origin", f"Bearer {STALE}", 200, 401),
    "forgets_the_word_bearer": ("include", "{token}", 200, 200),
    "forgets_the_word_bearer_and_credentials": ("same-origin", "{token}", 200, 401),
    "sends_what_is_no_token": ("include", "Bearer undefined", 200, 200),
}


def test_ways_of_calling_the_api_come_to(user, origin):
    token, answers = user.evaluate(FETCH_TOKEN), {}
    for way, (credentials, authorization, *_) in WAYS.items():
        status, body = user.evaluate(ASK, [credentials, authorization and authorization.replace("{token}", token)])
        answers[way] = status
        assert body.get("email") == (user.email if status == 200 else None), way
    assert answers == {way: same_origin if origin == OWN else another for way, (_, _, same_origin, another) in WAYS.items()}
    assert user.complaints == []


@pytest.mark.parametrize("button", ["#personalize", "#old-way"])
def test_no_token_is_within_reach_of_a_script(user, button):
    press(user, button)
    readable = within_reach(user)
    assert user.email in readable
    assert not JWT.search(readable)
    (cookie,) = user.context.cookies()
    assert cookie["httpOnly"] and cookie["value"] not in readable


def test_sign_out_takes_effect_at_once(user, origin):
    press(user, "#personalize")
    held = user.context.cookies()
    with user.expect_response("**/api/auth/sign-out"):
        user.click("#sign-out")
    expect(user.locator("#sign-in-form")).to_be_visible()
    assert personalize_status(user) == 401
    user.context.add_cookies(held)
    assert personalize_status(user) == 401, "the cookie is worth nothing, should somebody have kept it"
    assert user.refused == [(401, PERSONALIZE)] * 2
    if origin == OWN:
        screenshot(user, "react-signed-out")


@pytest.mark.parametrize("button", ["#personalize", "#old-way"])
def test_page_of_an_ended_session_asks_to_sign_in_and_stays_where_it_is(services, user, origin, button):
    place = "/chapters/ch2?level=beginner"
    user.goto(origin + place)
    press(user, button)
    end_session(services, user.email)
    eventually(lambda: personalize_status(user) == 401, what="an ended session that is noticed")
    user.click(button)
    if button == "#old-way":
        expect(user.locator("#answers li").first).to_have_text("Error: Please sign in to continue")
        return
    expect(user.locator("#sign-in-form")).to_be_visible()
    sign_in(user)
    expect(user.locator("#place")).to_have_text(place)
    press(user, button)


def test_navigation_without_a_session_leads_to_sign_in_and_back(services, browser):
    place = "/chapters/ch2?level=beginner&from=page%20one&r=a%26b"
    with opened(browser, f"{OWN}/signin") as page:
        sign_up(page)
        page.goto(OWN + place)
        expect(page.locator("#place")).to_have_text(place)
        end_session(services, page.email)
        eventually(lambda: personalize_status(page) == 401, what="an ended session that is noticed")
        page.goto(OWN + place)
        expect(page.locator("#sign-in-form")).to_be_visible()
        assert page.url.startswith(f"{OWN}/signin?return_to=/chapters/ch2")
        screenshot(page, "react-sent-to-sign-in")
        sign_in(page)
        expect(page.locator("#place")).to_have_text(place)
        assert page.url == OWN + place
        press(page, "#personalize")
        assert page.complaints == []
        screenshot(page, "react-sign-in-and-back")


def test_without_the_filter_the_backend_does_not_know_who_is_signed_in(playwright, services, pages):
    def edit(config):
        let_in_other_origins(config)
        serve_pages(config, pages)
        take_out_the_filter(config)

    bare = services.add_envoy("bare", edit=edit)
    bare.start()
    browser = launched(playwright, {"localhost:3001": bare.port, "localhost:8000": bare.port})
    with opened(browser, f"{OWN}/signin") as page:
        sign_up(page)
        _, answer = page.evaluate(ASK, ["include", None])
        assert answer == [{"error": "Unauthorized"}, 401]
        press(page, "#old-way")
    browser.close()
    bare.stop()
