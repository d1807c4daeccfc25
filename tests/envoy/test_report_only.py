"""Proves that report_only lets pass what would be refused, without a credential, and tells of it."""

import re

import pytest

from harness import answers
from harness.bootstrap import plugin
from harness.eventually import eventually
from harness.problem import assert_anonymous


@pytest.fixture(scope="module")
def reporting(start_envoy):
    sections = {"report_only": True, "unauthenticated": {"sign_in": {"location": "/off/sign-in"}}}
    return start_envoy(plugin(**sections), log_level="info")


def test_what_would_be_refused_reaches_the_backend_without_a_credential(auth, reporting, target):
    client, down, session = reporting.client(), auth.sign_in(answers.status(404)), auth.sign_in()
    for request in (
        {},
        {"headers": [("sec-fetch-mode", "navigate")]},
        {"authorization": "Bearer a.b.c"},
        {"cookie": "session=unknown"},
        {"cookie": "session=one; session=two"},
        {"cookie": down.cookie},
        {"method": "POST", "cookie": session.cookie},
    ):
        answer = client.request(request.pop("method", "GET"), target(), **request)
        assert_anonymous(answer)
        assert answer.upstream.values("cookie") == []


def test_session_is_exchanged_as_ever(auth, reporting, target):
    session = auth.sign_in()
    assert reporting.client().get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]


def test_log_tells_what_would_be_refused_and_how_often(reporting, target):
    client = reporting.client()
    assert {client.get(target(), cookie='session="quoted"').status for _ in range(20)} == {200}
    told = re.compile(r"report_only: let through (\d+) times: denied_malformed_session")
    eventually(lambda: sum(map(int, told.findall(reporting.log()))) == 20, what="twenty reported requests")
    assert "report_only is set: nothing is refused" in reporting.log()
