"""Floods the filter in a real Envoy with cookies that nobody knows, and watches what must not change meanwhile.

Four workers. The auth service is a second listener of the same Envoy, which knows one session and answers at once; the
backend is a direct response. What has to hold is said at the end, and the exit code is 1 when one thing does not.
"""

from __future__ import annotations

import argparse
import collections
import json
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "envoy"), str(ROOT / "envoy" / "demo")]

import stack  # noqa: E402
from flood import Flood, Known  # noqa: E402
from harness import tokens  # noqa: E402
from harness.bootstrap import bootstrap, connection_manager, plugin  # noqa: E402
from harness.counts import WITHIN_SECONDS, values  # noqa: E402
from harness.envoy import Envoy  # noqa: E402
from harness.eventually import eventually  # noqa: E402

WORKERS = 4
MAX_IN_FLIGHT = 12
# Many more than may ask at a time, so that the cap is reached and not only kept away from.
FLOOD_CONNECTIONS = WORKERS * 32
KNOWN_CONNECTIONS = WORKERS * 2
# Short, so that the known session has to be asked about again and again while the flood runs.
MAX_TTL_SECONDS = 5

# After so many exchanges everything that is bounded is full: each worker keeps a few thousand refusals for a while.
WARM_UP = 50_000
PARTS = 20
ALLOWED_GROWTH = 3_000_000

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
IN_FLIGHT = "session_bearer_exchange_in_flight"
CALLOUTS_NOW = "cluster.auth_service.upstream_rq_active"
CACHED = ("allowed_hit", "allowed_shared", "allowed_stale")
COUNTED = (*CACHED, "allowed_miss", "denied_overloaded", "denied_session_refused", "exchange_callouts", "exchange_refreshes")

LEGEND = """\
cookies      random session cookies sent so far, each used once
per s        how many of them were answered in a second
in flight    the gauge session_bearer_exchange_in_flight at the end of the line's part
401, 503     how they were answered so far: no such session; too many exchanges under way
known 200    how often the known session was answered 200 so far, all the time beside the flood
resident MB  the memory of the Envoy process, as the kernel counts it
"""

Say = Callable[[str], None]


@dataclass
class Course:
    """What was seen: the memory after each part, the answers by status, the most exchanges at a time, what the filter counted."""

    sent: int = 0
    warm: int = 0
    resident: list[int] = field(default_factory=list)
    flood: collections.Counter[int] = field(default_factory=collections.Counter)
    known: collections.Counter[int] = field(default_factory=collections.Counter)
    broken: list[str] = field(default_factory=list)
    in_flight: int = 0
    callouts: int = 0
    counted: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


# What has to hold: each gives whether it does, and what was measured.


def memory_is_flat(course: Course) -> tuple[bool, str]:
    """resident memory is flat: at its most it is not above what it was after the warm-up, but for noise"""
    most = max(course.resident)
    what = f"{course.warm / 1e6:.1f} MB, then {most / 1e6:.1f} MB at most; noise is less than {ALLOWED_GROWTH / 1e6:.0f} MB"
    return most - course.warm < ALLOWED_GROWTH, what


def known_session_is_always_answered(course: Course) -> tuple[bool, str]:
    """the known session was answered 200 each time"""
    failed = {status: count for status, count in course.known.items() if status != 200}
    holds = course.known[200] > 0 and not failed and not course.broken
    return holds, f"{course.known[200]:,} times 200, else {failed or course.broken or 'nothing'}"


def known_session_is_answered_from_the_cache(course: Course) -> tuple[bool, str]:
    """no request of the known session waited for an exchange: it was refreshed in the background before max_ttl was over"""
    from_cache = sum(course.counted[name] for name in CACHED)
    what = ", ".join(f"{course.counted[name]:,} {name}" for name in (*CACHED, "allowed_miss", "exchange_refreshes"))
    return course.counted["allowed_miss"] == 0 and from_cache == course.known.total(), what


def callouts_are_capped(course: Course) -> tuple[bool, str]:
    """exchanges in flight kept within max_in_flight of all workers, as the filter's gauge and Envoy's own say"""
    cap = WORKERS * MAX_IN_FLIGHT
    return max(course.in_flight, course.callouts) <= cap, f"at most {course.in_flight} and {course.callouts}, of {cap}"


def unknown_cookies_are_refused(course: Course) -> tuple[bool, str]:
    """each random cookie was answered, with 401 (the auth service knows no such session) or 503 (too many exchanges under way)"""
    refused, overloaded = course.flood[401], course.flood[503]
    what = ", ".join(f"{count:,} times {status}" for status, count in sorted(course.flood.items()))
    return refused > 0 and refused + overloaded == course.sent == course.flood.total(), what


def only_the_cap_is_a_reason_for_503(course: Course) -> tuple[bool, str]:
    """each 503 was for the cap; the auth service itself never failed"""
    answered, overloaded = course.flood[503], course.counted["denied_overloaded"]
    return answered == overloaded, f"{answered:,} times 503, {overloaded:,} of them for the cap"


def no_vm_failed(course: Course) -> tuple[bool, str]:
    """no VM of the filter failed"""
    return not course.failures, "; ".join(course.failures) or "no trap, no reload, no new VM"


CLAIMS = [
    memory_is_flat,
    known_session_is_always_answered,
    known_session_is_answered_from_the_cache,
    callouts_are_capped,
    unknown_cookies_are_refused,
    only_the_cap_is_a_reason_for_503,
    no_vm_failed,
]


# The run


def run(cookies: int, folder: Path, say: Say) -> Course:
    """Warms up, then sends so many cookies; the known session is asked for all the time."""
    course, cookie = Course(), f"session=known.{secrets.token_hex(16)}"
    with Envoy(configuration(cookie), folder, workers=WORKERS, log_level="warning") as envoy:
        client = envoy.client("edge")
        with Known(client, cookie, KNOWN_CONNECTIONS) as known, Flood(client.port, FLOOD_CONNECTIONS) as flood, Watch(envoy) as watch:

            def send(count: int) -> None:
                began = time.monotonic()
                flood.send(count)
                counts = [flood.sent, count / (time.monotonic() - began), watch.now[IN_FLIGHT], flood.statuses[401], flood.statuses[503]]
                say("".join(f"{value:11,.0f}" for value in [*counts, known.statuses[200]]) + f"{envoy.resident() / 1e6:13.1f}")

            say(f"random cookies on {FLOOD_CONNECTIONS} connections, one known session on {KNOWN_CONNECTIONS}; {WORKERS} workers of Envoy")
            say(f"exchange.max_in_flight {MAX_IN_FLIGHT} for each; cache.max_ttl {MAX_TTL_SECONDS}s; {envoy.resident() / 1e6:.1f} MB")
            known.sign_in()
            before = eventually(lambda: counted_all(envoy, KNOWN_CONNECTIONS), within=WITHIN_SECONDS, what="the counts of the sign-in")
            known.begin()
            say("".join(f"{title:>11}" for title in ["cookies", "per s", "in flight", "401", "503", "known 200"]) + f"{'resident MB':>13}")
            while flood.statuses[401] < WARM_UP:
                assert flood.sent < 20 * WARM_UP, f"hardly any cookie is asked about: {flood.statuses}"
                send(WARM_UP // 2)
            course.warm = envoy.resident()
            say(f"warm; {cookies:,} more follow")
            for part in range(PARTS):
                send(cookies * (part + 1) // PARTS - cookies * part // PARTS)
                course.resident.append(envoy.resident())
            known.end()
        requests = KNOWN_CONNECTIONS + known.statuses.total() + flood.sent
        after = eventually(lambda: counted_all(envoy, requests), within=WITHIN_SECONDS, what=f"{requests} counted requests")
        course.failures = envoy.failures()
    course.counted = {name: round(after[f"session_bearer_{name}"] - before[f"session_bearer_{name}"]) for name in COUNTED}
    course.sent, course.flood, course.known, course.broken = flood.sent, flood.statuses, known.statuses, known.broken
    course.in_flight, course.callouts = watch.most[IN_FLIGHT], watch.most[CALLOUTS_NOW]
    say(f"{course.counted['exchange_callouts']:,} callouts; the known session waited {known.slowest:.3f} s at most")
    return course


class Watch:
    """Looks at the exchanges under way again and again, and keeps the most it has seen."""

    def __init__(self, envoy: Envoy) -> None:
        self.now = {IN_FLIGHT: 0, CALLOUTS_NOW: 0}
        self.most = dict(self.now)
        self._envoy = envoy
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_exc) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            seen = self._envoy.stats(rf"wasmcustom\.{IN_FLIGHT}|{CALLOUTS_NOW}")
            for name, value in seen.items():
                name = name.removeprefix("wasmcustom.")
                self.now[name] = value
                self.most[name] = max(self.most[name], value)


def counted_all(envoy: Envoy, requests: int) -> dict[str, float] | None:
    """The filter's counts, once so many requests are in them; the workers hand them to Envoy about once a second."""
    counts = values(envoy)
    outcomes = sum(count for name, count in counts.items() if name.startswith(("session_bearer_allowed_", "session_bearer_denied_")))
    return counts if outcomes == requests else None


# Envoy


def configuration(cookie: str) -> dict:
    """The shipped configuration with answers of Envoy's own in place of the auth service and of the backend."""
    (port,) = stack.free_ports(1)
    changes = {"exchange": {"max_in_flight": MAX_IN_FLIGHT}, "cache": {"max_ttl": f"{MAX_TTL_SECONDS}s"}}
    config = bootstrap(port, port, plugin(**changes))
    (edge,) = config["static_resources"]["listeners"]
    edge["connection_balance_config"] = {"exact_balance": {}}
    manager = connection_manager(config)
    manager.pop("access_log")
    manager["route_config"] = routes({"match": {"prefix": "/"}, "direct_response": {"status": 200}})
    config["static_resources"]["listeners"].append(auth_service(port, cookie))
    return config


def auth_service(port: int, cookie: str) -> dict:
    """A listener that gives a token for one cookie, and 401 for all others."""
    now = int(time.time())
    token = tokens.mint(sub="known", iat=now, exp=now + 24 * 3600)
    known = {"name": "cookie", "string_match": {"exact": cookie}}
    filters = [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}]
    manager = {
        "@type": HCM,
        "stat_prefix": "auth_service",
        "http_filters": filters,
        "route_config": routes(
            answer({"prefix": "/", "headers": [known]}, 200, {"token": token}), answer({"prefix": "/"}, 401, {"message": "unknown"})
        ),
    }
    return {
        "name": "auth_service",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }


def routes(*listed: dict) -> dict:
    return {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": list(listed)}]}


def answer(match: dict, status: int, body: dict) -> dict:
    """A route that is answered with JSON."""
    content_type = {"header": {"key": "content-type", "value": "application/json"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    response = {"status": status, "body": {"inline_string": json.dumps(body)}}
    return {"match": match, "direct_response": response, "response_headers_to_add": [content_type]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cookies", type=int, help="how many random cookies to send")
    cookies = parser.parse_args().cookies

    def say(line: str) -> None:
        print(line, flush=True)

    say(LEGEND)
    with tempfile.TemporaryDirectory(prefix="session-bearer-soak-") as folder:
        course = run(cookies, Path(folder), say)
    verdicts = [(claim, *claim(course)) for claim in CLAIMS]
    for claim, holds, measured in verdicts:
        say(f"{'holds ' if holds else 'BROKEN'}  {claim.__doc__}: {measured}")
    return 0 if all(holds for _, holds, _ in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
