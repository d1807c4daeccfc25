"""Proves that no configuration that cannot work is taken, at the start or later, and that the log says where and what to do."""

import json

import pytest

from harness.bootstrap import PLUGIN, bootstrap, plugin
from harness.envoy import Envoy
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


def route(**rule) -> dict:
    return plugin(routes=[{"match": {"prefix": "/"}, "auth": "required"} | rule])


def cookie(**changes) -> dict:
    return plugin(credentials=[{"session_cookie": changes}])


def also(credential: dict) -> dict:
    return plugin(credentials=[credential, *PLUGIN["credentials"]])


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
    "cache_of_no_time": (plugin(cache={"max_ttl": "0s"}), ["cache.max_ttl", "0", "1s"]),
    "cache_of_no_entries": (plugin(cache={"max_entries": 0}), ["cache.max_entries", "0", "1 to"]),
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
    "bearer_credential": (also({"bearer": {}}), ["credentials[0]", "bearer", "not supported"]),
    "token_cookie_credential": (also({"token_cookie": {"names": ["t"]}}), ["credentials[0]", "token_cookie", "not supported"]),
    "unknown_credential": (also({"api_key": {}}), ["credentials[0]", "api_key", "session_cookie"]),
    "csrf": (plugin(csrf={"trusted_origins": ["https://app.example.com"]}), ["csrf", "not supported"]),
    "report_only": (plugin(report_only=True), ["report_only", "not supported"]),
    "stale_if_error": (plugin(cache={"stale_if_error": "5m"}), ["cache.stale_if_error", "not supported"]),
    "jwks": (plugin(token={"keys": {"jwks": {"cluster": "auth_service"}}}), ["token.keys.jwks", "not supported"]),
    "claim_headers": (plugin(upstream={"claim_headers": {"x-user-id": "/sub"}}), ["upstream.claim_headers", "not supported"]),
    "claims_of_a_rule": (route(require={"claims": {"role": "admin"}}), ["routes[0].require", "not supported"]),
    "template": (route(match={"template": "/users/{id}"}), ["routes[0].match.template", "not supported"]),
    "algorithm_none": (plugin(token={"algorithms": ["none"]}), ["token.algorithms[0]", "none", "HS256"]),
    "algorithm_for_public_keys": (plugin(token={"algorithms": ["HS256", "RS256"]}), ["token.algorithms[1]", "RS256", "HS256"]),
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
    "session_cookie_listed_twice": (also({"session_cookie": {"names": ["b"]}}), ["credentials", "twice"]),
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


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_refused_with_its_place_and_a_remedy(updated, mistake):
    configuration, named = MISTAKES[mistake]
    complaints = updated.refuse(configuration)
    for words in named:
        assert words in complaints
    assert updated.envoy.client().get("/api/still-serving").status == 401


@pytest.mark.parametrize("mistake", TEXTS)
def test_text_that_is_no_configuration_is_refused(updated, mistake):
    text, named = TEXTS[mistake]
    complaints = updated.refuse(text)
    for words in named:
        assert words in complaints


def test_all_mistakes_are_named_at_once(updated):
    complaints = updated.refuse(plugin(exchange={"timeout": "0s", "path": "x"}, cache={"max_ttl": "0s"}))
    for path in ("exchange.timeout", "exchange.path", "cache.max_ttl"):
        assert path in complaints


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


@pytest.mark.parametrize("mistake", ["misspelt_key", "timeout_too_long", "unknown_auth_mode", "no_credentials", "csrf"])
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
