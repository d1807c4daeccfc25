"""Proves who is sent to sign in instead of being answered 401, and that the way back is told as it was asked for."""

from urllib.parse import parse_qs, urlsplit

import pytest

from harness import answers
from harness.bootstrap import plugin
from harness.problem import assert_anonymous, assert_problem

LOCATION = "/off/sign-in"
NAVIGATION = [("sec-fetch-mode", "navigate"), ("accept", "text/html")]
SCRIPT = [("sec-fetch-mode", "cors"), ("accept", "text/html")]


@pytest.fixture(scope="module")
def client(start_envoy):
    return start_envoy(plugin(unauthenticated={"sign_in": {"location": LOCATION, "return_to_param": "next"}})).client()


def way_back(answer) -> list[str]:
    assert (answer.status, answer.value("cache-control"), answer.body) == (302, "no-store", b"")
    location = urlsplit(answer.value("location"))
    assert (location.scheme, location.netloc, location.path) == ("", "", LOCATION)
    return parse_qs(location.query).get("next", [])


@pytest.mark.parametrize("kind", ["no_cookie", "refused", "impossible"])
def test_navigation_without_a_session_is_sent_to_sign_in_and_back(auth, backend, client, target, kind):
    cookie = {"no_cookie": None, "refused": auth.sign_in(answers.status(401)).cookie, "impossible": 'session="a'}[kind]
    path = target() + "?page=2&q=%C3%BC"
    assert way_back(client.get(path, cookie=cookie, headers=NAVIGATION)) == [path]
    assert backend.requests(path) == []


def test_script_is_answered_401(client, target):
    assert_problem(client.get(target(), headers=SCRIPT), 401)
    assert_problem(client.get(target()), 401)


def test_browser_that_does_not_say_what_it_does_is_known_by_what_it_accepts(client, target):
    assert way_back(client.get(target(), headers=[("accept", "text/html,*/*;q=0.8")]))
    assert_problem(client.get(target(), headers=[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")]), 401)


def test_head_of_a_navigation_is_sent_there_too(client, target):
    assert client.request("HEAD", target(), headers=NAVIGATION).status == 302


def test_outage_and_optional_routes_send_nobody_anywhere(auth, client, target):
    failing = auth.sign_in(answers.status(404))
    assert_problem(client.get(target(), cookie=failing.cookie, headers=NAVIGATION), 503)
    assert_anonymous(client.get(target("/optional"), headers=NAVIGATION))


def test_way_back_that_could_leave_the_site_is_left_out(client):
    # What Envoy itself would mend or refuse does not get so far.
    for path in ["/api/%2509/evil", "/api/%255c%255cevil", "/api/a/%252e%252e/%252fevil"]:
        assert way_back(client.get(path, headers=NAVIGATION)) == [], path


def test_set_cookie_of_the_refusal_comes_with_the_redirect(auth, client, target):
    session = auth.sign_in(answers.status(401, "{}", ("set-cookie", "session=; Max-Age=0; Path=/")))
    answer = client.get(target(), cookie=session.cookie, headers=NAVIGATION)
    assert answer.status == 302
    assert answer.values("set-cookie") == ["session=; Max-Age=0; Path=/"]
