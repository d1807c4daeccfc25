"""The text of docs/scaling.md around the rows of the simulation."""

from __future__ import annotations

import scaling_formula as formula

PARTS = ("worker", "process", "mesh", "reach", "sample", "whole", "bounds", "page", "logout", "cold", "outage")
WRITTEN = "<!-- Written by benches/scaling_plots.py: change that, not this. -->"


def write(rows: dict[str, list[dict]]) -> str:
    sections = [head(rows), the_formula(), one_worker(rows), one_process(rows), page(rows), mesh(rows), bounds(rows)]
    sections += [logout(rows), cold(rows), outage(rows), method(rows)]
    return "\n\n".join(section.strip() for section in sections) + "\n"


def number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def count(value: float) -> str:
    return f"{value:,.0f}"


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def error(row: dict) -> str:
    """How far the simulation is from the formula."""
    return f"{100 * (row['callouts'] / formula.of_row(row) - 1):+.1f} %"


def table(titles: list[str], lines: list[list[str]]) -> str:
    rows = [titles, ["---", *["---:"] * (len(titles) - 1)], *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def at(rows: list[dict], **wanted) -> dict:
    return next(row for row in rows if all(row[name] == value for name, value in wanted.items()))


def head(rows: dict[str, list[dict]]) -> str:
    minute = [row for row in rows["mesh"] if row["max_ttl"] == 60]
    pinned = at(minute, pinned=True)
    spread = next(row for row in minute if row["reach"] == 1000 and row["shared_slots"])
    compared = [row for part in ("worker", "process", "mesh", "reach", "sample", "whole") for row in rows[part]]
    worst = max(abs(row["callouts"] / formula.of_row(row) - 1) for row in compared)
    last = max(row["last"][-1] / row["max_ttl"] for row in rows["logout"])
    own = [row["last"][-1] for row in rows["logout"] if row["reach"] == 1 and row["rings"]]
    return f"""
# What a worker, a process and a mesh cost the auth service

{WRITTEN}

For whoever has to size the auth service, choose `cache.max_ttl`, or judge how long a session outlives its sign-out. All figures come from the
filter's real core, run in virtual time; [how](#method), and how to repeat it, stands at the end.

- A session in use costs each cache it reaches one callout in about `max_ttl − refresh_ahead`, however many requests it sends. The formula below
  and the simulation differ by {percent(worst)} at most.
- With the shared level a process counts as one cache, without it each worker does.
- **What counts in a large mesh is over how many processes the requests of one session are spread.** A million sessions with
  {number(pinned["requests"])} requests a second cost {number(pinned["callouts"])} callouts a second where each session stays with one worker, and
  {number(spread["callouts"])} where each request goes to any of 1,000 processes: a session then comes by the same process too rarely for anything to be
  remembered, and no `max_ttl` that anybody would want changes that. Caches help where connections stay or where requests are
  spread by a hash of the session.
- A sign-out takes effect in its process at once (the last request served after it: {max(own):.1f} s later), elsewhere within
  `max_ttl` (the latest seen: {percent(last)} of it).
- After a cold start, an auth service that answers in order and drops nothing recovers if `max_in_flight` × workers ≤ capacity × `exchange.timeout`."""


def the_formula() -> str:
    return """
## Formula

For a session whose requests reach a cache at random, `λ` a second on average:

```text
callouts a second of a session at a cache  =  1 / (T + 1/λ + d)

T   max_ttl − w, where w is the window in which a token is refreshed in the background: between refresh_ahead / 2 and
    refresh_ahead, different from worker to worker, ¾ of it on average
d   how long an exchange takes
```

The next exchange is made by the first request after the window has opened, whether it still finds the token fresh (and does not wait) or expired (and
waits). From any moment on the next request takes `1/λ` on average. Hence the cost of any mesh, where each session is spread over `p` processes of
`n` workers:

| | caches of a session | requests at each |
|---|---|---|
| one connection that stays | 1 | `λ` |
| with the shared level | `p` | `λ / p` |
| without it (`shared_slots: 0`) | `p × n` | `λ / (p × n)` |

Add up over the sessions. Two limits are worth knowing by heart: a busy session (`λ T ≫ 1` at each cache) costs `caches / T`, which is what `max_ttl` is
good for; a session that is rare at each cache (`λ T ≪ 1`) costs one callout for each request, whatever `max_ttl` is. With the shared level the worker whose
window opens first refreshes for all: with four workers and a busy session `w` is about 0.9 × `refresh_ahead`. A token that lives for less than
`max_ttl` takes its place in the formula."""


def one_worker(rows: dict[str, list[dict]]) -> str:
    lines = []
    for row in rows["worker"]:
        sessions, rate = row["groups"][0]
        per_minute = 60 * row["callouts"] / sessions
        expected = 60 * formula.of_row(row) / sessions
        line = [f"{row['max_ttl']} s", number(60 * rate), number(per_minute), number(expected), error(row)]
        lines.append([*line, percent(row["hits"] / row["requests"])])
    titles = ["`max_ttl`", "requests per minute", "callouts per minute", "formula", "difference", "served without waiting"]
    return f"""
## One worker

Per session, with the default `refresh_ahead` of min(10 s, `max_ttl` / 3):

{table(titles, lines)}

![Callouts of a session by its requests](scaling/session.svg)"""


def one_process(rows: dict[str, list[dict]]) -> str:
    lines = []
    for row in rows["process"]:
        sessions, rate = row["groups"][0]
        level = "shared" if row["shared_slots"] else "none"
        counts = [number(60 * row["callouts"] / sessions), number(60 * formula.of_row(row) / sessions), error(row)]
        waits = percent(row["misses"] / row["requests"])
        lines.append([level, number(60 * rate), *counts, percent(row["shared"] / row["requests"]), waits])
    titles = ["shared level", "requests per minute", "callouts per minute", "formula", "difference"]
    return f"""
## One process

Four workers, each request of a session at any of them, `max_ttl: 60s`. Per session:

{table([*titles, "served from another worker's", "had to wait"], lines)}"""


def page(rows: dict[str, list[dict]]) -> str:
    names = ["one worker (HTTP/2: one connection)", "the 4 workers of a process", "20 processes of 4 workers"]
    lines = [[name, number(row["callouts"])] for name, row in zip(names, rows["page"], strict=True)]
    return f"""
## A page that sends six requests at once

Of a session nothing is known of. Without single flight it would be six callouts. Single flight is per worker: a worker does not see what another one is
still asking, it only finds what another one has been answered.

{table(["the six requests reach", "callouts"], lines)}"""


def mesh(rows: dict[str, list[dict]]) -> str:
    by_ttl = []
    for row in sorted(rows["mesh"], key=lambda row: (not row["pinned"], row["reach"], -row["shared_slots"])):
        place = "one worker" if row["pinned"] else f"{count(row['reach'])} processes"
        level = "–" if row["pinned"] else "yes" if row["shared_slots"] else "no"
        served = percent(1 - row["misses"] / row["requests"])
        counts = [number(row["callouts"]), number(formula.of_row(row)), error(row), served]
        by_ttl.append([place, level, f"{row['max_ttl']} s", *counts])
    by_reach = []
    for shared in sorted(rows["reach"], key=lambda row: row["reach"]):
        if shared["shared_slots"]:
            alone = at(rows["reach"], reach=shared["reach"], shared_slots=0)
            counts = [number(shared["callouts"]), error(shared), number(alone["callouts"]), error(alone)]
            by_reach.append([count(shared["reach"]), *counts])
    requests = number(sum(sessions * rate for sessions, rate in rows["mesh"][0]["groups"]))
    return f"""
## A mesh

A million sessions, 1,000 processes of four workers. A tenth of the sessions send a request every five seconds on average, the others one every five minutes:
{requests} requests a second altogether. `max_entries` and `shared_slots` have room for all of them.

![Callouts of a mesh by max_ttl](scaling/mesh.svg)

![Callouts of a mesh by how far requests are spread](scaling/reach.svg)

By how many processes the requests of a session are spread over, `max_ttl: 60s`, each request at any worker:

{table(["processes", "callouts per second, shared level", "difference", "without it", "difference"], by_reach)}

By `max_ttl`:

{table(["a session reaches", "shared level", "`max_ttl`", "callouts per second", "formula", "difference",
        "served without waiting"], by_ttl)}"""  # fmt: skip


def bounds(rows: dict[str, list[dict]]) -> str:
    lines = []
    for row in rows["bounds"]:
        entries, slots = count(row["max_entries"]), count(row["shared_slots"])
        lines.append([f"{entries} / {slots}", number(row["callouts"]), number(formula.of_row(row)), error(row)])
    row = rows["bounds"][0]
    sessions = formula.in_use(row["groups"], row["max_ttl"], row["reach"])
    return f"""
## When the bounds are too small

The same million sessions at 20 processes, any request at any of them, `max_ttl: 60s`. About {count(round(sessions, -3))} sessions reach each process
within `max_ttl`, so what is remembered is pushed out before it is of use:

{table(["`max_entries` / `shared_slots`", "callouts per second", "formula", "difference"], lines)}

`max_entries` (per worker, with `max_bytes` to match) and `shared_slots` (per process, some more than needed, since a session fits into one set of four
only) should hold the sessions that come by within `max_ttl`. `session_bearer_cache_evicted` counts what did not fit into a worker's own cache."""


def logout(rows: dict[str, list[dict]]) -> str:
    lines = []
    for row in rows["logout"]:
        name = count(row["reach"]) + ("" if row["rings"] else ", workers not woken")
        last = [row["last"][nth] for nth in (50, 90, 99, 100)]
        lines.append([name, f"{row['max_ttl']} s", percent(row["served"]), *[f"{value:.1f} s" for value in last]])
    titles = ["processes", "`max_ttl`", "served of the requests within `max_ttl`", "last one: median", "90 %", "99 %", "all"]
    return f"""
## How long a session outlives its sign-out

Each session signs out through one process; somebody who kept the cookie goes on with one request a second (40 a second where there is one process), each at any
process. How many of these requests are served in the `max_ttl` after the sign-out, and when the last one is:

{table(titles, lines)}

![Time from the sign-out to the last request that was served](scaling/logout.svg)

In its own process the session ends at once; a worker that is not woken learns of it at its next tick, a second later at most. Another process learns of it when it asks
again: after `max_ttl` at the latest, earlier where a refresh falls into the time between. The more processes have served the session lately, the nearer
the last of them comes to `max_ttl`. So `max_ttl` is the figure to promise, and its price stands in the table above."""


def cold(rows: dict[str, list[dict]]) -> str:
    lines = []
    for row in rows["cold"]:
        timeline = row["timeline"]
        refused = [second["unavailable"] for second in timeline]
        capacity = count(row["capacity"]) if row["capacity"] else "any"
        well = max((nth + 1 for nth, some in enumerate(refused) if some), default=0)
        until = "not within 3 minutes" if well == len(timeline) else f"after {well} s" if well else "from the start"
        counts = [max(second["callouts"] for second in timeline), row["most_in_flight"], sum(refused)]
        lines.append([capacity, str(row["max_in_flight"]), *[count(value) for value in counts], until])
    steady = formula.mesh(rows["cold"][0]["groups"], 60, 1, 1, shared=True)
    titles = ["the auth service makes a second", "`max_in_flight`", "most callouts a second", "most under way", "503 in all"]
    return f"""
## Cold start

All of 20 processes start with empty caches; 100,000 sessions as above, each at one worker. At first each request is a callout; then the
{number(steady)} a second of the usual state, with waves of `max_ttl` that flatten out, since each worker's window is another.

{table([*titles, "no 503"], lines)}

![Cold start](scaling/cold.svg)

The auth service here answers in the order it is asked, and goes on working on what has timed out. Callouts that wait in its queue for longer than
`exchange.timeout` are lost work: the session is asked about again, and the queue does not get shorter. `max_in_flight` keeps it short, since it answers
503 with `Retry-After` at once instead: `max_in_flight` × workers of all processes ≤ capacity × `exchange.timeout`, so 25 at most in this example. A
circuit breaker on the auth service's cluster does the same per process, and an auth service that drops what has waited too long needs neither."""


def outage(rows: dict[str, list[dict]]) -> str:
    timeline = rows["outage"][0]["timeline"]

    def mean(name: str, begin: int, end: int) -> str:
        return count(sum(second[name] for second in timeline[begin:end]) / (end - begin))

    spans = [("before", 0, 30), ("the second minute of it", 90, 150), ("the first 10 s after", 150, 160)]
    spans += [("the second minute after", 210, 270)]
    names = ("requests", "callouts", "stale", "unavailable")
    lines = [[title, *[mean(name, begin, end) for name in names]] for title, begin, end in spans]
    return f"""
## Two minutes without the auth service

The same sessions and processes. Known sessions are served past `max_ttl` (`stale_if_error`), and refreshed after pauses that grow to 30 s with jitter; sessions of which
nothing is known are asked about each time, and once more (`retries: 1`). Per second:

{table(["", "requests", "callouts", "served past `max_ttl`", "503"], lines)}

![An outage](scaling/outage.svg)

When the auth service is back, each worker finds out by its next attempt, and the sessions whose `max_ttl` has passed meanwhile are exchanged as they come by: the same as
a cold start, and bounded in the same way."""


def method(rows: dict[str, list[dict]]) -> str:
    whole = rows["whole"]
    samples = [[count(row["simulated"]), number(row["callouts"]), error(row)] for row in rows["sample"]]
    full = [[f"{'one worker' if row['pinned'] else 'any of 1,000 processes'}", number(row["requests"]),
             number(row["callouts"]), number(formula.of_row(row)), error(row)] for row in whole]  # fmt: skip
    return f"""
## Method

`python benches/scaling_plots.py` runs the simulation ([benches/scaling.rs](../benches/scaling.rs)), draws the plots and writes this page, in four to
five minutes on one core. `--rows target/scaling.jsonl` draws and writes once more from what was simulated last; `cargo bench --bench scaling -- logout` prints one part.

- **Real**: the filter's core (`Authenticator`) on every worker, the shared level and the log of sign-outs between the workers of a process, ticks, single flight,
  back-off, bounds, and the default configuration but for what is named.
- **Scripted**: requests are a Poisson process, with fixed seeds; an exchange takes {1000 * formula.EXCHANGE:.0f} ms; time is virtual. Signatures are not verified but taken for
  good: they cost CPU and no callout. Sessions come into use one after the other within `max_ttl`, the mesh is left alone for another `max_ttl`, and
  rates are means over what follows.
- **Not in it**: bursts other than the page above, users who come and go, and the network between Envoy and the auth service.

Where the requests of a session go to any process, those at some of the processes are a Poisson process too, so at most 20 processes are simulated and
the rates multiplied. Whether that is right, with 20 processes and 100,000 sessions:

{table(["simulated", "callouts per second of all 20", "difference to the formula"], samples)}

And once everything: a million sessions at 1,000 processes of four workers, with the default bounds:

{table(["a session reaches", "requests per second", "callouts per second", "formula", "difference"], full)}"""
