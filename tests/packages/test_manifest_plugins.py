"""Proves that the real filter takes the configuration in each manifest and serves with it, and that Envoy takes what goes with it."""

import base64
import copy
import json
import subprocess

import pytest
import yaml

import manifests
import stack
from harness import paths, tokens
from harness.bootstrap import AUTH_CLUSTER, add_cluster, auth_cluster, bootstrap, wasm_plugin
from harness.problem import assert_problem

COOKIE = "__Secure-better-auth.session_token"
CLAIMS = {"iss": "auth-service", "aud": "api-service"}
HERE_AND_THERE = [pytest.param(make, id=name) for name, make in manifests.PLUGIN_CONFIGS.items()]


def sign_in(auth):
    return auth.sign_in(name=COOKIE, token=tokens.mint(**CLAIMS))


def name_auth_cluster(config: dict):
    """The cluster of the auth service under the name that a configuration has for it."""
    name = manifests.configuration(config)["exchange"]["cluster"]

    def edit(bootstrap: dict) -> None:
        if name != AUTH_CLUSTER:
            (endpoint,) = auth_cluster(bootstrap)["load_assignment"]["endpoints"][0]["lb_endpoints"]
            add_cluster(bootstrap, name, endpoint["endpoint"]["address"]["socket_address"]["port_value"])

    return edit


@pytest.mark.parametrize("make", HERE_AND_THERE)
def test_filter_of_the_manifest_exchanges_a_session(auth, backend, start_plugin, make):
    config = make()
    client = start_plugin(config, edit=name_auth_cluster(config)).client()
    session = sign_in(auth)
    assert client.get("/api/me", cookie=session.cookie).upstream.values("authorization") == [session.bearer]
    (call,) = auth.calls(session)
    assert (call.target, call.values("host")) == ("/api/auth/jwt", [b"app.example.com"])
    assert_problem(client.get("/api/me"), 401)
    assert client.get("/healthz").status == 200
    page = [("origin", "https://app.example.com")]
    assert client.request("POST", "/api/me", cookie=session.cookie, headers=page).status == 200
    assert_problem(client.request("POST", "/api/me", cookie=session.cookie, headers=[("origin", "https://elsewhere.example")]), 403)


@pytest.mark.parametrize("make", HERE_AND_THERE)
def test_typo_in_the_configuration_of_the_manifest_is_refused(tmp_path, make):
    config = make()
    changed = manifests.configuration(config)
    changed["exchange"]["pathTypo"] = changed["exchange"].pop("path")
    whole = with_plugin(manifests.with_configuration(config, changed))
    assert "exchange" in validate(whole, tmp_path, expect=False)


class TestEnvoyFilter:
    def test_envoy_takes_both_patches(self, tmp_path):
        """The module's place is a file, as Istio's agent leaves it; the configuration comes from Envoy's own files and not from Istio."""
        extension, inserted = manifests.envoy_filter("EXTENSION_CONFIG"), manifests.envoy_filter("HTTP_FILTER")
        extension["typed_config"]["config"]["vm_config"]["code"] = {"local": {"filename": str(paths.module())}}
        assert inserted["name"] == extension["name"]
        assert inserted["config_discovery"]["type_urls"] == [extension["typed_config"]["@type"]]

        whole = bootstrap(1, 1, {})
        filters = stack.http_filters(whole)
        filters[:] = [entry for entry in filters if entry["name"] != "envoy.filters.http.wasm"]
        filters.insert(0, inserted)
        whole["node"] = {"id": "test", "cluster": "test"}
        control_plane = {"grpc_services": [{"envoy_grpc": {"cluster_name": AUTH_CLUSTER}}]}
        whole["dynamic_resources"] = {"ads_config": {"api_type": "GRPC", "transport_api_version": "V3", **control_plane}}
        validate(whole, tmp_path)

        filters[0] = extension
        validate(whole, tmp_path)

    def test_typo_in_a_patch_is_refused(self, tmp_path):
        config = manifests.from_envoy_filter()
        config["failure_polici"] = config.pop("failure_policy")
        assert "failure_polici" in validate(with_plugin(config), tmp_path, expect=False)

    def test_remote_module_is_written_as_envoy_reads_it(self, tmp_path):
        """Istio reads this with Envoy's own definitions. Envoy reads it to the end and then waits for the module."""
        extension = manifests.envoy_filter("EXTENSION_CONFIG")
        extension["typed_config"]["config"]["vm_config"]["code"]["remote"]["http_uri"]["cluster"] = "auth_service"
        whole = with_plugin({})
        wasm_plugin(whole).update(extension["typed_config"]["config"])
        validate(whole, tmp_path)


class TestIstioAuthentication:
    """Istio's control plane turns a RequestAuthentication into Envoy's jwt_authn; here it stands behind the filter as in Istio."""

    @staticmethod
    def jwt_authn(forward: bool) -> dict:
        (rule,) = manifests.resource("RequestAuthentication", "istio/authentication.yaml")["spec"]["jwtRules"]
        secret = base64.urlsafe_b64encode(tokens.SECRET.encode()).decode().rstrip("=")
        assert "BASE64URL_OF_JWT_SECRET" in rule["jwks"]
        provider = {
            "issuer": rule["issuer"],
            "audiences": rule["audiences"],
            "local_jwks": {"inline_string": rule["jwks"].replace("BASE64URL_OF_JWT_SECRET", secret)},
            "forward": rule["forwardOriginalToken"] and forward,
        }
        requirements = [{"provider_name": "origins-0"}, {"allow_missing": {}}]
        return {
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
                "providers": {"origins-0": provider},
                "rules": [{"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": requirements}}}],
            },
        }

    @pytest.mark.parametrize(("forward", "arrives"), [(True, True), (False, False)], ids=["forwarded", "as_istio_does_by_default"])
    def test_token_of_the_filter_is_accepted_and_reaches_the_backend_only_when_forwarded(self, auth, start_plugin, forward, arrives):
        config = manifests.from_wasm_plugin()
        name_cluster = name_auth_cluster(config)

        def edit(whole: dict) -> None:
            name_cluster(whole)
            filters = stack.http_filters(whole)
            filters.insert(len(filters) - 1, self.jwt_authn(forward))

        envoy = start_plugin(config, edit=edit)
        session = sign_in(auth)
        upstream = envoy.client().get("/api/me", cookie=session.cookie).upstream
        assert upstream.values("authorization") == ([session.bearer] if arrives else [])
        assert sum(envoy.stats(r".*jwt_authn\.allowed").values()) == 1


class TestEnvoyGateway:
    def test_callout_goes_through_the_cluster_of_the_bootstrap(self, auth, start_plugin):
        proxy = manifests.resource("EnvoyProxy", "gateway/gateway.yaml")
        (cluster,) = yaml.safe_load(proxy["spec"]["bootstrap"]["value"])["static_resources"]["clusters"]

        def edit(whole: dict) -> None:
            """Envoy's configuration has this cluster and no other of that name, under another address."""
            clusters = whole["static_resources"]["clusters"]
            clusters[:] = [copy.deepcopy(cluster), *(entry for entry in clusters if entry["name"] != cluster["name"])]
            (endpoint,) = clusters[0]["load_assignment"]["endpoints"][0]["lb_endpoints"]
            assert endpoint["endpoint"]["address"]["socket_address"] == {"address": "auth.default.svc.cluster.local", "port_value": 3001}
            endpoint["endpoint"]["address"]["socket_address"] = {"address": "localhost", "port_value": auth.port}
            clusters[0]["dns_lookup_family"] = "V4_ONLY"

        client = start_plugin(manifests.from_extension_policy(), edit=edit).client()
        session = sign_in(auth)
        assert client.get("/api/me", cookie=session.cookie).upstream.values("authorization") == [session.bearer]

    def test_bootstrap_is_taken_as_it_stands(self, tmp_path):
        value = manifests.resource("EnvoyProxy", "gateway/gateway.yaml")["spec"]["bootstrap"]["value"]
        validate(yaml.safe_load(value), tmp_path)
        assert "connect_timeoutt" in validate(yaml.safe_load(value.replace("connect_timeout", "connect_timeoutt")), tmp_path, expect=False)


def with_plugin(config: dict) -> dict:
    whole = bootstrap(1, 1, {})
    place = wasm_plugin(whole)
    place.clear()
    place |= copy.deepcopy(config)
    if config:
        place["vm_config"]["code"] = {"local": {"filename": str(paths.module())}}
    return whole


def validate(whole: dict, folder, *, expect: bool = True) -> str:
    """What Envoy says of a configuration without running it."""
    file = folder / "validated.yaml"
    file.write_text(json.dumps(whole))
    command = [str(paths.envoy_binary()), "--mode", "validate", "-c", str(file), "--log-level", "warning"]
    done = subprocess.run(command, cwd=paths.ROOT, env={"JWT_SECRET": tokens.SECRET}, capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    assert (done.returncode == 0) == expect, said[-3000:]
    return said
