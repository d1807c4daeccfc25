"""What the proxies ask and stand before: an auth service and a backend, both in one more Envoy, which is faster than
any of the proxies that are measured and runs on the load generator's core."""

from __future__ import annotations

import json
import time
from pathlib import Path

from proxy import LOADING, Proxy

from harness import tokens
from harness.bootstrap import EXCHANGE_PATH

CHECK = "/check"

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def services(folder: Path, token: str) -> Proxy:
    """Answers the exchange of any session with this token, and the check of ext_authz with it in a header.

    As the backend it answers only what arrives with a token, so that a filter that has done nothing is found out.
    """
    session = {"name": "cookie", "string_match": {"safe_regex": {"regex": r".*\bsession=.*"}}}
    bearer = {"name": "authorization", "string_match": {"prefix": "Bearer "}}
    routes = [
        _answer({"path": EXCHANGE_PATH, "headers": [session]}, 200, {"token": token}),
        _answer({"path": EXCHANGE_PATH}, 401, {"message": "no session"}),
        _answer({"prefix": CHECK, "headers": [session]}, 200, {}, {"authorization": f"Bearer {token}"}),
        _answer({"prefix": CHECK}, 401, {"message": "no session"}),
        _answer({"prefix": "/", "headers": [bearer]}, 200, {"items": []}),
        _answer({"prefix": "/"}, 401, {"message": "no token"}),
    ]
    manager = {
        "@type": HCM,
        "stat_prefix": "services",
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    }
    anywhere = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    listener = {
        "name": "services",
        "address": anywhere,
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }
    config = {"admin": {"address": anywhere}, "static_resources": {"listeners": [listener]}}
    return Proxy(config, folder, cores=LOADING)


def long_lived(**claims) -> str:
    """A token like that of the tests, which outlives the benchmark."""
    return tokens.mint(exp=int(time.time()) + 24 * 3600, **claims)


def _answer(match: dict, status: int, body: dict, headers: dict[str, str] | None = None) -> dict:
    named = {"content-type": "application/json", **(headers or {})}
    added = [{"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"} for name, value in named.items()]
    answer = {"status": status, "body": {"inline_string": json.dumps(body)}}
    return {"match": match, "direct_response": answer, "response_headers_to_add": added}
