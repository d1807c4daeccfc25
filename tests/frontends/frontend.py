"""A frontend in a real browser: its pages beside its API behind one Envoy, and what the browser saw."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Response

import stack
from harness.bootstrap import add_cluster, connection_manager

FRONTENDS = Path(__file__).resolve().parent


def built(path: Path) -> Path:
    """The result of a build, which has to be there."""
    if not path.exists():
        pytest.exit(f"{path.relative_to(FRONTENDS)} is missing: run `make test`, which builds it", returncode=2)
    return path


def serve_pages(config: dict, port: int) -> None:
    """Lets Envoy take pages from a port, and what is below /api from where it took everything."""
    (host,) = virtual_hosts(config)
    host["routes"] = [route for route in host["routes"] if route["match"] != {"path": "/"}]
    host["routes"][-1]["match"] = {"path_separated_prefix": "/api"}
    host["routes"].append({"match": {"prefix": "/"}, "route": {"cluster": "frontend"}})
    add_cluster(config, "frontend", port)


def configure(config: dict, configuration: dict) -> None:
    """Gives the filter another configuration."""
    plugin = stack.plugin(config)
    plugin.clear()
    plugin.update(configuration)


def take_out_the_filter(config: dict) -> None:
    """Leaves an Envoy as it was before."""
    filters = stack.http_filters(config)
    filters[:] = [entry for entry in filters if entry["name"] != "envoy.filters.http.wasm"]


def virtual_hosts(config: dict) -> list[dict]:
    return connection_manager(config)["route_config"]["virtual_hosts"]


class Pages(SimpleHTTPRequestHandler):
    """Files of a folder, and its index.html for every other path, as for a frontend with routes of its own."""

    protocol_version = "HTTP/1.1"

    def translate_path(self, path: str) -> str:
        file = super().translate_path(path)
        return file if Path(file).is_file() else str(Path(self.directory) / "index.html")

    def log_message(self, *_arguments) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[int]:
    """The port of a server of these files."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@contextlib.contextmanager
def opened(browser: Browser, url: str) -> Iterator[Page]:
    """A page in a browser profile of its own, with all it sends on record, what it was refused, and what it complains of besides."""
    context = browser.new_context(viewport={"width": 1000, "height": 640}, device_scale_factor=1)
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.sent, page.refused, page.complaints = [], [], []
    page.on("request", lambda request: page.sent.append(request))
    page.on("response", lambda answer: page.refused.append((answer.status, path_of(answer.url))) if is_refusal(answer) else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda message: page.complaints.append(message.text) if is_complaint(message) else None)
    page.goto(url)
    yield page
    context.close()


def is_refusal(answer: Response) -> bool:
    """Whether it is one, of something that was asked for: Next.js also fetches pages ahead of a click, or of none."""
    return answer.status >= 400 and "_rsc=" not in answer.url


def is_complaint(message: ConsoleMessage) -> bool:
    """Whether it is one that is not among the refused answers already."""
    return message.type in ("error", "warning") and not message.text.startswith("Failed to load resource")


def path_of(url: str) -> str:
    """The path of a URL, with its query."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def authorizations(page: Page, path: str) -> list[str | None]:
    """The Authorization of each request for a path, preflights apart."""
    requests = [request for request in page.sent if path_of(request.url) == path and request.method != "OPTIONS"]
    return [request.all_headers().get("authorization") for request in requests]
