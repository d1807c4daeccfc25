"""Proves what becomes of a bearer token the client sends itself, where that is a credential: it is verified, or nothing passes."""

import time

import pytest

from harness import tokens
from harness.bootstrap import PLUGIN, plugin
from harness.client import head
from harness.counts import Moves
from harness.eventually import eventually
from harness.keys import SigningKey
from harness.problem import assert_anonymous, assert_invalid_token, assert_problem

SESSION_COOKIE = PLUGIN["credentials"][0]
PREFIXES = ["/api", "/optional"]
MAX_TOKEN_BYTES = 8192


@pytest.fixture(scope="module")
def envoy(start_envoy):
    return start_envoy(plugin(credentials=[{"bearer": {}}, SESSION_COOKIE], token={"max_lifetime": None}))


@pytest.fixture(scope="module")
def client(envoy):
    return envoy.client()


def invalid() -> dict[str, str]:
    """One Authorization value per reason for which a bearer token is not believed."""
    unsendable = {"line_break", "trailing_space"}
    own_key = SigningKey("RS256")
    reasons = {reason: token for reason, token in tokens.that_do_not_verify().items() if reason not in unsendable}
    reasons |= {
        "signed_with_a_public_key_algorithm": own_key.mint(),
        "key_inside_the_token": own_key.mint(headers={"jwk": own_key.jwk()}),
        "critical_extension": tokens.mint(headers={"crit": ["exp"]}),
        "issued_in_the_future": tokens.mint(iat=int(time.time()) + 3600),
        "padded": tokens.mint() + "=",
        "over_8_kib": tokens.mint(filler="x" * MAX_TOKEN_BYTES),
        "five_parts": tokens.mint() + ".a.b",
        "garbage": "%00" * 20,
        "null": "null",
        "two_words": f"{tokens.mint()} {tokens.mint()}",
    }
    return {reason: f"Bearer {token}" for reason, token in reasons.items()} | {"empty": "Bearer", "empty_in_lower_case": "bearer"}


INVALID = [pytest.param(value, id=reason) for reason, value in invalid().items()]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "], ids=["usual", "lower_case", "upper_case_and_spaces"])
def test_valid_bearer_reaches_the_backend_as_the_only_authorization(auth, client, target, prefix, scheme):
    token, calls = tokens.mint(), auth.count()
    assert client.get(target(prefix), authorization=scheme + token).upstream.values("authorization") == [f"Bearer {token}"]
    assert auth.count() == calls


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("authorization", INVALID)
def test_invalid_bearer_is_answered_401_and_never_reaches_the_backend(auth, backend, client, target, authorization, prefix):
    path, calls = target(prefix), auth.count()
    assert_invalid_token(client.get(path, authorization=authorization))
    assert backend.requests(path) == []
    assert auth.count() == calls


@pytest.mark.parametrize("authorization", INVALID)
def test_invalid_bearer_is_not_helped_by_a_valid_session(auth, backend, client, target, authorization):
    session = auth.sign_in()
    assert client.get(target(), cookie=session.cookie).status == 200
    for path in (target(), target("/optional")):
        assert_invalid_token(client.get(path, cookie=session.cookie, authorization=authorization))
        assert backend.requests(path) == []


def test_all_invalid_bearers_are_answered_alike(client, target):
    bodies = {client.get(target(), authorization=value).body for value in invalid().values()}
    assert len(bodies) == 1


def of_size(size: int) -> str:
    """A good token of exactly that many bytes."""
    least = (size - len(tokens.mint())) * 3 // 4 - 20
    return next(token for length in range(least, size) if len(token := tokens.mint(filler="x" * length)) == size)


def test_bearer_of_8_kib_is_accepted_and_one_byte_more_is_not(client, target):
    longest = f"Bearer {of_size(MAX_TOKEN_BYTES)}"
    assert client.get(target(), authorization=longest).upstream.values("authorization") == [longest]
    assert_invalid_token(client.get(target(), authorization=f"Bearer {of_size(MAX_TOKEN_BYTES + 1)}"))


def test_bearer_decides_before_a_session_and_no_callout_is_made(auth, client, target):
    session, token = auth.sign_in(), tokens.mint(sub="by-bearer")
    answer = client.get(target(), cookie=f"a=1; {session.cookie}", authorization=f"Bearer {token}")
    assert answer.upstream.values("authorization") == [f"Bearer {token}"]
    assert answer.upstream.values("cookie") == ["a=1"]
    assert auth.calls(session) == []


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("Basic dXNlcjpwYXNz", id="basic"),
        pytest.param(tokens.mint(), id="token_without_a_scheme"),
        pytest.param(f"Token {tokens.mint()}", id="another_name"),
        pytest.param(f"Bearer{tokens.mint()}", id="no_space"),
        pytest.param("", id="empty"),
    ],
)
class TestOtherScheme:
    def test_is_no_credential_and_is_removed(self, auth, backend, client, target, authorization):
        path, session = target(), auth.sign_in()
        assert_problem(client.get(path, authorization=authorization), 401)
        assert backend.requests(path) == []
        assert_anonymous(client.get(target("/optional"), authorization=authorization))
        answer = client.get(path, cookie=session.cookie, authorization=authorization)
        assert answer.upstream.values("authorization") == [session.bearer]

    def test_is_challenged_without_an_error_code(self, client, target, authorization):
        assert client.get(target(), authorization=authorization).value("www-authenticate") == "Bearer"


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("joined", [False, True], ids=["two_lines", "one_line"])
@pytest.mark.parametrize("second", ["the_same", "another", "Basic eDp5"])
def test_two_authorization_values_are_answered_400(backend, client, target, prefix, second, joined):
    path, first = target(prefix), f"Bearer {tokens.mint()}"
    second = {"the_same": first, "another": f"Bearer {tokens.mint(sub='another')}"}.get(second, second)
    values = [f"{first}, {second}"] if joined else [first, second]
    assert_problem(client.raw(head(path, *(("authorization", value.encode()) for value in values))), 400)
    assert backend.requests(path) == []


def ask(connection, token, path="/api/bearer"):
    connection.send(head(path, ("authorization", f"Bearer {token}".encode())))
    return connection.read()


@pytest.fixture(scope="module")
def strict(start_envoy):
    """An Envoy that grants no leeway and accepts no token made to last."""
    return start_envoy(plugin(credentials=[{"bearer": {}}], token={"leeway": "0s", "max_lifetime": "10m"}))


def test_bearer_is_verified_once_and_then_remembered_until_its_end(strict):
    token, moves = tokens.mint(exp=int(time.time()) + 3), Moves(strict)
    with strict.client().open() as connection:
        assert [ask(connection, token).status for _ in range(3)] == [200] * 3
        moves.assert_exactly("allowed_verified", "allowed_hit*2", "cache_entries")
        eventually(lambda: ask(connection, token).status == 401, what="the end of the token")
        assert_invalid_token(ask(connection, token))


def test_token_made_to_last_longer_than_allowed_is_refused(strict, client, target):
    now = int(time.time())
    short, long, undated = tokens.mint(exp=now + 500), tokens.mint(exp=now + 700), tokens.mint(exp=now + 500, without=("iat",))
    assert strict.client().get(target(), authorization=f"Bearer {short}").status == 200
    for token in (long, undated):
        assert_invalid_token(strict.client().get(target(), authorization=f"Bearer {token}"))
        assert client.get(target(), authorization=f"Bearer {token}").status == 200


@pytest.fixture(scope="module")
def cookie_first(start_envoy):
    return start_envoy(plugin(credentials=[SESSION_COOKIE, {"bearer": {}}])).client()


def test_order_of_credentials_decides(auth, cookie_first, target):
    session, token = auth.sign_in(), tokens.mint(sub="by-bearer")
    both = cookie_first.get(target(), cookie=session.cookie, authorization=f"Bearer {token}")
    assert both.upstream.values("authorization") == [session.bearer]
    alone = cookie_first.get(target(), authorization=f"Bearer {token}")
    assert alone.upstream.values("authorization") == [f"Bearer {token}"]


def test_refused_session_does_not_fall_through_to_a_valid_bearer(backend, cookie_first, target):
    path = target()
    refused = cookie_first.get(path, cookie="session=unknown", authorization=f"Bearer {tokens.mint()}")
    assert_problem(refused, 401)
    assert backend.requests(path) == []
    assert_anonymous(cookie_first.get(target("/optional"), cookie="session=unknown", authorization=f"Bearer {tokens.mint()}"))


def test_log_holds_no_part_of_a_token(envoy, client, target):
    good, bad = tokens.mint(jti="planted"), tokens.tampered(tokens.mint(jti="planted"))
    client.get(target(), authorization=f"Bearer {good}")
    client.get(target(), authorization=f"Bearer {bad}")
    log = envoy.log()
    assert not [part for token in (good, bad) for part in token.split(".")[1:] if part in log]
