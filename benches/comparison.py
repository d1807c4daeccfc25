"""The comparisons: the contenders beside each other, with the same requests, in one run."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import load
from contenders import EXT_AUTHZ, HIT, LUA_EXCHANGE, NOOP, NOOP_LISTED, PLAIN, PLAIN_BEARER, Contender, Keys, side_by_side
from proxy import CORES, ROOT, Proxy
from rounds import Plan, Sample, Samples, interleaved, sample

# With these, about 3,000 requests arrive in a second, which leaves the slowest contender idle for most of the time.
PACED_CONNECTIONS = 32
PAUSE = "5,15"
# A new session each time: as many at a time as leave the proxy some air, since latency is the question.
COLD_CONNECTIONS = 4
TOKENS = 2000
# Seconds in which they have to be sent.
AT_MOST = 120
# Verified in the module, a token takes a millisecond or more.
TOKENS_IN_MODULE = 200
STARTS = 5
ALGORITHMS = ("HS256", "RS256", "ES256", "PS256", "ES384", "EdDSA")


def run_side_by_side(plan: Plan, contenders: dict[str, Contender], *, upstream: bool = False, **options) -> dict[str, Samples]:
    """As many requests as a contender can take, unless the options of the load say otherwise."""
    with contextlib.ExitStack() as stack:
        runs = {}
        for name, contender in contenders.items():
            proxy = stack.enter_context(plan.started(contender, upstream=upstream))
            runs[name] = against(proxy, contender.headers(plan.minted), plan.seconds, **options)
        return interleaved(plan, runs)


def against(proxy: Proxy, headers: dict[str, str], seconds: int, **options) -> Callable[[int], Sample]:
    """A round: one run of the load. The one that does not count need not be long."""
    port = proxy.port()
    return lambda number: sample(proxy, lambda: load.run(port, headers, seconds if number >= 0 else 1, **options))


def saturated(plan: Plan, keys: Keys, only: set[str]) -> dict[str, Samples]:
    return run_side_by_side(plan, {name: made for name, made in side_by_side(keys).items() if name in only or not only})


def paced(plan: Plan, keys: Keys, only: set[str]) -> dict[str, Samples]:
    contenders = {name: made for name, made in side_by_side(keys).items() if name in only or not only}
    return run_side_by_side(plan.short(seconds=1), contenders, connections=PACED_CONNECTIONS, pause=PAUSE)


def upstream(plan: Plan, keys: Keys) -> dict[str, Samples]:
    """The same with a backend behind each of them."""
    contenders = {"plain": PLAIN, "noop": NOOP, "hit": HIT, "jwt-hs256": keys.jwt_authn("HS256"), "ext-authz": EXT_AUTHZ, "lua": LUA_EXCHANGE}
    return run_side_by_side(plan.short(), contenders, upstream=True)


def cold(plan: Plan) -> dict[str, dict[str, Samples]]:
    """Every request with another session: as many as can be taken, then a few at a time."""
    found = {}
    for name, connections in (("full", load.CONNECTIONS), ("light", COLD_CONNECTIONS)):
        with contextlib.ExitStack() as stack:
            runs = {}
            for each, contender in {"plain": PLAIN, "cold": HIT, "lua": LUA_EXCHANGE}.items():
                proxy = stack.enter_context(plan.started(contender))
                runs[each] = fresh(proxy, plan, connections)
            found[name] = interleaved(plan, runs)
    return found


def fresh(proxy: Proxy, plan: Plan, connections: int) -> Callable[[int], Sample]:
    port, headers = proxy.port(), load.with_cookie(load.VARIABLE)

    def run(number: int) -> Sample:
        seconds = plan.seconds if number >= 0 else 1
        return sample(proxy, lambda: load.run(port, headers, seconds, connections=connections, fresh=f"round{number}"))

    return run


def verification(plan: Plan, keys: Keys) -> dict[str, dict]:
    """Every request with another token, by algorithm: verified by the host, in the module, by jwt_authn."""
    found = {}
    for algorithm in ALGORITHMS:
        tokens = minted(plan, keys, algorithm)
        contenders = {"plain": PLAIN_BEARER, "host": keys.bearer(algorithm), "module": keys.bearer(algorithm, host=False)}
        contenders["jwt_authn"] = keys.jwt_authn(algorithm)
        with contextlib.ExitStack() as stack:
            runs = {}
            for name, contender in contenders.items():
                proxy = stack.enter_context(plan.started(contender))
                runs[f"{algorithm} {name}"] = never_twice(proxy, tokens, TOKENS_IN_MODULE if name == "module" else TOKENS)
            rows = interleaved(plan, runs)
        found[algorithm] = {name.split()[1]: row for name, row in rows.items()}
    return found


def minted(plan: Plan, keys: Keys, algorithm: str) -> Path:
    """A file with a token in each line, enough for all rounds and the one that does not count."""
    path = plan.folder / f"{algorithm}.tokens"
    with path.open("w") as file:
        for number in range(TOKENS * (plan.rounds + 1)):
            print(keys.mint(algorithm, sub=f"user-{number}", exp=int(time.time()) + 3600), file=file)
    return path


def never_twice(proxy: Proxy, tokens: Path, count: int) -> Callable[[int], Sample]:
    port, headers = proxy.port(), load.with_bearer(load.VARIABLE)

    def run(number: int) -> Sample:
        return sample(proxy, lambda: load.run(port, headers, AT_MOST, lines=tokens, skip=(number + 1) * TOKENS, only=count))

    return run


def workers(plan: Plan) -> dict[str, dict[str, Samples]]:
    """With one worker and with two. On two cores the load generator shares them, so only the cost says something."""
    plan = plan.short()
    cores = CORES[1:3] if len(CORES) > 2 else CORES
    found = {}
    for count in (1, 2):
        with contextlib.ExitStack() as stack:
            runs = {}
            for name, contender in {"plain": PLAIN, "noop-listed": NOOP_LISTED, "hit": HIT}.items():
                proxy = stack.enter_context(plan.started(contender, workers=count, cores=cores[-count:]))
                runs[name] = against(proxy, contender.headers(plan.minted), plan.seconds)
            found[str(count)] = interleaved(plan, runs)
    return found


def start(plan: Plan) -> dict[str, list[float]]:
    """Seconds until Envoy is ready, with two workers on two cores."""
    found: dict[str, list[float]] = {"plain": [], "hit": []}
    for _ in range(STARTS):
        for name, contender in (("plain", PLAIN), ("hit", HIT)):
            proxy = Proxy(contender.config(plan.services_port), plan.directory(), cores=CORES[-2:], workers=2)
            found[name].append(proxy.seconds_until_ready())
    for name, seconds in found.items():
        plan.say(f"    {name:24}{statistics.median(seconds):9.3f} s")
    return found


def module() -> int:
    return (ROOT / "target" / "session_bearer.wasm").stat().st_size


