"""Proves that the number of sessions costs neither answers nor memory: beyond the bounds, sessions are forgotten and nobody is refused."""

import concurrent.futures
from dataclasses import dataclass

import pytest

from harness import tokens
from harness.bootstrap import plugin
from harness.counts import WITHIN_SECONDS, values
from harness.eventually import eventually
from harness.workers import ask, balanced, connections

WORKERS = 4
SESSIONS = 10_000
MAX_ENTRIES = 1000
SLOTS = 512
EACH = 4
PARTS = 20
ENTRIES = "session_bearer_cache_entries"
EVICTED = "session_bearer_cache_evicted"
# Tokens of 3 kB each, so that what ought to be forgotten and is not would show: half of them are 15 MB.
FILLING = 2100
ALLOWED_GROWTH = 5_000_000


@dataclass
class Course:
    """What was seen while the sessions came, a part of them at a time."""

    wrong: list[str]
    entries: list[float]
    resident: list[int]


@pytest.fixture(scope="module")
def envoy(start_envoy):
    # Slots for all would go on filling, which is growth too, if only up to their number.
    cache = {"max_entries": MAX_ENTRIES, "max_ttl": "10m", "shared_slots": SLOTS}
    return start_envoy(plugin(cache=cache), edit=balanced, workers=WORKERS, log_level="warning")


@pytest.fixture(scope="module")
def course(auth, envoy):
    """Lets all sessions come, each once, over kept connections to all workers."""
    seen = Course([], [], [])
    with connections(envoy, envoy.client(), each=EACH) as opened, concurrent.futures.ThreadPoolExecutor(len(opened)) as pool:
        for _ in range(PARTS):
            sessions = [auth.sign_in(token=tokens.mint(sub="many", filling="x" * FILLING)) for _ in range(SESSIONS // PARTS)]
            shares = [sessions[number :: len(opened)] for number in range(len(opened))]
            for wrong in pool.map(come, opened, shares):
                seen.wrong += wrong
            seen.entries.append(values(envoy)[ENTRIES])
            seen.resident.append(envoy.resident())
    return seen


def come(connection, sessions) -> list[str]:
    """Asks for each session in turn, and tells which were not answered with their own token."""
    wrong = []
    for session in sessions:
        reply = ask(connection, session, "/api/bounds")
        if reply.status != 200 or reply.upstream.values("authorization") != [session.bearer]:
            wrong.append(f"{reply.status}: {reply.body[:100]!r}")
    return wrong


def test_ten_thousand_sessions_are_all_answered_with_their_own_token(course):
    assert course.wrong == []


def test_sessions_beyond_the_bound_are_counted_as_evicted(course, envoy):
    eventually(lambda: values(envoy)["session_bearer_allowed_miss"] == SESSIONS, within=WITHIN_SECONDS, what="an exchange for each session")
    beyond = SESSIONS - WORKERS * MAX_ENTRIES
    eventually(lambda: values(envoy)[EVICTED] >= beyond, within=WITHIN_SECONDS, what=f"{beyond} evictions")


def test_every_session_is_either_remembered_or_evicted(course, envoy):
    def remembered_or_evicted() -> float:
        counted = values(envoy)
        return counted[ENTRIES] + counted[EVICTED]

    eventually(lambda: remembered_or_evicted() == SESSIONS, within=WITHIN_SECONDS, what="a sum that is the number of sessions")


def test_gauge_of_entries_keeps_within_the_bound_of_all_workers(course):
    assert 0 < max(course.entries) <= WORKERS * MAX_ENTRIES


def test_resident_memory_is_flat_once_the_bounds_are_reached(course):
    half = len(course.resident) // 2
    series = [f"{resident / 1e6:.1f}" for resident in course.resident]
    assert max(course.resident[half:]) - max(course.resident[:half]) < ALLOWED_GROWTH, f"MB, part by part: {series}"


def test_session_that_was_evicted_is_asked_about_again(course, auth, envoy):
    with connections(envoy, envoy.client()) as (connection, *_):
        sessions = [auth.sign_in() for _ in range(2 * MAX_ENTRIES)]
        assert come(connection, sessions) == []
        before = auth.count()
        assert come(connection, sessions) == []
        assert auth.count() - before >= MAX_ENTRIES - SLOTS  # the others are found on this worker or in a shared slot
