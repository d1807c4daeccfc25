"""Where a block of YAML belongs: each becomes a listener of the shipped configuration, so that one Envoy can look at all of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import yaml

import stack
from harness.bootstrap import as_struct
from harness.documents import Block, document
from harness.envoy import Envoy
from harness.keys import SigningKey, key_set

SECTIONS = {"credentials", "exchange", "cache", "token", "routes", "csrf", "upstream", "unauthenticated", "report_only"}
"""The keys at the top of a plugin's configuration. test_keys.py holds them to the schema."""

PUBLIC_KEYS = json.dumps(key_set(SigningKey("ES256")))
"""What a reader puts in the place of these words."""


def content(block: Block):
    return yaml.safe_load(block.text)


def keys(block: Block) -> set[str]:
    """The keys at its top; none when it is no mapping."""
    written = content(block)
    return set(written) if isinstance(written, dict) else set()


def is_plugin(block: Block) -> bool:
    return bool(keys(block)) and keys(block) <= SECTIONS


def completed(block: Block) -> dict:
    """A whole configuration, as credentials and token make one.

    What a block lacks, it has from the whole one before it in its document, or else from the shipped one.
    """
    written = content(block)
    if {"credentials", "token"} <= set(written):
        return written
    others = [other for other in document(block.document).blocks if other.language == "yaml"]
    before = [other for other in others if other.line < block.line and is_plugin(other)]
    whole = [content(other) for other in before if {"credentials", "token"} <= keys(other)]
    return (whole[-1] if whole else stack.plugin(shipped())) | written


def shipped() -> dict:
    return yaml.safe_load(stack.ENVOY_YAML.read_text())


# Where the rest belongs


def manager(listener: dict) -> dict:
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


def place_plugin(listener: dict, block: Block) -> None:
    (config,) = (entry["typed_config"]["config"] for entry in manager(listener)["http_filters"] if entry["name"].endswith(".wasm"))
    configuration = completed(block)
    source = configuration["token"]["keys"]
    if source.get("local_jwks") == "PUBLIC_KEYS":
        source["local_jwks"] = PUBLIC_KEYS
    config |= {"name": str(block), "root_id": str(block), "configuration": as_struct(configuration)}


def place_principals(listener: dict, block: Block) -> None:
    policy = {"permissions": [{"any": True}], **content(block)}
    typed = {"@type": _type("filters.http.rbac.v3.RBAC"), "rules": {"action": "ALLOW", "policies": {"documented": policy}}}
    manager(listener)["http_filters"].insert(-1, {"name": "envoy.filters.http.rbac", "typed_config": typed})


def place_rate_limits(listener: dict, block: Block) -> None:
    bucket = {"max_tokens": 1, "fill_interval": "1s"}
    typed = {"@type": _type("filters.http.local_ratelimit.v3.LocalRateLimit"), "stat_prefix": "x", "token_bucket": bucket, **content(block)}
    manager(listener)["http_filters"].insert(-1, {"name": "envoy.filters.http.local_ratelimit", "typed_config": typed})


def place_access_log(listener: dict, block: Block) -> None:
    manager(listener).update(content(block))


def place_cors_policy(listener: dict, block: Block) -> None:
    (host,) = manager(listener)["route_config"]["virtual_hosts"]
    host["typed_per_filter_config"]["envoy.filters.http.cors"] = {"@type": _type("filters.http.cors.v3.CorsPolicy"), **content(block)}


def _type(name: str) -> str:
    return f"type.googleapis.com/envoy.extensions.{name}"


FRAGMENTS: dict[str, Callable[[dict, Block], None]] = {
    "principals": place_principals,
    "rate_limits": place_rate_limits,
    "access_log": place_access_log,
    "allow_origin_string_match": place_cors_policy,
}
"""Pieces of Envoy's configuration, by a key that they have at their top."""


def place(block: Block) -> Callable[[dict, Block], None] | None:
    """What puts the block where it belongs; none when it is not for Envoy."""
    if is_plugin(block):
        return place_plugin
    return next((put for key, put in FRAGMENTS.items() if key in keys(block)), None)


def listeners(blocks: list[Block]) -> list[dict]:
    """The shipped listener for each block, with the block in its place."""
    (original,) = shipped()["static_resources"]["listeners"]
    made = []
    for block in blocks:
        listener = copy.deepcopy(original)
        listener["name"] = str(block)
        listener["address"]["socket_address"]["port_value"] = 0
        place(block)(listener, block)
        made.append(listener)
    return made


def said(listeners: list[dict], folder: Path) -> tuple[bool, str]:
    """Whether Envoy takes them, and its log."""
    config = shipped()
    config["static_resources"]["listeners"] = listeners
    envoy = Envoy(config, folder, log_level="info")
    envoy.launch("--mode", "validate")
    return envoy.wait() == 0, envoy.log()
