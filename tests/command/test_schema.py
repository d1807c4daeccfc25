"""Proves that the schemas take every configuration that is shipped or documented, and point at what is wrong in others."""

import copy
import json

import pytest
import yaml
from jsonschema import Draft202012Validator

from harness import paths
from harness.bootstrap import PLUGIN, as_string, as_struct, wasm_plugin
from harness.presets import preset

SCHEMAS = paths.ROOT / "docs" / "schema"
HEADINGS = ["better-auth", "Ory Kratos", "A token in a cookie, a token in a header", "The demo"]
ENVOY_YAML = paths.ROOT / "envoy" / "envoy.yaml"


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / name).read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


PLUGIN_SCHEMA = validator("session-bearer.schema.json")
ENVOY_SCHEMA = validator("envoy.schema.json")


def leaves(errors):
    """The innermost errors: those of the branches, where there are branches."""
    for error in errors:
        yield from leaves(error.context) if error.context else [error]


def places(schema: Draft202012Validator, document) -> list[str]:
    return [error.json_path for error in leaves(schema.iter_errors(document))]


def shipped() -> dict:
    return yaml.safe_load(ENVOY_YAML.read_text())


def with_configuration(configuration: dict) -> dict:
    bootstrap = shipped()
    wasm_plugin(bootstrap)["configuration"] = configuration
    return bootstrap


@pytest.mark.parametrize("heading", HEADINGS)
def test_preset_is_valid(heading):
    assert places(PLUGIN_SCHEMA, preset(heading)) == []
    assert places(ENVOY_SCHEMA, with_configuration(as_struct(preset(heading)))) == []


def test_shipped_configuration_is_valid():
    assert places(ENVOY_SCHEMA, shipped()) == []
    assert places(PLUGIN_SCHEMA, wasm_plugin(shipped())["configuration"]["value"]) == []


def test_off_without_quotes_is_valid():
    assert places(PLUGIN_SCHEMA, {**PLUGIN, "routes": [{"match": {"prefix": "/"}, "auth": False}]}) == []


BAD = {
    "unknown_section": (lambda plugin: plugin.update(cahce={}), "$"),
    "unknown_key": (lambda plugin: plugin["exchange"].update(timout="2s"), "$.exchange"),
    "missing_key": (lambda plugin: plugin["exchange"].pop("cluster"), "$.exchange"),
    "number_for_a_duration": (lambda plugin: plugin["exchange"].update(timeout=2), "$.exchange.timeout"),
    "duration_without_a_unit": (lambda plugin: plugin["exchange"].update(timeout="2"), "$.exchange.timeout"),
    "unknown_method": (lambda plugin: plugin["exchange"].update(method="PUT"), "$.exchange.method"),
    "unknown_algorithm": (lambda plugin: plugin["token"].update(algorithms=["HS265"]), "$.token.algorithms[0]"),
    "no_keys": (lambda plugin: plugin["token"].pop("keys"), "$.token"),
    "unknown_auth": (lambda plugin: plugin["routes"][0].update(auth="maybe"), "$.routes[0].auth"),
    "auth_true": (lambda plugin: plugin["routes"][0].update(auth=True), "$.routes[0].auth"),
    "no_match": (lambda plugin: plugin["routes"][0].pop("match"), "$.routes[0]"),
    "unknown_credential": (lambda plugin: plugin["credentials"].append({"baerer": {}}), "$.credentials[1]"),
    "two_kinds_in_one": (lambda plugin: plugin["credentials"][0].update(bearer={}), "$.credentials[0]"),
    "text_for_a_list": (lambda plugin: plugin["token"].update(audiences="api"), "$.token.audiences"),
    "number_for_a_header": (lambda plugin: plugin["exchange"].update(headers={"x": 5}), "$.exchange.headers.x"),
    "unknown_stream_age": (lambda plugin: plugin.update(upstream={"max_stream_age": "1h"}), "$.upstream.max_stream_age"),
    "negative_number": (lambda plugin: plugin["exchange"].update(retries=-1), "$.exchange.retries"),
}


@pytest.mark.parametrize("spoil, place", BAD.values(), ids=BAD)
def test_mistake_is_pointed_at(spoil, place):
    plugin = copy.deepcopy(PLUGIN)
    spoil(plugin)
    assert any(found.startswith(place) for found in places(PLUGIN_SCHEMA, plugin)), places(PLUGIN_SCHEMA, plugin)
    assert places(ENVOY_SCHEMA, with_configuration(as_struct(plugin))), "the schema of Envoy's configuration does not see it"


def test_rest_of_envoys_configuration_is_not_looked_at():
    bootstrap = with_configuration(as_string("anything"))
    assert places(ENVOY_SCHEMA, bootstrap) == []
    other = {"configuration": as_struct({"rules": 5}), "vm_config": {"vm_id": "another"}}
    assert places(ENVOY_SCHEMA, {"static_resources": [other], "anything": {"else": [1, "2", None]}}) == []


def test_editors_find_the_schema_from_the_shipped_configuration():
    (line,) = (line for line in ENVOY_YAML.read_text().splitlines() if "yaml-language-server" in line)
    path = line.removeprefix("# yaml-language-server: $schema=")
    assert (ENVOY_YAML.parent / path).resolve() == SCHEMAS / "envoy.schema.json"
