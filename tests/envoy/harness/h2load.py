"""h2load, the load generator of nghttp2: a real HTTP/2 client with many streams on many connections."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import paths
from .client import Client

BINARY = paths.TARGET / "tools" / "h2load"
WITHIN_SECONDS = 60
REQUESTS = re.compile(r"^requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$", re.MULTILINE)
STATUSES = re.compile(r"^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx$", re.MULTILINE)


@dataclass(frozen=True)
class Summary:
    """How many requests were answered with a status of each hundred, and how many were not answered."""

    statuses: dict[str, int]
    unanswered: int


class Load:
    """Requests for one target, under way as soon as this exists."""

    def __init__(
        self,
        client: Client,
        target: str,
        *headers: tuple[str, str],
        requests: int = 2000,
        connections: int = 20,
        streams: int = 10,
        http1: bool = False,
        body: Path | None = None,
    ) -> None:
        assert BINARY.exists(), f"{BINARY} is missing: run `make test`, which installs it"
        command = [str(BINARY), f"--requests={requests}", f"--clients={connections}", f"--max-concurrent-streams={streams}"]
        command += [f"--header={name}: {value}" for name, value in headers]
        command += ["--h1"] if http1 else []
        command += [f"--data={body}"] if body else []
        self._process = subprocess.Popen(
            [*command, client.url + target], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def is_running(self) -> bool:
        return self._process.poll() is None

    def summary(self) -> Summary:
        """Waits for the last answer."""
        try:
            printed, _ = self._process.communicate(timeout=WITHIN_SECONDS)
        finally:
            self._process.kill()
        requests, statuses = REQUESTS.search(printed), STATUSES.search(printed)
        assert self._process.returncode == 0 and requests and statuses, f"h2load failed:\n{printed[-2000:]}"
        by_hundred = dict(zip(("2xx", "3xx", "4xx", "5xx"), map(int, statuses.groups()), strict=True))
        errored, timed_out = int(requests[3]), int(requests[4])
        return Summary({hundred: count for hundred, count in by_hundred.items() if count}, errored + timed_out)
