"""Proves which failures of a callout are tried once more: connect failure, reset and 5xx; nothing else, and never more often."""

import time

import pytest

from harness import answers, tokens
from harness.bootstrap import plugin
from harness.problem import assert_anonymous, assert_problem


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(answers.status(500), id="500"),
        pytest.param(answers.status(503), id="503"),
        pytest.param(answers.connection_reset(), id="reset"),
        pytest.param(answers.closed_before_the_answer(), id="closed"),
    ],
)
class TestRetried:
    def test_failure_is_tried_once_more_and_the_client_sees_nothing_of_it(self, auth, client, target, failure):
        token = tokens.mint()
        session = auth.sign_in(failure, answers.token(token))
        assert client.get(target(), cookie=session.cookie).upstream.values("authorization") == [f"Bearer {token}"]
        assert len(auth.calls(session)) == 2

    def test_second_failure_is_the_answer(self, auth, backend, client, target, failure):
        session = auth.sign_in(failure, failure, answers.token(tokens.mint()))
        path = target()
        assert_problem(client.get(path, cookie=session.cookie), 503)
        assert len(auth.calls(session)) == 2
        assert backend.requests(path) == []


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param(answers.status(401), 401, id="401"),
        pytest.param(answers.status(403), 401, id="403"),
        pytest.param(answers.json_body(None), 401, id="null"),
        pytest.param(answers.status(400), 503, id="400"),
        pytest.param(answers.status(404), 503, id="404"),
        pytest.param(answers.status(429), 503, id="429"),
        pytest.param(answers.redirect("/sign-in"), 503, id="302"),
        pytest.param(answers.html(), 503, id="html"),
        pytest.param(answers.token(tokens.mint(tokens.WRONG_SECRET)), 503, id="token_does_not_verify"),
    ],
)
def test_answer_that_would_not_change_is_not_asked_for_again(auth, client, target, answer, status):
    session = auth.sign_in(answer)
    assert_problem(client.get(target(), cookie=session.cookie), status)
    assert len(auth.calls(session)) == 1


@pytest.fixture(scope="module")
def impatient(start_envoy):
    return start_envoy(plugin(exchange={"timeout": "400ms"})).client()


@pytest.mark.parametrize("answer", [answers.never(), answers.dribble()], ids=["no_answer", "answer_without_end"])
def test_timeout_ends_the_wait_and_is_not_tried_again(auth, impatient, target, answer):
    session = auth.sign_in(answer)
    began = time.monotonic()
    assert_problem(impatient.get(target(), cookie=session.cookie), 503)
    assert 0.3 < time.monotonic() - began < 3
    assert len(auth.calls(session)) == 1


@pytest.mark.parametrize("answer", [answers.never(), answers.dribble()], ids=["no_answer", "answer_without_end"])
def test_timeout_passes_an_optional_route_anonymous(auth, impatient, target, answer):
    session = auth.sign_in(answer)
    assert_anonymous(impatient.get(target("/optional"), cookie=session.cookie))
    assert auth.calls(session)


def test_session_is_served_as_soon_as_the_auth_service_answers_in_time_again(auth, impatient, target):
    token = tokens.mint()
    session = auth.sign_in(answers.never(), answers.token(token))
    assert_problem(impatient.get(target(), cookie=session.cookie), 503)
    assert impatient.get(target(), cookie=session.cookie).upstream.values("authorization") == [f"Bearer {token}"]


def test_retries_can_be_turned_off(auth, start_envoy, target):
    client = start_envoy(plugin(exchange={"retries": 0})).client()
    session = auth.sign_in(answers.status(500), answers.token(tokens.mint()))
    assert_problem(client.get(target(), cookie=session.cookie), 503)
    assert len(auth.calls(session)) == 1
