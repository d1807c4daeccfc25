"""Proves that every signature algorithm works with every source of keys, which of them Envoy itself verifies, and that keys decide."""

import json
import re

import jwt
import pytest

from harness import answers, keys, tokens
from harness.bootstrap import KEYS_CLUSTER, PLUGIN, add_cluster, plugin, remote_keys
from harness.counts import values
from harness.key_endpoint import KeyEndpoint
from harness.keys import SigningKey
from harness.problem import assert_invalid_token, assert_problem

WORKERS = 2
HMAC = ["HS256", "HS384", "HS512"]
BY_HOST = ["RS256", "RS384", "RS512", "ES256", "ES384"]
LONG_SECRET = tokens.SECRET * 2
CREDENTIALS = [{"bearer": {}}, *PLUGIN["credentials"]]

# RSA keys say nothing about their algorithm here, so that one key serves all six.
KEYS = {algorithm: SigningKey(algorithm, kid=algorithm) for algorithm in keys.PUBLIC}
PUBLISHED = [key.jwk(alg=None) for key in KEYS.values()]


@pytest.fixture(scope="module")
def local(start_envoy):
    """An Envoy with the keys in its configuration."""
    return start_envoy(plugin(credentials=CREDENTIALS, token={"keys": {"local_jwks": json.dumps({"keys": PUBLISHED})}}))


@pytest.fixture(scope="module")
def remote(start_envoy):
    """An Envoy that fetches the same keys."""
    endpoint = KeyEndpoint(*PUBLISHED)
    configuration = plugin(credentials=CREDENTIALS, token={"keys": remote_keys()})
    yield start_envoy(configuration, edit=lambda config: add_cluster(config, KEYS_CLUSTER, endpoint.port))
    endpoint.close()


@pytest.fixture(params=["local", "remote"])
def client(request):
    return request.getfixturevalue(request.param).client()


@pytest.fixture(scope="module")
def secret(start_envoy):
    """A client of an Envoy whose secret is long enough for every HMAC."""
    return start_envoy(plugin(credentials=CREDENTIALS, token={"algorithms": HMAC}), secret=LONG_SECRET).client()


@pytest.mark.parametrize("algorithm", keys.PUBLIC)
def test_algorithm_of_public_keys_is_accepted(auth, client, target, algorithm):
    token = KEYS[algorithm].mint()
    assert client.get(target(), authorization=f"Bearer {token}").upstream.values("authorization") == [f"Bearer {token}"]
    session = auth.sign_in(token=KEYS[algorithm].mint(sub="exchanged"))
    assert client.get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]


@pytest.mark.parametrize("algorithm", HMAC)
def test_algorithm_of_secrets_is_accepted(secret, target, algorithm):
    token = tokens.mint(LONG_SECRET, algorithm=algorithm)
    assert secret.get(target(), authorization=f"Bearer {token}").upstream.values("authorization") == [f"Bearer {token}"]


@pytest.mark.parametrize("algorithm", keys.PUBLIC)
def test_changed_token_of_an_algorithm_is_refused(backend, client, target, algorithm):
    path = target()
    header, payload, signature = KEYS[algorithm].mint().split(".")
    _, other, other_signature = KEYS[algorithm].mint(sub="another").split(".")
    flipped = signature[:20] + ("A" if signature[20] != "A" else "B") + signature[21:]
    for token in (f"{header}.{other}.{signature}", f"{header}.{payload}.{other_signature}", f"{header}.{payload}.{flipped}"):
        assert_problem(client.get(path, authorization=f"Bearer {token}"), 401)
    assert backend.requests(path) == []


def signed_with_the_public_key() -> str:
    """The old confusion of a verifier that takes a public key for an HMAC secret."""
    claims = jwt.decode(KEYS["ES256"].mint(), options={"verify_signature": False})
    return tokens.sign_by_hand({"alg": "HS256", "kid": "ES256"}, claims, json.dumps(KEYS["ES256"].jwk()))


MISMATCHED = {
    "kid_of_another_key": lambda: KEYS["ES256"].mint(headers={"kid": "RS256"}),
    "kid_of_a_key_of_the_same_type": lambda: SigningKey("ES256", kid="ES256").mint(),
    "no_kid_and_a_foreign_key": lambda: SigningKey("EdDSA").mint(headers={"kid": None}),
    "algorithm_named_wrong": lambda: tokens.with_header(KEYS["RS256"].mint(), alg="RS384"),
    "pss_named_as_pkcs1": lambda: tokens.with_header(KEYS["PS256"].mint(), alg="RS256"),
    "pkcs1_named_as_pss": lambda: tokens.with_header(KEYS["RS256"].mint(), alg="PS256"),
    "algorithm_that_is_not_supported": lambda: tokens.with_header(KEYS["ES256"].mint(), alg="ES256K"),
    "algorithm_in_lower_case": lambda: tokens.with_header(KEYS["ES256"].mint(), alg="es256"),
    "public_key_as_a_secret": signed_with_the_public_key,
    "none": lambda: tokens.mint(None, algorithm="none", headers={"kid": "RS256"}),
}


@pytest.mark.parametrize("mismatch", MISMATCHED)
def test_token_that_does_not_fit_its_key_is_refused(backend, client, target, mismatch):
    path = target()
    assert_invalid_token(client.get(path, authorization=f"Bearer {MISMATCHED[mismatch]()}"))
    assert backend.requests(path) == []


@pytest.mark.parametrize("algorithm", ["RS256", "ES384", "EdDSA"])
def test_token_without_kid_is_tried_with_the_keys_that_fit(client, target, algorithm):
    token = KEYS[algorithm].mint(headers={"kid": None})
    assert client.get(target(), authorization=f"Bearer {token}").upstream.values("authorization") == [f"Bearer {token}"]


def test_session_whose_token_is_signed_with_a_key_nobody_knows_is_answered_503(auth, backend, local, target):
    path, session = target(), auth.sign_in(answers.token(SigningKey("ES256").mint()))
    assert_problem(local.client().get(path, cookie=session.cookie), 503)
    assert backend.requests(path) == []


def test_metric_and_log_tell_what_envoy_itself_verifies(local):
    told = re.findall(r"configured; verified by the host: (.*)", local.log())
    assert told == [", ".join(BY_HOST)] * len(told)
    # One root per worker, and two on the main thread, of which one is a rehearsal. The gauge is the same for all.
    assert len(told) == WORKERS + 2
    assert values(local)["session_bearer_host_algorithms"] == len(BY_HOST)
