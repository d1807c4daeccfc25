"""What is measured: one Envoy configuration each, the shipped one with other filters in the place of session-bearer."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import load
from services import CHECK

import stack
from harness import tokens
from harness.bootstrap import AUTH_CLUSTER, AUTHORITY, EXCHANGE_PATH, as_struct, bootstrap, connection_manager, plugin
from harness.keys import SigningKey, key_set

FILTERS = "type.googleapis.com/envoy.extensions.filters.http"
NOOP_MODULE = "target/noop.wasm"
BEARER = [{"bearer": {}}]
ALL_OFF = [{"match": {"prefix": "/"}, "auth": "off"}]

# What somebody writes who wants the exchange without a filter of his own. It verifies nothing and remembers nothing.
LUA = f"""
function envoy_on_request(handle)
  local cookies = "; " .. (handle:headers():get("cookie") or "")
  local session = string.match(cookies, "; session=([^;]+)")
  if not session then
    handle:respond({{[":status"] = "401"}}, "")
    return
  end
  local answer, body = handle:httpCall("{AUTH_CLUSTER}", {{
    [":method"] = "GET", [":path"] = "{EXCHANGE_PATH}", [":authority"] = "{AUTHORITY}", ["cookie"] = "session=" .. session,
  }}, nil, 5000)
  local token = answer[":status"] == "200" and string.match(body, '"token"%s*:%s*"([^"]+)"')
  if not token then
    handle:respond({{[":status"] = "503"}}, "")
    return
  end
  handle:headers():replace("authorization", "Bearer " .. token)
end
"""

Config = dict
Filter = Callable[[Config], Config | None]


@dataclass(frozen=True)
class Contender:
    """A filter and what its client sends: a session, or a token that was minted with this algorithm."""

    title: str
    filter: Filter
    bearer: str | None = None
    refuses: bool = True
    family: str = "plain"

    def config(self, services_port: int, *, upstream: bool = False, workers: int = 1) -> Config:
        """The shipped configuration with this filter and one route, which Envoy answers itself unless there is an upstream."""
        config = bootstrap(services_port, services_port, plugin())
        manager = connection_manager(config)
        del manager["access_log"]
        manager["route_config"] = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [self._route(upstream)]}]}
        filters = stack.http_filters(config)
        (place,) = (number for number, entry in enumerate(filters) if entry["name"] == "envoy.filters.http.wasm")
        made = self.filter(filters[place])
        filters[place : place + 1] = [made] if made else []
        if workers > 1:
            config["static_resources"]["listeners"][0]["connection_balance_config"] = {"exact_balance": {}}
        return config

    def headers(self, minted: dict[str, str]) -> dict[str, str]:
        """What its client sends, with one of these tokens by algorithm."""
        return load.with_bearer(minted[self.bearer]) if self.bearer else load.with_cookie()

    def _route(self, upstream: bool) -> Config:
        match = {"prefix": "/"}
        if not upstream:
            return {"match": match, "direct_response": {"status": 200, "body": {"inline_string": '{"items":[]}'}}}
        route = {"match": match, "route": {"cluster": "backend"}}
        if not self.refuses:  # the backend has to be sent as much as by the others
            token = {"key": "authorization", "value": f"Bearer {tokens.mint()}"}
            route["request_headers_to_add"] = [{"header": token, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]
        return route


# The filters. Each is given the shipped entry of session-bearer.


def nothing(_shipped: Config) -> None:
    return None


def do_nothing(shipped: Config, *, listed: bool, calls: bool = False) -> Config:
    """The filter that does nothing, with the list of capabilities that session-bearer has, or with all of them; perhaps it
    makes the host calls of a hit all the same."""
    entry = copy.deepcopy(shipped)
    config = entry["typed_config"]["config"]
    config["vm_config"] |= {"vm_id": "noop", "code": {"local": {"filename": NOOP_MODULE}}}
    config["configuration"] = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "calls" if calls else ""}
    if not listed:
        del config["capability_restriction_config"]
    return entry


def session_bearer(shipped: Config, *, host: bool = True, **changes) -> Config:
    """The filter as it is shipped, with the changes to its configuration; perhaps without the host's cryptography."""
    entry = copy.deepcopy(shipped)
    config = entry["typed_config"]["config"]
    config["configuration"] = as_struct(plugin(**changes))
    if not host:
        del config["capability_restriction_config"]["allowed_capabilities"]["proxy_call_foreign_function"]
    return entry


def jwt_authn(_shipped: Config, *, keys: dict, cached: bool = False) -> Config:
    """Envoy's own filter for tokens."""
    provider = {"issuer": tokens.ISSUER, "audiences": [tokens.AUDIENCE], "forward": True}
    provider["local_jwks"] = {"inline_string": json.dumps(keys)}
    if cached:
        provider["jwt_cache_config"] = {"jwt_cache_size": 1000}
    rule = {"match": {"prefix": "/"}, "requires": {"provider_name": "auth"}}
    return _native("jwt_authn", "JwtAuthentication", providers={"auth": provider}, rules=[rule])


def lua(_shipped: Config) -> Config:
    return _native("lua", "Lua", default_source_code={"inline_string": LUA})


def ext_authz(_shipped: Config) -> Config:
    """Asks the auth service about every request, as oauth2-proxy and the like are asked."""
    uri = {"uri": f"http://{AUTHORITY}", "cluster": AUTH_CLUSTER, "timeout": "5s"}
    answer = {"allowed_upstream_headers": {"patterns": [{"exact": "authorization"}]}}
    service = {"server_uri": uri, "path_prefix": CHECK, "authorization_response": answer}
    allowed = {"patterns": [{"exact": "cookie"}]}
    return _native("ext_authz", "ExtAuthz", http_service=service, allowed_headers=allowed, transport_api_version="V3")


def _native(name: str, kind: str, **settings) -> Config:
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": f"{FILTERS}.{name}.v3.{kind}", **settings}}


# Keys and the contenders made with them


class Keys:
    """A key for each algorithm; HS256 has the secret of the tests."""

    def __init__(self, *public: str) -> None:
        self._keys = {algorithm: SigningKey(algorithm) for algorithm in public}

    def mint(self, algorithm: str, **claims) -> str:
        return tokens.mint(**claims) if algorithm == "HS256" else self._keys[algorithm].mint(**claims)

    def set_of(self, algorithm: str) -> dict:
        """As jwt_authn reads it."""
        if algorithm == "HS256":
            secret = base64.urlsafe_b64encode(tokens.SECRET.encode()).decode().rstrip("=")
            return {"keys": [{"kty": "oct", "alg": "HS256", "k": secret}]}
        return key_set(self._keys[algorithm])

    def section(self, algorithm: str) -> dict:
        """As `token` of session-bearer's configuration."""
        if algorithm == "HS256":
            return {}
        return {"token": {"keys": {"local_jwks": json.dumps(self.set_of(algorithm))}}}

    def bearer(self, algorithm: str, *, host: bool = True) -> Contender:
        changes = {"credentials": BEARER, **self.section(algorithm)}
        made = partial(session_bearer, host=host, **changes)
        return Contender(f"session-bearer, bearer {algorithm}", made, bearer=algorithm, family="ours")

    def jwt_authn(self, algorithm: str, *, cached: bool = False) -> Contender:
        title = f"jwt_authn {algorithm}" + (", with its cache" if cached else "")
        made = partial(jwt_authn, keys=self.set_of(algorithm), cached=cached)
        return Contender(title, made, bearer=algorithm, family="jwt")


PLAIN = Contender("plain Envoy", nothing, refuses=False, family="plain")
PLAIN_BEARER = Contender("plain Envoy, sent a bearer", nothing, bearer="HS256", refuses=False, family="plain")
NOOP = Contender("Wasm filter that does nothing", partial(do_nothing, listed=False), refuses=False, family="noop")
NOOP_LISTED = Contender("Wasm filter that does nothing, capability list", partial(do_nothing, listed=True), refuses=False, family="noop")
CALLS = Contender("Wasm filter that makes a hit's host calls", partial(do_nothing, listed=True, calls=True), refuses=False, family="noop")
HIT = Contender("session-bearer, session remembered", session_bearer, family="ours")
OFF = Contender("session-bearer, route that is off", partial(session_bearer, routes=ALL_OFF), refuses=False, family="ours")
LUA_EXCHANGE = Contender("Lua httpCall for each request", lua, family="callout")
EXT_AUTHZ = Contender("HTTP ext_authz for each request", ext_authz, family="callout")


def side_by_side(keys: Keys) -> dict[str, Contender]:
    """The contenders by the names that BENCH_ONLY takes."""
    return {
        "plain": PLAIN,
        "plain-bearer": PLAIN_BEARER,
        "noop": NOOP,
        "noop-listed": NOOP_LISTED,
        "calls": CALLS,
        "off": OFF,
        "hit": HIT,
        "bearer": dataclasses.replace(keys.bearer("HS256"), title="session-bearer, bearer remembered"),
        "jwt-hs256-cached": keys.jwt_authn("HS256", cached=True),
        "jwt-rs256-cached": keys.jwt_authn("RS256", cached=True),
        "jwt-hs256": keys.jwt_authn("HS256"),
        "jwt-rs256": keys.jwt_authn("RS256"),
        "jwt-es256": keys.jwt_authn("ES256"),
        "ext-authz": EXT_AUTHZ,
        "lua": LUA_EXCHANGE,
    }


def with_sessions(count: int, **changes) -> Contender:
    """session-bearer with room for so many sessions."""
    room = {"max_entries": 2 * count, "max_bytes": 1 << 30, "max_ttl": "1h", **changes}
    return Contender(f"session-bearer, {count:,} sessions", partial(session_bearer, cache=room), family="ours")
