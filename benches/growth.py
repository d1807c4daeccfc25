"""What the cost and the memory of a hit depend on: sessions remembered, header fields, cookies, time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable

import load
from comparison import against
from contenders import HIT, NOOP_LISTED, PLAIN, Contender, with_sessions
from proxy import Proxy
from rounds import Plan, Sample, Samples, interleaved, sample

SESSIONS = (100, 1_000, 10_000, 100_000)
FIELDS = (5, 15, 40, 90)
COOKIES = (1, 10, 100, 1000)
SIZES = (100, 1_000, 10_000)
MOST_SESSIONS = SESSIONS[-1]
# Requests for a session that was just being exchanged for, at the end of filling the cache.
SPARE = 100
# Seconds in which the cache has to be full.
AT_MOST = 300
CHURN_SAMPLES = 200


def sessions(plan: Plan) -> dict[str, dict[str, Samples]]:
    """A hit of any of so many sessions, at random; a request of plain Envoy is the floor of each round."""
    plan = plan.short()
    with contextlib.ExitStack() as stack:
        runs = {"plain": any_of(stack.enter_context(plan.started(PLAIN)), plan, MOST_SESSIONS)}
        proxies = {}
        for count in SESSIONS:
            proxies[count] = stack.enter_context(plan.started(with_sessions(count)))
            load.run(proxies[count].port(), load.with_cookie(load.VARIABLE), AT_MOST, each=count)
            runs[str(count)] = any_of(proxies[count], plan, count)
        rows = interleaved(plan, runs)
        for count, proxy in proxies.items():
            hits, allowed = proxy.requests_from_memory()
            others = allowed - hits - count
            assert others <= SPARE + count / 50, f"with {count} sessions {others} of {allowed} requests were no hits"
    return rows


def any_of(proxy: Proxy, plan: Plan, count: int) -> Callable[[int], Sample]:
    port, headers = proxy.port(), load.with_cookie(load.VARIABLE)
    return lambda _number: sample(proxy, lambda: load.run(port, headers, plan.seconds, any=count))


def memory(plan: Plan) -> dict[str, float]:
    """Bytes by which the process grows for each session, without the shared level and with the default one."""
    found = {}
    for name, changes in (("alone", {"shared_slots": 0}), ("shared", {})):
        with plan.started(with_sessions(MOST_SESSIONS, **changes)) as proxy:
            headers = load.with_cookie(load.VARIABLE)
            load.run(proxy.port(), headers, 1, fresh="warm")
            before = proxy.resident()
            done = load.run(proxy.port(), headers, AT_MOST, each=MOST_SESSIONS)
            found[name] = (proxy.resident() - before) / done.requests
            plan.say(f"    {name:24}{found[name]:9.0f} bytes for each of {done.requests:,} sessions")
    return found


def fields(plan: Plan) -> dict[str, dict[str, Samples]]:
    """Requests with so many header fields in all, Host and Cookie among them."""
    few = {name: load.BROWSER[name] for name in ("User-Agent", "Accept", "Accept-Language")}

    def request(count: int) -> dict[str, str]:
        own = few if count < 15 else load.BROWSER
        more = {f"X-Field-{number}": f"a-value-of-some-length-{number}" for number in range(count - len(own) - 2)}
        return own | more | {"Cookie": f"session={load.SESSION}"}

    return _by_request(plan, {count: request(count) for count in FIELDS})


def cookies(plan: Plan) -> dict[str, dict[str, Samples]]:
    """Requests with so many cookies, the session in their middle."""

    def request(count: int) -> dict[str, str]:
        others = [f"name{number:03}=a-short-value" for number in range(count - 1)]
        others.insert(count // 2, f"session={load.SESSION}")
        return load.BROWSER | {"Cookie": "; ".join(others)}

    return _by_request(plan, {count: request(count) for count in COOKIES})


def sizes(plan: Plan) -> dict[str, dict[str, Samples]]:
    """Requests with one more field of so many bytes."""
    return _by_request(plan, {size: load.with_cookie() | {"X-Long": "x" * size} for size in SIZES})


def _by_request(plan: Plan, requests: dict[int, dict[str, str]]) -> dict[str, dict[str, Samples]]:
    plan = plan.short(seconds=1)
    contenders: dict[str, Contender] = {"plain": PLAIN, "noop-listed": NOOP_LISTED, "hit": HIT}
    with contextlib.ExitStack() as stack:
        proxies = {name: stack.enter_context(plan.started(contender)) for name, contender in contenders.items()}
        runs = {
            f"{name} {count}": against(proxy, headers, plan.seconds)
            for count, headers in requests.items()
            for name, proxy in proxies.items()
        }
        rows = interleaved(plan, runs, warm_up=False)
    return {str(count): {name: rows[f"{name} {count}"] for name in contenders} for count in requests}


def churn(plan: Plan, seconds: int) -> dict[str, list[float] | int]:
    """The memory of the process while no session comes twice."""
    with plan.started(HIT) as proxy:
        process = load.start(proxy.port(), load.with_cookie(load.VARIABLE), seconds, fresh="churn")
        began, at, resident = time.monotonic(), [], []
        for moment in _moments(began, seconds):
            at.append(round(moment - began, 2))
            resident.append(proxy.resident())
            if process.poll() is not None:
                break
        done = load.result(process)
        plan.say(f"    {done.requests:,} sessions, {resident[0] / 1e6:.1f} MB to {resident[-1] / 1e6:.1f} MB")
    return {"sessions": done.requests, "seconds": at, "resident": resident}


def _moments(began: float, seconds: int) -> Iterable[float]:
    """The times at which to look, until the last second."""
    while (now := time.monotonic()) < began + seconds - 0.5:
        yield now
        time.sleep(max(0.2, seconds / CHURN_SAMPLES))
