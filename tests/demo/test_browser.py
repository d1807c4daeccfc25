"""Proves the demo's page in a real browser: it works by the cookie alone, and no script on it could find a token."""

from playwright.sync_api import expect

from demo_page import press, sign_up
from harness.browser import JWT, screenshot, within_reach

CALLS = {"call-personalize": 200, "call-me": 200, "call-upload": 200, "call-session": 201}


def test_signed_up_user_can_make_every_call_and_nobody_can_after_sign_out(page):
    assert "401" in press_all_unauthenticated(page)
    sign_up(page, "ada@browser.example")
    for call, status in CALLS.items():
        press(page, call, status)
    assert "ada@browser.example" in page.locator("#log").inner_text()
    screenshot(page, "signed-in")
    press(page, "sign-out", 200)
    expect(page.locator("#who")).to_have_text("Not signed in")
    for call in CALLS:
        press(page, call, 401)
    screenshot(page, "signed-out")
    assert page.complaints == []


def press_all_unauthenticated(page) -> str:
    for call in CALLS:
        press(page, call, 401)
    return page.locator("#log").inner_text()


def test_no_token_is_within_reach_of_a_script(page):
    sign_up(page, "script@browser.example")
    for call, status in CALLS.items():
        press(page, call, status)
    storage = within_reach(page)
    assert not JWT.search(storage)
    (cookie,) = [cookie for cookie in page.context.cookies() if cookie["name"].endswith("session_token")]
    assert cookie["httpOnly"]
    assert cookie["value"] not in storage
    for request in page.sent:
        assert "authorization" not in request.all_headers()
    answers = [response for response in page.received if "/api/" in response.url]
    assert len(answers) >= len(CALLS)
    for answer in answers:
        assert not JWT.search(answer.text() + str(answer.all_headers()))


def test_mistake_4_missing_credentials_include_works_through_the_filter(page):
    sign_up(page, "mistake4@browser.example")
    status = page.evaluate("() => fetch('/api/v1/auth/me').then((response) => response.status)")
    assert status == 200


def test_fetch_that_sends_only_a_content_type_creates_a_session_through_the_filter(page):
    sign_up(page, "fetch@browser.example")
    status = page.evaluate(
        """() => fetch("/api/v1/sessions", {
            method: "POST", credentials: "include", headers: {"Content-Type": "application/json"}, body: JSON.stringify({title: "A blog post"}),
        }).then((response) => response.status)"""
    )
    assert status == 201


def test_session_survives_a_reload_of_the_page(page):
    sign_up(page, "reload@browser.example")
    page.reload()
    expect(page.locator("#who")).to_have_text("Signed in as reload@browser.example")
    press(page, "call-me", 200)
