"""Proves that access logs, RBAC and rate limits can go by what the filter decided, where no client can write."""

import json

import pytest
import stack

from harness import answers, tokens
from harness.bootstrap import PLUGIN, bootstrap, connection_manager, plugin, wasm_plugin
from harness.envoy import Envoy
from harness.eventually import eventually
from harness.origin import OWN_PAGE

TOLD = {name: f"%FILTER_STATE(wasm.session_bearer.{name}:PLAIN)%" for name in ("outcome", "credential", "subject")}


def access_log(path: str) -> dict:
    config = {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": path,
        "log_format": {"json_format": {"path": "%REQ(:PATH)%", "status": "%RESPONSE_CODE%", **TOLD}},
    }
    return {"name": "envoy.access_loggers.file", "typed_config": config}


def rbac() -> dict:
    """Lets pass what the filter let through anonymously, and everybody but one."""
    mallory = {"filter_state": {"key": "wasm.session_bearer.subject", "string_match": {"exact": "mallory"}}}
    policy = {"permissions": [{"any": True}], "principals": [mallory]}
    config = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        "rules": {"action": "DENY", "policies": {"mallory": policy}},
    }
    return {"name": "envoy.filters.http.rbac", "typed_config": config}


def rate_limit() -> dict:
    """Two requests for each subject, and no more."""
    descriptor = {
        "@type": "type.googleapis.com/envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor",
        "descriptor_key": "user",
        "text": 'filter_state["wasm.session_bearer.subject"]',
        "skip_if_error": True,
    }
    bucket = {"max_tokens": 2, "tokens_per_fill": 2, "fill_interval": "3600s"}
    full = {"numerator": 100, "denominator": "HUNDRED"}
    config = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "users",
        "filter_enabled": {"default_value": full},
        "filter_enforced": {"default_value": full},
        "token_bucket": {"max_tokens": 100_000, "fill_interval": "1s"},
        "descriptors": [{"entries": [{"key": "user", "value": "busy"}], "token_bucket": bucket}],
        "rate_limits": [{"actions": [{"extension": {"name": "envoy.rate_limit_descriptors.expr", "typed_config": descriptor}}]}],
    }
    return {"name": "envoy.filters.http.local_ratelimit", "typed_config": config}


@pytest.fixture(scope="module")
def told(start_envoy, tmp_path_factory):
    """An Envoy whose access log and whose next filters go by the filter state, and the path of that log."""
    path = tmp_path_factory.mktemp("filter-state") / "access.log"

    def edit(config):
        connection_manager(config)["access_log"] = [access_log(str(path))]
        stack.http_filters(config)[-1:-1] = [rbac(), rate_limit()]

    every_kind = [{"bearer": {}}, {"session_cookie": {"names": ["session"]}}, {"token_cookie": {"names": ["jwt"]}}]
    return start_envoy(plugin(credentials=every_kind), edit=edit), path


@pytest.fixture(scope="module")
def logged(told):
    """What the access log says of a request."""

    def entry(target: str) -> dict:
        def found():
            entries = map(json.loads, told[1].read_text().splitlines() if told[1].exists() else [])
            return [entry for entry in entries if entry["path"] == target]

        (entry,) = eventually(found, what=f"the access log of {target}")
        return {name: entry[name] for name in ("status", *TOLD)}

    return entry


def test_access_log_tells_outcome_credential_and_subject_of_every_request(auth, told, logged, target):
    client = told[0].client()
    session, bearer = auth.sign_in(answers.token(tokens.mint(sub="ada"))), tokens.mint(sub="bob")
    down = auth.sign_in(answers.status(404))
    for request, status, outcome, credential, subject in [
        ({"path": target(), "cookie": session.cookie}, 200, "allowed_miss", "session_cookie", "ada"),
        ({"path": target(), "cookie": session.cookie}, 200, ("allowed_hit", "allowed_shared"), "session_cookie", "ada"),
        ({"path": target(), "authorization": f"Bearer {bearer}"}, 200, "allowed_verified", "bearer", "bob"),
        ({"path": target(), "authorization": "Bearer a.b.c"}, 401, "denied_invalid_token", "bearer", None),
        ({"path": target(), "cookie": f"jwt={bearer}"}, 200, ("allowed_hit", "allowed_verified"), "token_cookie", "bob"),
        ({"path": target(), "cookie": "session=unknown"}, 401, "denied_session_refused", "session_cookie", None),
        ({"path": target(), "cookie": down.cookie}, 503, "denied_exchange_failed", "session_cookie", None),
        ({"path": target(), "cookie": session.cookie, "method": "POST"}, 403, "denied_cross_origin", "session_cookie", None),
        ({"path": target()}, 401, "denied_no_credential", "none", None),
        ({"path": target("/optional")}, 200, "allowed_anonymous", "none", None),
        ({"path": target("/off"), "cookie": session.cookie}, 200, "allowed_off", "none", None),
    ]:
        path = request.pop("path")
        assert client.request(request.pop("method", "GET"), path, **request).status == status
        entry = logged(path)
        assert entry.pop("outcome") in (outcome if isinstance(outcome, tuple) else (outcome,)), path
        assert entry == {"status": status, "credential": credential, "subject": subject}, path


def test_line_break_in_a_subject_is_no_line_break_in_the_log(auth, told, logged, target):
    session, path = auth.sign_in(answers.token(tokens.mint(sub='ada"\n{"path": "forged"}'))), target()
    told[0].client().get(path, cookie=session.cookie)
    assert logged(path)["subject"] == 'ada"%0A{"path": "forged"}'


def test_rbac_after_the_filter_goes_by_the_subject(auth, backend, told, target):
    client, path = told[0].client(), target()
    mallory, ada = (auth.sign_in(answers.token(tokens.mint(sub=name))) for name in ("mallory", "ada"))
    for _exchanged_then_known in range(2):
        assert client.get(path, cookie=mallory.cookie).status == 403
        assert client.get(target(), cookie=ada.cookie).status == 200
    assert backend.requests(path) == []


def test_rate_limit_after_the_filter_counts_each_subject_by_itself(auth, told, target):
    client = told[0].client()
    busy, other = (auth.sign_in(answers.token(tokens.mint(sub=name))) for name in ("busy", "other"))
    assert [client.get(target(), cookie=busy.cookie).status for _ in range(4)] == [200, 200, 429, 429]
    assert [client.get(target(), cookie=other.cookie).status for _ in range(4)] == [200] * 4
    assert client.request("POST", target("/optional"), headers=[OWN_PAGE]).status == 200


def test_capability_that_is_missing_is_named_and_nobody_is_let_in(auth, backend, target, tmp_path):
    config, path = bootstrap(auth.port, backend.port, PLUGIN), target("/off")
    del wasm_plugin(config)["capability_restriction_config"]["allowed_capabilities"]["proxy_set_property"]
    with Envoy(config, tmp_path) as envoy:
        assert envoy.client().get(path).status == 503
        assert "restricted proxy-wasm capability: proxy_set_property" in envoy.complaints()
    assert backend.requests(path) == []
