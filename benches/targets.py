"""What the filter promises to be, and whether it is, by the figures of one run."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from figures import Figures

CHURN_NOISE = 3_000_000


@dataclass(frozen=True)
class Target:
    """A promise, the figure it is about, and the figure's limit; `least` when it is one from below."""

    what: str
    measured: float
    limit: float
    unit: str = "×"
    digits: int = 2
    least: bool = False
    aim: bool = False

    @property
    def met(self) -> bool:
        return self.measured >= self.limit if self.least else self.measured <= self.limit

    def row(self) -> str:
        sign = "≥" if self.least else "≤"
        verdict = "met" if self.met else ("aim missed" if self.aim else "**missed**")
        return f"| {self.what} | {sign} {self._text(self.limit)} | {self._text(self.measured)} | {verdict} |"

    def _text(self, value: float) -> str:
        digits = 0 if self.unit == "bytes" else self.digits
        return f"{value:,.{digits}f} {self.unit}"


def targets(figures: Figures) -> list[Target]:
    return [*of_a_hit(figures), *of_the_rest(figures)]


def of_a_hit(figures: Figures) -> list[Target]:
    ratio, rate = figures.overhead_ratio, figures.share
    many, few = figures.hits_among("100000").middle, figures.hits_among("100").middle
    return [
        Target("overhead of a hit, of the do-nothing Wasm filter's", ratio("hit", "noop"), 1.5),
        Target("overhead of a hit, of jwt_authn's with HS256", ratio("hit", "jwt-hs256"), 0.5),
        Target("overhead of a hit, of jwt_authn's with its cache", ratio("hit", "jwt-hs256-cached"), 1.0, aim=True),
        Target("throughput of hits, of plain Envoy's", rate("hit", "plain"), 0.7, least=True),
        Target("throughput of hits, of ext_authz's", rate("hit", "ext-authz"), 2.5, least=True),
        Target("throughput of hits, of Lua's with a callout per request", rate("hit", "lua"), 2.5, least=True),
        Target("overhead of a bearer that is remembered, of a hit's", ratio("bearer", "hit"), 1.0),
        Target("overhead of a hit among 100,000 sessions, of one among 100", many / few, 1.2),
    ]


def of_the_rest(figures: Figures) -> list[Target]:
    first = figures.verification("RS256", "host").middle / figures.verification("RS256", "jwt_authn").middle
    light = figures["cold"]["light"]
    cold = figures.latency(light["cold"], "p50") / figures.latency(light["lua"], "p50")
    ready = statistics.median(figures["start"]["hit"]) - statistics.median(figures["start"]["plain"])
    session = figures["memory"]["shared"]
    return [
        Target("first verification of RS256 by the host, of jwt_authn's", first, 1.5),
        Target("p50 of a request with a new session, of Lua's exchange", cold, 1.15),
        Target(f"memory per session, with a token of {figures['token']} bytes", session, figures["token"] + 512, "bytes"),
        Target("growth of memory while sessions come and go", max(0, figures.churn_growth()) / 1e6, CHURN_NOISE / 1e6, "MB", 1),
        Target("size of the module", figures["module"], 700_000, "bytes"),
        Target("Envoy is ready so much later with the filter", ready, 1.0, "s"),
    ]
