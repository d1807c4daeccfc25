"""One scripted auth service and one echo backend for all tests, one Envoy for all that need no configuration of their own."""

import itertools

import pytest

from harness.auth_service import AuthService
from harness.bootstrap import PLUGIN, bootstrap
from harness.echo_backend import EchoBackend
from harness.envoy import Envoy


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


@pytest.fixture(scope="session")
def start_envoy(auth, backend, tmp_path_factory):
    """Starts an Envoy with a plugin configuration; at the end of all tests none of its VMs may have failed."""
    started = []

    def start(plugin=PLUGIN, *, edit=lambda bootstrap: None, **options) -> Envoy:
        config = bootstrap(auth.port, backend.port, plugin)
        edit(config)
        envoy = Envoy(config, tmp_path_factory.mktemp("envoy"), **options)
        started.append(envoy.start())
        return envoy

    yield start
    failures = [sign for envoy in started for sign in envoy.failures()]
    for envoy in started:
        envoy.stop()
    assert not failures, "a VM of the filter failed:\n" + "\n".join(failures)


@pytest.fixture(scope="session")
def envoy(start_envoy):
    return start_envoy()


@pytest.fixture(scope="session")
def client(envoy):
    return envoy.client()


@pytest.fixture
def target():
    """Makes request targets that no other test uses, so that the backend can be asked whether one arrived."""
    numbers = itertools.count(1)

    def make(prefix: str = "/api") -> str:
        return f"{prefix}/{next(_TESTS)}/{next(numbers)}"

    return make


_TESTS = itertools.count(1)
