"""One Envoy for all tests that need no configuration of their own, and Envoys for those that do."""

import contextlib
import itertools

import pytest

from harness.bootstrap import KEYS_CLUSTER, PLUGIN, add_cluster, bootstrap
from harness.envoy import Envoy, stopped_at_the_end
from harness.key_endpoint import KeyEndpoint
from harness.visitor import Visitor


@pytest.fixture(scope="session")
def start_envoy(auth, backend, tmp_path_factory):
    """Starts an Envoy with a plugin configuration; it runs until the end of all tests."""
    with stopped_at_the_end() as started:

        def start(plugin=PLUGIN, *, edit=lambda bootstrap: None, **options) -> Envoy:
            config = bootstrap(auth.port, backend.port, plugin)
            edit(config)
            envoy = Envoy(config, tmp_path_factory.mktemp("envoy"), **options)
            started.append(envoy.start())
            return envoy

        yield start


@pytest.fixture(scope="session")
def envoy(start_envoy):
    return start_envoy()


@pytest.fixture(scope="session")
def client(envoy):
    return envoy.client()


@pytest.fixture
def keys():
    """A key endpoint that publishes no key yet."""
    endpoint = KeyEndpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture
def start_fetching(auth, backend, keys, tmp_path_factory):
    """Starts an Envoy that can fetch from the key endpoint; it runs until the end of the test."""
    with stopped_at_the_end() as started:

        def start(plugin) -> Envoy:
            config = bootstrap(auth.port, backend.port, plugin)
            add_cluster(config, KEYS_CLUSTER, keys.port)
            started.append(Envoy(config, tmp_path_factory.mktemp("fetching")).start())
            return started[-1]

        yield start


@pytest.fixture
def known(auth, target):
    """Gives a session that was served a moment ago, and its visitor."""
    with contextlib.ExitStack() as visitors:

        def sign_in(envoy, **options):
            session = auth.sign_in(**options)
            visitor = visitors.enter_context(Visitor(envoy.client(), session, target()))
            assert visitor.visit().bearer == session.bearer
            return session, visitor

        yield sign_in


@pytest.fixture
def target():
    """Makes request targets that no other test uses, so that the backend can be asked whether one arrived."""
    numbers = itertools.count(1)

    def make(prefix: str = "/api") -> str:
        return f"{prefix}/{next(_TESTS)}/{next(numbers)}"

    return make


_TESTS = itertools.count(1)
