"""What the filter counts, and whether exactly that moved which a test expects."""

from __future__ import annotations

from .envoy import Envoy
from .eventually import eventually

LATENCY = "session_bearer_exchange_latency_ms"
WITHIN_SECONDS = 5  # counts are handed to Envoy about once a second


def values(envoy: Envoy) -> dict[str, float]:
    """The metrics by bare name, added up over their labels."""
    found: dict[str, float] = {}
    for key, value in envoy.metrics().items():
        name = key.partition("{")[0]
        found[name] = found.get(name, 0) + value
    return found


class Moves:
    """Remembers the counts of an Envoy nobody else uses at the time."""

    def __init__(self, envoy: Envoy) -> None:
        self._envoy = envoy
        self._before = values(envoy)

    def assert_exactly(self, *counters: str) -> None:
        """Checks that these counters have moved since, `name*3` by three, and no other."""
        expected = {}
        for counter in counters:
            name, _, times = counter.partition("*")
            expected[f"session_bearer_{name}"] = float(times or 1)
        try:
            eventually(lambda: self._moved() == expected, within=WITHIN_SECONDS)
        except AssertionError:
            assert self._moved() == expected

    def _moved(self) -> dict[str, float]:
        now, before = values(self._envoy), self._before
        return {name: now[name] - before[name] for name in before if now[name] != before[name] and LATENCY not in name}
