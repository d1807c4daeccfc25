"""Proves that the backend never sees an Authorization header the filter did not make, unless a route hands that over."""

import pytest

from harness import tokens
from harness.client import head
from harness.problem import assert_anonymous, assert_problem

FOREIGN = [
    pytest.param("Bearer forged.by.client", id="bearer"),
    pytest.param("bearer " + tokens.mint(sub="forged"), id="bearer_correctly_signed"),
    pytest.param("Basic dXNlcjpwYXNz", id="basic"),
    pytest.param('Digest username="a", realm="b, c", uri="/x", response=0f', id="digest_whose_commas_separate_no_values"),
    pytest.param(tokens.mint(sub="forged"), id="token_without_a_scheme"),
    pytest.param("", id="empty"),
]


@pytest.mark.parametrize("authorization", FOREIGN)
@pytest.mark.parametrize("prefix", ["/api", "/optional"])
def test_clients_authorization_is_replaced_by_the_sessions(auth, client, target, authorization, prefix):
    session = auth.sign_in()
    answer = client.get(target(prefix), cookie=session.cookie, authorization=authorization)
    assert answer.upstream.values("authorization") == [session.bearer]


@pytest.mark.parametrize("authorization", FOREIGN)
def test_clients_authorization_alone_is_no_credential(backend, client, target, authorization):
    path = target()
    assert_problem(client.get(path, authorization=authorization), 401)
    assert backend.requests(path) == []


@pytest.mark.parametrize("authorization", FOREIGN)
def test_clients_authorization_does_not_pass_an_optional_route(client, target, authorization):
    assert_anonymous(client.get(target("/optional"), authorization=authorization))


@pytest.mark.parametrize("authorization", FOREIGN)
def test_clients_authorization_is_removed_on_an_off_route(client, target, authorization):
    assert_anonymous(client.get(target("/off"), authorization=authorization))


def test_clients_authorization_passes_an_off_route_that_says_so(client, target):
    answer = client.get(target("/off-own"), authorization="Bearer of-the-client")
    assert answer.upstream.values("authorization") == ["Bearer of-the-client"]


@pytest.mark.parametrize("prefix", ["/api", "/optional"])
@pytest.mark.parametrize("second", ["Bearer a.b.c", "Bearer d.e.f", "Basic eDp5"], ids=["equal", "different", "other_scheme"])
def test_two_authorization_values_are_answered_400(auth, backend, client, target, prefix, second):
    session, path = auth.sign_in(), target(prefix)
    lines = [("authorization", b"Bearer a.b.c"), ("Authorization", second.encode())]
    assert_problem(client.raw(head(path, ("cookie", session.cookie.encode()), *lines)), 400)
    assert backend.requests(path) == []


def test_two_authorization_values_in_one_line_are_answered_400(auth, backend, client, target):
    session, path = auth.sign_in(), target()
    assert_problem(client.get(path, cookie=session.cookie, authorization="Bearer a.b.c, Bearer d.e.f"), 400)
    assert backend.requests(path) == []


def test_two_authorization_values_are_both_removed_on_an_off_route(client, target):
    path = target("/off")
    assert_anonymous(client.raw(head(path, ("authorization", b"Bearer a.b.c"), ("authorization", b"Bearer d.e.f"))))


def test_our_bearer_survives_a_connection_header_that_names_it(auth, client, target):
    session = auth.sign_in()
    lines = [("cookie", session.cookie.encode()), ("connection", b"keep-alive, Authorization"), ("authorization", b"Bearer a.b.c")]
    assert client.raw(head(target(), *lines)).upstream.values("authorization") == [session.bearer]


def test_cookie_that_the_connection_header_names_is_no_credential(auth, backend, client, target):
    session, path = auth.sign_in(), target()
    answer = client.raw(head(path, ("cookie", session.cookie.encode()), ("connection", b"keep-alive, cookie")))
    assert_problem(answer, 401)
    assert backend.requests(path) == []
