"""Proves what the callout to the auth service carries: configuration, one cookie, its companions, listed headers, one address."""

import pytest

from harness import answers, tokens
from harness.bootstrap import AUTHORITY, EXCHANGE_PATH, connection_manager, plugin
from harness.client import head
from harness.origin import OWN_PAGE

FORWARDED = ["x-request-id", "traceparent", "x-tenant"]


@pytest.fixture(scope="module")
def posting(start_envoy):
    """A client of an Envoy whose exchange differs from the default in everything that can be chosen."""
    exchange = {
        "method": "POST",
        "path": "/v2/exchange?kind=jwt",
        "authority": "tokens.internal:8443",
        "token": {"header": "set-auth-jwt"},
        "forward_headers": FORWARDED,
        "headers": {"x-api-key": "static-key", "accept": "application/json"},
    }
    return start_envoy(plugin(exchange=exchange)).client()


def callout(auth, session):
    (call,) = auth.calls(session)
    return call


def test_callout_goes_where_the_configuration_says(auth, client, target):
    session = auth.sign_in()
    assert client.get(target() + "?x=/elsewhere", cookie=session.cookie, headers=[("host", "evil.example")]).status == 200
    call = callout(auth, session)
    assert (call.method, call.target) == ("GET", EXCHANGE_PATH)
    assert call.values("host") == [AUTHORITY.encode()]
    assert call.body_length == 0


def test_callout_carries_the_session_cookie_and_its_companions_and_no_other(auth, client, target):
    session = auth.sign_in()
    jar = f"a=1; dont_remember=yes.signed; {session.cookie}; b=2"
    assert client.get(target(), cookie=jar).status == 200
    assert callout(auth, session).values("cookie") == [f"{session.cookie}; dont_remember=yes.signed".encode()]


def test_callout_carries_only_the_cookie_that_was_chosen(auth, client, target):
    session = auth.sign_in(name="__Host-session")
    assert client.get(target(), cookie=f"session=left-out; {session.cookie}").status == 200
    assert callout(auth, session).values("cookie") == [session.cookie.encode()]


def test_callout_carries_no_header_of_the_client_but_the_listed_ones(auth, client, target):
    session = auth.sign_in()
    unlisted = ["accept-language", "referer", "x-user-id", "forwarded", "x-real-ip", "x-tenant", "if-none-match", "range"]
    listed = {"user-agent": b"browser/1", "traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": b"a=b"}
    headers = [(name, "of-the-client") for name in unlisted] + [(name, value.decode()) for name, value in listed.items()]
    everything = {"cookie": session.cookie, "authorization": "Bearer of.the.client", "headers": [OWN_PAGE, *headers]}
    assert client.request("PUT", target(), **everything, body=b"body").status == 200
    call = callout(auth, session)
    for name, value in listed.items():
        assert call.values(name) == [value], name
    for sent in (b"of-the-client", b"of.the.client", OWN_PAGE[1]):
        assert sent not in call.head
    ours = {"host", "cookie", "x-forwarded-for", "x-request-id", *listed}
    constant = {"accept", "cache-control", "content-length", "x-envoy-expected-rq-timeout-ms", "x-envoy-internal", "x-forwarded-proto"}
    assert call.names() - ours - constant == set()


def test_configured_callout_uses_its_method_path_authority_headers_and_list(auth, posting, target):
    session = auth.sign_in(answers.token_in_header("set-auth-jwt", tokens.mint(sub="by-header")))
    headers = [
        ("x-request-id", "8b0c4d0a-0000-4000-8000-000000000001"),
        ("x-tenant", "blue"),
        ("user-agent", "not-listed"),
        ("x-api-key", "of-the-client"),
    ]
    assert posting.get(target(), cookie=session.cookie, headers=headers).status == 200
    call = callout(auth, session)
    assert (call.method, call.target) == ("POST", "/v2/exchange?kind=jwt")
    assert call.values("host") == [b"tokens.internal:8443"]
    assert call.values("x-tenant") == [b"blue"]
    assert len(call.values("x-request-id")) == 1
    assert call.values("x-api-key") == [b"static-key"]
    assert call.values("accept") == [b"application/json"]
    assert b"not-listed" not in call.head
    assert call.body_length == 0


def test_token_in_the_configured_header_is_used(auth, posting, target):
    token = tokens.mint(sub="by-header")
    session = auth.sign_in(answers.token_in_header("set-auth-jwt", token))
    assert posting.get(target(), cookie=session.cookie).upstream.values("authorization") == [f"Bearer {token}"]


def test_token_in_the_body_is_not_used_when_a_header_is_configured(auth, posting, target):
    session = auth.sign_in()
    assert posting.get(target(), cookie=session.cookie).status == 401


def test_token_at_a_deeper_json_pointer_is_used(auth, start_envoy, target):
    client = start_envoy(plugin(exchange={"token": {"json_pointer": "/data/0/a~1b"}})).client()
    token = tokens.mint(sub="by-pointer")
    session = auth.sign_in(answers.json_body({"token": "decoy", "data": [{"a/b": token}]}))
    assert client.get(target(), cookie=session.cookie).upstream.values("authorization") == [f"Bearer {token}"]


@pytest.mark.parametrize(
    "spoofed",
    [
        pytest.param([], id="none"),
        pytest.param([("x-forwarded-for", "203.0.113.7")], id="one_address"),
        pytest.param([("x-forwarded-for", "203.0.113.7, 127.0.0.1")], id="a_list"),
        pytest.param([("x-forwarded-for", "203.0.113.7"), ("x-forwarded-for", "203.0.113.8")], id="two_lines"),
        pytest.param([("x-envoy-external-address", "203.0.113.7"), ("x-real-ip", "203.0.113.8")], id="other_names"),
    ],
)
def test_callout_carries_the_one_address_that_envoy_trusts(auth, client, target, spoofed):
    session = auth.sign_in()
    assert client.request("GET", target(), cookie=session.cookie, headers=spoofed, source="127.0.0.42").status == 200
    call = callout(auth, session)
    assert call.values("x-forwarded-for") == [b"127.0.0.42"]
    assert b"203.0.113" not in call.head


def test_callout_carries_the_address_that_a_trusted_proxy_reports(auth, start_envoy, target):
    def behind_a_proxy(bootstrap):
        connection_manager(bootstrap)["xff_num_trusted_hops"] = 1

    client, session = start_envoy(edit=behind_a_proxy).client(), auth.sign_in()
    assert client.get(target(), cookie=session.cookie, headers=[("x-forwarded-for", "203.0.113.7, 198.51.100.8")]).status == 200
    assert callout(auth, session).values("x-forwarded-for") == [b"198.51.100.8"]


def test_set_cookie_and_other_headers_of_the_auth_service_do_not_reach_the_backend(auth, client, target):
    token = tokens.mint()
    session = auth.sign_in(answers.token(token, ("x-internal", "of-the-auth-service"), ("set-cookie", "other=1")))
    answer = client.get(target(), cookie=session.cookie)
    assert answer.upstream.values("authorization") == [f"Bearer {token}"]
    assert "of-the-auth-service" not in str(answer.upstream.headers)
    assert "other=1" not in str(answer.headers)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param("value with space", id="space"),
        pytest.param('with"quote', id="quote"),
        pytest.param("with,comma", id="comma"),
        pytest.param("with\\backslash", id="backslash"),
        pytest.param("a" * 5000, id="too_long"),
    ],
)
def test_value_that_no_cookie_may_have_never_splits_the_callout(auth, backend, client, target, shape):
    path, calls = target(), auth.count()
    answer = client.raw(head(path, ("cookie", f"session={shape}".encode())))
    assert answer.status == 401
    assert backend.requests(path) == []
    assert auth.count() == calls
