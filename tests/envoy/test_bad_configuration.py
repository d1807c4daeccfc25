"""Proves that no configuration that cannot work is taken, at the start or later, and that the log says where and what to do."""

import json

import pytest

from harness.bootstrap import PLUGIN, bootstrap, plugin, remote_keys
from harness.envoy import Envoy
from harness.keys import SigningKey, key_set
from harness.origin import TRUSTED
from harness.updated import Updated


def without(section: str, key: str | None = None) -> dict:
    """The good configuration without a section, or without one of its keys."""
    changed = plugin()
    if key is None:
        del changed[section]
    else:
        del changed[section][key]
    return changed


def exchange(**changes) -> dict:
    return plugin(exchange=changes)


def cache(**changes) -> dict:
    return plugin(cache=changes)


def trusted(origin: str) -> dict:
    """One more trusted origin behind a good one."""
    return plugin(csrf={"trusted_origins": [TRUSTED, origin]})


def route(**rule) -> dict:
    return plugin(routes=[{"match": {"prefix": "/"}, "auth": "required"} | rule])


def cookie(**changes) -> dict:
    return plugin(credentials=[{"session_cookie": changes}])


def also(credential: dict) -> dict:
    return plugin(credentials=[credential, *PLUGIN["credentials"]])


def keys(**source) -> dict:
    return plugin(token={"keys": source})


JWKS = remote_keys()["jwks"]
KEY = SigningKey("ES256")


def jwks(**changes) -> dict:
    return keys(jwks=JWKS | changes)


def local_keys(*listed) -> dict:
    return keys(local_jwks=json.dumps(key_set(*listed)))


# What is configured, and what the log has to name: the field's path, what was written, what would work.
MISTAKES = {
    "misspelt_section": (plugin(exchnage={}), ["exchnage", "unknown", "exchange"]),
    "misspelt_key": (exchange(tmeout="2s"), ["exchange", "tmeout", "timeout"]),
    "misspelt_key_in_a_rule": (route(aut="off"), ["routes[0]", "aut", "auth"]),
    "misspelt_key_in_a_match": (route(match={"prefx": "/"}), ["routes[0].match", "prefx", "prefix"]),
    "text_for_a_number": (exchange(retries="one"), ["exchange.retries", "one"]),
    "number_for_a_text": (exchange(cluster=5), ["exchange.cluster", "5", "string"]),
    "text_for_a_list": (plugin(token={"audiences": "api-service"}), ["token.audiences", "api-service"]),
    "fraction_of_a_retry": (exchange(retries=1.5), ["exchange.retries", "1.5"]),
    "negative_retries": (exchange(retries=-1), ["exchange.retries", "-1"]),
    "too_many_retries": (exchange(retries=100), ["exchange.retries", "100", "0 to 5"]),
    "unknown_auth_mode": (route(auth="sometimes"), ["routes[0].auth", "sometimes", "optional"]),
    "auth_mode_on": (route(auth=True), ["routes[0].auth", "true", "required"]),
    "number_for_a_duration": (exchange(timeout=2), ["exchange.timeout", "2", "500ms"]),
    "duration_without_a_unit": (exchange(timeout="2"), ["exchange.timeout", '"2"', "500ms"]),
    "duration_in_words": (exchange(timeout="2 seconds"), ["exchange.timeout", "2 seconds", "500ms"]),
    "timeout_of_nothing": (exchange(timeout="0s"), ["exchange.timeout", "0", "30s"]),
    "timeout_too_long": (exchange(timeout="40s"), ["exchange.timeout", "40s", "30s"]),
    "cache_of_no_time": (cache(max_ttl="0s"), ["cache.max_ttl", "0", "1s"]),
    "cache_of_no_entries": (cache(max_entries=0), ["cache.max_entries", "0", "1 to"]),
    "number_for_negative_ttl": (cache(negative_ttl=5), ["cache.negative_ttl", "5", "500ms"]),
    "negative_ttl_without_a_unit": (cache(negative_ttl="5"), ["cache.negative_ttl", '"5"', "500ms"]),
    "negative_ttl_of_hours": (cache(negative_ttl="2h"), ["cache.negative_ttl", "out of range", "0s", "5m"]),
    "stale_if_error_of_days": (cache(stale_if_error="48h"), ["cache.stale_if_error", "out of range", "0s", "24h"]),
    "stale_if_error_turned_off_with_false": (cache(stale_if_error=False), ["cache.stale_if_error", "false", "500ms"]),
    "refresh_ahead_of_all_the_time": (cache(max_ttl="10s", refresh_ahead="10s"), ["cache.refresh_ahead", "10s", "max_ttl"]),
    "refresh_ahead_of_more_than_the_time": (cache(max_ttl="10s", refresh_ahead="15s"), ["cache.refresh_ahead", "15s", "max_ttl"]),
    "refresh_ahead_of_the_default_time": (cache(refresh_ahead="60s"), ["cache.refresh_ahead", "60s", "max_ttl"]),
    "negative_number_of_slots": (cache(shared_slots=-1), ["cache.shared_slots", "-1"]),
    "shared_slots_turned_off_with_false": (cache(shared_slots=False), ["cache.shared_slots", "false"]),
    "half_a_slot": (cache(shared_slots=4.5), ["cache.shared_slots", "4.5"]),
    "too_many_slots": (cache(shared_slots=10**9), ["cache.shared_slots", "1000000000"]),
    "one_sign_out_path_as_text": (cache(sign_out_paths="/sign-out"), ["cache.sign_out_paths", "/sign-out"]),
    "sign_out_path_without_a_slash": (cache(sign_out_paths=["/a", "sign-out"]), ["cache.sign_out_paths[1]", "sign-out", "/"]),
    "sign_out_path_that_never_matches": (cache(sign_out_paths=["/a/../b"]), ["cache.sign_out_paths[0]", "/a/../b", "never"]),
    "misspelt_key_of_the_cache": (cache(refresh_ahed="1s"), ["cache", "refresh_ahed", "refresh_ahead"]),
    "relay_in_words": (exchange(relay_set_cookie="yes"), ["exchange.relay_set_cookie", "yes"]),
    "stream_age_that_is_a_time": (plugin(upstream={"max_stream_age": "1h"}), ["upstream.max_stream_age", "1h", "token"]),
    "no_exchange": (without("exchange"), ["exchange", "missing"]),
    "no_cluster": (without("exchange", "cluster"), ["exchange", "missing", "cluster"]),
    "no_path": (without("exchange", "path"), ["exchange", "missing", "path"]),
    "no_credentials": (without("credentials"), ["credentials", "session_cookie"]),
    "no_token": (without("token"), ["token", "missing"]),
    "no_keys": (plugin(token={"keys": {}}), ["token.keys", "secret_env"]),
    "variable_not_set": (
        plugin(token={"keys": {"secret_env": "NO_SUCH_VARIABLE"}}),
        ["token.keys.secret_env", "NO_SUCH_VARIABLE", "host_env_keys"],
    ),
    "unknown_credential": (also({"api_key": {}}), ["credentials[0]", "api_key", "session_cookie"]),
    "origin_without_a_scheme": (trusted("app.example.com"), ["csrf.trusted_origins[1]", '"app.example.com"', "scheme", "https://"]),
    "origin_with_a_port_for_a_scheme": (trusted("localhost:3000"), ["csrf.trusted_origins[1]", '"localhost:3000"', "scheme"]),
    "origin_with_a_path": (trusted("https://app.example.com/app"), ["csrf.trusted_origins[1]", "https://app.example.com/app", "path"]),
    "origin_with_a_slash": (trusted("https://app.example.com/"), ["csrf.trusted_origins[1]", '"https://app.example.com/"', "slash"]),
    "origin_with_a_query": (trusted("https://app.example.com?x=1"), ["csrf.trusted_origins[1]", "https://app.example.com?x=1"]),
    "origin_with_a_wildcard": (trusted("https://*.example.com"), ["csrf.trusted_origins[1]", '"https://*.example.com"', "wildcard"]),
    "every_origin": (trusted("*"), ["csrf.trusted_origins[1]", '"*"']),
    "origin_with_user_information": (
        trusted("https://user@app.example.com"),
        ["csrf.trusted_origins[1]", '"https://user@app.example.com"', "user information"],
    ),
    "opaque_origin": (trusted("null"), ["csrf.trusted_origins[1]", '"null"']),
    "origin_with_a_space": (trusted("https://app.example.com "), ["csrf.trusted_origins[1]", '"https://app.example.com "']),
    "two_origins_in_one": (trusted("https://a.example https://b.example"), ["csrf.trusted_origins[1]", "a.example https"]),
    "two_origins_with_a_comma": (trusted("https://a.example,https://b.example"), ["csrf.trusted_origins[1]", "https://a.example,"]),
    "origin_that_is_not_ascii": (trusted("https://bücher.example"), ["csrf.trusted_origins[1]", "punycode"]),
    "empty_origin": (trusted(""), ["csrf.trusted_origins[1]", '""']),
    "origin_without_a_host": (trusted("https://"), ["csrf.trusted_origins[1]", '"https://"', "host"]),
    "origin_with_a_port_that_is_none": (trusted("https://app.example.com:port"), ["csrf.trusted_origins[1]", ":port", "port"]),
    "origin_with_a_port_beyond_all": (trusted("https://app.example.com:65536"), ["csrf.trusted_origins[1]", ":65536", "port"]),
    "one_origin_as_text": (plugin(csrf={"trusted_origins": TRUSTED}), ["csrf.trusted_origins", TRUSTED]),
    "origins_of_no_list": (plugin(csrf={"trusted_origins": None}), ["csrf.trusted_origins", "null"]),
    "missing_origin_in_words": (
        plugin(csrf={"insecure_allow_missing_origin": "yes"}),
        ["csrf.insecure_allow_missing_origin", "yes"],
    ),
    "check_turned_off_with_a_number": (plugin(csrf={"insecure_disable": 1}), ["csrf.insecure_disable", "1"]),
    "check_turned_off_by_a_gentler_name": (plugin(csrf={"disable": True}), ["csrf", "disable", "insecure_disable"]),
    "misspelt_key_of_csrf": (plugin(csrf={"trusted_origin": [TRUSTED]}), ["csrf", "trusted_origin", "trusted_origins"]),
    "report_only_as_text": (plugin(report_only="yes"), ["report_only", "a boolean"]),
    "claim_without_a_pointer": (plugin(upstream={"claim_headers": {"x-user-id": "sub"}}), ["upstream.claim_headers.x-user-id", "/sub"]),
    "claim_as_a_cookie": (plugin(upstream={"claim_headers": {"cookie": "/sub"}}), ["upstream.claim_headers.cookie", "leave it out"]),
    "every_header_removed": (plugin(upstream={"remove_headers": ["*"]}), ["upstream.remove_headers[0]", "prefix"]),
    "sign_in_elsewhere": (plugin(unauthenticated={"sign_in": {"location": "//evil"}}), ["unauthenticated.sign_in.location", "/signin"]),
    "template_with_half_a_name": (route(match={"template": "/users/{id"}), ["routes[0].match.template", "/users/{id}/posts"]),
    "host_with_a_port": (route(match={"path": "/", "hosts": ["a.example:443"]}), ["routes[0].match.hosts[0]", "without port"]),
    "algorithm_none": (plugin(token={"algorithms": ["none"]}), ["token.algorithms[0]", "none", "HS256"]),
    "algorithm_for_public_keys": (plugin(token={"algorithms": ["HS256", "RS256"]}), ["token.algorithms[1]", "RS256", "jwks"]),
    "exchange_path_without_a_slash": (exchange(path="api/auth/jwt"), ["exchange.path", "api/auth/jwt", '"/api/auth/jwt"']),
    "exchange_path_with_a_space": (exchange(path="/api auth"), ["exchange.path", "/api auth"]),
    "authority_with_a_scheme": (exchange(authority="https://auth.internal/"), ["exchange.authority", "https://auth.internal/", "host"]),
    "method_of_the_exchange": (exchange(method="PUT"), ["exchange.method", "PUT", "GET"]),
    "pointer_without_a_slash": (exchange(token={"json_pointer": "token"}), ["exchange.token.json_pointer", "token", "/token"]),
    "token_from_two_places": (
        exchange(token={"json_pointer": "/token", "header": "set-auth-jwt"}),
        ["exchange.token", "json_pointer", "header"],
    ),
    "success_as_no_session": (exchange(no_session_statuses=[200, 401]), ["exchange.no_session_statuses", "200"]),
    "forwarded_cookie": (exchange(forward_headers=["cookie"]), ["exchange.forward_headers[0]", "cookie"]),
    "forwarded_authorization": (
        exchange(forward_headers=["user-agent", "authorization"]),
        ["exchange.forward_headers[1]", "authorization"],
    ),
    "rule_path_without_a_slash": (route(match={"prefix": "api"}), ["routes[0].match.prefix", "api", "/"]),
    "rule_path_that_never_matches": (route(match={"path": "/a/../b"}), ["routes[0].match.path", "/a/../b", "never"]),
    "rule_without_a_path": (route(match={"methods": ["GET"]}), ["routes[0].match", "path", "prefix"]),
    "rule_with_two_paths": (route(match={"path": "/a", "prefix": "/b"}), ["routes[0].match", "path", "prefix"]),
    "rule_method_in_lower_case": (route(match={"prefix": "/", "methods": ["get"]}), ["routes[0].match.methods[0]", "get", "upper case"]),
    "rule_that_passes_authorization": (route(pass_authorization=True), ["routes[0].pass_authorization", "off"]),
    "cookie_listed_twice": (cookie(names=["a", "b", "a"]), ["credentials[0].session_cookie.names[2]", '"a"', "once"]),
    "cookie_that_is_its_own_companion": (cookie(names=["a"], companions=["a"]), ["credentials[0].session_cookie.companions[0]", '"a"']),
    "cookie_without_a_name": (cookie(names=[""]), ["credentials[0].session_cookie.names[0]", '""']),
    "no_cookie_names": (cookie(names=[]), ["credentials[0].session_cookie.names", "empty"]),
    "session_cookie_listed_twice": (also({"session_cookie": {"names": ["b"]}}), ["credentials[1].session_cookie", "listed before"]),
    "bearer_listed_twice": (plugin(credentials=[{"bearer": {}}, {"bearer": {}}]), ["credentials[1].bearer", "listed before"]),
    "bearer_with_a_key": (also({"bearer": {"header": "x-token"}}), ["credentials[0].bearer", "header"]),
    "token_cookie_without_names": (also({"token_cookie": {}}), ["credentials[0].token_cookie", "missing", "names"]),
    "token_cookie_with_no_name": (also({"token_cookie": {"names": []}}), ["credentials[0].token_cookie.names", "empty"]),
    "token_cookie_with_a_bad_name": (also({"token_cookie": {"names": ["a b"]}}), ["credentials[0].token_cookie.names[0]", '"a b"']),
    "token_cookie_that_is_a_session_cookie": (also({"token_cookie": {"names": ["session"]}}), ['"session"', "listed before", "once"]),
    "token_cookie_that_is_a_companion": (also({"token_cookie": {"names": ["dont_remember"]}}), ['"dont_remember"', "listed before"]),
    "keys_from_two_places": (keys(secret_env="JWT_SECRET", local_jwks="{}"), ["token.keys", "secret_env", "jwks", "keep one"]),
    "misspelt_key_source": (keys(jwks_uri="https://auth.internal/jwks"), ["token.keys", "jwks_uri", "jwks"]),
    "jwks_without_a_cluster": (keys(jwks={"authority": "a", "path": "/jwks"}), ["token.keys.jwks", "missing", "cluster"]),
    "jwks_cluster_without_a_name": (jwks(cluster=" "), ["token.keys.jwks.cluster", "empty", "cluster"]),
    "jwks_authority_with_a_scheme": (jwks(authority="https://a.internal"), ["token.keys.jwks.authority", "https://a.internal", "host"]),
    "jwks_path_that_is_a_url": (
        jwks(path="https://a.internal/jwks"),
        ["token.keys.jwks.path", "https://a.internal/jwks", '"/api/auth/jwks"'],
    ),
    "jwks_timeout_of_nothing": (jwks(timeout="0s"), ["token.keys.jwks.timeout", "0", "30s"]),
    "jwks_timeout_too_long": (jwks(timeout="31s"), ["token.keys.jwks.timeout", "31s", "30s"]),
    "jwks_refreshed_too_often": (jwks(refresh="500ms"), ["token.keys.jwks.refresh", "500ms", "1s"]),
    "jwks_never_refreshed": (jwks(refresh="0s"), ["token.keys.jwks.refresh", "0", "1s"]),
    "misspelt_key_of_jwks": (jwks(uri="/jwks"), ["token.keys.jwks", "uri", "path"]),
    "secret_algorithm_with_a_jwks": (
        plugin(token={"algorithms": ["ES256", "HS256"], "keys": {"jwks": JWKS}}),
        ["token.algorithms[1]", "HS256", "secret_env"],
    ),
    "secret_algorithm_with_a_local_jwks": (
        plugin(token={"algorithms": ["HS512"], "keys": {"local_jwks": json.dumps(key_set(KEY))}}),
        ["token.algorithms[0]", "HS512", "secret_env"],
    ),
    "algorithm_that_is_not_supported": (
        plugin(token={"algorithms": ["ES512"], "keys": {"jwks": JWKS}}),
        ["token.algorithms[0]", '"ES512"', "ES384", "EdDSA"],
    ),
    "no_algorithms": (plugin(token={"algorithms": []}), ["token.algorithms", "empty"]),
    "secret_too_short_for_its_algorithm": (
        plugin(token={"algorithms": ["HS256", "HS512"]}),
        ["token.keys.secret_env", "64 bytes", "HS512"],
    ),
    "local_jwks_that_is_no_json": (keys(local_jwks="-----BEGIN PUBLIC KEY-----"), ["token.keys.local_jwks", "not a JWK set", '"keys"']),
    "local_jwks_that_is_an_object": (keys(local_jwks=key_set(KEY)), ["token.keys.local_jwks", "string"]),
    "local_jwks_that_is_one_key": (keys(local_jwks=json.dumps(KEY.jwk())), ["token.keys.local_jwks", "not a JWK set", '"keys"']),
    "local_jwks_without_keys": (local_keys(), ["token.keys.local_jwks", "no usable key"]),
    "local_jwks_with_a_secret": (local_keys({"kty": "oct", "k": "A" * 64, "kid": "s"}), ["token.keys.local_jwks", "no usable key"]),
    "local_jwks_with_a_useless_key": (local_keys(KEY, {"kty": "EC", "kid": "x"}), ["token.keys.local_jwks", "cannot be used"]),
    "local_jwks_with_a_short_key": (local_keys(SigningKey("RS256").jwk(n="A" * 171 + "B")), ["token.keys.local_jwks", "2048 bits"]),
    "local_jwks_with_a_kid_twice": (
        local_keys(KEY, SigningKey("ES256", kid="another"), SigningKey("ES256", kid=KEY.kid)),
        ["token.keys.local_jwks", "same kid"],
    ),
    "lifetime_of_nothing": (plugin(token={"max_lifetime": "0s"}), ["token.max_lifetime", "0", "1s"]),
    "lifetime_that_is_a_number": (plugin(token={"max_lifetime": 900}), ["token.max_lifetime", "900", "500ms"]),
    "requirement_of_an_off_route": (route(auth="off", require={"scopes": ["a"]}), ["routes[0].require", "off", "required"]),
    "requirement_of_nothing": (route(require={}), ["routes[0].require", "empty"]),
    "misspelt_requirement": (route(require={"scope": ["a"]}), ["routes[0].require", "scope", "scopes"]),
    "requirement_of_null": (route(require={"claims": {"role": None}}), ["routes[0].require.claims.role", "null"]),
    "two_scopes_in_one": (route(require={"scopes": ["read", "a b"]}), ["routes[0].require.scopes[1]", '"a b"', "by itself"]),
    "empty_scope": (route(require={"scopes": [""]}), ["routes[0].require.scopes[0]", '""']),
    "scopes_as_text": (route(require={"scopes": "read"}), ["routes[0].require.scopes", "read"]),
    "claims_as_a_list": (route(require={"claims": ["role"]}), ["routes[0].require.claims"]),
}

TEXTS = {
    "no_json": ("credentials: []", ["not JSON"]),
    "cut_json": (json.dumps(PLUGIN)[:-1], ["not JSON"]),
    "list": ("[]", ["session_bearer"]),
    "empty": ("", ["no configuration"]),
    "repeated_key": (json.dumps(PLUGIN)[:-1] + ', "routes": []}', ["routes"]),
}


@pytest.fixture(scope="module")
def updated(auth, backend, tmp_path_factory):
    """An Envoy with a good configuration that is offered bad ones."""
    with Updated(auth.port, backend.port, tmp_path_factory.mktemp("updated")) as envoy:
        yield envoy
        assert envoy.envoy.traps() == []


def assert_refused(updated, configuration, *named):
    complaints = updated.refuse(configuration)
    for words in named:
        assert words in complaints


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_refused_with_its_place_and_a_remedy(updated, mistake):
    configuration, named = MISTAKES[mistake]
    assert_refused(updated, configuration, *named)
    assert updated.envoy.client().get("/api/still-serving").status == 401


@pytest.mark.parametrize("mistake", TEXTS)
def test_text_that_is_no_configuration_is_refused(updated, mistake):
    text, named = TEXTS[mistake]
    assert_refused(updated, text, *named)


def test_all_mistakes_are_named_at_once(updated):
    mistakes = plugin(exchange={"timeout": "0s", "path": "x"}, cache={"max_ttl": "0s"})
    assert_refused(updated, mistakes, "exchange.timeout", "exchange.path", "cache.max_ttl")


@pytest.mark.parametrize("value", ["planted-key\r\nx-admin: 1", "planted-key\x00"], ids=["line_break", "nul"])
def test_bad_value_of_a_static_header_is_refused_and_not_shown(updated, value):
    complaints = updated.refuse(exchange(headers={"x-api-key": value}))
    assert "exchange.headers.x-api-key" in complaints
    assert "planted" not in complaints


@pytest.fixture
def start_refused(auth, backend, tmp_path):
    """Starts an Envoy that has to end by itself, and gives what its log says about it."""

    def start(configuration, *arguments, **options) -> str:
        envoy = Envoy(bootstrap(auth.port, backend.port, configuration), tmp_path, **options)
        envoy.launch(*arguments)
        try:
            assert envoy.wait() != 0
        finally:
            envoy.stop()
        return envoy.complaints()

    return start


STOPPING = ["misspelt_key", "timeout_too_long", "unknown_auth_mode", "no_credentials", "report_only_as_text", "origin_with_a_wildcard"]


@pytest.mark.parametrize("mistake", STOPPING)
def test_envoy_does_not_start_with_a_mistake(start_refused, mistake):
    configuration, named = MISTAKES[mistake]
    complaints = start_refused(configuration)
    for words in named:
        assert words in complaints


def test_envoy_does_not_start_with_a_short_secret_and_does_not_show_it(start_refused):
    complaints = start_refused(PLUGIN, secret="planted-short-secret")
    assert "token.keys.secret_env" in complaints and "32 bytes" in complaints
    assert "planted" not in complaints


def test_envoy_does_not_start_without_the_secret(start_refused):
    complaints = start_refused(PLUGIN, secret=None)
    assert "token.keys.secret_env" in complaints and "JWT_SECRET" in complaints and "host_env_keys" in complaints


def test_validation_mode_finds_a_mistake_too(start_refused):
    assert "exchange.timeout" in start_refused(exchange(timeout="40s"), "--mode", "validate")
