"""What an Envoy of the demo counts."""

from __future__ import annotations

import re
import urllib.request

from stack import Part


def counters(envoy: Part, pattern: str) -> dict[str, int]:
    """The counters and gauges whose whole name matches."""
    (_, admin) = envoy.ports
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/stats", timeout=10) as response:
        lines = (line.partition(": ") for line in response.read().decode().splitlines())
    return {name: int(value) for name, _, value in lines if re.fullmatch(pattern, name) and value.isdigit()}


def counter(envoy: Part, name: str) -> int:
    """One of the filter's own, by the end of its name; 0 when it has not counted anything yet."""
    return sum(counters(envoy, rf"(wasmcustom\.)?session_bearer_{name}").values())


def connections_by_worker(envoy: Part) -> list[int]:
    """How many clients' connections each worker has at the moment."""
    return list(counters(envoy, rf"listener\.127\.0\.0\.1_{envoy.port}\.worker_\d+\.downstream_cx_active").values())
