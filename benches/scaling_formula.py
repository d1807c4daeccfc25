"""How many callouts a second to expect: the formula of docs/scaling.md.

A session's requests at one cache are a Poisson process. The next exchange is made by the first request after the refresh
window of the last one has opened, whether it still finds the token fresh or not, so a cycle is the time until the window opens, the
time until the next request, and the exchange itself.
"""

from __future__ import annotations

import math

# What the simulated auth service takes for an exchange, in seconds.
EXCHANGE = 0.02


def refresh_ahead(max_ttl: float) -> float:
    """The default of `cache.refresh_ahead`."""
    return min(10.0, max_ttl / 3)


def worker(rate: float, max_ttl: float) -> float:
    """Callouts a second of one session at one worker, to which it sends `rate` requests a second.

    Each worker waits for a part of the window that is its own, between none of it and a half, so this is a mean over workers.
    """
    window = refresh_ahead(max_ttl)
    rest = max_ttl + 1 / rate + EXCHANGE
    return 2 / window * math.log((rest - window / 2) / (rest - window))


def process(rate: float, max_ttl: float, workers: int, *, shared: bool) -> float:
    """Callouts a second of one session at one process, over whose workers its requests are spread."""
    if not shared or workers == 1:
        return workers * worker(rate / workers, max_ttl)
    window = refresh_ahead(max_ttl)
    opens = [max_ttl - window + window / 2 * (nth + 1) / (workers + 1) for nth in range(workers)]
    cycle, survives = EXCHANGE + opens[0], 1.0
    for nth, begin in enumerate(opens, start=1):
        stage = rate * nth / workers
        if nth == workers:
            cycle += survives / stage
            break
        after = math.exp(-stage * (opens[nth] - begin))
        cycle += survives * (1 - after) / stage
        survives *= after
    return 1 / cycle


def mesh(groups: list[tuple[int, float]], max_ttl: float, reach: int, workers: int, *, shared: bool) -> float:
    """Callouts a second of sessions whose requests are spread over `reach` processes each."""
    return sum(
        sessions * reach * process(rate / reach, max_ttl, workers, shared=shared) for sessions, rate in groups
    )


def of_row(row: dict) -> float:
    """What a row of the simulation should show."""
    workers = 1 if row["pinned"] else row["workers"]
    return mesh(row["groups"], row["max_ttl"], row["reach"], workers, shared=row["shared_slots"] > 0)


def in_use(groups: list[tuple[int, float]], max_ttl: float, reach: int) -> float:
    """How many sessions send a process a request within `max_ttl`."""
    return sum(sessions * (1 - math.exp(-rate * max_ttl / reach)) for sessions, rate in groups)
