"""A real browser: how it is started, and what it may be found holding."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, Playwright

from . import paths

FLAGS = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync".split()
SCREENSHOTS = paths.TARGET / "screenshots"
JWT = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+")


def launched(playwright: Playwright, ports: dict[str, int] | None = None) -> Browser:
    """A browser that looks for these hosts and ports, as `localhost:3000`, on other ports of this machine; pages cannot tell."""
    rules = ",".join(f"MAP {there} 127.0.0.1:{here}" for there, here in (ports or {}).items())
    flags = [*FLAGS, *([f"--host-resolver-rules={rules}"] if rules else [])]
    return playwright.chromium.launch(executable_path=paths.chromium(), headless=True, args=flags)


def screenshot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def within_reach(page: Page) -> str:
    """All that a script on the page could read: both storages, cookies, the document."""
    return page.evaluate("() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, document.documentElement.outerHTML])")
