"""Proves the presets for better-auth against the real service: its own tokens, its own keys, and a rotation nobody notices."""

import datetime
import sqlite3
import threading

import jwt
import pytest

from harness.bootstrap import point_cluster
from harness.eventually import eventually
from harness.presets import preset
from smoke import Browser
from stack import plugin


@pytest.fixture(scope="module", params=["better-auth", "better-auth with set-auth-jwt"])
def origin(request, demo, backend):
    """The origin of one more Envoy before the demo's auth service, with a preset; its sessions are asked for anew each second."""
    host = demo.url.removeprefix("http://")
    configuration = preset("better-auth", {"https://app.example.com": demo.url, "app.example.com": host})
    if request.param != "better-auth":
        configuration |= preset(request.param, {"app.example.com": host})

    def edit(config):
        plugin(config).clear()
        plugin(config).update(configuration, cache={"max_ttl": "1s"})
        point_cluster(config, "backend", backend.port)

    envoy = demo.add_envoy(request.param.replace(" ", "-"), edit=edit)
    envoy.start()
    yield f"http://localhost:{envoy.port}"
    envoy.stop()


def bearer(answer) -> str:
    """The token in the only Authorization the backend received."""
    assert answer.status == 200, answer
    ((_, value),) = (header for header in answer.json()["headers"] if header[0] == "authorization")
    return value.removeprefix("Bearer ")


def published_keys(demo) -> dict:
    """What better-auth publishes, by kid."""
    answer = Browser(f"http://127.0.0.1:{demo.ports.auth}").call("GET", "/api/auth/jwks")
    return {jwk.key_id: jwk for jwk in jwt.PyJWKSet.from_dict(answer.json()).keys}


def test_session_reaches_the_backend_as_a_token_that_better_auth_signed(demo, origin, sign_up):
    user = sign_up()
    token = bearer(Browser(origin, user.cookies).call("GET", "/api/v1/auth/me"))
    key = published_keys(demo)[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience=demo.url, issuer=demo.url)
    assert claims["email"] == user.email


def test_session_cookie_stays_behind(origin, sign_up):
    user = sign_up()
    answer = Browser(origin, user.cookies | {"theme": "dark"}).call("GET", "/api/v1/auth/me")
    assert [value for name, value in answer.json()["headers"] if name == "cookie"] == ["theme=dark"]


@pytest.mark.parametrize("cookies", [{}, {"better-auth.session_token": "forged.c2lnbmF0dXJl"}], ids=["none", "forged"])
def test_no_session_is_answered_401_and_the_backend_is_not_reached(backend, origin, cookies):
    before = backend.count()
    assert Browser(origin, cookies).call("GET", "/api/v1/auth/me").status == 401
    assert backend.count() == before


def test_sign_out_is_noticed(origin, sign_up):
    user = sign_up()
    known = Browser(origin, user.cookies)
    assert known.call("GET", "/api/v1/auth/me").status == 200
    assert user.post("/api/auth/sign-out", {}).status == 200
    eventually(lambda: known.call("GET", "/api/v1/auth/me").status == 401, what="a 401 for the session that was ended")


def let_the_key_expire(demo) -> None:
    """What better-auth's rotationInterval comes to when it has passed: its next signature is made with a new key."""
    moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
    with sqlite3.connect(demo.folder / "auth.sqlite") as database:
        database.execute("UPDATE jwks SET expiresAt = ?", [moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")])
    database.close()


def test_rotation_of_the_keys_is_noticed_by_nobody(demo, origin, sign_up):
    statuses, kids, stop = [], [set() for _ in range(4)], threading.Event()

    def browse(user, seen):
        browser = Browser(origin, user.cookies)
        while not stop.wait(0.02):
            answer = browser.call("GET", "/api/v1/auth/me")
            statuses.append(answer.status)
            if answer.status == 200:
                seen.add(jwt.get_unverified_header(bearer(answer))["kid"])

    users = [sign_up() for _ in kids]
    threads = [threading.Thread(target=browse, args=pair) for pair in zip(users, kids, strict=True)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: all(kids), what="tokens for everybody")
        before = set.union(*kids)
        let_the_key_expire(demo)
        eventually(lambda: all(seen - before for seen in kids), within=10, what="a token with a new key for everybody")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200}
    assert set.union(*kids) <= published_keys(demo).keys()
    assert Browser(origin, sign_up().cookies).call("GET", "/api/v1/auth/me").status == 200
