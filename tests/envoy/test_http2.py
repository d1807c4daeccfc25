"""Proves that the filter works for HTTP/2 clients, whose cookies come in crumbs."""

import pytest

from harness import answers
from harness.problem import assert_problem


def test_session_in_its_own_crumb_is_found_and_removed(auth, client, target):
    session = auth.sign_in()
    upstream = client.http2(target(), [("cookie", "a=1"), ("cookie", session.cookie), ("cookie", "b=2")]).upstream
    assert upstream.values("authorization") == [session.bearer]
    assert upstream.values("cookie") == ["a=1; b=2"]


def test_crumbs_reach_the_auth_service_without_the_rest_of_the_jar(auth, client, target):
    session = auth.sign_in()
    client.http2(target(), [("cookie", "dont_remember=1"), ("cookie", "a=1"), ("cookie", session.cookie)])
    (call,) = auth.calls(session)
    assert call.values("cookie") == [f"{session.cookie}; dont_remember=1".encode()]


def test_different_values_in_two_crumbs_are_answered_400(auth, backend, client, target):
    session, path = auth.sign_in(), target()
    assert_problem(client.http2(path, [("cookie", session.cookie), ("cookie", "session=other")]), 400)
    assert backend.requests(path) == []


def test_two_authorization_values_are_answered_400(auth, client, target):
    session = auth.sign_in()
    headers = [("cookie", session.cookie), ("authorization", "Bearer a.b.c"), ("authorization", "Bearer d.e.f")]
    assert_problem(client.http2(target(), headers), 400)


def test_no_credential_is_answered_401(backend, client, target):
    path = target()
    assert_problem(client.http2(path, []), 401)
    assert backend.requests(path) == []


def test_bytes_from_80_to_ff_in_a_header_are_answered(auth, envoy, client, target):
    session = auth.sign_in()
    every = bytes(range(0x80, 0x100))
    answer = client.http2(target(), [("cookie", session.cookie), ("x-unrelated", every), ("cookie", b"n=" + every)])
    assert answer.upstream.values("authorization") == [session.bearer]
    assert envoy.failures() == []


@pytest.mark.parametrize(
    ("cookie", "grpc_status"),
    [
        pytest.param("a=1", "16", id="no_credential_is_unauthenticated"),
        pytest.param("session=one; session=two", "13", id="conflicting_cookies_are_an_error"),
        pytest.param(None, "14", id="outage_is_unavailable"),
    ],
)
def test_grpc_caller_gets_the_grpc_status_of_the_refusal(auth, backend, client, target, cookie, grpc_status):
    path, cookie = target(), cookie or auth.sign_in(answers.status(404)).cookie
    answer = client.http2(path, [("cookie", cookie), ("content-type", "application/grpc"), ("te", "trailers")])
    assert answer.status == 200
    assert answer.value("grpc-status") == grpc_status
    assert backend.requests(path) == []
