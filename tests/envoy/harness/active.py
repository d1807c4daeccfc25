"""The requests that an Envoy has begun and not answered, by its own count."""

from __future__ import annotations

from .envoy import Envoy
from .eventually import eventually


def active(envoy: Envoy) -> int:
    return sum(envoy.stats(r"http\.(?!admin).*\.downstream_rq_active").values())


def waiting(envoy: Envoy, count: int) -> None:
    """Waits until just so many requests wait in Envoy."""
    eventually(lambda: active(envoy) == count, within=10, what=f"{count} requests waiting in Envoy")
