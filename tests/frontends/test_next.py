"""Proves that a Next.js frontend that keeps a token in cookies works behind the filter: where it sends a header, where it does not, and without the
cookie that scripts can read.

The browser is at localhost:3000, where Envoy serves pages and API alike.
"""

import re
import sys
import time
from typing import NamedTuple

import httpx
import jwt
import pytest
from playwright.sync_api import Browser, expect

from frontend import FRONTENDS, authorizations, built, configure, opened, serve_pages, take_out_the_filter
from harness.browser import JWT, launched, screenshot, within_reach
from harness.presets import preset
from stack import Part, Ports, Stack, StackError, free_ports

SITE = "http://localhost:3000"
DOCUMENTS, GENERATE = "/dashboard/documents", "/dashboard/generate"
SESSIONS = "/api/v1/sessions"
EMAIL, PASSWORD = "ada@example.com", "correct horse"
CREATE = """() => fetch("/api/v1/sessions", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({title: "Again"}),
}).then((response) => response.status)"""


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """The backend, and two servers of the same pages: one that sets the cookie for scripts, and one that does not."""
    stack = Stack(tmp_path_factory.mktemp("next"), ports=Ports.free())
    stack.parts = [backend(stack), pages(stack, "on"), pages(stack, "off")]
    with stack:
        try:
            stack.start()
        except StackError as error:
            pytest.exit(f"the services do not start: {error}", returncode=2)
        yield stack


def backend(stack: Stack) -> Part:
    where = ["--app-dir", str(FRONTENDS), "--host", "127.0.0.1", "--port", str(stack.ports.backend)]
    command = [sys.executable, "-m", "uvicorn", "blog_backend:app", *where]
    return Part("blog", command, stack.folder, stack.ports.backend, "/healthz", {"JWT_SECRET": stack.secrets["JWT_SECRET"]})


def pages(stack: Stack, client_token: str) -> Part:
    built(FRONTENDS / "next" / ".next" / "BUILD_ID")
    (port,) = free_ports(1)
    next_cli = FRONTENDS / "next" / "node_modules" / "next" / "dist" / "bin" / "next"
    command = ["node", str(next_cli), "start", str(FRONTENDS / "next"), "-H", "127.0.0.1", "-p", str(port)]
    environment = {"API_URL": f"http://127.0.0.1:{stack.ports.backend}", "CLIENT_TOKEN": client_token, "NEXT_TELEMETRY_DISABLED": "1"}
    return Part(f"next-{client_token}", command, stack.folder, port, "/login", environment)


class Site(NamedTuple):
    envoy: Part
    browser: Browser


@pytest.fixture(scope="module")
def site(services, playwright):
    """Gives an Envoy before one of the servers of pages, and a browser that looks for the site there."""

    def at(client_token: str, *edits):
        if (client_token, edits) not in sites:
            sites[client_token, edits] = start(client_token, edits)
        return sites[client_token, edits]

    def start(client_token, edits):
        (port,) = (part.port for part in services.parts if part.name == f"next-{client_token}")

        def edit(config):
            configure(config, preset("Next.js with a token in cookies", {"https://app.example.com": SITE}, page="frontends.md"))
            serve_pages(config, port)
            for change in edits:
                change(config)

        envoy = services.add_envoy(f"envoy-{len(sites)}", edit=edit)
        envoy.start()
        return Site(envoy, launched(playwright, {"localhost:3000": envoy.port}))

    sites = {}
    yield at
    for started in sites.values():
        started.browser.close()


@pytest.fixture
def page(site):
    """The page to sign in, of the frontend that no longer has a cookie for scripts."""
    with opened(site("off").browser, f"{SITE}/login") as page:
        yield page


def sign_in(page) -> None:
    page.fill("[name=email]", EMAIL)
    page.fill("[name=password]", PASSWORD)
    page.click("#login button")
    expect(page.locator("#who")).to_have_text(EMAIL)
    settle(page)


def settle(page) -> None:
    """Waits until the page has what it asks for by itself."""
    expect(page.locator("#documents, #generate:enabled")).to_be_visible()


def upload(page, name: str) -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "text/plain", "buffer": b"It was a dark and stormy night. " * 4096})
    expect(page.locator("#documents")).to_contain_text(re.compile(f"{name}.*131,072 bytes"))


def create_session(page) -> None:
    page.click("text=Generate")
    page.click("#generate")


@pytest.mark.parametrize("client_token", ["on", "off"])
def test_login_upload_and_a_session_succeed(site, client_token):
    with opened(site(client_token).browser, f"{SITE}/login") as page:
        sign_in(page)
        upload(page, f"story-{client_token}.txt")
        screenshot(page, f"next-upload-client-token-{client_token}")
        create_session(page)
        expect(page.locator("#created")).to_have_text(f"Session “Robots that read” created for {EMAIL}")
        screenshot(page, f"next-session-created-client-token-{client_token}")
        # Axios has something to send as long as the cookie is set; fetch never had.
        assert {bool(sent) for sent in authorizations(page, "/api/v1/documents")} == {client_token == "on"}
        assert authorizations(page, SESSIONS) == [None]
        assert bool(JWT.search(within_reach(page))) == (client_token == "on")
        assert (page.refused, page.complaints) == ([], [])


def test_only_cookie_that_holds_a_token_is_out_of_reach_of_scripts(page):
    sign_in(page)
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("access_token", True, "Lax")
    assert JWT.fullmatch(cookie["value"])
    upload(page, "reach.txt")
    create_session(page)
    expect(page.locator("#created")).to_be_visible()
    assert not JWT.search(within_reach(page))
    assert {request.all_headers().get("authorization") for request in page.sent} == {None}


def test_without_the_filter_the_session_is_not_created(site):
    with opened(site("on", take_out_the_filter).browser, f"{SITE}/login") as page:
        sign_in(page)
        upload(page, "story.txt")
        create_session(page)
        expect(page.locator("#problem")).to_have_text('Failed to create session: {"detail":"Not authenticated"}')
        assert page.refused == [(403, SESSIONS)]
        screenshot(page, "next-without-filter-403")


def test_sign_out_takes_effect_at_once(page):
    sign_in(page)
    assert page.evaluate(CREATE) == 201
    page.click("#sign-out")
    expect(page.locator("#login")).to_be_visible()
    assert page.context.cookies() == []
    assert page.evaluate(CREATE) == 401
    assert (page.refused, page.complaints) == ([(401, SESSIONS)], [])
    screenshot(page, "next-signed-out")


def test_navigation_without_a_token_leads_to_sign_in_and_back(page):
    place = f"{GENERATE}?topic=A%26B%20and%20C&draft=1"
    page.goto(SITE + place)
    expect(page.locator("#login")).to_be_visible()
    assert page.url.startswith(f"{SITE}/login?return_to=/dashboard/generate")
    sign_in(page)
    assert page.url == SITE + place
    expect(page.locator("[name=title]")).to_have_value("A&B and C")
    page.click("#generate")
    expect(page.locator("#created")).to_have_text(f"Session “A&B and C” created for {EMAIL}")
    assert (page.refused, page.complaints) == ([], [])
    screenshot(page, "next-sign-in-and-back")


def test_link_followed_after_the_token_has_gone_leads_to_sign_in_and_back(page):
    sign_in(page)
    page.context.clear_cookies()
    page.click("text=Generate")
    expect(page.locator("#login")).to_be_visible()
    sign_in(page)
    assert page.url == SITE + GENERATE
    assert page.complaints == []


def test_page_whose_call_is_answered_401_leads_to_sign_in_and_back(page):
    sign_in(page)
    page.context.clear_cookies()
    page.set_input_files("#file", {"name": "late.txt", "mimeType": "text/plain", "buffer": b"late"})
    expect(page.locator("#login")).to_be_visible()
    sign_in(page)
    assert page.url == SITE + DOCUMENTS
    assert page.refused == [(401, "/api/v1/documents/upload")]


def expired(services) -> str:
    now = int(time.time())
    claims = {"iss": "auth-service", "aud": "api-service", "sub": EMAIL, "iat": now - 1000, "exp": now - 100}
    return jwt.encode(claims, services.secrets["JWT_SECRET"], algorithm="HS256")


def test_token_that_has_expired_in_its_cookie_leads_to_sign_in_and_back(services, page):
    page.context.add_cookies([{"name": "access_token", "value": expired(services), "url": SITE, "httpOnly": True}])
    page.goto(SITE + GENERATE)
    expect(page.locator("#login")).to_be_visible()
    assert page.evaluate(CREATE) == 401
    sign_in(page)
    assert page.url == SITE + GENERATE
    assert page.evaluate(CREATE) == 201


@pytest.fixture
def action(site, page):
    """Asks for the server action of the button to sign out as its page does, with a token or without, from wherever is said."""
    sign_in(page)
    (cookie,) = page.context.cookies()
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.click("#sign-out")
    expect(page.locator("#login")).to_be_visible()
    own = sent.value.all_headers()
    assert (sent.value.url, own["origin"]) == (SITE + DOCUMENTS, SITE)
    assert sent.value.response().status == 200

    def ask(path: str, origin: str, *, with_token: bool) -> httpx.Response:
        headers = {name: own[name] for name in ("accept", "content-type", "next-action")} | {"host": "localhost:3000", "origin": origin}
        if with_token:
            headers["cookie"] = f"access_token={cookie['value']}"
        url = f"http://localhost:{site('off').envoy.port}{path}"
        return httpx.post(url, headers=headers, content=sent.value.post_data)

    return ask


def has_run(answer: httpx.Response) -> bool:
    """Whether the action took the token's cookie away."""
    return any(line.startswith("access_token=;") for line in answer.headers.get_list("set-cookie"))


def test_server_action_of_a_page_is_run_with_a_token_and_from_its_own_origin(action):
    own, elsewhere = action(DOCUMENTS, SITE, with_token=True), action(DOCUMENTS, "http://localhost:3001", with_token=True)
    assert (own.status_code, has_run(own)) == (200, True)
    assert (elsewhere.status_code, has_run(elsewhere)) == (403, False)
    without = action(DOCUMENTS, SITE, with_token=False)
    assert (without.status_code, has_run(without)) == (401, False)


def test_next_runs_any_server_action_at_the_page_to_sign_in(action):
    """Where no token is asked for: an action has to look for one itself."""
    answer = action("/login", SITE, with_token=False)
    assert (answer.status_code, has_run(answer)) == (200, True)
