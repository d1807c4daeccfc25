"""Proves that a sign-out seen by one worker ends the session on all of them within two seconds, and that nothing brings it back."""

import concurrent.futures
import contextlib
import threading
import time

import pytest

from harness import answers, tokens
from harness.active import active
from harness.bootstrap import PLUGIN, connection_manager, plugin
from harness.client import head
from harness.counts import WITHIN_SECONDS, values
from harness.crowd import Crowd
from harness.eventually import eventually
from harness.http2_connection import Http2Connection
from harness.origin import OWN_PAGE
from harness.problem import assert_problem
from harness.workers import balanced

WORKERS = 4
WITHIN_ALL_WORKERS_SECONDS = 2
SIGN_OUT_PATHS = ["/off/sign-out", "/api/sign-out"]
CREDENTIALS = [{"bearer": {}}, *PLUGIN["credentials"]]
FORGOTTEN = "session_bearer_forgotten_signed_out"
PAST = "Thu, 01 Jan 1970 00:00:00 GMT"
FUTURE = "Fri, 01 Jan 2100 00:00:00 GMT"


def everything_to_the_backend(bootstrap):
    """Lets the paths of the auth service be answered by the echo backend, which can be told what to answer."""
    (host,) = connection_manager(bootstrap)["route_config"]["virtual_hosts"]
    host["routes"] = [route for route in host["routes"] if route["match"].get("path_separated_prefix") != "/api/auth"]


@pytest.fixture(scope="module")
def start(start_envoy):
    """Starts an Envoy with four workers."""

    def edit(bootstrap):
        balanced(bootstrap)
        everything_to_the_backend(bootstrap)

    def start(configuration):
        return start_envoy(configuration, edit=edit, workers=WORKERS)

    return start


@pytest.fixture(scope="module")
def sharing(start):
    return start(plugin(credentials=CREDENTIALS, cache={"sign_out_paths": SIGN_OUT_PATHS, "negative_ttl": "30s"}))


@pytest.fixture(scope="module")
def alone(start):
    """An Envoy whose workers share no tokens."""
    return start(plugin(credentials=CREDENTIALS, cache={"sign_out_paths": SIGN_OUT_PATHS, "negative_ttl": "30s", "shared_slots": 0}))


@pytest.fixture(scope="module")
def crowds(sharing, alone):
    """Kept connections to every worker of both Envoys."""
    with Crowd(sharing) as shared, Crowd(alone) as own:
        yield {"shared_level": shared, "no_shared_level": own}


@pytest.fixture(params=["shared_level", "no_shared_level"])
def crowd(crowds, request):
    return crowds[request.param]


@pytest.fixture
def session(auth, crowd):
    """A session that every worker knows, and which the auth service has ended since."""
    return known_everywhere(auth, crowd)


def known_everywhere(auth, crowd):
    session = auth.sign_in()
    assert_served(ask(crowd, session), session)
    auth.script(session, answers.status(401))
    assert_served(ask(crowd, session), session)
    return session


def carrying(session):
    return "cookie", session.cookie.encode()


def ask(crowd, session):
    return crowd.get("/api/asked", carrying(session))


def ask_on(connection, session, target="/api/asked", *headers, method="GET"):
    connection.send(head(target, carrying(session), OWN_PAGE, *headers, method=method))
    return connection.read()


def assert_served(replies, session):
    assert [reply.upstream.values("authorization") for reply in replies] == [[session.bearer]] * len(replies)


def assert_forgotten_everywhere(crowd, session, since, status=401):
    """Every worker refuses the session within two seconds from `since`, and goes on refusing it; gives the seconds that it took."""
    last_served = since
    while True:
        asked = time.monotonic()
        statuses = [reply.status for reply in ask(crowd, session)]
        if 200 not in statuses:
            break
        last_served = asked
        assert asked - since < WITHIN_ALL_WORKERS_SECONDS, f"still served by {statuses.count(200)} of {len(statuses)} connections"
    for reply in ask(crowd, session):
        assert_problem(reply, status)
    return last_served - since


def answering(status, *set_cookies):
    """Fields of a request that tell the echo backend how to answer it."""
    return [("x-answer-status", str(status).encode()), *(("x-answer-header", f"set-cookie:{line}".encode()) for line in set_cookies)]


@contextlib.contextmanager
def counted(envoy):
    """Checks that the sign-out inside is counted."""
    before = values(envoy)[FORGOTTEN]
    yield
    eventually(lambda: values(envoy)[FORGOTTEN] > before, within=WITHIN_SECONDS, what="a counted sign-out")


# What ends a session


@pytest.mark.parametrize("path", SIGN_OUT_PATHS)
@pytest.mark.parametrize(
    ("method", "status", "query"),
    [
        pytest.param("POST", 200, "", id="post_200"),
        pytest.param("POST", 201, "", id="post_201"),
        pytest.param("POST", 302, "", id="post_302"),
        pytest.param("GET", 200, "", id="get_200"),
        pytest.param("GET", 303, "?back=%2F", id="get_303_with_a_query"),
    ],
)
def test_successful_request_to_a_sign_out_path_ends_the_session_on_every_worker(crowd, session, path, method, status, query):
    length = [("content-length", b"0")] if method == "POST" else []
    signing_out = crowd.connections[0]
    assert ask_on(signing_out, session, path + query, *answering(status), *length, method=method).status == status
    since = time.monotonic()
    assert_problem(ask_on(signing_out, session), 401)
    assert_forgotten_everywhere(crowd, session, since)


CLEARING = {
    "empty": "session=",
    "empty_with_attributes": "session=; Path=/; HttpOnly; Secure; SameSite=Lax",
    "empty_in_quotes": 'session=""; Path=/',
    "max_age_0": "session={0}; Max-Age=0",
    "negative_max_age": "session={0}; Path=/; max-age=-1; HttpOnly",
    "max_age_0_before_a_future_expires": f"session={{0}}; Max-Age=0; Expires={FUTURE}",
    "expires_in_the_past": f"session={{0}}; Path=/; Expires={PAST}",
    "expires_with_dashes": "session={0}; expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/",
    "expires_of_old": "session={0}; Expires=Thursday, 01-Jan-70 00:00:00 GMT",
    "no_spaces": f"session={{0}};path=/;EXPIRES={PAST}",
    "as_better_auth_does": "session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax",
}
REPLACING = {"another_value": "session=another; Path=/; Max-Age=604800", "another_value_at_once": "session=x"}


@pytest.mark.parametrize("form", CLEARING | REPLACING)
def test_response_that_clears_or_replaces_the_cookie_ends_the_session_on_every_worker(crowd, session, form):
    line = (CLEARING | REPLACING)[form].format(session.value)
    signing_out = crowd.connections[0]
    assert ask_on(signing_out, session, "/off/any", *answering(200, line)).values("set-cookie") == [line]
    since = time.monotonic()
    assert_problem(ask_on(signing_out, session), 401)
    assert_forgotten_everywhere(crowd, session, since)


@pytest.mark.parametrize("line", [CLEARING["as_better_auth_does"], REPLACING["another_value"]], ids=["cleared", "replaced"])
@pytest.mark.parametrize("status", [200, 302, 500])
@pytest.mark.parametrize("prefix", ["/off", "/api", "/optional"])
def test_cookie_may_be_cleared_by_any_response_on_any_route(crowd, session, prefix, status, line):
    reply = ask_on(crowd.connections[0], session, f"{prefix}/any", *answering(status, "theme=dark", line, "other="))
    assert (reply.status, reply.values("set-cookie")) == (status, ["theme=dark", line, "other="])
    assert_forgotten_everywhere(crowd, session, time.monotonic())


def test_sign_out_is_noticed_although_another_credential_decides(crowd, session):
    bearer = ("authorization", f"Bearer {tokens.mint()}".encode())
    assert ask_on(crowd.connections[0], session, "/api/sign-out", bearer).status == 200
    assert_forgotten_everywhere(crowd, session, time.monotonic())


def test_sign_out_without_the_companion_ends_the_session_that_came_with_it(auth, crowd):
    session = auth.sign_in()
    jar = ("cookie", f"{session.cookie}; dont_remember=1".encode())
    assert_served(crowd.get("/api/asked", jar), session)
    auth.script(session, answers.status(401))
    assert ask_on(crowd.connections[0], session, "/off/sign-out").status == 200
    assert_forgotten_everywhere(crowd, session, time.monotonic())


def test_sign_out_over_http2_ends_the_session_on_every_worker(crowd, session):
    with Http2Connection(crowd.client) as connection:
        cookie = ("cookie", session.cookie)
        assert connection.get("/off/sign-out", ("cookie", "a=1"), cookie, method="POST").status == 200
        since = time.monotonic()
        assert_problem(connection.get("/api/asked", cookie), 401)
    assert_forgotten_everywhere(crowd, session, since)


@pytest.mark.parametrize("path", SIGN_OUT_PATHS)
def test_client_that_hangs_up_before_the_response_is_signed_out_all_the_same(backend, crowd, session, target, path):
    gate, path = answers.Gate(), target(f"{path}?")
    backend.script(path, gate.before(answers.status(200)))
    with crowd.client.open() as connection:
        connection.send(head(path, carrying(session), OWN_PAGE, ("content-length", b"0"), method="POST"))
        eventually(lambda: backend.requests(path), what="the sign-out at the backend")
    try:
        assert_forgotten_everywhere(crowd, session, time.monotonic())
    finally:
        gate.open()


def test_client_that_hangs_up_before_the_auth_service_is_done_is_signed_out_once_it_is(auth, backend, crowd, target):
    session, path, gate = auth.sign_in(), target("/off/sign-out?"), answers.Gate()
    assert_served(ask(crowd, session), session)
    backend.script(path, gate.before(answers.status(200)))
    with crowd.client.open() as connection:
        connection.send(head(path, ("cookie", session.cookie.encode()), OWN_PAGE, ("content-length", b"0"), method="POST"))
        eventually(lambda: backend.requests(path), what="the sign-out at the backend")

    def exchanged_again():
        assert_served(ask(crowd, session), session)
        return len(auth.calls(session)) > before

    before = len(auth.calls(session))
    eventually(exchanged_again, what="an exchange after the hang-up")
    gate.open()
    auth.script(session, answers.status(401))
    assert_forgotten_everywhere(crowd, session, time.monotonic())


@pytest.mark.parametrize("first", ["session=", 'session="x"'])
def test_sign_out_holds_although_a_cookie_that_can_be_no_session_comes_first(crowd, session, first):
    connection, jar = crowd.connections[0], f"{first}; {session.cookie}".encode()
    fields = [("cookie", jar), OWN_PAGE, *answering(200, "session=; Max-Age=0"), ("content-length", b"0")]
    connection.send(head("/off/sign-out", *fields, method="POST"))
    assert connection.read().status == 200
    assert_forgotten_everywhere(crowd, session, time.monotonic())


def test_response_that_has_the_browser_clear_its_cookies_ends_the_session_on_every_worker(crowd, session):
    fields = [("x-answer-status", b"200"), ("x-answer-header", b'clear-site-data:"cookies"')]
    assert ask_on(crowd.connections[0], session, "/off/any", *fields).status == 200
    assert_forgotten_everywhere(crowd, session, time.monotonic())


def test_sign_out_that_is_a_sessions_first_request_ends_it(auth, crowd):
    session = auth.sign_in()
    auth.script(session, answers.token(session.token), answers.status(401))
    assert ask_on(crowd.connections[0], session, "/api/sign-out").upstream.values("authorization") == [session.bearer]
    assert_forgotten_everywhere(crowd, session, time.monotonic())


@contextlib.contextmanager
def load(auth, client, threads=4):
    """Keeps all workers busy with requests of sessions that stay."""
    over = threading.Event()

    def ask_on_and_on():
        session, served = auth.sign_in(), 0
        while not over.is_set():
            assert_served(client.crowd(50, "/api/load", cookie=session.cookie, connections=10), session)
            served += 50
        return served

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        try:
            busy = [pool.submit(ask_on_and_on) for _ in range(threads)]
            yield
        finally:
            over.set()
        assert all(each.result() for each in busy)


def test_sign_out_under_load_ends_the_session_on_every_worker(auth, crowd, capsys):
    lags = []
    with load(auth, crowd.client):
        for number in range(40):
            session = known_everywhere(auth, crowd)
            assert ask_on(crowd.connections[number], session, "/off/sign-out", method="POST").status == 200
            lags.append(assert_forgotten_everywhere(crowd, session, time.monotonic()))
    with capsys.disabled():
        worst, usual = max(lags) * 1000, sorted(lags)[len(lags) // 2] * 1000
        print(f"\n{len(lags)} sign-outs under load: last request served sent {worst:.1f} ms later at most, {usual:.1f} ms in the middle")


def test_default_path_is_better_auths_and_listed_paths_stand_in_its_place(auth, start):
    routes = [{"match": {"prefix": "/api/auth"}, "auth": "off"}, *PLUGIN["routes"]]
    with Crowd(start(plugin(routes=routes))) as crowd:
        session = known_everywhere(auth, crowd)
        assert ask_on(crowd.connections[0], session, "/off/sign-out", method="POST").status == 200
        assert_served([ask_on(crowd.connections[0], session)], session)
        assert ask_on(crowd.connections[0], session, "/api/auth/sign-out", method="POST").status == 200
        assert_forgotten_everywhere(crowd, session, time.monotonic())


def test_sign_out_is_counted(auth, crowds, sharing):
    session = known_everywhere(auth, crowds["shared_level"])
    with counted(sharing):
        assert ask_on(crowds["shared_level"].connections[0], session, "/off/sign-out").status == 200


# What does not


UNSUCCESSFUL = [
    *(("/off/sign-out", status) for status in (400, 401, 403, 404, 500, 503)),
    *(("/api/sign-out", status) for status in (404, 500)),
]
ELSEWHERE = [
    *("/off/sign-out/", "/off/sign-out/all", "/off/sign-outs", "/off/Sign-Out", "/off?/off/sign-out"),
    *("/api/any", "/api/auth/sign-out"),
]


@pytest.mark.parametrize(("path", "status"), UNSUCCESSFUL)
def test_unsuccessful_request_to_a_sign_out_path_ends_nothing(crowd, session, path, status):
    assert ask_on(crowd.connections[0], session, path, *answering(status)).status == status
    assert_served(ask(crowd, session), session)


@pytest.mark.parametrize("path", ELSEWHERE)
def test_request_to_another_path_ends_nothing(crowd, session, path):
    assert ask_on(crowd.connections[0], session, path).status == 200
    assert_served(ask(crowd, session), session)


@pytest.mark.parametrize("prefix", ["/off", "/api"])
@pytest.mark.parametrize(
    "line",
    [
        pytest.param("session={0}", id="same_value"),
        pytest.param(f"session={{0}}; Path=/; HttpOnly; Max-Age=604800; Expires={FUTURE}", id="same_value_and_longer"),
        pytest.param("session={0}; Max-Age=never; Expires=never", id="attributes_without_meaning"),
        pytest.param("theme=; Max-Age=0", id="unlisted_name"),
        pytest.param("Session=; Max-Age=0", id="name_in_other_case"),
        pytest.param("session2=; Max-Age=0", id="longer_name"),
        pytest.param("xsession=; Max-Age=0", id="name_that_ends_in_it"),
        pytest.param("dont_remember=; Max-Age=0", id="companion"),
        pytest.param("theme=session=; path=/session=", id="name_inside_a_value"),
    ],
)
def test_other_set_cookie_lines_end_nothing(crowd, session, prefix, line):
    line = line.format(session.value)
    assert ask_on(crowd.connections[0], session, f"{prefix}/any", *answering(200, line)).values("set-cookie") == [line]
    assert_served(ask(crowd, session), session)


def test_nothing_of_that_takes_effect_later(auth, crowds, sharing):
    crowd = crowds["shared_level"]
    session, before = known_everywhere(auth, crowd), values(sharing)[FORGOTTEN]
    for connection in crowd.connections[:10]:
        for path, status in UNSUCCESSFUL:
            ask_on(connection, session, path, *answering(status))
        ask_on(connection, session, "/off/any", *answering(200, session.cookie, "theme=; Max-Age=0"))
    time.sleep(WITHIN_ALL_WORKERS_SECONDS)  # what a sign-out may take
    assert_served(ask(crowd, session), session)
    assert values(sharing)[FORGOTTEN] == before


def test_sign_out_ends_no_other_session(auth, crowd):
    leaving, *staying = [known_everywhere(auth, crowd) for _ in range(4)]
    calls = [len(auth.calls(session)) for session in staying]
    assert ask_on(crowd.connections[0], leaving, "/off/sign-out").status == 200
    assert_forgotten_everywhere(crowd, leaving, time.monotonic())
    for session in staying:
        assert_served(ask(crowd, session), session)
    assert [len(auth.calls(session)) for session in staying] == calls


def test_sign_out_without_a_session_ends_nothing(crowd, session):
    assert crowd.client.request("POST", "/off/sign-out").status == 200
    assert crowd.client.request("POST", "/off/sign-out", cookie="theme=dark").status == 200
    assert crowd.client.raw(head("/off/any", *answering(200, "session=; Max-Age=0"))).values("set-cookie") == ["session=; Max-Age=0"]
    assert_served(ask(crowd, session), session)


def test_client_that_hangs_up_elsewhere_stays_signed_in(backend, crowds, sharing, auth):
    session, gate, path = known_everywhere(auth, crowds["shared_level"]), answers.Gate(), "/api/hung-up"
    backend.script(path, gate.before(answers.status(200)))
    with sharing.client().open() as connection:
        connection.send(head(path, carrying(session)))
        eventually(lambda: backend.requests(path), what="the request at the backend")
    gate.open()
    eventually(lambda: active(sharing) == 0, what="the end of the request")
    assert_served(ask(crowds["shared_level"], session), session)


# What might bring a session back


@pytest.mark.parametrize("signed_in_anew", [False, True], ids=["then_refused", "then_another_token"])
def test_exchange_under_way_is_asked_again_before_anybody_gets_its_token(auth, sharing, signed_in_anew):
    gate, another = answers.Gate(), tokens.mint(sub="another")
    session = auth.sign_in()
    auth.script(session, gate.before(answers.token(session.token)), answers.token(another) if signed_in_anew else answers.status(401))
    cookie = ("cookie", session.cookie)
    with Http2Connection(sharing.client()) as connection:
        waiting = [connection.send("/api/asked", cookie) for _ in range(3)]
        try:
            eventually(lambda: auth.calls(session), what="the callout")
            assert connection.get("/off/sign-out", cookie, method="POST").status == 200
        finally:
            gate.open()
        for reply in [connection.read(request) for request in waiting] + [connection.get("/api/asked", cookie)]:
            if signed_in_anew:
                assert reply.upstream.values("authorization") == [f"Bearer {another}"]
            else:
                assert_problem(reply, 401)
    assert len(auth.calls(session)) == 2


@pytest.fixture
def waiting(crowd):
    """More connections to the same Envoy, whose requests may be left without an answer."""
    with Crowd(crowd.envoy) as waiting:
        yield waiting


@contextlib.contextmanager
def signed_out_under_way(auth, crowd, waiting):
    """A session that was signed out while the exchanges of those waiting were under way; they end with the block."""
    gate, session = answers.Gate(), auth.sign_in()
    auth.script(session, gate.before(answers.token(session.token)))
    waiting.send(head("/api/asked", carrying(session)))
    try:
        eventually(lambda: auth.calls(session), what="the callout")
        auth.script(session, answers.status(401))
        assert crowd.client.request("POST", "/off/sign-out", cookie=session.cookie).status == 200
        yield session
    finally:
        gate.open()


def test_exchanges_under_way_on_other_workers_are_asked_again(auth, crowd, waiting):
    with signed_out_under_way(auth, crowd, waiting) as session:
        time.sleep(WITHIN_ALL_WORKERS_SECONDS)  # what a sign-out may take
        asked = len(auth.calls(session))
    for reply in waiting.read():
        assert_problem(reply, 401)
    assert 1 <= asked < len(auth.calls(session)) <= asked + WORKERS
    assert_forgotten_everywhere(crowd, session, time.monotonic())


def test_exchanges_that_end_during_the_sign_out_do_not_bring_the_session_back(auth, crowd, waiting):
    for _ in range(5):
        with signed_out_under_way(auth, crowd, waiting) as session:
            since = time.monotonic()
        assert {reply.status for reply in waiting.read()} <= {200, 401}
        assert_forgotten_everywhere(crowd, session, since)


@pytest.mark.parametrize("slots", [4096, 0], ids=["shared_level", "no_shared_level"])
def test_refresh_under_way_does_not_bring_the_session_back(auth, start_envoy, slots):
    cache = {"max_ttl": "4s", "refresh_ahead": "3s", "shared_slots": slots, "sign_out_paths": SIGN_OUT_PATHS}
    envoy = start_envoy(plugin(cache=cache))
    gate, session = answers.Gate(), auth.sign_in()
    auth.script(session, answers.token(session.token), gate.before(answers.token(session.token)), answers.status(401))
    with envoy.client().open() as connection:

        def refreshing():
            assert_served([ask_on(connection, session)], session)
            return len(auth.calls(session)) == 2

        try:
            eventually(refreshing, what="a refresh in the background")
            assert ask_on(connection, session, "/off/sign-out").status == 200
        finally:
            gate.open()
        for _ in range(10):
            assert_problem(ask_on(connection, session), 401)


def test_session_is_not_served_stale_after_its_sign_out(auth, crowd):
    session = known_everywhere(auth, crowd)
    auth.script(session, answers.status(404))
    assert ask_on(crowd.connections[0], session, "/off/sign-out").status == 200
    assert_forgotten_everywhere(crowd, session, time.monotonic(), status=503)


# What comes after


def test_session_that_signs_in_again_works_at_once(auth, crowd, session):
    again = auth.sign_in()
    assert ask_on(crowd.connections[0], session, "/off/sign-in", *answering(200, f"{again.cookie}; Path=/")).status == 200
    since = time.monotonic()
    assert_served(ask(crowd, again), again)
    assert_forgotten_everywhere(crowd, session, since)
    assert_served(ask(crowd, again), again)


def test_session_that_was_refused_a_moment_before_its_sign_in_works_at_once(auth, crowd, session):
    again = auth.sign_in(answers.status(401))
    for _asked_then_remembered in range(2):
        for reply in ask(crowd, again):
            assert_problem(reply, 401)
        auth.script(again, answers.token(again.token))
    signing_in = crowd.connections[0]
    assert ask_on(signing_in, session, "/off/sign-in", *answering(200, f"{again.cookie}; Path=/")).status == 200
    since = time.monotonic()
    assert_served([ask_on(signing_in, again)], again)
    eventually(lambda: {reply.status for reply in ask(crowd, again)} == {200}, within=WITHIN_ALL_WORKERS_SECONDS, what="the new session")
    assert_served(ask(crowd, again), again)
    assert_forgotten_everywhere(crowd, session, since)


def test_session_may_be_exchanged_anew_when_the_auth_service_still_knows_it(auth, crowd):
    session = known_everywhere(auth, crowd)
    kept = tokens.mint(sub="kept")
    auth.script(session, answers.token(kept))
    assert ask_on(crowd.connections[0], session, "/off/sign-out").status == 200
    eventually(
        lambda: {tuple(reply.upstream.values("authorization")) for reply in ask(crowd, session)} == {(f"Bearer {kept}",)},
        within=WITHIN_ALL_WORKERS_SECONDS,
        what="the new token on every worker",
    )
    calls = len(auth.calls(session))
    ask(crowd, session)
    assert len(auth.calls(session)) == calls
