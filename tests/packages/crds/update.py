"""Fetches the schemas beside it anew from the Go modules that publish them; needs Go. Descriptions are left out.

Run it in the root of the repository after a change of a version below: python tests/packages/crds/update.py
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ISTIO = "istio.io/api@v1.31.4"
ENVOY_GATEWAY = "github.com/envoyproxy/gateway@v1.9.1"
GATEWAY_API = "sigs.k8s.io/gateway-api@v1.6.1"
COMPOSE = "github.com/compose-spec/compose-go/v2@v2.16.2"

# Per module: the files with definitions, and the kinds that the manifests below envoy/ are made of.
DEFINITIONS = {
    ISTIO: (
        ["kubernetes/customresourcedefinitions.gen.yaml"],
        {"WasmPlugin", "EnvoyFilter", "RequestAuthentication", "AuthorizationPolicy", "ServiceEntry", "DestinationRule"},
    ),
    ENVOY_GATEWAY: (
        [
            f"charts/gateway-crds-helm/templates/generated/gateway.envoyproxy.io_{name}.yaml"
            for name in ("envoyextensionpolicies", "envoyproxies")
        ],
        {"EnvoyExtensionPolicy", "EnvoyProxy"},
    ),
    GATEWAY_API: (
        [f"config/crd/standard/gateway.networking.k8s.io_{name}.yaml" for name in ("gatewayclasses", "gateways", "httproutes")],
        {"GatewayClass", "Gateway", "HTTPRoute"},
    ),
}


def main() -> None:
    for module, (files, kinds) in DEFINITIONS.items():
        folder = download(module)
        for file in files:
            # Helm's own lines around a definition are no YAML.
            text = "".join(line for line in (folder / file).open() if not line.startswith("{{"))
            for definition in filter(None, yaml.safe_load_all(text)):
                if definition["spec"]["names"]["kind"] in kinds:
                    write(definition["spec"], module)
    schema = json.loads((download(COMPOSE) / "schema" / "compose-spec.json").read_text())
    save("compose", COMPOSE, schema)


def download(module: str) -> Path:
    done = subprocess.run(["go", "mod", "download", "-json", module], check=True, capture_output=True, text=True)
    return Path(json.loads(done.stdout)["Dir"])


def write(spec: dict, module: str) -> None:
    """The newest version of a kind, which is the first one listed."""
    version = spec["versions"][0]
    save(spec["names"]["kind"], module, version["schema"]["openAPIV3Schema"], apiVersion=f"{spec['group']}/{version['name']}")


def save(name: str, module: str, schema: dict, **more: str) -> None:
    entry = {"source": module, **more, "schema": without_descriptions(schema)}
    (HERE / f"{name}.json").write_text(json.dumps(entry, separators=(",", ":"), sort_keys=True) + "\n")


def without_descriptions(node):
    if isinstance(node, list):
        return [without_descriptions(item) for item in node]
    if isinstance(node, dict):
        return {key: without_descriptions(value) for key, value in node.items() if not (key == "description" and isinstance(value, str))}
    return node


if __name__ == "__main__":
    main()
