"""Proves that the manifests below envoy/ are what Istio, Envoy Gateway and the Gateway API take, and agree with each other and envoy.yaml."""

import base64
import copy
import json

import pytest
import yaml

import manifests
import stack
from harness.bootstrap import wasm_plugin
from schemas import complaints

ALL = [
    pytest.param(resource, id=f"{path.parent.name}/{path.name}/{resource['kind']}/{resource['metadata']['name']}")
    for path in manifests.files()
    for resource in manifests.resources(path)
]
SHIPPED = wasm_plugin(yaml.safe_load(stack.ENVOY_YAML.read_text()))
# What no schema says more about than that it is an object: the patch of an EnvoyFilter and the filter's own configuration.
# test_manifest_plugins.py gives them to Envoy and to the filter.
OPAQUE = {"pluginConfig", "config", "value"}


@pytest.mark.parametrize("resource", ALL)
def test_resource_is_what_its_definition_takes(resource):
    assert complaints(resource) == []


@pytest.mark.parametrize("resource", ALL)
def test_typo_in_any_field_is_found(resource):
    paths = list(field_paths(resource))
    assert len(paths) > 5
    for path in paths:
        changed = copy.deepcopy(resource)
        place = changed
        for step in path[:-1]:
            place = place[step]
        place[f"{path[-1]}Typo"] = place.pop(path[-1])
        assert complaints(changed), f"nobody notices {'.'.join(map(str, path))}Typo"


def field_paths(node, path=()):
    """The way to every field that a definition knows by its name."""
    if isinstance(node, list):
        for number, item in enumerate(node):
            yield from field_paths(item, (*path, number))
    if isinstance(node, dict) and (not path or path[-1] not in {"matchLabels", "labels"}):
        for key, value in node.items():
            yield (*path, key)
            if key not in OPAQUE:
                yield from field_paths(value, (*path, key))


@pytest.mark.parametrize(
    ("kind", "file", "change"),
    [
        pytest.param("WasmPlugin", "istio/session-bearer.yaml", {"failStrategy": "FAIL_CLOSED"}, id="fail_strategy"),
        pytest.param("WasmPlugin", "istio/session-bearer.yaml", {"sha256": "sha256:0"}, id="digest_with_prefix"),
        pytest.param("WasmPlugin", "istio/session-bearer.yaml", {"phase": "authn"}, id="phase"),
        pytest.param("EnvoyFilter", "istio/envoy-filter.yaml", {"configPatches": [{"applyTo": "HTTP_FILTERS"}]}, id="apply_to"),
        pytest.param(
            "EnvoyProxy", "gateway/gateway.yaml", {"filterOrder": [{"name": "wasm", "before": "envoy.filters.http.cors"}]}, id="filter"
        ),
    ],
)
def test_value_that_does_not_exist_is_found(kind, file, change):
    resource = manifests.resource(kind, file)
    resource["spec"] |= change
    assert complaints(resource)


# One configuration in all of them

HERE_AND_THERE = [pytest.param(make, id=name) for name, make in manifests.PLUGIN_CONFIGS.items()]


@pytest.mark.parametrize("make", HERE_AND_THERE)
def test_filter_is_configured_as_in_envoy_yaml_but_for_names(make):
    expected = copy.deepcopy(SHIPPED["configuration"]["value"])
    found = manifests.configuration(make())
    expected["exchange"] |= {name: found["exchange"][name] for name in ("cluster", "authority")}
    expected["csrf"]["trusted_origins"] = [f"https://{found['exchange']['authority']}"]
    # The demo's page has no place in a cluster.
    expected["routes"].remove({"match": {"path": "/"}, "auth": "off"})
    assert found == expected


@pytest.mark.parametrize("make", HERE_AND_THERE)
def test_secret_comes_from_the_environment_of_the_proxy(make):
    keys = make()["vm_config"]["environment_variables"]
    assert keys == SHIPPED["vm_config"]["environment_variables"] == {"host_env_keys": ["JWT_SECRET"]}
    assert manifests.configuration(make())["token"]["keys"] == {"secret_env": "JWT_SECRET"}


def test_proxies_are_given_the_variable_that_the_filter_asks_for():
    values = yaml.safe_load((manifests.ENVOY / "istio" / "gateway-values.yaml").read_text())
    proxy = manifests.resource("EnvoyProxy", "gateway/gateway.yaml")["spec"]["provider"]["kubernetes"]["envoyDeployment"]["container"]
    secret = [{"name": "JWT_SECRET", "valueFrom": {"secretKeyRef": {"name": "session-bearer", "key": "jwt-secret"}}}]
    assert values["envVarFrom"] == secret
    assert proxy["env"] == secret


def test_answers_to_callouts_are_bounded_as_in_envoy_yaml():
    (layer,) = yaml.safe_load(stack.ENVOY_YAML.read_text())["layered_runtime"]["layers"]
    (limit,) = layer["static_layer"].items()
    values = yaml.safe_load((manifests.ENVOY / "istio" / "gateway-values.yaml").read_text())
    istio = yaml.safe_load(values["podAnnotations"]["proxy.istio.io/config"])
    assert istio == {"runtimeValues": {limit[0]: str(limit[1])}}
    gateway = yaml.safe_load(manifests.resource("EnvoyProxy", "gateway/gateway.yaml")["spec"]["bootstrap"]["value"])
    assert [layer["static_layer"] for layer in gateway["layered_runtime"]["layers"]] == [dict([limit])]


def test_envoy_filter_says_what_envoy_yaml_says_beside_the_configuration():
    found = manifests.from_envoy_filter()
    for config in (found, expected := copy.deepcopy(SHIPPED)):
        config["vm_config"].pop("code")
        config.pop("configuration")
    assert found == expected


def test_nothing_lets_requests_through_when_the_module_fails():
    assert manifests.wasm_plugin()["failStrategy"] == "FAIL_RELOAD"
    assert manifests.from_envoy_filter()["failure_policy"] == "FAIL_RELOAD"
    assert manifests.extension_policy()["failOpen"] is False


def test_placeholders_of_the_digest_load_nothing():
    remote = manifests.envoy_filter("EXTENSION_CONFIG")["typed_config"]["config"]["vm_config"]["code"]["remote"]
    image = manifests.extension_policy()["code"]["image"]
    assert {manifests.wasm_plugin()["sha256"], remote["sha256"], image["sha256"]} == {"0" * 64}
    assert manifests.wasm_plugin()["url"] == remote["http_uri"]["uri"] == f"oci://{image['url']}"


def test_istio_sees_the_filter_before_its_own_check_and_leaves_the_token_in():
    rule = request_authentication()
    assert manifests.wasm_plugin()["phase"] == "AUTHN"
    assert rule["forwardOriginalToken"] is True
    token = manifests.wasm_plugin()["pluginConfig"]["token"]
    assert (rule["issuer"], rule["audiences"]) == (token["issuer"], token["audiences"])


def test_policy_of_istio_is_open_where_the_filter_is_off_and_nowhere_else():
    to, who = manifests.resource("AuthorizationPolicy", "istio/authentication.yaml")["spec"]["rules"]
    matches = [route["match"] for route in manifests.wasm_plugin()["pluginConfig"]["routes"] if route["auth"] == "off"]
    paths = {path for match in matches for path in ([match["path"]] if "path" in match else [match["prefix"], f"{match['prefix']}/*"])}
    assert set(to["to"][0]["operation"]["paths"]) == paths
    assert who == {"from": [{"source": {"requestPrincipals": [f"{request_authentication()['issuer']}/*"]}}]}


def test_all_of_istio_select_the_same_proxies():
    for file in ("session-bearer.yaml", "envoy-filter.yaml", "authentication.yaml"):
        for entry in manifests.resources(manifests.ENVOY / "istio" / file):
            spec = entry["spec"]
            selector = spec["selector"]["matchLabels"] if "selector" in spec else spec["workloadSelector"]["labels"]
            assert (entry["metadata"]["namespace"], selector) == ("istio-ingress", {"istio": "ingress"})


def test_envoy_gateway_has_the_cluster_that_the_filter_calls_and_one_gateway_in_all_files():
    bootstrap = yaml.safe_load(manifests.resource("EnvoyProxy", "gateway/gateway.yaml")["spec"]["bootstrap"]["value"])
    (cluster,) = bootstrap["static_resources"]["clusters"]
    assert cluster["name"] == manifests.extension_policy()["config"]["exchange"]["cluster"]
    gateway = manifests.resource("Gateway", "gateway/gateway.yaml")
    policy = manifests.resource("EnvoyExtensionPolicy", "gateway/session-bearer.yaml")
    names = {
        parent["name"]
        for route in manifests.resources(manifests.ENVOY / "gateway" / "routes.yaml")
        for parent in route["spec"]["parentRefs"]
    }
    assert names == {policy["spec"]["targetRefs"][0]["name"]} == {gateway["metadata"]["name"]}


def test_envoy_gateway_runs_the_filter_before_its_own_check_of_tokens():
    order = manifests.resource("EnvoyProxy", "gateway/gateway.yaml")["spec"]["filterOrder"]
    assert order[0] == {"name": "envoy.filters.http.wasm", "before": "envoy.filters.http.jwt_authn"}


def request_authentication() -> dict:
    (rule,) = manifests.resource("RequestAuthentication", "istio/authentication.yaml")["spec"]["jwtRules"]
    return rule


def test_key_of_istio_is_a_placeholder_of_the_same_algorithm():
    (key,) = json.loads(request_authentication()["jwks"])["keys"]
    assert [key["alg"]] == manifests.wasm_plugin()["pluginConfig"]["token"]["algorithms"]
    assert len(base64.urlsafe_b64decode(key["k"] + "=" * (-len(key["k"]) % 4))) < 32, "a real secret in the repository?"
