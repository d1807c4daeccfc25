"""Proves that pages of other origins work: preflights pass without a credential, and refusals can be read by the page."""

import pytest

from harness.bootstrap import PLUGIN, bootstrap, connection_manager
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
