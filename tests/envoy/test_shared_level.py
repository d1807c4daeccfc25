"""Proves that what one worker has learned serves the others, and never another session, a longer life or another configuration."""

import contextlib
import random
import time

import pytest

from harness import answers, tokens
from harness.active import waiting
from harness.bootstrap import plugin
from harness.client import head
from harness.counts import WITHIN_SECONDS, values
from harness.eventually import eventually
from harness.problem import assert_problem
from harness.traffic import Traffic
from harness.updated import Updated
from harness.workers import ask, balanced, connections, send

WORKERS = 4


@pytest.fixture(scope="module")
def shared(start_envoy):
    """An Envoy with four workers and the defaults."""
    return start_envoy(edit=balanced, workers=WORKERS)


@pytest.fixture(scope="module")
def start(start_envoy):
    """Starts an Envoy with four workers and another cache."""

    def make(**cache):
        return start_envoy(plugin(cache=cache), edit=balanced, workers=WORKERS)

    return make


def bearers(replies) -> list[str]:
    """The one Authorization with which each request reached the backend."""
    return [bearer for reply in replies for bearer in reply.upstream.values("authorization")]


def moved(envoy, before, counter: str) -> float:
    return values(envoy)[f"session_bearer_{counter}"] - before[f"session_bearer_{counter}"]


# One exchange for all workers


def test_session_exchanged_on_one_worker_is_not_asked_about_by_the_others(auth, shared):
    session, before = auth.sign_in(), values(shared)
    with connections(shared, shared.client(), each=4) as opened:
        assert bearers(ask(connection, session) for connection in opened) == [session.bearer] * len(opened)
    assert len(auth.calls(session)) == 1
    others = WORKERS - 1
    eventually(lambda: moved(shared, before, "allowed_shared") == others, within=WITHIN_SECONDS, what="a find of each other worker")
    assert moved(shared, before, "allowed_miss") == 1
    assert moved(shared, before, "allowed_hit") == len(opened) - WORKERS


def test_cold_burst_of_200_costs_one_callout_per_worker_at_most_and_none_afterwards(auth, shared):
    client, gate, session = shared.client(), answers.Gate(), auth.sign_in()
    auth.script(session, gate.before(answers.token(session.token)))
    with connections(shared, client, each=200 // WORKERS) as opened:
        for connection in opened:
            send(connection, session)
        try:
            waiting(shared, 200)
        finally:
            gate.open()
        assert bearers(connection.read() for connection in opened) == [session.bearer] * 200
        asked = len(auth.calls(session))
        assert asked <= WORKERS
        assert bearers(ask(connection, session) for connection in opened) == [session.bearer] * 200
    assert len(auth.calls(session)) == asked


def test_cold_burst_is_followed_by_no_further_callout_when_the_first_answer_comes_early(auth, shared, target):
    session = auth.sign_in()
    replies = shared.client().crowd(400, target(), cookie=session.cookie, connections=200)
    assert bearers(replies) == [session.bearer] * 400
    assert len(auth.calls(session)) <= WORKERS


def test_followers_on_every_worker_are_answered_when_the_first_client_hangs_up(auth, shared):
    gate, session = answers.Gate(), auth.sign_in()
    auth.script(session, gate.before(answers.token(session.token)))
    with connections(shared, shared.client(), each=4) as opened:
        first, *others = opened
        send(first, session)
        eventually(lambda: auth.calls(session), what="the callout for the first client")
        for connection in others:
            send(connection, session)
        try:
            waiting(shared, len(opened))
            first.close()
            waiting(shared, len(others))
        finally:
            gate.open()
        assert bearers(connection.read() for connection in others) == [session.bearer] * len(others)
    assert len(auth.calls(session)) <= WORKERS


def test_token_whose_only_client_hung_up_serves_every_worker(auth, shared):
    gate, session, before = answers.Gate(), auth.sign_in(), values(shared)
    auth.script(session, gate.before(answers.token(session.token)))
    with shared.client().open() as alone:
        send(alone, session)
        eventually(lambda: auth.calls(session), what="the callout")
    try:
        waiting(shared, 0)
    finally:
        gate.open()
    eventually(lambda: moved(shared, before, "exchange_token") == 1, within=WITHIN_SECONDS, what="the end of the exchange")
    with connections(shared, shared.client()) as opened:
        assert bearers(ask(connection, session) for connection in opened) == [session.bearer] * WORKERS
    assert len(auth.calls(session)) == 1


def test_without_shared_slots_each_worker_asks_once(auth, start):
    envoy, session = start(shared_slots=0), auth.sign_in()
    with connections(envoy, envoy.client(), each=4) as opened:
        assert bearers(ask(connection, session) for connection in opened) == [session.bearer] * len(opened)
    assert len(auth.calls(session)) == WORKERS
    assert values(envoy)["session_bearer_allowed_shared"] == 0


# Nothing but what was learned


def test_sessions_are_not_mixed_up_when_hundreds_of_them_fight_for_four_slots(auth, start):
    envoy, sessions, order = start(shared_slots=4), [auth.sign_in() for _ in range(300)], random.Random(4)
    with connections(envoy, envoy.client()) as opened:
        for session in sessions:  # while it still has a slot
            assert bearers(ask(connection, session) for connection in opened) == [session.bearer] * WORKERS
        for session in order.sample(sessions, len(sessions)):
            assert bearers([ask(order.choice(opened), session)]) == [session.bearer]
        burst = order.choices(sessions, k=400)
        for first in range(0, len(burst), WORKERS):  # on all workers at the same moment
            asked = list(zip(opened, burst[first : first + WORKERS], strict=True))
            for connection, session in asked:
                send(connection, session)
            assert bearers(connection.read() for connection, _ in asked) == [session.bearer for _, session in asked]
    eventually(lambda: values(envoy)["session_bearer_allowed_shared"] > 0, within=WITHIN_SECONDS, what="sessions found in the four slots")


def test_more_sessions_than_slots_cost_each_worker_one_callout_at_most(auth, start):
    envoy, sessions = start(shared_slots=4), [auth.sign_in() for _ in range(40)]
    with connections(envoy, envoy.client()) as opened:
        for connection in opened * 2:
            for session in sessions:
                assert bearers([ask(connection, session)]) == [session.bearer]
    assert all(1 <= len(auth.calls(session)) <= WORKERS for session in sessions)


def test_same_value_under_another_name_is_another_session_on_every_worker(auth, shared):
    session, other = auth.sign_in(), tokens.mint(sub="under-another-name")
    with connections(shared, shared.client()) as opened:
        assert bearers(ask(connection, session) for connection in opened) == [session.bearer] * WORKERS
        auth.script(session, answers.token(other))
        renamed = type(session)(session.value, other, "__Host-session")
        assert bearers(ask(connection, renamed) for connection in opened) == [renamed.bearer] * WORKERS
    assert len(auth.calls(session)) == 2


def test_definite_no_stays_with_the_worker_that_heard_it(auth, shared):
    session = auth.sign_in(answers.status(401))
    with connections(shared, shared.client(), each=2) as opened:
        for connection in opened:
            assert_problem(ask(connection, session), 401)
    assert len(auth.calls(session)) == WORKERS


def test_failure_is_learned_by_nobody(auth, shared):
    session = auth.sign_in(answers.status(404), answers.token(tokens.mint()))
    with connections(shared, shared.client()) as opened:
        first, *others = opened
        assert_problem(ask(first, session), 503)
        assert {ask(connection, session).status for connection in [first, *others]} == {200}
    assert len(auth.calls(session)) == 2


# No longer than it was good for


def test_token_that_was_found_late_is_not_fresh_for_longer_than_max_ttl(auth, start):
    envoy, session = start(max_ttl="2s", refresh_ahead="0s"), auth.sign_in()
    with connections(envoy, envoy.client()) as opened:
        first, second, *_ = opened
        assert bearers([ask(first, session)]) == [session.bearer]
        end = time.monotonic() + 2
        time.sleep(1.4)
        assert bearers([ask(second, session)]) == [session.bearer]
        asked = len(auth.calls(session))
        time.sleep(max(0.0, end - time.monotonic()) + 0.05)
        assert bearers([ask(second, session)]) == [session.bearer]
        assert len(auth.calls(session)) == asked + 1


def test_token_is_found_by_no_worker_after_its_own_end(auth, start_envoy):
    envoy = start_envoy(plugin(token={"leeway": "0s"}), edit=balanced, workers=WORKERS)
    with connections(envoy, envoy.client()) as opened:
        first, second, *others = opened
        end = int(time.time()) + 3
        short = tokens.mint(exp=end)
        session = auth.sign_in(answers.token(short), answers.status(401))
        assert bearers([ask(first, session), ask(second, session)]) == [f"Bearer {short}"] * 2
        assert len(auth.calls(session)) == 1
        time.sleep(max(0.0, end - time.time()) + 0.05)
        for connection in (*others, second, first):
            assert_problem(ask(connection, session), 401)


# Across updates of the configuration


@pytest.fixture
def start_updated(auth, backend, tmp_path):
    """Starts an Envoy with four workers whose listener can be updated."""
    with contextlib.ExitStack() as stack:

        def make(**options) -> Updated:
            return stack.enter_context(Updated(auth.port, backend.port, tmp_path / "lds", edit=balanced, workers=WORKERS, **options))

        yield make


def test_new_vms_refill_from_the_shared_level_without_a_callout(auth, start_updated):
    updated = start_updated()
    envoy, client, sessions = updated.envoy, updated.envoy.client(), [auth.sign_in() for _ in range(20)]
    with connections(envoy, client) as opened:
        for session in sessions:
            assert bearers([ask(opened[0], session)]) == [session.bearer]
    vms, before = envoy.stat("wasm.envoy.wasm.runtime.v8.created"), values(envoy)
    updated.accept(plugin(), vm_configuration="restarted")
    assert envoy.stat("wasm.envoy.wasm.runtime.v8.created") >= vms + WORKERS
    with connections(envoy, client) as opened:
        for session in sessions:
            assert bearers(ask(connection, session) for connection in opened) == [session.bearer] * WORKERS
    assert [len(auth.calls(session)) for session in sessions] == [1] * len(sessions)
    found = len(sessions) * WORKERS
    eventually(lambda: moved(envoy, before, "allowed_shared") == found, within=WITHIN_SECONDS, what="that all came from the shared level")
    assert envoy.traps() == []


def test_new_vms_without_a_shared_level_ask_anew(auth, start_updated):
    updated, session, off = start_updated(), auth.sign_in(), plugin(cache={"shared_slots": 0})
    updated.accept(off)
    client = updated.envoy.client()
    with connections(updated.envoy, client) as opened:
        assert bearers([ask(opened[0], session)]) == [session.bearer]
    updated.accept(off, vm_configuration="restarted")
    with connections(updated.envoy, client) as opened:
        assert bearers(ask(connection, session) for connection in opened) == [session.bearer] * WORKERS
    assert len(auth.calls(session)) == 1 + WORKERS


OTHERS = {
    "audience": (plugin(token={"audiences": ["another-api"]}), {"aud": "another-api"}),
    "issuer": (plugin(token={"issuer": "another-service"}), {"iss": "another-service"}),
    "path_of_the_exchange": (plugin(exchange={"path": "/another/jwt"}), {}),
    "place_of_the_token": (plugin(exchange={"token": {"header": "set-auth-jwt"}}), {}),
}


@pytest.mark.parametrize("vm_configuration", [None, "restarted"], ids=["same_vms", "new_vms"])
@pytest.mark.parametrize("other", OTHERS)
def test_entries_of_another_configuration_are_never_used(auth, start_updated, other, vm_configuration):
    updated, session = start_updated(), auth.sign_in()
    configuration, claims = OTHERS[other]
    second, third = tokens.mint(sub="second", **claims), tokens.mint(sub="third")
    client = updated.envoy.client()

    def served() -> set[str]:
        with connections(updated.envoy, client, each=2) as opened:
            return set(bearers(ask(connection, session) for connection in opened))

    assert served() == {session.bearer}
    auth.script(session, answers.token(second, ("set-auth-jwt", second)))
    updated.accept(configuration, vm_configuration=vm_configuration)
    assert served() == {f"Bearer {second}"}
    assert len(auth.calls(session)) == 2
    auth.script(session, answers.token(third))
    updated.accept(plugin())
    assert served() <= {session.bearer, f"Bearer {third}"}
    assert updated.envoy.traps() == []


def test_requests_that_wait_on_every_worker_during_an_update_are_answered(auth, start_updated):
    updated, gate, session = start_updated(), answers.Gate(), auth.sign_in()
    auth.script(session, gate.before(answers.token(session.token)))
    with connections(updated.envoy, updated.envoy.client(), each=3) as opened:
        for connection in opened:
            send(connection, session)
        try:
            waiting(updated.envoy, len(opened))
            updated.accept(plugin(), vm_configuration="restarted")
            updated.accept(plugin(cache={"max_ttl": "30s"}))
        finally:
            gate.open()
        assert bearers(connection.read() for connection in opened) == [session.bearer] * len(opened)
    assert updated.envoy.traps() == []


class MixedTraffic(Traffic):
    """Sessions that are known and ones that are new; notes every answer that is not the backend's."""

    def __init__(self, auth, client) -> None:
        super().__init__(threads=2 * WORKERS)
        self.wrong: list[str] = []
        self._auth, self._client = auth, client
        self._known = [auth.sign_in() for _ in range(4)]

    def ask(self) -> None:
        with self._client.open() as connection:
            for _ in range(10):
                reply = self._ask_on(connection)
                if reply is None or reply.value("connection") == "close":
                    break

    def _ask_on(self, connection):
        session = random.choice([*self._known, self._auth.sign_in()])
        try:
            connection.send(head("/api/traffic", ("cookie", session.cookie.encode())))
            reply = connection.read()
        except OSError as error:
            self.wrong.append(repr(error))
            return None
        self.statuses.append(reply.status)
        if reply.status != 200:
            self.wrong.append(f"{reply.status}: {reply.body[:200]!r}")
        elif reply.upstream.values("authorization") != [session.bearer]:
            self.wrong.append("a token of another session")
        return reply


def test_updates_under_traffic_cost_not_one_request(auth, start_updated):
    updated = start_updated(log_level="warning")
    with MixedTraffic(auth, updated.envoy.client()) as traffic:
        for number, configuration in enumerate([plugin(), plugin(cache={"max_ttl": "30s"}), plugin(cache={"shared_slots": 0}), plugin()]):
            traffic.go_on(200)
            updated.accept(configuration, vm_configuration=f"{number // 2}")
        traffic.go_on(200)
    assert traffic.wrong == []
    assert updated.envoy.traps() == []
