"""The load: wrk with one thread and the request of a browser."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")
BINARY = os.environ.get("WRK_BIN", "wrk")
CONNECTIONS = 16
TARGET = "/api/v1/items?page=2"

# Where wrk puts another value into each request.
VARIABLE = "@@@"

# What a browser sends with a fetch from a page of the same site, beside Host and Cookie.
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Accept": "application/json, text/plain, */*",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Cache-Control": "no-cache",
    "Pragma": "no-cache",
    "Priority": "u=1, i",
    "Referer": "https://app.example.com/items?page=1",
    "Sec-Ch-Ua": '"Chromium";v="142", "Not_A Brand";v="99"',
    "Sec-Ch-Ua-Mobile": "?0",
    "Sec-Ch-Ua-Platform": '"Linux"',
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
}
OTHER_COOKIES = ("_ga=GA1.1.1432874190.1763721300", "theme=dark")
SESSION = "v1.Qm9yZGVyLWNvbGxpZS1hbmQtYS1tYW5nby1zb3JiZXQ"


@dataclass(frozen=True)
class Load:
    """What one run of wrk did: requests that were answered 2xx, and how long they took in microseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def with_cookie(session: str = SESSION) -> dict[str, str]:
    """The browser's request with its session."""
    first, last = OTHER_COOKIES
    return BROWSER | {"Cookie": f"{first}; session={session}; {last}"}


def with_bearer(token: str) -> dict[str, str]:
    """The same request with a token in the place of the session."""
    return BROWSER | {"Cookie": "; ".join(OTHER_COOKIES), "Authorization": f"Bearer {token}"}


def start(port: int, headers: dict[str, str], seconds: int, *, connections: int = CONNECTIONS, **options) -> subprocess.Popen:
    """Sends as fast as it is answered, unless the options of load.lua say otherwise."""
    if shutil.which(BINARY) is None:
        raise SystemExit("error: wrk is missing: run `make bench`, which installs it")
    command = [BINARY, "--threads=1", f"--connections={connections}", f"--duration={seconds}s", "--timeout=10s"]
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}"]
    command += ["--script", str(SCRIPT), f"http://127.0.0.1:{port}{TARGET}", "--"]
    command += [f"{name}={value}" for name, value in options.items()]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def result(process: subprocess.Popen) -> Load:
    """Waits for the end of a run; a request that was not answered 2xx makes it worthless."""
    printed, measured = "", []
    with process:
        try:
            for line in process.stdout:
                printed += line
                if line == "finished\n":
                    process.send_signal(signal.SIGINT)
                elif line.startswith("measured "):
                    measured = line.split()[1:]
        except BaseException:
            process.kill()
            raise
    if process.returncode or not measured:
        raise SystemExit(f"error: wrk failed:\n{printed}")
    requests, microseconds, p50, p99, failed = (float(number) for number in measured)
    if failed or not requests:
        raise SystemExit(f"error: {failed:.0f} of {requests:.0f} requests were not answered 2xx:\n{printed}")
    return Load(int(requests), microseconds / 1e6, p50, p99)


def run(*args, **options) -> Load:
    return result(start(*args, **options))
