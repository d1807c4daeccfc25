"""Proves that a definite "no" is remembered for negative_ttl, so that a dead cookie costs one callout, and that nothing else is."""

import pytest

from harness import answers, tokens
from harness.auth_service import Session
from harness.bootstrap import plugin
from harness.client import head
from harness.problem import assert_anonymous, assert_problem
from harness.visitor import Visitor

NEGATIVE_TTL_SECONDS = 2

REFUSALS = [
    pytest.param(answers.status(401), id="401"),
    pytest.param(answers.status(403), id="403"),
    pytest.param(answers.json_body(None), id="200_null"),
    pytest.param(answers.json_body({}), id="200_without_token"),
    pytest.param(answers.json_body({"token": None}), id="200_token_null"),
]

ERRORS = [
    pytest.param(answers.status(400), id="400"),
    pytest.param(answers.status(404), id="404"),
    pytest.param(answers.status(429), id="429"),
    pytest.param(answers.redirect("/sign-in"), id="302"),
    pytest.param(answers.html(), id="html"),
    pytest.param(answers.json_body({"token": ""}), id="token_empty"),
    pytest.param(answers.json_body({"token": 5}), id="token_number"),
    pytest.param(answers.token(tokens.mint(tokens.WRONG_SECRET)), id="token_does_not_verify"),
]


@pytest.fixture(scope="module")
def start_remembering(start_envoy):
    """Starts an Envoy of one worker with this negative_ttl, and gives its client."""
    return lambda negative_ttl, **cache: start_envoy(plugin(cache={"negative_ttl": negative_ttl, **cache}), workers=1).client()


@pytest.fixture(scope="module")
def remembering(start_remembering):
    """Remembers a "no" for longer than any test takes."""
    return start_remembering("5m")


@pytest.fixture(scope="module")
def forgetting(start_remembering):
    """Remembers a "no" for a moment."""
    return start_remembering(f"{NEGATIVE_TTL_SECONDS}s")


@pytest.fixture(scope="module")
def asking(start_remembering):
    """Remembers no "no"."""
    return start_remembering("0s")


@pytest.mark.parametrize("refusal", REFUSALS)
def test_refused_session_costs_one_callout_for_many_requests(auth, backend, remembering, target, refusal):
    session, path = auth.sign_in(refusal), target()
    with Visitor(remembering, session, path) as visitor:
        for _ in range(50):
            assert_problem(visitor.visit().answer, 401)
    assert len(auth.calls(session)) == 1
    assert backend.requests(path) == []


def test_remembered_no_is_answered_as_the_first_one(auth, remembering, target):
    with Visitor(remembering, auth.sign_in(answers.status(401)), target()) as visitor:
        first, again = visitor.visit().answer, visitor.visit().answer
    assert (again.status, again.body, again.value("www-authenticate")) == (first.status, first.body, first.value("www-authenticate"))


def test_refused_session_passes_an_optional_route_anonymous_without_another_callout(auth, remembering, target):
    session = auth.sign_in(answers.status(401))
    assert_problem(remembering.get(target(), cookie=session.cookie), 401)
    for _ in range(3):
        assert_anonymous(remembering.get(target("/optional"), cookie=session.cookie))
    assert len(auth.calls(session)) == 1


def test_no_for_one_session_says_nothing_about_another(auth, remembering, target):
    session = auth.sign_in(answers.status(401), answers.token(tokens.mint()))
    same_value = Session(session.value, "", "__Host-session")
    assert_problem(remembering.get(target(), cookie=session.cookie), 401)
    assert remembering.get(target(), cookie=same_value.cookie).status == 200
    assert remembering.get(target(), cookie=auth.sign_in().cookie).status == 200
    assert_problem(remembering.get(target(), cookie=session.cookie), 401)


def test_negative_ttl_of_nothing_asks_each_time(auth, asking, target):
    session = auth.sign_in(answers.status(401))
    for _ in range(5):
        assert_problem(asking.get(target(), cookie=session.cookie), 401)
    assert len(auth.calls(session)) == 5
    auth.script(session, answers.token(session.token))
    assert asking.get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]


@pytest.mark.parametrize("error", ERRORS)
def test_error_is_never_remembered(auth, remembering, target, error):
    session = auth.sign_in(error)
    for count in (1, 2, 3):
        assert_problem(remembering.get(target(), cookie=session.cookie), 503)
        assert len(auth.calls(session)) == count
    auth.script(session, answers.token(session.token))
    assert remembering.get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]


def test_refused_connection_is_never_remembered(auth, remembering, target):
    session = auth.sign_in()
    auth.stop()
    try:
        for _ in range(2):
            assert_problem(remembering.get(target(), cookie=session.cookie), 503)
    finally:
        auth.start()
    assert remembering.get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]


def test_sign_in_with_the_same_value_works_after_negative_ttl_at_the_latest(auth, forgetting, target):
    session = auth.sign_in(answers.status(401))
    with Visitor(forgetting, session, target()) as visitor:
        refused = visitor.visit()
        assert_problem(refused.answer, 401)
        auth.script(session, answers.token(session.token))
        signed_in = visitor.until(lambda visit: visit.status == 200, within=NEGATIVE_TTL_SECONDS + 3, what="the new sign-in to work")
    assert signed_in.bearer == session.bearer
    assert signed_in.ended >= refused.began + NEGATIVE_TTL_SECONDS
    assert all(visit.began < refused.ended + NEGATIVE_TTL_SECONDS for visit in visitor.visits if visit.status == 401)
    assert len(auth.calls(session)) == 2


def test_no_is_remembered_for_five_seconds_when_nothing_is_configured(auth, start_envoy, target):
    session = auth.sign_in(answers.status(401))
    with Visitor(start_envoy(workers=1).client(), session, target()) as visitor:
        refused = visitor.visit()
        visitor.until(lambda _visit: len(auth.calls(session)) == 2, within=8, what="the session to be asked about again")
        assert visitor.visits[-1].ended >= refused.began + 5
        assert {visit.status for visit in visitor.visits} == {401}


def test_flood_of_refused_sessions_leaves_known_ones_alone(auth, start_remembering, target):
    client = start_remembering("5m", max_entries=20, shared_slots=0)
    known = [auth.sign_in() for _ in range(5)]
    for session in known:
        assert client.get(target(), cookie=session.cookie).status == 200
    with client.open() as connection:
        for number in range(500):
            connection.send(head(target(), ("cookie", f"session=flood-{number}".encode())))
            assert connection.read().status == 401
    for session in known:
        assert client.get(target(), cookie=session.cookie).status == 200
    assert [len(auth.calls(session)) for session in known] == [1] * 5


def test_session_whose_no_has_been_forgotten_is_503_while_the_auth_service_fails(auth, forgetting, target):
    session = auth.sign_in(answers.status(401), answers.status(404))
    with Visitor(forgetting, session, target()) as visitor:
        assert_problem(visitor.visit().answer, 401)
        failed = visitor.until(lambda visit: visit.status != 401, within=NEGATIVE_TTL_SECONDS + 3, what="another question")
    assert_problem(failed.answer, 503)
