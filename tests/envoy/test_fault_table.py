"""Proves what each fault of the auth service comes to, for a user who is known, a new one and an optional route, and how it ends.

One worker: back-offs and pauses are a worker's own, and each fault has to find it without any.
"""

import contextlib
import time
from dataclasses import dataclass

import pytest

from harness import answers, tokens
from harness.bootstrap import plugin
from harness.client import Answer
from harness.eventually import eventually
from harness.problem import assert_anonymous, assert_problem

MAX_TTL_SECONDS = 1
PAUSE_SECONDS = 1
TICK_SECONDS = 1  # pauses are counted in whole seconds, the one that has begun left out
RECOVERY_SECONDS = 5  # the pause that an answer asked for, and patience with a busy machine
GOOD = tokens.mint()

# None: there is nobody to answer. The others are what every callout of these sessions gets.
FAULTS = {
    "down": None,
    "slow": answers.never(),
    "dribbling": answers.dribble(),
    "429": answers.status(429),
    "500": answers.status(500),
    "302": answers.redirect("/sign-in"),
    "html": answers.html(),
    "truncated": answers.cut_inside_the_body(GOOD),
    "33_mb": answers.streamed(GOOD, 33 << 20),
    "reset_after_headers": answers.reset_after_the_head(),
    "gzip": answers.gzipped(GOOD),
    "503_retry_after": answers.status(503, "{}", ("retry-after", str(PAUSE_SECONDS))),
}
PAUSING = {"503_retry_after"}


@dataclass(frozen=True)
class Row:
    """What was seen of one fault."""

    fault: str
    cached: Answer
    bearer: str
    exchanges: int
    new: Answer
    reached: int
    optional: Answer
    recovery: list[Answer]
    recovered_after: float

    def __str__(self) -> str:
        optional = "anonymous" if self.optional.status == 200 and not self.optional.upstream.values("authorization") else ""
        after = f"{self.recovered_after * 1000:.0f} ms" if self.recovery[-1].status == 200 else "not at all"
        return f"{self.fault:<20} | {self.cached.status:<6} | {self.new.status:<3} | {self.optional.status} {optional:<9} | {after}"


@pytest.fixture(scope="module")
def proxy(start_envoy):
    """A client of an Envoy for which a session is due for an exchange after a second, and that reads answers as long as it can."""

    def without_limits(bootstrap):
        del bootstrap["layered_runtime"]  # Envoy's own limit of 32 MiB for answers holds

    cache = {"max_ttl": f"{MAX_TTL_SECONDS}s", "stale_if_error": "1m", "refresh_ahead": "0s"}
    return start_envoy(plugin(exchange={"timeout": "500ms", "retries": 1}, cache=cache), edit=without_limits, workers=1).client()


@pytest.fixture(scope="module")
def table(request):
    """The rows seen, printed when all faults have been seen."""
    rows: list[Row] = []
    yield rows
    head = f"{'fault':<20} | cached | new | optional      | recovered after"
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("", head, *rows, sep="\n")


@pytest.fixture(scope="module", params=FAULTS)
def row(request, auth, backend, proxy, table):
    """One fault from beginning to end, with users of its own."""
    cached, new, visitor = (auth.sign_in() for _ in range(3))
    path = f"/api/fault/{request.param}"

    def get(session, target=path):
        return proxy.get(target, cookie=session.cookie)

    def healthy():
        return get(cached).status == 200

    eventually(healthy, within=RECOVERY_SECONDS, what="an auth service that is asked")  # the fault before may have caused a pause
    fresh_until = time.monotonic() + MAX_TTL_SECONDS
    eventually(lambda: time.monotonic() > fresh_until, within=MAX_TTL_SECONDS + 1, what="a session that is due for an exchange")
    asked, reached = len(auth.calls(cached)), path + "/new"
    with faulty(auth, FAULTS[request.param], cached, new, visitor):
        served = get(cached)
        exchanges = len(auth.calls(cached)) - asked
        first, optional = get(new, reached), get(visitor, "/optional/fault")
        arrived = len(backend.requests(reached))
    began, recovery = time.monotonic(), []
    while not recovery or (recovery[-1].status != 200 and time.monotonic() < began + RECOVERY_SECONDS):
        recovery.append(get(new))
    after = time.monotonic() - began
    table.append(Row(request.param, served, cached.bearer, exchanges, first, arrived, optional, recovery, after))
    return table[-1]


@contextlib.contextmanager
def faulty(auth, fault, *sessions):
    """The auth service with this fault for these sessions, and as before at the end."""
    if fault is None:
        auth.stop()
        try:
            yield
        finally:
            auth.start()
    else:
        for session in sessions:
            auth.script(session, fault)
        yield
        for session in sessions:
            auth.script(session, answers.token(session.token))


def test_cached_user_past_max_ttl_is_served_with_the_remembered_token(row):
    assert row.cached.upstream.values("authorization") == [row.bearer]
    assert row.exchanges or row.fault == "down", "served without an exchange, so that the fault was not met"


def test_new_user_is_answered_503_and_the_backend_is_not_reached(row):
    assert_problem(row.new, 503)
    assert row.reached == 0


def test_optional_route_is_passed_anonymous(row):
    assert_anonymous(row.optional)


def test_new_user_is_served_at_once_when_the_auth_service_is_back_unless_it_asked_for_a_pause(row):
    *refused, served = row.recovery
    assert served.status == 200
    assert refused == [] or row.fault in PAUSING
    for answer in refused:
        assert_problem(answer, 503)
        assert int(answer.value("retry-after")) <= PAUSE_SECONDS + TICK_SECONDS
