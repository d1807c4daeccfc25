"""Proves what each answer of the auth service comes to: no session is a 401, an outage a 503 and never remembered as a "no"."""

import pytest

from harness import answers, tokens
from harness.bootstrap import auth_cluster
from harness.client import head
from harness.eventually import eventually
from harness.problem import assert_anonymous, assert_problem

REFUSALS = [
    pytest.param(answers.status(401), id="401"),
    pytest.param(answers.status(403), id="403"),
    pytest.param(answers.raw(b"HTTP/1.1 401 No\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\n<p/>"), id="401_html"),
    pytest.param(answers.json_body(None), id="200_null"),
    pytest.param(answers.json_body({}), id="200_empty_object"),
    pytest.param(answers.json_body({"token": None}), id="200_token_null"),
    pytest.param(answers.json_body({"session": "x"}), id="200_without_token"),
]

GOOD = tokens.mint()

OUTAGES = [
    pytest.param(answers.status(500), id="500"),
    pytest.param(answers.status(502), id="502"),
    pytest.param(answers.status(503), id="503"),
    pytest.param(answers.status(400), id="400"),
    pytest.param(answers.status(404), id="404"),
    pytest.param(answers.status(429), id="429"),
    pytest.param(answers.redirect("/sign-in"), id="302"),
    pytest.param(answers.status(201, '{"token":"x"}'), id="201"),
    pytest.param(answers.raw(b"HTTP/1.1 204 None\r\n\r\n"), id="204"),
    pytest.param(answers.html(), id="200_html"),
    pytest.param(answers.status(200, ""), id="200_empty_body"),
    pytest.param(answers.status(200, '{"token":"' + GOOD), id="200_cut_json"),
    pytest.param(answers.status(200, '{"token":"' + GOOD + '"} x'), id="200_text_after_json"),
    pytest.param(answers.status(200, "[" * 50_000), id="200_deep_json"),
    pytest.param(answers.json_body([GOOD]), id="200_array"),
    pytest.param(answers.json_body(GOOD), id="200_string"),
    pytest.param(answers.json_body({"token": ""}), id="token_empty"),
    pytest.param(answers.json_body({"token": 5}), id="token_number"),
    pytest.param(answers.json_body({"token": True}), id="token_boolean"),
    pytest.param(answers.json_body({"token": {"jwt": GOOD}}), id="token_object"),
    pytest.param(answers.json_body({"token": [GOOD]}), id="token_array"),
    pytest.param(answers.connection_reset(), id="reset"),
    pytest.param(answers.closed_before_the_answer(), id="closed"),
    pytest.param(answers.cut_inside_the_body(GOOD), id="cut_body"),
    pytest.param(answers.oversized(GOOD, 65_537), id="just_oversized"),
    pytest.param(answers.oversized(GOOD, 300_000), id="far_oversized"),
    pytest.param(answers.raw(b"no http at all\r\n\r\n"), id="no_http"),
]

UNVERIFIED = [pytest.param(answers.token(token), id=reason) for reason, token in tokens.that_do_not_verify().items()]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_refused_session_is_answered_401_and_backend_is_not_reached(auth, backend, client, target, refusal):
    session, path = auth.sign_in(refusal), target()
    assert_problem(client.get(path, cookie=session.cookie), 401)
    assert backend.requests(path) == []


@pytest.mark.parametrize("refusal", REFUSALS)
def test_refused_session_passes_an_optional_route_anonymous(auth, client, target, refusal):
    session = auth.sign_in(refusal)
    assert_anonymous(client.get(target("/optional"), cookie=session.cookie))
    assert len(auth.calls(session)) == 1


def test_refusal_is_forgotten_within_seconds(auth, client, target):
    session = auth.sign_in(answers.status(401))
    assert_problem(client.get(target(), cookie=session.cookie), 401)
    auth.script(session, answers.token(session.token))
    eventually(lambda: client.get(target(), cookie=session.cookie).status == 200, within=8, what="the session to be asked for again")


@pytest.mark.parametrize("outage", OUTAGES)
def test_outage_is_answered_503_and_never_remembered(auth, backend, client, target, outage):
    session, path = auth.sign_in(outage), target()
    assert_problem(client.get(path, cookie=session.cookie), 503)
    assert backend.requests(path) == []
    auth.script(session, answers.token(session.token))
    assert client.get(path, cookie=session.cookie).upstream.values("authorization") == [session.bearer]


@pytest.mark.parametrize("outage", OUTAGES)
def test_outage_passes_an_optional_route_anonymous_and_is_never_remembered(auth, client, target, outage):
    session, path = auth.sign_in(outage), target("/optional")
    assert_anonymous(client.get(path, cookie=session.cookie))
    auth.script(session, answers.token(session.token))
    assert client.get(path, cookie=session.cookie).upstream.values("authorization") == [session.bearer]


@pytest.mark.parametrize("answer", UNVERIFIED)
@pytest.mark.parametrize("prefix", ["/api", "/optional"])
def test_token_that_does_not_verify_is_answered_503_and_never_forwarded(auth, backend, client, target, answer, prefix):
    session, path = auth.sign_in(answer), target(prefix)
    assert_problem(client.get(path, cookie=session.cookie), 503)
    assert backend.requests(path) == []
    auth.script(session, answers.token(session.token))
    assert client.get(path, cookie=session.cookie).upstream.values("authorization") == [session.bearer]


def test_all_tokens_that_do_not_verify_are_answered_alike(auth, client, target):
    bodies = {client.get(target(), cookie=auth.sign_in(answers.token(token)).cookie).body for token in tokens.that_do_not_verify().values()}
    assert len(bodies) == 1


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"aud": ["another-api", tokens.AUDIENCE]}, id="audience_in_a_list"),
        pytest.param({"exp": 4_000_000_000.5}, id="fractional_exp"),
        pytest.param({"nbf": 1}, id="nbf_in_the_past"),
    ],
)
def test_token_that_verifies_in_an_unusual_form_is_used(auth, client, target, claims):
    session = auth.sign_in(token=tokens.mint_raw_claims(**claims))
    assert client.get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]


def test_answer_as_large_as_allowed_is_read(auth, client, target):
    token = tokens.mint()
    session = auth.sign_in(answers.oversized(token, 65_536))
    assert client.get(target(), cookie=session.cookie).upstream.values("authorization") == [f"Bearer {token}"]


def test_refused_connection_is_answered_503_and_the_session_works_once_the_auth_service_is_back(auth, backend, client, target):
    session, path = auth.sign_in(), target()
    auth.stop()
    try:
        assert_problem(client.get(path, cookie=session.cookie), 503)
        assert_anonymous(client.get(target("/optional"), cookie=session.cookie))
        assert backend.requests(path) == []
    finally:
        auth.start()
    assert client.get(path, cookie=session.cookie).upstream.values("authorization") == [session.bearer]


def test_cached_session_goes_on_while_the_auth_service_is_down(auth, client, target):
    known, unknown = auth.sign_in(), auth.sign_in()
    with client.open() as connection:

        def ask(session):
            connection.send(head(target(), ("cookie", session.cookie.encode())))
            return connection.read()

        assert ask(known).status == 200
        auth.stop()
        try:
            assert ask(known).upstream.values("authorization") == [known.bearer]
            assert_problem(ask(unknown), 503)
        finally:
            auth.start()
        assert ask(unknown).status == 200


def test_cluster_without_an_endpoint_is_answered_503(start_envoy, auth, backend, target):
    def without_endpoints(bootstrap):
        auth_cluster(bootstrap)["load_assignment"]["endpoints"] = []

    client = start_envoy(edit=without_endpoints).client()
    session, path = auth.sign_in(), target()
    assert_problem(client.get(path, cookie=session.cookie), 503)
    assert_anonymous(client.get(target("/optional"), cookie=session.cookie))
    assert backend.requests(path) == []
