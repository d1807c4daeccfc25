"""Writes docs/benchmarks.md and its plots from the figures of a run: python benches/report.py target/bench/results.json"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from figures import Figures, Spread
from plots import draw
from targets import targets

DOCS = Path(__file__).resolve().parents[1] / "docs"


def document(figures: Figures) -> str:
    sections = [opening, promises, side_by_side, of_a_hit, paced, cold, verification, upstream, growth, memory, other, method]
    return "\n".join(section(figures).strip() + "\n" for section in sections)


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def opening(_figures: Figures) -> str:
    return """
# Benchmarks

Written by `make bench`; do not edit. What session-bearer costs beside what somebody would use in its place, measured in one run on one
machine: the ratios carry over to other machines, the microseconds do not. *Overhead* is the CPU time of the Envoy process per request, above that of
a plain Envoy in the same round. Figures are medians of the rounds, with the least and the most in brackets.
"""


def promises(figures: Figures) -> str:
    every = targets(figures)
    met = sum(target.met for target in every)
    rows = "\n".join(target.row() for target in every)
    return f"""
## Targets

{met} of {len(every)} are met. No test asserts a time; the number of host calls of a cached request is tested exactly.

| what | target | measured | |
|---|---:|---:|---|
{rows}
"""


def side_by_side(figures: Figures) -> str:
    rows = []
    for name in figures["saturated"]:
        own = name.startswith("plain")
        ratio = "" if own else f"{figures.overhead_ratio(name, 'noop'):.2f}"
        overhead = "" if own else figures.overhead(name).text()
        busy = statistics.median(figures["saturated"][name]["busy"])
        share = f"{figures.share(name, 'plain'):.2f}"
        rows.append([figures.title(name), figures.cost(name).text(), overhead, ratio, f"{figures.rate(name).middle:,.0f}", f"{busy:.0%}", share])
    head = ["", "CPU µs per request", "overhead, µs", "of do-nothing's", "requests/s", "core busy", "throughput, of plain's"]
    return f"""
## Side by side

Every contender answers the same request as fast as it can, on one core.

{table(head, rows)}

Where Envoy's core was not busy all the time, the load generator or the auth service was the slower side. Throughputs are therefore compared as what a
core does that is busy all the time, which is less favourable to session-bearer than the requests that were counted.

![Overhead of each contender](benchmarks/overhead.svg)

![Throughput of each contender](benchmarks/throughput.svg)
"""


def of_a_hit(figures: Figures) -> str:
    overheads = [0, *(figures.overhead(name).middle for name in ("noop-listed", "calls", "hit"))]
    steps = [
        "entering the VM for a filter that does nothing",
        "the host calls: reading the heads, changing them, telling what was decided",
        "deciding: route, cookies, session, origin, cache",
    ]
    spent = [above - below for below, above in zip(overheads, overheads[1:], strict=False)]
    rows = [[step, f"{each:.1f}", f"{each / overheads[-1]:.0%}"] for step, each in zip(steps, spent, strict=True)]
    cached, calls = figures.overhead("jwt-hs256-cached").middle, overheads[2]
    floor, hs256 = figures.overhead("noop").middle, figures.overhead("jwt-hs256").middle
    counts = "\n".join(f"- {count}" for count in figures["counts"]) or "- none is counted yet"
    return f"""
### What a hit is made of

The steps are differences between contenders: the filter that does nothing with session-bearer's capability list, the same filter when it makes the
host calls of a hit and its response and decides nothing ([noop](../benches/noop)), and a hit.

{table(["", "CPU µs", "share of a hit's overhead"], rows)}

So {calls:.1f} µs are what any filter of this SDK costs that reads a request's head whole, sets `Authorization`, takes the cookie out, keeps the response from
caches and tells access logs what was decided: {calls / floor:.1f} times the filter that does nothing, {calls / hs256:.2f} times `jwt_authn` with HS256 and
{calls / cached:.1f} times `jwt_authn` with its cache, which enters no VM. What is above that is session-bearer's own.

Host calls are counted exactly by the fake host ([tests/adapter.rs](../tests/adapter.rs)), where each of these is a test:

{counts}
"""


def paced(figures: Figures) -> str:
    rows = []
    for name, samples in figures["paced"].items():
        full = figures["saturated"][name]
        latencies = [f"{figures.latency(each, kind):,.0f}" for each in (samples, full) for kind in ("p50", "p99")]
        rows.append([figures.title(name), *latencies])
    head = ["latency in µs", "p50 at 3,000/s", "p99 at 3,000/s", "p50 at full load", "p99 at full load"]
    return f"""
### Latency

At about 3,000 requests a second Envoy is idle most of the time; at full load 16 requests are always under way, so that latency is throughput in other words.

{table(head, rows)}

![Latency at a moderate rate](benchmarks/latency.svg)
"""


def cold(figures: Figures) -> str:
    full, light = figures["cold"]["full"], figures["cold"]["light"]
    rows = []
    for name, title in (("cold", "session-bearer"), ("lua", "Lua `httpCall`")):
        cost, rate = Spread.of(full[name]["cost"]), statistics.median(full[name]["rate"])
        p50, p99 = (figures.latency(light[name], kind) for kind in ("p50", "p99"))
        rows.append([title, cost.text(), f"{rate:,.0f}", f"{p50:,.0f}", f"{p99:,.0f}"])
    head = ["every request a new session", "CPU µs per request", "requests/s", "p50, µs", "p99, µs"]
    return f"""
## New sessions

No request can be answered from memory: each waits for an exchange with the auth service. Lua's exchange verifies nothing, stores nothing and
joins no two requests of one session. Latency is that of 4 requests under way at a time, cost and throughput those of 16.

{table(head, rows)}

The callout itself costs both the same. What session-bearer does beside it, in the host calls counted above: it enters the VM for the request, for the queue that
wakes the root, for the answer, and for memory to copy what it is handed into; looks for the session among what the workers share, and stores it there; reads the
log of sign-outs before and after it asks; verifies the token; and counts.
"""


def verification(figures: Figures) -> str:
    rows = []
    for algorithm in figures["verification"]:
        ways = [figures.verification(algorithm, way) for way in ("host", "module", "jwt_authn")]
        rows.append([algorithm, *(way.text(0) if way else "–" for way in ways)])
    return f"""
## New tokens

Every request brings a bearer never seen before; overhead in CPU microseconds. Where Envoy's cryptography cannot verify an algorithm, the module does.

{table(["", "session-bearer", "… without the host's cryptography", "jwt_authn"], rows)}

Where the host verifies, the signature costs both the same, but that it is handed the key anew each time. The rest is a bearer's way through the filter, as in the
first table, and reading the token in the VM: its form, its header and its claims, whose members may not repeat.
"""


def upstream(figures: Figures) -> str:
    part = figures["upstream"]
    rows = []
    for name in part:
        overhead = "" if name == "plain" else figures.overhead(name, "upstream").text()
        share = figures.share(name, "plain", "upstream")
        rows.append([figures.title(name), figures.cost(name, "upstream").text(), overhead, f"{figures.rate(name, 'upstream').middle:,.0f}", f"{share:.2f}"])
    workers = []
    for count, contenders in figures["workers"].items():
        costs = [Spread.of(contenders[name]["cost"]).text() for name in ("plain", "noop-listed", "hit")]
        workers.append([count, *costs])
    return f"""
## With a backend, with more workers

Above, Envoy answers by itself, so that the chain of filters is measured and nothing else. With a backend behind it, which refuses what comes
without a token:

{table(["", "CPU µs per request", "overhead, µs", "requests/s", "throughput, of plain's"], rows)}

CPU microseconds per request by the number of workers. Where there are two cores in all, two workers share them with the load generator:

{table(["workers", "plain Envoy", "Wasm filter that does nothing", "session-bearer, hit"], workers)}
"""


def growth(figures: Figures) -> str:
    counts = [count for count in figures["sessions"] if count != "plain"]
    rows = [[f"{int(count):,}", figures.hits_among(count).text()] for count in counts]
    series = []
    for part, what in (("fields", "header fields"), ("cookies", "cookies"), ("sizes", "bytes in one more field")):
        for point, contenders in figures[part].items():
            costs = [Spread.of(contenders[name]["cost"]).middle for name in ("plain", "noop-listed", "hit")]
            series.append([f"{what}: {int(point):,}", *(f"{cost:.1f}" for cost in costs), f"{costs[2] - costs[0]:.1f}"])
    return f"""
## What the cost of a hit depends on

{table(["sessions remembered", "overhead of a hit, µs"], rows)}

What grows with their number is not work but memory: the entry and the token of a session that was not asked about lately come from further away. On a machine
whose caches others use too, that is more.

![Overhead by sessions remembered](benchmarks/sessions.svg)

{table(["request with", "plain Envoy, µs", "do-nothing filter, µs", "hit, µs", "overhead of the hit, µs"], series)}

![Cost by header fields, cookies and size](benchmarks/requests.svg)
"""


def memory(figures: Figures) -> str:
    alone, shared, token = figures["memory"]["alone"], figures["memory"]["shared"], figures["token"]
    course = figures["churn"]
    return f"""
## Memory

With 100,000 sessions and a token of {token} bytes, the process grows by {shared:,.0f} bytes for each session, and by {alone:,.0f} with
`cache.shared_slots: 0`. That is for one worker; each remembers for itself.

While {course['sessions']:,} sessions came once each, in {course['seconds'][-1]:,.0f} seconds, memory went from {course['resident'][0] / 1e6:.1f} MB to
{course['resident'][-1] / 1e6:.1f} MB. Growth is counted from the first quarter, in which everything bounded fills, to the most in the second half.

![Memory while sessions come and go](benchmarks/churn.svg)
"""


def other(figures: Figures) -> str:
    plain, hit = (Spread.of(figures["start"][name]) for name in ("plain", "hit"))
    return f"""
## Module and start

The module has {figures['module']:,} bytes. Envoy with two workers on two cores is ready after {plain.text(2)} s without the filter and
{hit.text(2)} s with it; most of the difference is V8 compiling the module, once per process.

A third of the module verifies signatures where the host cannot: P-384 alone is an eighth, RSA's numbers a twelfth. A tenth reads the configuration so that each mistake is
told with its path, another tenth is the text of messages and constants, a seventh the standard library. Optimised for size as a whole the module would still miss
the target, and a hit would cost 2 to 4 µs more.
"""


def method(figures: Figures) -> str:
    machine = "\n".join(f"- {name}: {value}" for name, value in figures["machine"].items())
    return f"""
## Method

- Envoy runs with one worker on one core ([proxy.py](../benches/proxy.py)); wrk, the auth service and the backend (both another Envoy) run on
  another one, and none of their CPU time counts. CPU time is what the kernel has given the threads of the Envoy process.
- The configuration is the shipped [envoy.yaml](../envoy/envoy.yaml) without its access log and with one route, which Envoy answers itself. Only
  the filter in the place of session-bearer differs: [contenders.py](../benches/contenders.py) has them all, the Lua code included. Each one that
  should refuses a request without a credential before it is measured, and every answer of a run has to be 2xx.
- The request is a browser's: 16 header fields and three cookies, one of them the session ([load.py](../benches/load.py)). What takes a bearer is
  sent the token in the place of the session; its floor is a plain Envoy that is sent the same.
- Contenders take turns in {figures['rounds']} rounds of {figures['seconds']} s, after one that does not count; series of many points have three shorter ones.
  Overheads are taken round by round.
- The filter that does nothing is built with the same SDK and profile ([noop](../benches/noop)), and measured as anybody would load it and with
  session-bearer's list of capabilities.

The machine:

{machine}

This run took {figures['took'] / 60:.0f} minutes. To repeat it:

```sh
make bench                                      # everything; writes this page
make bench BENCH_ROUNDS=9 BENCH_SECONDS=5       # longer rounds
make bench CHURN_SECONDS=600                    # ten minutes of sessions that come and go
make bench BENCH_ONLY=plain,noop,hit            # some contenders or parts; prints, writes nothing
```
"""


def main() -> int:
    figures = Figures(Path(sys.argv[1]))
    draw(figures, DOCS / "benchmarks")
    (DOCS / "benchmarks.md").write_text(document(figures))
    for target in targets(figures):
        print(target.row().strip("| ").replace("**", "").replace(" | ", "   "))
    print("written: docs/benchmarks.md, docs/benchmarks/*.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
