"""Proves which rule decides a request: first match, whole segments, methods, required by default, no way round by odd paths."""

import pytest

from harness.bootstrap import connection_manager, plugin
from harness.client import head
from harness.problem import assert_anonymous, assert_problem


def test_off_route_leaves_the_cookie_header_untouched_and_asks_nobody(auth, client, target):
    session = auth.sign_in()
    jar = f"a=1; {session.cookie}; dont_remember=1; b=2; {session.cookie}"
    assert client.get(target("/off"), cookie=jar).upstream.values("cookie") == [jar]
    assert auth.calls(session) == []


def test_off_route_passes_a_request_that_elsewhere_is_400(client, target):
    jar = "session=one; session=two"
    assert client.get(target("/off"), cookie=jar).upstream.values("cookie") == [jar]


def test_optional_route_recognises_a_session(auth, client, target):
    session = auth.sign_in()
    upstream = client.get(target("/optional"), cookie=f"a=1; {session.cookie}").upstream
    assert upstream.values("authorization") == [session.bearer]
    assert upstream.values("cookie") == ["a=1"]


def test_optional_route_passes_a_refused_session_anonymous_and_without_its_cookie(client, target):
    answer = client.get(target("/optional"), cookie="a=1; session=unknown; dont_remember=1")
    assert_anonymous(answer)
    assert answer.upstream.values("cookie") == ["a=1"]


@pytest.mark.parametrize("path", ["/off", "/off/", "/off?x=1", "/off/x"])
def test_prefix_matches_at_the_end_of_a_segment(client, path):
    assert_anonymous(client.get(path))


@pytest.mark.parametrize("path", ["/offside", "/off.json", "/off-side/x", "/OFF/x", "/api?/off", "/x/off"])
def test_prefix_does_not_match_inside_a_segment(backend, client, path):
    assert_problem(client.get(path), 401)
    assert backend.requests(path) == []


def test_exact_path_with_methods_matches_only_these_methods(client):
    assert_anonymous(client.get("/read-only"))
    assert_anonymous(client.get("/read-only?x=1"))
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", "GETX"):
        assert client.raw(head("/read-only", method=method)).status in (400, 401)


def test_exact_path_does_not_match_below_itself(client):
    for path in ("/read-only/", "/read-only/x", "/read-onlyx"):
        assert_problem(client.get(path), 401)


AMBIGUOUS = [
    "/off//x",
    "//off/x",
    "/off/../api",
    "/off/./x",
    "/off/%2e%2e/api",
    "/off/%2E%2e/api",
    "/off%2fx",
    "/off%2F..%2Fapi",
    "/off/%5capi",
    "/off/..%5Capi",
    "/off/..;/api",
    "/off;x/y",
    "/off/;/api",
    "/off/%00",
    "/off/%zz",
    "/off/%",
    "/off/%ff",
    "/off/%c0%af",
    "/off/\\api",
    "/off/..",
]


@pytest.mark.parametrize("path", AMBIGUOUS)
def test_odd_path_is_refused_or_reaches_the_backend_as_the_path_that_was_judged(backend, client, path):
    before = backend.count()
    answer = client.raw(head(path))
    if answer.status == 200:
        assert answer.upstream.target in ("/off/", "/off/x", "/off/api")
    else:
        assert answer.status in (307, 400, 401), answer
        assert backend.count() == before


@pytest.fixture(scope="module")
def not_normalising(start_envoy):
    """A client of an Envoy that hands paths to the filter as they came, as many do."""

    def edit(bootstrap):
        manager = connection_manager(bootstrap)
        manager.update(normalize_path=False, merge_slashes=False, path_with_escaped_slashes_action="KEEP_UNCHANGED")

    return start_envoy(edit=edit).client()


@pytest.mark.parametrize("path", AMBIGUOUS)
def test_path_that_can_be_read_in_two_ways_needs_a_credential(auth, backend, not_normalising, path):
    before = backend.count()
    refused = not_normalising.raw(head(path))
    assert refused.status in (400, 401)
    assert backend.count() == before
    session = auth.sign_in()
    answer = not_normalising.raw(head(path, ("cookie", session.cookie.encode())))
    if refused.status == 401:
        assert answer.upstream.values("authorization") == [session.bearer]


def test_route_matched_by_nothing_is_required(start_envoy, backend, target):
    client = start_envoy(plugin(routes=[{"match": {"prefix": "/off"}, "auth": "off"}])).client()
    path = target("/elsewhere")
    assert_problem(client.get(path), 401)
    assert backend.requests(path) == []
    assert_anonymous(client.get(target("/off")))


@pytest.fixture(scope="module")
def by_template_and_host(start_envoy):
    routes = [
        {"match": {"template": "/users/{id}/posts", "methods": ["GET"]}, "auth": "off"},
        {"match": {"prefix": "/", "hosts": ["public.example"]}, "auth": "off"},
    ]
    return start_envoy(plugin(routes=routes)).client()


@pytest.mark.parametrize(
    ("path", "host", "passes"),
    [
        ("/users/7/posts", "localhost", True),
        ("/users/7/posts?x=1", "localhost", True),
        ("/users/7/8/posts", "localhost", False),
        ("/users/7/posts/", "localhost", False),
        ("/users/7", "localhost", False),
        ("/anything", "public.example", True),
        ("/anything", "PUBLIC.Example:8443", True),
        ("/anything", "public.example.", True),
        ("/anything", "public.example.evil", False),
        ("/anything", "private.example", False),
    ],
)
def test_template_and_host_match_whole_and_in_any_spelling(by_template_and_host, path, host, passes):
    request = f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()
    assert by_template_and_host.raw(request).status == (200 if passes else 401)
