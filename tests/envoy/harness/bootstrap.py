"""The project's envoy.yaml, changed for a test: free ports, the scripted services, another plugin configuration."""

from __future__ import annotations

import copy
import json

import stack

from . import origin, tokens

STRUCT = "type.googleapis.com/google.protobuf.Struct"
STRING = "type.googleapis.com/google.protobuf.StringValue"
AUTH_CLUSTER = "auth_service"
AUTHORITY = "auth.internal"
EXCHANGE_PATH = "/api/auth/jwt"
KEYS_CLUSTER = "keys"
KEYS_AUTHORITY = "keys.internal"
KEYS_PATH = "/jwks.json"

PLUGIN = {
    "credentials": [{"session_cookie": {"names": ["__Host-session", "session"], "companions": ["dont_remember"]}}],
    "exchange": {"cluster": AUTH_CLUSTER, "authority": AUTHORITY, "path": EXCHANGE_PATH, "timeout": "5s"},
    "token": {"issuer": tokens.ISSUER, "audiences": [tokens.AUDIENCE], "keys": {"secret_env": "JWT_SECRET"}},
    "routes": [
        {"match": {"prefix": "/off"}, "auth": "off"},
        {"match": {"prefix": "/off-own"}, "auth": "off", "pass_authorization": True},
        {"match": {"prefix": "/optional"}, "auth": "optional"},
        {"match": {"path": "/read-only", "methods": ["GET"]}, "auth": "optional"},
        {"match": {"prefix": "/"}, "auth": "required"},
    ],
    "csrf": {"trusted_origins": [origin.TRUSTED]},
}


def plugin(**changes) -> dict:
    """The plugin configuration of these tests with some sections changed key by key."""
    result = copy.deepcopy(PLUGIN)
    for section, value in changes.items():
        if isinstance(value, dict):
            result.setdefault(section, {}).update(value)
        else:
            result[section] = value
    return result


def bootstrap(auth_port: int, backend_port: int, configuration: dict) -> dict:
    """The shipped configuration before the scripted services, listening where it likes, with this plugin configuration."""
    config = stack.envoy_config(stack.Ports(envoy=0, admin=0, auth=auth_port, backend=backend_port))
    wasm_plugin(config)["configuration"] = as_struct(configuration)
    return config


def remote_keys(**changes) -> dict:
    """The `token.keys` of a key set that is fetched."""
    return {"jwks": {"cluster": KEYS_CLUSTER, "authority": KEYS_AUTHORITY, "path": KEYS_PATH, "timeout": "5s", **changes}}


def add_cluster(config: dict, name: str, port: int) -> None:
    """One more cluster, like that of the auth service."""
    added = copy.deepcopy(auth_cluster(config))
    added["name"] = added["load_assignment"]["cluster_name"] = name
    config["static_resources"]["clusters"].append(added)
    point_cluster(config, name, port)


def point_cluster(config: dict, name: str, port: int) -> None:
    """Lets a cluster consist of one local port."""
    (endpoint,) = cluster(config, name)["load_assignment"]["endpoints"][0]["lb_endpoints"]
    endpoint["endpoint"]["address"]["socket_address"]["port_value"] = port


def as_struct(configuration: dict) -> dict:
    return {"@type": STRUCT, "value": configuration}


def as_string(configuration) -> dict:
    return {"@type": STRING, "value": configuration if isinstance(configuration, str) else json.dumps(configuration)}


def wasm_plugin(config: dict) -> dict:
    """The PluginConfig of the filter."""
    (found,) = (entry["typed_config"]["config"] for entry in stack.http_filters(config) if entry["name"] == "envoy.filters.http.wasm")
    return found


def connection_manager(config: dict) -> dict:
    """The HTTP connection manager of the only listener."""
    return config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def auth_cluster(config: dict) -> dict:
    """The cluster of the auth service."""
    return cluster(config, AUTH_CLUSTER)


def cluster(config: dict, name: str) -> dict:
    (found,) = (cluster for cluster in config["static_resources"]["clusters"] if cluster["name"] == name)
    return found
