"""The demo's page in a real browser."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from playwright.sync_api import Browser, Page, expect


@contextlib.contextmanager
def opened(chromium: Browser, url: str) -> Iterator[Page]:
    """The page in a browser profile of its own, with all that it sends and receives on record."""
    context = chromium.new_context(viewport={"width": 1100, "height": 900})
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.sent, page.received = [], []
    page.on("request", lambda request: page.sent.append(request))
    page.on("response", lambda response: page.received.append(response))
    page.goto(url)
    yield page
    context.close()


def sign_up(page: Page, email: str) -> None:
    page.fill("#email", email)
    page.click("#sign-up")
    expect(page.locator("#who")).to_have_text(f"Signed in as {email}")


def press(page: Page, call: str, status: int) -> str:
    """Presses a button of the page and gives the answer it then shows."""
    shown = page.locator("#log li").count()
    page.click(f"#{call}")
    expect(page.locator("#log li")).to_have_count(shown + 1)
    entry = page.locator("#log li").first
    expect(entry).to_have_attribute("data-call", call)
    expect(entry).to_have_attribute("data-status", str(status))
    return entry.locator("pre").inner_text()


def session_cookie(page: Page) -> dict:
    """The only cookie that the browser holds for the page: name, value, when it ends, and the rest."""
    (cookie,) = page.context.cookies()
    return cookie
