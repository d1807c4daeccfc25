"""For all tests that run real processes: the scripted services, their helpers on the path, and what Envoy logged beside a failure."""

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS / "envoy"), str(TESTS.parent / "envoy" / "demo")]

LOGGED_BEFORE = pytest.StashKey()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    from harness.envoy import Envoy

    item.stash[LOGGED_BEFORE] = {envoy.directory: envoy.log_path.stat().st_size for envoy in Envoy.running}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    from harness.envoy import Envoy

    report = yield
    if report.failed:
        before = item.stash.get(LOGGED_BEFORE, {})
        for envoy in Envoy.running:
            if tail := envoy.log_tail(before.get(envoy.directory, 0)):
                report.sections.append((f"what {envoy.directory.name} logged, the end of it", tail))
    return report


@pytest.fixture(scope="session")
def auth():
    from harness.auth_service import AuthService

    service = AuthService()
    yield service
    service.close()


@pytest.fixture(scope="session")
def backend():
    from harness.echo_backend import EchoBackend

    server = EchoBackend()
    yield server
    server.close()
