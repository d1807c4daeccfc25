"""What the tests of the packages share: the image, and the scripted services before which a real Envoy runs."""

import copy

import pytest

from harness import paths
from harness.auth_service import AuthService
from harness.bootstrap import bootstrap, wasm_plugin
from harness.echo_backend import EchoBackend
from harness.envoy import Envoy
from layout import Layout


@pytest.fixture(scope="session")
def auth():
    service = AuthService()
    yield service
    service.close()


@pytest.fixture(scope="session")
def backend():
    server = EchoBackend()
    yield server
    server.close()


@pytest.fixture
def image() -> Layout:
    return Layout(paths.image())


@pytest.fixture
def start_plugin(auth, backend, tmp_path):
    """Starts an Envoy whose filter is this PluginConfig with this module in it; it runs until the end of the test."""
    started = []

    def start(config: dict, *, module=None, edit=lambda bootstrap: None) -> Envoy:
        whole = bootstrap(auth.port, backend.port, {})
        place = wasm_plugin(whole)
        place.clear()
        place |= copy.deepcopy(config)
        place["vm_config"]["code"] = {"local": {"filename": str(module or paths.module())}}
        edit(whole)
        started.append(Envoy(whole, tmp_path / f"envoy{len(started)}").start())
        return started[-1]

    yield start
    failures = [sign for envoy in started for sign in envoy.failures()]
    for envoy in started:
        envoy.stop()
    assert not failures, "a VM of the filter failed:\n" + "\n".join(failures)
