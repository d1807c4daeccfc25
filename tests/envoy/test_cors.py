"""Proves that pages of other origins work: preflights pass without a credential, and refusals can be read by the page."""

from collections.abc import Callable

import pytest

from harness import answers
from harness.bootstrap import PLUGIN, bootstrap, connection_manager, plugin
from harness.client import Answer, head
from harness.origin import OWN_PAGE
from harness.problem import assert_problem

FOREIGN = ("origin", "https://elsewhere.example")
ASKS = ("access-control-request-method", "POST")


@pytest.fixture
def origin(auth, backend):
    """The one origin that envoy.yaml lists."""
    (host,) = connection_manager(bootstrap(auth.port, backend.port, PLUGIN))["route_config"]["virtual_hosts"]
    (listed,) = host["typed_per_filter_config"]["envoy.filters.http.cors"]["allow_origin_string_match"]
    return ("origin", listed["exact"])


def test_preflight_is_answered_before_the_filter_and_makes_no_callout(auth, backend, client, target, origin):
    session, path = auth.sign_in(), target()
    answer = client.request("OPTIONS", path, cookie=session.cookie, headers=[origin, ASKS])
    assert answer.status == 200
    assert answer.value("access-control-allow-origin") == origin[1]
    assert answer.value("access-control-allow-credentials") == "true"
    assert auth.calls(session) == []
    assert backend.requests(path) == []


def test_preflight_that_envoy_leaves_to_the_backend_passes_without_a_credential(auth, client, target):
    session = auth.sign_in()
    answer = client.request("OPTIONS", target(), cookie=session.cookie, authorization="Bearer a.b.c", headers=[FOREIGN, ASKS])
    assert answer.upstream.values("authorization") == []
    assert answer.upstream.values("cookie") == [session.cookie]
    assert auth.calls(session) == []


@pytest.mark.parametrize("headers", [[FOREIGN], [ASKS], []], ids=["no_requested_method", "no_origin", "neither"])
def test_options_request_that_is_no_preflight_needs_a_credential(backend, client, target, headers):
    path = target()
    assert_problem(client.request("OPTIONS", path, headers=headers), 401)
    assert backend.requests(path) == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_request_that_only_looks_like_a_preflight_needs_a_credential(backend, client, target, method):
    path = target()
    assert_problem(client.request(method, path, headers=[FOREIGN, ASKS]), 401)
    assert backend.requests(path) == []


def test_refusal_can_be_read_by_a_page_of_a_listed_origin(client, target, origin):
    answer = client.get(target(), headers=[origin])
    assert_problem(answer, 401)
    assert answer.value("access-control-allow-origin") == origin[1]


# Every kind of answer that the filter gives itself

REFUSALS = {
    "no_credential": (401, "GET", "/api", [], None),
    "refused_session": (401, "GET", "/api", [], "session=unknown"),
    "impossible_session": (401, "GET", "/api", [], 'session="a"'),
    "conflicting_cookies": (400, "GET", "/optional", [], "session=one; session=two"),
    "two_authorizations": (400, "GET", "/api", [("authorization", b"Bearer a.b.c, Bearer d.e.f")], None),
    "other_site": (403, "POST", "/api", [("content-length", b"0")], "session=unknown"),
    "insufficient_scope": (403, "GET", "/admin", [], "good"),
    "outage": (503, "GET", "/api", [], "failing"),
    "sign_in": (302, "GET", "/api", [("sec-fetch-mode", b"navigate")], None),
    "sign_in_after_a_refusal": (302, "GET", "/api", [("sec-fetch-mode", b"navigate")], "session=unknown"),
}
VARYING = [("x-answer-header", b"vary:Accept-Encoding, Cookie")]


@pytest.fixture(scope="module")
def strict(start_envoy):
    """A client of an Envoy whose filter has every kind of refusal."""
    admins = {"match": {"prefix": "/admin"}, "auth": "required", "require": {"claims": {"role": "admin"}}}
    sign_in = {"sign_in": {"location": "/off/sign-in"}}
    return start_envoy(plugin(routes=[admins, *PLUGIN["routes"]], unauthenticated=sign_in)).client()


@pytest.fixture
def refused(auth, backend, strict, target) -> Callable[..., Answer]:
    """Has a request refused in one way, by its name above; `method` instead of GET where it is GET."""

    def make(kind: str, *headers: tuple[str, str], method: str = "GET") -> Answer:
        status, usual, prefix, fields, jar = REFUSALS[kind]
        path, method = target(prefix), method if usual == "GET" else usual
        cookies = {"good": auth.sign_in().cookie, "failing": auth.sign_in(answers.status(404)).cookie, None: None}
        cookie = cookies.get(jar, jar)
        lines = [*fields, *((name, value.encode()) for name, value in headers)]
        lines += [("cookie", cookie.encode())] if cookie else []
        with strict.open() as connection:
            connection.send(head(path, *lines, method=method))
            answer = connection.read(to=method)
        assert answer.status == status
        assert backend.requests(path) == []
        return answer

    return make


def told_to_pages(answer: Answer) -> dict[str, list[str]]:
    """What Envoy's cors filter says to browsers."""
    return {name: answer.values(name) for name, _ in answer.headers if name.startswith("access-control-")}


@pytest.mark.parametrize("kind", REFUSALS)
def test_every_refusal_can_be_read_by_a_page_of_a_listed_origin_alone(refused, origin, kind):
    allowed = {"access-control-allow-origin": [origin[1]], "access-control-allow-credentials": ["true"]}
    assert told_to_pages(refused(kind, origin)) == allowed
    assert told_to_pages(refused(kind, FOREIGN)) == {}
    assert told_to_pages(refused(kind, ("origin", "null"))) == {}
    assert told_to_pages(refused(kind)) == {}


@pytest.mark.parametrize("kind", [kind for kind, (_, method, *_) in REFUSALS.items() if method == "GET"])
def test_head_is_refused_with_the_same_fields_and_no_body(refused, origin, kind):
    to_get, to_head = refused(kind, origin), refused(kind, origin, method="HEAD")
    # The way back differs, for the path does. Where there is no body, Envoy does not tell its length to a HEAD.
    leaving_out = {"date", "location"} | ({"content-length", "transfer-encoding"} if to_get.body == b"" else set())
    assert names_and_values(to_head, leaving_out) == names_and_values(to_get, leaving_out)
    assert to_head.body == b""


def names_and_values(answer: Answer, leaving_out: set[str]) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in answer.headers if name not in leaving_out)


@pytest.mark.parametrize("kind", REFUSALS)
@pytest.mark.parametrize("page", ["listed", "foreign", "none"])
def test_filter_adds_no_vary_to_what_it_refuses(refused, strict, target, origin, kind, page):
    headers = {"listed": [origin], "foreign": [FOREIGN], "none": []}[page]
    untouched = strict.get(target("/off"), headers=headers)
    assert refused(kind, *headers).values("vary") == untouched.values("vary")


@pytest.mark.parametrize("page", ["listed", "own", "none"])
@pytest.mark.parametrize("prefix", ["/api", "/optional", "/off"])
def test_vary_of_the_backend_reaches_the_browser_as_it_is(auth, strict, target, origin, prefix, page):
    headers = {"listed": [origin], "own": [OWN_PAGE], "none": []}[page]
    plain, varying = (strict.get(target("/off"), headers=[*headers, *extra]).values("vary") for extra in ([], VARYING))
    assert varying == ["Accept-Encoding, Cookie", *plain]
    session = auth.sign_in()
    for _exchanged_then_cached in range(2):
        answer = strict.get(target(prefix), cookie=session.cookie, headers=[*headers, *VARYING])
        assert answer.upstream.values("authorization") == ([] if prefix == "/off" else [session.bearer])
        assert answer.values("vary") == varying


def test_answer_to_an_authorised_request_can_be_read_by_a_page_of_a_listed_origin_alone(auth, strict, target, origin):
    session = auth.sign_in()
    for headers, expected in [([origin], [origin[1]]), ([FOREIGN], []), ([], [])]:
        answer = strict.get(target(), cookie=session.cookie, headers=headers)
        assert answer.upstream.values("authorization") == [session.bearer]
        assert answer.values("access-control-allow-origin") == expected
