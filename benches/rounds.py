"""Interleaved rounds: the contenders take turns, so that what changes on the machine meanwhile changes for all of them."""

from __future__ import annotations

import contextlib
import itertools
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import load
from contenders import Contender
from proxy import Proxy

import httpx

Say = Callable[[str], None]


@dataclass(frozen=True)
class Sample:
    """One round of one contender: CPU microseconds of Envoy per request, requests per second, latency in microseconds,
    and which part of its core Envoy was busy."""

    cost: float
    rate: float
    p50: float
    p99: float
    busy: float


Samples = dict[str, list[float]]


@dataclass(frozen=True)
class Plan:
    """How much is measured, and where the services listen and files may lie."""

    rounds: int
    seconds: int
    services_port: int
    folder: Path
    minted: dict[str, str]
    say: Say
    numbers: Iterator[int]

    @classmethod
    def make(cls, rounds: int, seconds: int, services_port: int, folder: Path, minted: dict[str, str], say: Say) -> Plan:
        return cls(rounds, seconds, services_port, folder, minted, say, itertools.count(1))

    def short(self, *, seconds: int = 2) -> Plan:
        """For a series of many points: fewer and shorter rounds for each."""
        changed = vars(self) | {"rounds": min(self.rounds, 3), "seconds": min(self.seconds, seconds)}
        return Plan(**changed)

    def directory(self) -> Path:
        return self.folder / f"envoy-{next(self.numbers)}"

    @contextlib.contextmanager
    def started(self, contender: Contender, *, workers: int = 1, cores: list[int] | None = None, upstream: bool = False) -> Iterator[Proxy]:
        """An Envoy with this contender, which does what it is for."""
        config = contender.config(self.services_port, upstream=upstream, workers=workers)
        with Proxy(config, self.directory(), cores=cores, workers=workers) as proxy:
            if contender.refuses:
                status = httpx.get(f"http://127.0.0.1:{proxy.port()}/", trust_env=False).status_code
                assert status == 401, f"{contender.title} answers {status} to a request without a credential"
            yield proxy


def sample(proxy: Proxy, run: Callable[[], load.Load]) -> Sample:
    """What a run costs Envoy."""
    before = proxy.cpu()
    done = run()
    spent = proxy.cpu() - before
    return Sample(spent / done.requests * 1e6, done.rate, done.p50, done.p99, spent / done.seconds)


def interleaved(plan: Plan, runs: dict[str, Callable[[int], Sample]], *, warm_up: bool = True) -> dict[str, Samples]:
    """Each of them once in each round; a first round that does not count lets caches fill and connections open."""
    found: dict[str, list[Sample]] = {name: [] for name in runs}
    for number in range(-1 if warm_up else 0, plan.rounds):
        for name, run in runs.items():
            taken = run(number)
            if number >= 0:
                found[name].append(taken)
    by_kind = {name: columns(samples) for name, samples in found.items()}
    for name, samples in by_kind.items():
        plan.say(line(name, samples))
    return by_kind


def columns(samples: list[Sample]) -> Samples:
    rows = [asdict(taken) for taken in samples]
    return {kind: [row[kind] for row in rows] for kind in rows[0]}


def line(name: str, samples: Samples) -> str:
    """For whoever watches."""
    middle = {kind: statistics.median(values) for kind, values in samples.items()}
    latency = f"p50 {middle['p50']:7,.0f} µs   p99 {middle['p99']:7,.0f} µs"
    return f"    {name:24}{middle['cost']:9.2f} µs{middle['rate']:10,.0f}/s   {latency}   busy {middle['busy']:4.0%}"
