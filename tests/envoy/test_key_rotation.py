"""Proves that keys can be exchanged under running requests, and that a key that is withdrawn takes its tokens with it."""

import contextlib

import pytest

from harness import answers
from harness.active import waiting
from harness.bootstrap import PLUGIN, plugin, remote_keys
from harness.client import head
from harness.counts import values
from harness.eventually import eventually
from harness.keys import SigningKey, key_set
from harness.problem import assert_problem
from harness.traffic import Traffic

CREDENTIALS = [{"bearer": {}}, *PLUGIN["credentials"]]
ROOTS = 3  # two workers and the main thread


def fetching(**jwks) -> dict:
    return plugin(credentials=CREDENTIALS, token={"keys": remote_keys(**jwks)})


@pytest.fixture
def old_key(keys):
    """The key that is published at first."""
    key = SigningKey("EdDSA")
    keys.publish(key)
    return key


@pytest.fixture
def often(old_key, start_fetching):
    """An Envoy that fetches every second."""
    return loaded(start_fetching(fetching(refresh="1s")))


@pytest.fixture
def seldom(old_key, start_fetching):
    """An Envoy that would fetch again in ten minutes."""
    return loaded(start_fetching(fetching()))


def loads(envoy) -> float:
    return values(envoy)["session_bearer_keys_loaded"]


def loaded(envoy):
    eventually(lambda: loads(envoy) >= ROOTS, what="keys in each root")
    return envoy


def refreshed(envoy) -> None:
    """Waits until each root has fetched anew: the first of two rounds may have begun before."""
    before = loads(envoy)
    eventually(lambda: loads(envoy) >= before + 2 * ROOTS, within=10, what="newly fetched keys in each root")


def ask(connection, token: str | None = None, cookie: str | None = None, path: str = "/api/rotation"):
    field = ("cookie", cookie.encode()) if cookie else ("authorization", f"Bearer {token}".encode())
    connection.send(head(path, field))
    return connection.read()


class RotatingTraffic(Traffic):
    """Each request has a new token of the key in use at the time, or a kept session with one."""

    def __init__(self, client, auth, key: SigningKey) -> None:
        super().__init__(threads=4)
        self.key = key
        self._client, self._auth = client, auth

    def ask(self) -> None:
        with self._client.open() as connection:
            while not self.over.wait(0.005):
                key = self.key
                session = self._auth.sign_in(token=key.mint(sub="exchanged"))
                self.statuses += [ask(connection, key.mint()).status, ask(connection, cookie=session.cookie).status]


def test_rotation_with_overlap_costs_not_one_request(auth, keys, old_key, often):
    new_key = SigningKey("EdDSA")
    with RotatingTraffic(often.client(), auth, old_key) as traffic:
        traffic.go_on(100)
        keys.publish(old_key, new_key)
        refreshed(often)
        traffic.key = new_key
        traffic.go_on(100)
        keys.publish(new_key)
        refreshed(often)
        traffic.go_on(100)
    assert set(traffic.statuses) == {200}


def test_rotation_whose_new_key_is_published_at_its_first_use_costs_not_one_request(auth, keys, old_key, seldom):
    new_key = SigningKey("EdDSA")
    with RotatingTraffic(seldom.client(), auth, old_key) as traffic:
        traffic.go_on(100)
        keys.publish(old_key, new_key)
        traffic.key = new_key
        traffic.go_on(200)
    assert set(traffic.statuses) == {200}


def test_new_key_that_is_seen_first_in_a_bearer_is_fetched_while_the_request_waits(keys, old_key, seldom, target):
    new_key, before = SigningKey("EdDSA"), keys.fetches()
    keys.publish(old_key, new_key)
    token = new_key.mint()
    assert seldom.client().get(target(), authorization=f"Bearer {token}").upstream.values("authorization") == [f"Bearer {token}"]
    assert keys.fetches() == before + 1


def test_new_key_that_is_seen_first_in_an_exchanged_token_is_fetched_while_the_request_waits(auth, keys, old_key, seldom, target):
    new_key, before = SigningKey("EdDSA"), keys.fetches()
    keys.publish(old_key, new_key)
    session = auth.sign_in(token=new_key.mint())
    assert seldom.client().get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]
    assert keys.fetches() == before + 1
    assert len(auth.calls(session)) == 1


def test_new_key_that_is_seen_while_an_older_set_is_on_its_way_is_fetched_after_that(keys, old_key, often, target):
    new_key, gate, before = SigningKey("EdDSA"), answers.Gate(), keys.fetches()
    keys.script(gate.before(answers.json_body(key_set(old_key))))
    eventually(lambda: keys.fetches() >= before + ROOTS, what="a fetch by each root")
    with often.client().open() as connection:
        connection.send(head(target(), ("authorization", f"Bearer {new_key.mint()}".encode())))
        waiting(often, 1)
        keys.publish(old_key, new_key)
        gate.open()
        assert connection.read().status == 200


def test_new_key_is_found_by_every_worker(auth, keys, old_key, seldom):
    new_key = SigningKey("EdDSA")
    keys.publish(old_key, new_key)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(seldom.client().open()) for _ in range(8)]
        for connection in connections:
            assert ask(connection, new_key.mint()).status == 200
            assert ask(connection, cookie=auth.sign_in(token=new_key.mint(sub="exchanged")).cookie).status == 200


def test_request_whose_key_cannot_be_fetched_is_refused_and_known_keys_go_on(backend, keys, old_key, seldom, target):
    path = target()
    keys.script(answers.status(500))
    client = seldom.client()
    assert_problem(client.get(path, authorization=f"Bearer {SigningKey('EdDSA').mint()}"), 401)
    assert backend.requests(path) == []
    assert client.get(target(), authorization=f"Bearer {old_key.mint()}").status == 200


def test_withdrawn_key_takes_its_remembered_tokens_with_it(auth, backend, keys, old_key, often, target):
    new_key, path = SigningKey("EdDSA"), target()
    bearer, session = old_key.mint(), auth.sign_in(token=old_key.mint(sub="exchanged"))
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(often.client().open()) for _ in range(6)]
        for connection in connections:
            for _ in range(2):
                assert ask(connection, bearer).status == ask(connection, cookie=session.cookie).status == 200
        auth.script(session, answers.token(new_key.mint(sub="renewed")))
        keys.publish(new_key)
        refreshed(often)
        for connection in connections:
            assert_problem(ask(connection, bearer, path=path), 401)
            assert ask(connection, cookie=session.cookie).status == 200
            assert ask(connection, new_key.mint()).status == 200
    assert backend.requests(path) == []


def test_session_whose_auth_service_still_signs_with_a_withdrawn_key_is_answered_503(auth, backend, keys, old_key, often, target):
    session, path = auth.sign_in(token=old_key.mint()), target()
    client = often.client()
    assert client.get(target(), cookie=session.cookie).status == 200
    keys.publish(SigningKey("EdDSA"))
    refreshed(often)
    assert_problem(client.get(path, cookie=session.cookie), 503)
    assert backend.requests(path) == []
