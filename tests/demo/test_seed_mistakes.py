"""Proves that the mistakes frontends make with tokens do no harm behind the filter: each is made here, and the call still works.

The mistakes are the well-known ones of frontends that fetch a JWT for a session cookie and carry it to an API themselves.
"""

import time

import jwt
import pytest

PERSONALIZE = "/api/personalize"
CHAPTER = {"chapter_id": "ch1"}
SESSIONS = "/api/v1/sessions"


@pytest.fixture
def user(sign_up):
    return sign_up()


def fetched_token(user) -> str:
    """The token as a frontend would fetch it from the auth service."""
    answer = user.call("GET", "/api/auth/jwt")
    assert answer.status == 200
    return answer.json()["token"]


def test_mistake_1_not_sending_the_jwt_to_the_backend_works_through_the_filter(user):
    answer = user.post(PERSONALIZE, CHAPTER)
    assert answer.status == 200
    assert answer.json()["email"] == user.email


def test_mistake_2_storing_the_jwt_gives_a_thief_nothing_that_works_through_the_filter(user, stranger):
    stolen = fetched_token(user)
    answer = stranger.post(PERSONALIZE, CHAPTER, {"authorization": f"Bearer {stolen}"})
    assert answer.status == 401
    assert user.post(PERSONALIZE, CHAPTER).json()["email"] == user.email


def test_mistake_3_not_handling_token_expiration_works_through_the_filter(demo, user):
    claims = jwt.decode(fetched_token(user), options={"verify_signature": False})
    hours_old = claims | {"iat": int(time.time()) - 9000, "exp": int(time.time()) - 7200}
    expired = jwt.encode(hours_old, demo.secrets["JWT_SECRET"], algorithm="HS256")
    answer = user.post(PERSONALIZE, CHAPTER, {"authorization": f"Bearer {expired}"})
    assert answer.status == 200
    assert answer.json()["email"] == user.email


def test_mistake_5_wrong_authorization_header_format_works_through_the_filter(user):
    for authorization in (fetched_token(user), f"Token {fetched_token(user)}", "Bearer", "Bearer undefined", "Bearer null"):
        answer = user.post(PERSONALIZE, CHAPTER, {"authorization": authorization})
        assert answer.status == 200
        assert answer.json()["email"] == user.email


def test_fetch_without_authorization_creates_a_session_through_the_filter(user):
    answer = user.post(SESSIONS, {"title": "A blog post"})
    assert answer.status == 201
    assert answer.json()["title"] == "A blog post"


def test_client_that_adds_authorization_itself_and_fetch_that_does_not_are_the_same_user(user):
    with_header = user.post(SESSIONS, {"title": "axios"}, {"authorization": f"Bearer {fetched_token(user)}"})
    without = user.post(SESSIONS, {"title": "fetch"})
    assert with_header.status == without.status == 201
    assert with_header.json()["owner"] == without.json()["owner"]
