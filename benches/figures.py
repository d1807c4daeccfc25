"""The figures of a run, as they were saved: medians, spreads, overheads. Needs nothing but Python."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path

# The floor of what sends a bearer is a plain Envoy that is sent one.
BEARERS = ("bearer", "jwt-")


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, the least and the most."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 1) -> str:
        return f"{self.middle:,.{digits}f} ({self.least:,.{digits}f}–{self.most:,.{digits}f})"


class Figures:
    """What `bench.py` found."""

    def __init__(self, path: Path) -> None:
        self.all = json.loads(path.read_text())

    def __getitem__(self, part: str):
        return self.all[part]

    def cost(self, name: str, part: str = "saturated") -> Spread:
        return Spread.of(self.all[part][name]["cost"])

    def rate(self, name: str, part: str = "saturated") -> Spread:
        return Spread.of(self.all[part][name]["rate"])

    def overhead(self, name: str, part: str = "saturated") -> Spread:
        """CPU above plain Envoy, round by round, which takes out what made a whole round slower."""
        rows = self.all[part]
        floor = "plain-bearer" if name.startswith(BEARERS) and "plain-bearer" in rows else "plain"
        return above(rows[name]["cost"], rows[floor]["cost"])

    def overhead_ratio(self, name: str, other: str) -> float:
        return self.overhead(name).middle / self.overhead(other).middle

    def share(self, name: str, other: str, part: str = "saturated") -> float:
        """What one gets through a core in a second, of what another does.

        Where the load generator was the slower side, the core was not busy all the time; what it would have done is counted.
        """
        return self.cost(other, part).middle / self.cost(name, part).middle

    def title(self, name: str) -> str:
        return self.all["contenders"][name][0]

    def family(self, name: str) -> str:
        return self.all["contenders"][name][1]

    def verification(self, algorithm: str, way: str) -> Spread | None:
        """What another token each time costs above plain Envoy; None where nobody measured it."""
        rows = self.all["verification"][algorithm]
        return above(rows[way]["cost"], rows["plain"]["cost"]) if way in rows else None

    def hits_among(self, sessions: str) -> Spread:
        rows = self.all["sessions"]
        return above(rows[sessions]["cost"], rows["plain"]["cost"])

    def latency(self, samples: dict, kind: str) -> float:
        return statistics.median(samples[kind])

    def churn_growth(self) -> float:
        """By how many bytes the memory of the second half is at most above what it was after the first quarter."""
        resident = self.all["churn"]["resident"]
        settled = max(resident[: max(1, len(resident) // 4)])
        return max(resident[len(resident) // 2 :]) - settled


def above(values: list[float], floor: list[float]) -> Spread:
    return Spread.of([value - below for value, below in zip(values, floor, strict=True)])
