"""Proves that a page of another origin cannot use the session of whoever looks at it, in a real browser and past a real cookie."""

import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from counters import counter
from demo_page import opened
from harness.counts import WITHIN_SECONDS
from harness.eventually import eventually

CREATE = "/api/v1/sessions"
SOCKET = "/api/v1/live"
EXCHANGE = "/api/auth/jwt"

# Each gives its request away by itself: none of them needs a preflight, and none has to read the answer.
FORM = """(url) => {
    const form = Object.assign(document.createElement("form"), {method: "POST", action: url, enctype: "text/plain"});
    form.append(Object.assign(document.createElement("input"), {name: '{"title": "', value: 'forged"}'}));
    document.body.append(form);
    form.submit();
}"""
FETCH = """(url) => fetch(url, {
    method: "POST", credentials: "include", headers: {"content-type": "text/plain"}, body: '{"title": "forged"}',
}).then((response) => response.status, () => "blocked")"""
WEB_SOCKET = """(url) => new Promise((resolve) => {
    const socket = new WebSocket(url.replace("http", "ws"));
    socket.onopen = () => resolve("open");
    socket.onclose = () => resolve("closed");
})"""
WAYS = {"form": (FORM, CREATE), "fetch": (FETCH, CREATE), "web_socket": (WEB_SOCKET, SOCKET)}


class Blank(BaseHTTPRequestHandler):
    """An empty page, whatever is asked for."""

    def do_GET(self):
        body = b"<!doctype html><title>Elsewhere</title><body></body>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


@pytest.fixture(scope="module")
def elsewhere():
    """The port of a server with a page of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Blank)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def user(sign_up):
    """Somebody for whom no token has been asked yet."""
    return sign_up()


@pytest.fixture
def visiting(demo, chromium, user):
    """Opens a page in a browser that holds the user's cookie, as strict with it as is said."""

    def visit(url: str, same_site: str):
        visited = opened(chromium, url)
        page = visited.__enter__()
        left.append(visited)
        for name, value in user.cookies.items():
            # Not for /favicon.ico, which browsers ask for when they please. SameSite=None goes with Secure, which localhost is taken for.
            cookie = {"name": name, "value": value, "domain": "localhost", "path": "/api", "httpOnly": True}
            page.context.add_cookies([cookie | {"sameSite": same_site, "secure": same_site == "None"}])
        return page

    left = []
    yield visit
    for visited in left:
        visited.__exit__(None, None, None)


def mark() -> str:
    """A query that makes a request recognisable in a log."""
    return f"?mark={secrets.token_hex(8)}"


# How it is done, from where, and how strict the cookie is: the browser sends it along in each of these cases.
SENT_ALONG = [
    *((way, "localhost", same_site) for way in WAYS for same_site in ("Lax", "Strict")),
    ("form", "127.0.0.1", "None"),
]


@pytest.mark.parametrize(("way", "host", "same_site"), SENT_ALONG)
def test_page_of_another_origin_reaches_nothing_with_the_cookie(demo, elsewhere, visiting, way, host, same_site):
    page, (script, path), seen = visiting(f"http://{host}:{elsewhere}/", same_site), WAYS[way], mark()
    exchanges, refused = demo.auth.log().count(EXCHANGE), counter(demo.envoy, "denied_cross_origin")
    result = page.evaluate(script, demo.url + path + seen)
    # Counted only where a cookie is the credential: the browser did send it.
    eventually(lambda: counter(demo.envoy, "denied_cross_origin") > refused, within=WITHIN_SECONDS, what="a refusal")
    assert result in (None, "blocked", "closed")
    assert counter(demo.envoy, "denied_cross_origin") == refused + 1
    assert demo.auth.log().count(EXCHANGE) == exchanges
    assert seen not in demo.backend.log()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("same_site", ["Lax", "None"])
def test_page_of_another_site_reaches_nothing_whether_it_is_given_the_cookie_or_not(demo, elsewhere, visiting, way, same_site):
    def refused():
        return counter(demo.envoy, "denied_no_credential") + counter(demo.envoy, "denied_cross_origin")

    page, (script, path), seen = visiting(f"http://127.0.0.1:{elsewhere}/", same_site), WAYS[way], mark()
    exchanges, before = demo.auth.log().count(EXCHANGE), refused()
    assert page.evaluate(script, demo.url + path + seen) in (None, "blocked", "closed")
    eventually(lambda: refused() > before, within=WITHIN_SECONDS, what="a refusal")
    assert demo.auth.log().count(EXCHANGE) == exchanges
    assert seen not in demo.backend.log()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("same_site", ["Lax", "Strict"])
def test_pages_own_calls_reach_the_backend(demo, visiting, way, same_site):
    page, (script, path), seen = visiting(demo.url, same_site), WAYS[way], mark()
    exchanges, refused = demo.auth.log().count(EXCHANGE), counter(demo.envoy, "denied_cross_origin")
    page.evaluate(script, demo.url + path + seen)
    eventually(lambda: seen in demo.backend.log(), within=WITHIN_SECONDS, what="the request at the backend")
    eventually(lambda: demo.auth.log().count(EXCHANGE) == exchanges + 1, what="the exchange")
    assert counter(demo.envoy, "denied_cross_origin") == refused


def test_page_of_another_origin_can_still_link_to_the_site(demo, elsewhere, visiting):
    page, seen = visiting(f"http://127.0.0.1:{elsewhere}/", "Lax"), mark()
    url = f"{demo.url}/api/v1/auth/me{seen}"
    with page.expect_navigation(url=url) as navigation:
        page.evaluate("(url) => { location.href = url; }", url)
    assert navigation.value.status == 200
    assert seen in demo.backend.log()
