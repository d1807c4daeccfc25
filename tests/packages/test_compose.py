"""Proves that compose.yaml is what Compose takes, and that what it starts is the demo: the same programs, ports, files and variables."""

import copy
import json
import re

import pytest
import yaml

import stack
from harness import paths
from schemas import compose_complaints

FILE = stack.DEMO.parent / "compose.yaml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES = COMPOSE["services"]
VARIABLES = {"JWT_SECRET": "j" * 32, "BETTER_AUTH_SECRET": "b" * 32}


def test_file_is_what_its_definition_takes():
    assert compose_complaints(COMPOSE) == []


@pytest.mark.parametrize("name", SERVICES)
def test_typo_in_any_field_of_a_service_is_found(name):
    for field in SERVICES[name]:
        changed = copy.deepcopy(COMPOSE)
        changed["services"][name][f"{field}s"] = changed["services"][name].pop(field)
        assert compose_complaints(changed), f"nobody notices {name}.{field}s"


@pytest.mark.parametrize("name", SERVICES)
def test_service_has_the_variables_that_the_demo_gives_it(name, tmp_path):
    demo = {part.name: part.environment for part in stack.Stack(tmp_path, secrets=VARIABLES).parts}[name]
    # The demo hands all of its secrets to the auth service; both know the same ones.
    assert set(SERVICES[name]["environment"]) == set(demo)
    given = {key: demo[key] for key in demo if key in ("PORT", "BETTER_AUTH_URL")}
    assert {key: SERVICES[name]["environment"][key] for key in given} == given
    for key in VARIABLES.keys() & demo.keys():
        assert SERVICES[name]["environment"][key].startswith(f"${{{key}:?"), f"{key} has a default, or another name"


def test_files_that_are_mounted_are_there_and_nothing_can_write_to_them():
    paths.module()
    for service in SERVICES.values():
        for volume in service["volumes"]:
            source, _, rest = volume.partition(":")
            if source.startswith("."):
                assert (FILE.parent / source).exists(), source
                assert rest.endswith(":ro"), volume
            else:
                assert source in COMPOSE["volumes"]


def test_envoy_finds_the_files_that_envoy_yaml_names():
    config = stack.ENVOY_YAML.read_text()
    service = SERVICES["envoy"]
    mounted = [volume.split(":")[1] for volume in service["volumes"]]
    for file in ("envoy/envoy.yaml", *re.findall(r"filename: ([\w./]+)", config)):
        assert any(f"{service['working_dir']}/{file}".startswith(target) for target in mounted), file
    assert service["command"][:2] == ["-c", "envoy/envoy.yaml"]


def test_services_listen_where_envoy_yaml_looks_for_them():
    ports = stack.Ports()
    assert "--port 8000" in SERVICES["backend"]["command"][-1]
    assert (ports.auth, ports.backend) == (int(SERVICES["auth"]["environment"]["PORT"]), 8000)
    for name, port in (("auth", ports.auth), ("backend", ports.backend)):
        assert f"http://127.0.0.1:{port}/healthz" in SERVICES[name]["healthcheck"]["test"][-1]
    assert {service["network_mode"] for service in SERVICES.values()} == {"host"}


def test_images_are_of_the_versions_that_are_tested():
    (envoy,) = re.findall(r"^export ENVOY_VERSION \?= (.*)$", (paths.ROOT / "Makefile").read_text(), re.MULTILINE)
    assert SERVICES["envoy"]["image"] == f"envoyproxy/envoy:v{envoy}"
    engines = json.loads((stack.DEMO / "auth" / "package.json").read_text())["engines"]["node"]
    assert engines == f">={re.match(r'node:([0-9]+)-', SERVICES['auth']['image'])[1]}"
