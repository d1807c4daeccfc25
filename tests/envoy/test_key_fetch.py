"""Proves how the key set is fetched: before anybody needs it, sparingly, and from an endpoint that may be down or out of its mind."""

import base64
import contextlib
import re
import secrets
import time

import pytest

from harness import answers, tokens
from harness.active import active, waiting
from harness.bootstrap import KEYS_AUTHORITY, KEYS_CLUSTER, KEYS_PATH, PLUGIN, add_cluster, plugin, remote_keys
from harness.client import head
from harness.counts import values
from harness.eventually import eventually
from harness.key_endpoint import KeyEndpoint
from harness.keys import SigningKey, key_set
from harness.problem import assert_anonymous, assert_problem

CREDENTIALS = [{"bearer": {}}, *PLUGIN["credentials"]]
WORKERS = 2
ROOTS = WORKERS + 1  # Envoy keeps a VM on its main thread too, which serves no request


def fetching(**jwks) -> dict:
    return plugin(credentials=CREDENTIALS, token={"keys": remote_keys(**jwks)})


def bearer(token: str) -> tuple[str, bytes]:
    return ("authorization", f"Bearer {token}".encode())


def test_keys_are_fetched_before_anybody_needs_them(keys, start_fetching, target):
    key = SigningKey()
    keys.publish(key)
    client = start_fetching(fetching()).client()
    eventually(keys.fetches, what="a fetch without a request")
    token = key.mint()
    assert client.get(target(), authorization=f"Bearer {token}").upstream.values("authorization") == [f"Bearer {token}"]
    assert keys.fetches() <= ROOTS
    for fetch in keys.requests():
        assert (fetch.method, fetch.target, fetch.values("host")) == ("GET", KEYS_PATH, [KEYS_AUTHORITY.encode()])
        assert fetch.values("cookie") == fetch.values("authorization") == []


def test_10_000_requests_with_unknown_kids_cost_at_most_2_fetches(backend, keys, start_fetching, target):
    key = SigningKey()
    keys.publish(key)
    envoy = start_fetching(fetching())
    client, path = envoy.client(), target()
    eventually(lambda: client.get(target(), authorization=f"Bearer {key.mint()}").status == 200, what="keys")
    payload, signature = key.mint().split(".")[1:]
    before, statuses = keys.fetches(), set()
    connections = [client.open() for _ in range(50)]
    for _ in range(200):
        for connection in connections:
            header = tokens.encoded({"alg": "ES256", "kid": secrets.token_urlsafe(12)})
            connection.send(head(path, bearer(f"{header}.{payload}.{signature}")))
        statuses |= {connection.read().status for connection in connections}
    for connection in connections:
        connection.close()
    assert statuses == {401}
    assert backend.requests(path) == []
    assert keys.fetches() - before <= WORKERS
    assert client.get(target(), authorization=f"Bearer {key.mint()}").status == 200


def test_requests_that_arrive_before_the_first_keys_wait_for_them(auth, backend, keys, start_fetching, target):
    key, gate, path = SigningKey(), answers.Gate(), target()
    keys.script(gate.before(answers.json_body(key_set(key))))
    envoy = start_fetching(fetching())
    client, session = envoy.client(), auth.sign_in(token=key.mint(sub="exchanged"))
    requests = [bearer(key.mint(sub=f"bearer-{number}")) for number in range(8)] + [("cookie", session.cookie.encode())]
    connections = [client.open() for _ in requests]
    try:
        for connection, request in zip(connections, requests, strict=True):
            connection.send(head(path, request))
        waiting(envoy, len(requests))
        assert backend.requests(path) == []
    finally:
        gate.open()
    expected = [value.decode() for name, value in requests if name == "authorization"] + [session.bearer]
    assert [connection.read().upstream.values("authorization") for connection in connections] == [[value] for value in expected]
    for connection in connections:
        connection.close()


def test_clients_that_go_away_while_they_wait_for_keys_harm_nobody(auth, backend, keys, start_fetching, target):
    key, gate, path = SigningKey(), answers.Gate(), target()
    keys.script(gate.before(answers.json_body(key_set(key))))
    envoy = start_fetching(fetching())
    gone = [envoy.client().open() for _ in range(6)]
    token, session = key.mint(), auth.sign_in(token=key.mint(sub="exchanged"))
    try:
        for number, connection in enumerate(gone):
            connection.send(head(path, bearer(token) if number % 2 else ("cookie", session.cookie.encode())))
        waiting(envoy, len(gone))
        for connection in gone:
            connection.close()
        waiting(envoy, 0)
    finally:
        gate.open()
    client = envoy.client()
    assert client.get(target(), authorization=f"Bearer {token}").upstream.values("authorization") == [f"Bearer {token}"]
    assert client.get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]
    assert backend.requests(path) == []


def test_bearer_too_many_to_wait_for_the_first_keys_is_answered_503_on_an_optional_route_too(backend, keys, start_fetching, target):
    key, gate, path = SigningKey(), answers.Gate(), target("/optional")
    keys.script(gate.before(answers.json_body(key_set(key))))
    configuration = fetching()
    configuration["exchange"]["max_in_flight"] = 1
    envoy = start_fetching(configuration)
    values_sent = [f"Bearer {key.mint(sub=f'bearer-{number}')}" for number in range(12)]
    connections = [envoy.client().open() for _ in values_sent]
    try:
        for connection, value in zip(connections, values_sent, strict=True):
            connection.send(head(path, ("authorization", value.encode())))
        eventually(lambda: active(envoy) in (1, WORKERS), what="all but one per worker answered")
        assert backend.requests(path) == []
    finally:
        gate.open()
    for connection, value in zip(connections, values_sent, strict=True):
        answer = connection.read()
        connection.close()
        if answer.status == 200:
            assert answer.upstream.values("authorization") == [value]
        else:
            assert_problem(answer, 503)


@pytest.mark.parametrize("prefix", ["/api", "/optional"])
def test_wait_for_the_first_keys_ends_with_503(backend, keys, start_fetching, target, prefix):
    keys.script(answers.never())
    client, path = start_fetching(fetching(timeout="700ms")).client(), target(prefix)
    began = time.monotonic()
    assert_problem(client.get(path, authorization=f"Bearer {SigningKey().mint()}"), 503)
    assert time.monotonic() - began < 3
    assert backend.requests(path) == []


def test_endpoint_that_is_down_at_the_start_is_answered_503_until_it_is_up(auth, backend, keys, start_fetching, target):
    key, path = SigningKey(), target()
    keys.publish(key)
    keys.stop()
    client, session = start_fetching(fetching()).client(), auth.sign_in(token=key.mint())
    assert_problem(client.get(path, authorization=f"Bearer {key.mint()}"), 503)
    assert_problem(client.get(path, cookie=session.cookie), 503)
    assert_problem(client.raw(head(path, bearer(key.mint()), bearer(key.mint()))), 400)
    assert backend.requests(path) == []
    assert_anonymous(client.get(target("/optional")))
    keys.start()
    eventually(lambda: client.get(target(), authorization=f"Bearer {key.mint()}").status == 200, within=15, what="the keys")
    answer = eventually(lambda: only_200(client.get(target(), cookie=session.cookie)), within=15, what="the keys on the other worker")
    assert answer.upstream.values("authorization") == [session.bearer]


def only_200(answer):
    return answer if answer.status == 200 else None


def test_counters_tell_of_fetches(keys, start_fetching):
    envoy = start_fetching(fetching())
    eventually(lambda: values(envoy)["session_bearer_keys_failed"] >= ROOTS, what="the failure of an empty key set")
    assert values(envoy)["session_bearer_keys_loaded"] == 0
    keys.publish(SigningKey())
    eventually(lambda: values(envoy)["session_bearer_keys_loaded"] == ROOTS, within=10, what="keys in each root")
    eventually(lambda: values(envoy)["session_bearer_keys_fetches"] == keys.fetches(), what="every fetch counted")


BAD_ANSWERS = {
    "html": answers.html(),
    "500": answers.status(500),
    "redirect": answers.redirect("/elsewhere.json"),
    "empty_object": answers.json_body({}),
    "no_keys": answers.json_body({"keys": []}),
    "only_useless_keys": answers.json_body({"keys": [{"kty": "oct", "k": "AAAA", "kid": "x"}, {"kty": "EC"}, 5, None]}),
    "cut_json": answers.status(200, '{"keys":['),
    "reset": answers.connection_reset(),
    "never": answers.never(),
    "too_long": answers.json_body({"keys": [SigningKey().jwk(filler="x" * 140_000)]}),
    "json_called_html": answers.raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 11\r\n\r\n" + b'{"keys":[]}'),
}


@pytest.fixture(scope="module")
def often(start_envoy):
    """An Envoy that fetches every second, its endpoint, and the key that it has loaded."""
    key = SigningKey()
    endpoint = KeyEndpoint(key)
    configuration = fetching(refresh="1s", timeout="300ms")
    envoy = start_envoy(configuration, edit=lambda config: add_cluster(config, KEYS_CLUSTER, endpoint.port))
    eventually(lambda: values(envoy)["session_bearer_keys_loaded"] >= ROOTS, what="keys in each root")
    yield envoy, endpoint, key
    endpoint.close()


@pytest.mark.parametrize("answer", BAD_ANSWERS)
def test_bad_answer_leaves_the_keys_in_use_that_are_there(often, target, answer):
    envoy, endpoint, key = often
    failed = values(envoy)["session_bearer_keys_failed"]
    endpoint.script(BAD_ANSWERS[answer])
    eventually(lambda: values(envoy)["session_bearer_keys_failed"] >= failed + ROOTS, what="a failed fetch by each root")
    with contextlib.ExitStack() as stack:
        for number, connection in enumerate([stack.enter_context(envoy.client().open()) for _ in range(4)]):
            connection.send(head(target(), bearer(key.mint(sub=f"{answer}-{number}"))))
            assert connection.read().status == 200


def test_failed_fetches_are_logged(often):
    envoy, endpoint, _ = often
    endpoint.script(answers.status(500))
    eventually(lambda: re.search(r"\[warning\]\[wasm\].*fetch of keys failed.*stay in use", envoy.log()), what="a warning")


GARBAGE = {
    "no_object": 5,
    "empty": {},
    "unknown_type": {"kty": "PQ", "kid": "x"},
    "point_off_its_curve": SigningKey("ES256").jwk(x="A" * 43),
    "short_rsa_modulus": SigningKey("RS256").jwk(n="AQAB"),
    "meant_for_encryption": SigningKey("RS256").jwk(use="enc", kid="enc"),
    "kid_is_a_number": SigningKey("ES256").jwk(kid=5),
    "unsupported_algorithm": SigningKey("ES256").jwk(alg="ES256K"),
    "secret": {"kty": "oct", "k": "A" * 64, "kid": "secret", "alg": "HS256"},
}


def test_garbage_beside_a_good_key_is_skipped_with_a_word_in_the_log(keys, start_fetching, target):
    key = SigningKey()
    keys.publish(*GARBAGE.values(), key)
    envoy = start_fetching(fetching())
    token = key.mint()
    assert envoy.client().get(target(), authorization=f"Bearer {token}").upstream.values("authorization") == [f"Bearer {token}"]
    skipped = re.findall(r"\[warning\]\[wasm\].*a key of the fetched set is not used", envoy.log())
    assert len(skipped) >= len(GARBAGE)


@pytest.mark.parametrize("algorithms", [None, ["ES256"]], ids=["default_algorithms", "listed_algorithms"])
def test_secret_in_a_fetched_set_verifies_nothing(backend, keys, start_fetching, target, algorithms):
    key, path = SigningKey(), target()
    encoded = base64.urlsafe_b64encode(tokens.SECRET.encode()).rstrip(b"=").decode()
    keys.publish(key, {"kty": "oct", "k": encoded, "kid": "secret", "alg": "HS256"}, {"kty": "oct", "k": encoded, "kid": "bare"})
    configuration = fetching()
    if algorithms:
        configuration["token"]["algorithms"] = algorithms
    client = start_fetching(configuration).client()
    assert client.get(target(), authorization=f"Bearer {key.mint()}").status == 200
    for kid in ("secret", "bare", key.kid):
        assert_problem(client.get(path, authorization=f"Bearer {tokens.mint(headers={'kid': kid})}"), 401)
    assert_problem(client.get(path, authorization=f"Bearer {tokens.mint()}"), 401)
    assert backend.requests(path) == []
