"""The whole demo, once for all of its tests: real better-auth, real FastAPI, Envoy with the shipped configuration."""

import secrets

import pytest

from smoke import Browser
from stack import Ports, Stack, StackError


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("demo"), ports=Ports.free(), log_level="info")
    with stack:
        try:
            stack.start()
        except StackError as error:
            pytest.exit(f"the demo does not start: {error}", returncode=2)
        yield stack


@pytest.fixture
def sign_up(demo):
    """Signs a new user up and gives a client that holds nothing but the cookies it got for it."""

    def make(origin: str = demo.url) -> Browser:
        browser = Browser(origin)
        browser.name = f"User-{secrets.token_hex(6)}"
        browser.email = f"{browser.name.lower()}@example.com"
        answer = browser.sign_up(browser.name)
        assert answer.status == 200, answer
        return browser

    return make


@pytest.fixture
def stranger(demo):
    """A client without any cookie."""
    return Browser(demo.url)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    demo = getattr(item, "funcargs", {}).get("demo")
    if report.failed and demo is not None:
        for part in demo.parts:
            report.sections.append((f"the end of the log of {part.name}", part.log_tail()))
    return report
