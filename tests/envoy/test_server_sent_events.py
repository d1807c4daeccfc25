"""Proves that server-sent events reach the browser one by one, with the token of its session on the way in."""

import concurrent.futures
import contextlib

import httpx
import pytest

from harness import answers, tokens
from harness.bootstrap import PLUGIN, plugin
from harness.client import NO_TLS, TIMEOUT_SECONDS
from harness.endless import EVENTS
from harness.eventually import eventually
from harness.origin import TRUSTED
from harness.problem import assert_problem

CREDENTIALS = [{"bearer": {}}, {"token_cookie": {"names": ["access_token"]}}, *PLUGIN["credentials"]]
ACCEPT = ("accept", "text/event-stream")
LAST = ("last-event-id", "41")


@pytest.fixture(scope="module")
def client(start_envoy):
    return start_envoy(plugin(credentials=CREDENTIALS)).client()


class Events:
    """A stream of a few events, each of which is held back until the test lets it go; the head comes at once."""

    def __init__(self, count: int = 3) -> None:
        self.expected = [f"event number {number} ✓" for number in range(count)]
        self.gates = [answers.Gate() for _ in self.expected]

    async def __call__(self, writer) -> None:
        await answers.raw(EVENTS)(writer)
        for gate, event in zip(self.gates, self.expected, strict=True):
            data = f"data: {event}\n\n".encode()
            await gate.before(answers.raw(b"%x\r\n%s\r\n" % (len(data), data)))(writer)
        await answers.raw(b"0\r\n\r\n")(writer)

    def open(self) -> None:
        for gate in self.gates:
            gate.open()


@contextlib.contextmanager
def opened(client, path, *headers, method="GET", http2=False):
    """The response to a request for events, from the moment its head has arrived."""
    with (
        httpx.Client(trust_env=False, verify=NO_TLS, timeout=TIMEOUT_SECONDS, http1=not http2, http2=http2) as browser,
        browser.stream(method, client.url + path, headers=[ACCEPT, LAST, *headers]) as response,
    ):
        yield response


def credential(kind, auth):
    """The fields of a request and the Authorization that the backend has to get for them."""
    token = tokens.mint()
    if kind == "session":
        session = auth.sign_in()
        return [("cookie", session.cookie)], [session.bearer.encode()]
    if kind == "anonymous":
        return [("cookie", "theme=dark")], []
    fields = {"bearer": ("authorization", f"Bearer {token}"), "token_cookie": ("cookie", f"access_token={token}")}
    return [fields[kind]], [f"Bearer {token}".encode()]


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
@pytest.mark.parametrize(
    ("kind", "prefix"),
    [("session", "/api"), ("bearer", "/api"), ("token_cookie", "/api"), ("session", "/optional"), ("anonymous", "/optional")],
)
def test_event_arrives_before_the_next_one_is_produced(auth, backend, client, target, kind, prefix, http2):
    path, events = target(prefix), Events()
    fields, authorization = credential(kind, auth)
    backend.script(path, events)
    with opened(client, path, *fields, http2=http2) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        lines = response.iter_lines()
        for gate, event in zip(events.gates, events.expected, strict=True):
            gate.open()
            assert [next(lines), next(lines)] == [f"data: {event}", ""]
        assert list(lines) == []
    (received,) = backend.requests(path)
    assert received.values("authorization") == authorization
    assert received.values("last-event-id") == [b"41"]


def test_stream_of_a_post_by_a_page_of_the_site_passes_too(auth, backend, client, target):
    session, path, events = auth.sign_in(), target(), Events()
    backend.script(path, events)
    with opened(client, path, ("cookie", session.cookie), ("origin", TRUSTED), method="POST") as response:
        lines = response.iter_lines()
        events.gates[0].open()
        assert next(lines) == f"data: {events.expected[0]}"
        events.open()
        assert len(list(lines)) == 2 * len(events.expected) - 1
    (received,) = backend.requests(path)
    assert received.values("authorization") == [session.bearer.encode()]


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_first_event_comes_while_the_second_is_held_when_the_session_had_to_be_exchanged(auth, backend, client, target, http2):
    gate, session, path, events = answers.Gate(), auth.sign_in(), target(), Events()
    auth.script(session, gate.before(answers.token(session.token)))
    backend.script(path, events)

    def first_line():
        with opened(client, path, ("cookie", session.cookie), http2=http2) as response:
            return next(response.iter_lines())

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        reading = pool.submit(first_line)
        try:
            eventually(lambda: auth.calls(session), what="the callout")
            assert backend.requests(path) == []
            assert not reading.done()
            events.gates[0].open()
        finally:
            gate.open()
        try:
            assert reading.result(TIMEOUT_SECONDS) == f"data: {events.expected[0]}"
        finally:
            events.open()
    (received,) = backend.requests(path)
    assert received.values("authorization") == [session.bearer.encode()]


@pytest.mark.parametrize("cookie", [None, "session=unknown"], ids=["no_credential", "refused_session"])
def test_stream_without_a_valid_session_is_answered_401(backend, client, target, cookie):
    path = target()
    backend.script(path, Events())
    assert_problem(client.get(path, cookie=cookie, headers=[ACCEPT, LAST]), 401)
    assert backend.requests(path) == []
