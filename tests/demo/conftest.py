"""The whole demo, once for all of its tests: real better-auth, real FastAPI, Envoy with the shipped configuration."""

import secrets

import pytest
from playwright.sync_api import sync_playwright

from demo_page import opened
from harness.browser import launched
from smoke import Browser
from stack import Ports, Stack, StackError

# More than machines that run tests have processors: what one of them learns, the others have to be told.
WORKERS = 4


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("demo"), ports=Ports.free(), concurrency=WORKERS, log_level="info")
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
def tell(capsys):
    """Prints a line that is seen although the test passes: for what was measured."""

    def show(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", end="", flush=True)

    return show


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, demo):
    """The demo's page in a browser."""
    with opened(chromium, demo.url) as page:
        yield page


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
