"""The manifests below envoy/ and the plugin configurations in them."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

import stack

ENVOY = stack.DEMO.parent
FOLDERS = (ENVOY / "istio", ENVOY / "gateway")
WASM = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"


def files() -> list[Path]:
    """All files with resources of Kubernetes. Values for Helm are none."""
    return sorted(path for folder in FOLDERS for path in folder.glob("*.yaml") if not path.name.endswith("-values.yaml"))


def resources(path: Path) -> list[dict]:
    return list(yaml.safe_load_all(path.read_text()))


def resource(kind: str, file: str) -> dict:
    """The only resource of a kind in a file, named from envoy/."""
    (found,) = (entry for entry in resources(ENVOY / file) if entry["kind"] == kind)
    return found


def wasm_plugin() -> dict:
    return resource("WasmPlugin", "istio/session-bearer.yaml")["spec"]


def extension_policy() -> dict:
    """The filter in Envoy Gateway's policy."""
    (wasm,) = resource("EnvoyExtensionPolicy", "gateway/session-bearer.yaml")["spec"]["wasm"]
    return wasm


def envoy_filter(patched: str) -> dict:
    """The value that the EnvoyFilter puts in place of HTTP_FILTER or EXTENSION_CONFIG."""
    patches = resource("EnvoyFilter", "istio/envoy-filter.yaml")["spec"]["configPatches"]
    (value,) = (entry["patch"]["value"] for entry in patches if entry["applyTo"] == patched)
    return value


# The way from a manifest to the PluginConfig that Envoy gets.


def from_wasm_plugin() -> dict:
    """As Istio's control plane makes it: the configuration as JSON text, no vm_id, no list of capabilities."""
    spec = wasm_plugin()
    policies = {"FAIL_CLOSE": "FAIL_CLOSED", "FAIL_OPEN": "FAIL_OPEN", "FAIL_RELOAD": "FAIL_RELOAD"}
    keys = [entry["name"] for entry in spec["vmConfig"]["env"] if entry.get("valueFrom") == "HOST"]
    return _plugin_config("istio-ingress.session-bearer", spec["pluginConfig"], keys) | {"failure_policy": policies[spec["failStrategy"]]}


def from_extension_policy() -> dict:
    """As Envoy Gateway makes it: JSON text too, and a vm_id of the policy's own."""
    wasm = extension_policy()
    config = _plugin_config(wasm["name"], wasm["config"], wasm["env"]["hostKeys"])
    config["vm_config"]["vm_id"] = "envoyextensionpolicy/default/session-bearer/wasm/0"
    return config | {"root_id": wasm["rootID"], "fail_open": wasm["failOpen"]}


def from_envoy_filter() -> dict:
    """As it stands there; the place of the module is changed by Istio's agent."""
    config = envoy_filter("EXTENSION_CONFIG")["typed_config"]["config"]
    config["vm_config"]["code"] = None
    return config


PLUGIN_CONFIGS = {
    "istio/session-bearer.yaml": from_wasm_plugin,
    "istio/envoy-filter.yaml": from_envoy_filter,
    "gateway/session-bearer.yaml": from_extension_policy,
}


def configuration(config: dict) -> dict:
    """The filter's own configuration in a PluginConfig."""
    value = config["configuration"]["value"]
    return json.loads(value) if isinstance(value, str) else value


def with_configuration(config: dict, configuration: dict) -> dict:
    """Another configuration, in the form in which the one before it was."""
    text = isinstance(config["configuration"]["value"], str)
    return config | {"configuration": config["configuration"] | {"value": json.dumps(configuration) if text else configuration}}


def _plugin_config(name: str, configuration: dict, host_keys: list[str]) -> dict:
    return {
        "name": name,
        "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": None, "environment_variables": {"host_env_keys": host_keys}},
        "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": json.dumps(configuration)},
    }
