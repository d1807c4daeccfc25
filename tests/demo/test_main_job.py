"""Proves the main job with nothing scripted: whoever signed up is known to an unchanged FastAPI backend by the cookie alone."""

import secrets

import pytest

from smoke import Browser

FIVE_MEGABYTES = 5 * 1024 * 1024
ME = "/api/v1/auth/me"
CHAPTER = {"chapter_id": "ch1"}


def mark() -> str:
    """A query that makes a request recognisable in a log."""
    return f"?mark={secrets.token_hex(8)}"


def test_middleware_protected_route_answers_with_the_users_email(sign_up):
    user = sign_up()
    answer = user.post("/api/personalize", CHAPTER)
    assert answer.status == 200
    assert answer.json()["email"] == user.email
    assert answer.json()["background"] == "Rust"


def test_dependency_protected_route_answers_with_the_users_email(sign_up):
    user = sign_up()
    answer = user.call("GET", ME)
    assert answer.status == 200
    assert answer.json()["email"] == user.email


def test_upload_of_5_mb_arrives_whole(sign_up):
    answer = sign_up().upload("/api/v1/documents/upload", FIVE_MEGABYTES)
    assert answer.status == 200
    assert answer.json()["bytes"] == FIVE_MEGABYTES


def test_two_users_are_told_apart(sign_up):
    ada, eve = sign_up(), sign_up()
    for user in (ada, eve, ada):
        assert user.post("/api/personalize", CHAPTER).json()["email"] == user.email


def test_signing_in_again_is_a_session_of_its_own(demo, sign_up):
    user = sign_up()
    password = secrets.token_urlsafe(12)
    again = Browser(demo.url)
    email = f"again-{secrets.token_hex(6)}@example.com"
    account = {"name": "Again", "email": email, "password": password, "softwareBackground": "Python"}
    assert again.post("/api/auth/sign-up/email", account).status == 200
    elsewhere = Browser(demo.url)
    assert elsewhere.post("/api/auth/sign-in/email", {"email": email, "password": password}).status == 200
    assert elsewhere.cookies != again.cookies
    for browser in (again, elsewhere):
        assert browser.post("/api/personalize", CHAPTER).json()["email"] == email
    assert user.post("/api/personalize", CHAPTER).json()["email"] == user.email


@pytest.mark.parametrize("path", ["/api/personalize", "/api/v1/sessions", "/api/v1/documents/upload"])
def test_no_cookie_is_answered_401_and_the_backend_is_not_reached(demo, stranger, path):
    seen = mark()
    answer = stranger.post(path + seen, CHAPTER)
    assert answer.status == 401
    assert answer.header("content-type") == "application/problem+json"
    assert answer.json()["detail"]
    assert seen not in demo.backend.log()


def test_forged_cookie_is_answered_401_and_the_backend_is_not_reached(demo, sign_up):
    cookies = {name: value[:-4] + "AAA=" for name, value in sign_up().cookies.items()}
    seen = mark()
    assert Browser(demo.url, cookies).call("GET", ME + seen).status == 401
    assert seen not in demo.backend.log()


def test_backend_itself_knows_no_cookies(demo, sign_up):
    user = sign_up()
    direct = Browser(f"http://127.0.0.1:{demo.ports.backend}", user.cookies)
    assert direct.call("GET", ME).status in (401, 403)
    assert "email" not in str(direct.post("/api/personalize", CHAPTER).json())


def test_auth_service_is_asked_once_for_many_calls(demo, sign_up):
    user, before = sign_up(), demo.auth.log().count("/api/auth/jwt")
    for _ in range(10):
        assert user.call("GET", ME).status == 200
    assert demo.auth.log().count("/api/auth/jwt") - before == 1


def test_auth_services_own_routes_pass_with_their_cookies(sign_up):
    user = sign_up()
    answer = user.call("GET", "/api/auth/get-session")
    assert answer.status == 200
    assert answer.json()["user"]["email"] == user.email


def test_page_and_health_check_need_no_credential(stranger):
    assert b"session-bearer" in stranger.call("GET", "/").body
    assert stranger.call("GET", "/healthz").status == 200


@pytest.fixture
def without_auth_service(demo):
    """Stops the auth service when asked and starts it anew at the end."""
    yield demo.auth.stop
    demo.auth.restart()


def test_stopped_auth_service_keeps_known_users_going_and_tells_new_ones_503(demo, sign_up, without_auth_service):
    known, new = sign_up(), sign_up()
    assert known.call("GET", ME).status == 200
    without_auth_service()
    assert known.call("GET", ME).status == 200
    answer = new.call("GET", ME)
    assert answer.status == 503
    assert int(answer.header("retry-after")) >= 1
    demo.auth.start()
    assert new.call("GET", ME).status == 200


def test_wrong_secret_is_answered_503_and_the_backend_is_not_reached(demo, sign_up):
    misconfigured = demo.add_envoy("wrong-secret", jwt_secret=secrets.token_urlsafe(48))
    misconfigured.start()
    try:
        seen, user = mark(), sign_up()
        elsewhere = Browser(f"http://localhost:{misconfigured.port}", user.cookies)
        assert elsewhere.call("GET", ME + seen).status == 503
        assert elsewhere.call("GET", ME).status == 503
        assert seen not in demo.backend.log()
    finally:
        misconfigured.stop()
