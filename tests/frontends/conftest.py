"""What the tests of both frontends have in common."""

import pytest
from playwright.sync_api import expect, sync_playwright


@pytest.fixture(scope="module")
def playwright():
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        yield playwright


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    services = getattr(item, "funcargs", {}).get("services")
    if report.failed and services is not None:
        for part in services.parts:
            report.sections.append((f"the end of the log of {part.name}", part.log_tail()))
    return report
