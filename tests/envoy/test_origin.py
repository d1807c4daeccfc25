"""Proves that no page of another site can use a cookie: what may have an effect comes from a trusted origin, or goes nowhere.

The verdicts are those of an oracle, which knows of each variant what it is and not how it is spelled.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from harness import answers, endless, tokens
from harness.bootstrap import PLUGIN, connection_manager, plugin
from harness.client import Answer, head
from harness.http2_connection import Http2Connection
from harness.origin import TRUSTED
from harness.problem import assert_problem

OURS = TRUSTED.encode()
TOKEN_COOKIE = {"token_cookie": {"names": ["access_token"]}}
CREDENTIALS = [{"bearer": {}}, TOKEN_COOKIE, *PLUGIN["credentials"]]
LISTED = [TRUSTED, "HTTPS://Admin.Example.COM:443", "http://localhost:3000", "https://[::1]:8443", "https://xn--bcher-kva.example"]
NO_BODY = ("content-length", b"0")
UPGRADE = [("connection", b"upgrade"), ("upgrade", b"websocket"), ("sec-websocket-version", b"13"), ("sec-websocket-key", b"dGVzdHM=")]

# Each variant: what it is, and the values that are sent, a line each.
ORIGINS = {
    "absent": ("absent", []),
    "exact": ("trusted", [OURS]),
    "normalised": ("trusted", [b"https://admin.example.com"]),
    "localhost": ("trusted", [b"http://localhost:3000"]),
    "ipv6": ("trusted", [b"https://[::1]:8443"]),
    "punycode": ("trusted", [b"https://xn--bcher-kva.example"]),
    "other_scheme": ("foreign", [b"http://app.example.com"]),
    "other_port": ("foreign", [b"https://app.example.com:8443"]),
    "port_left_out": ("foreign", [b"http://localhost"]),
    "default_port": ("foreign", [b"https://app.example.com:443"]),
    "as_configured": ("foreign", [b"HTTPS://Admin.Example.COM:443"]),
    "subdomain": ("foreign", [b"https://evil.app.example.com"]),
    "parent": ("foreign", [b"https://example.com"]),
    "suffix": ("foreign", [b"https://app.example.com.evil.example"]),
    "suffix_trick": ("foreign", [b"https://app.example.evil"]),
    "prefix": ("foreign", [b"https://evil-app.example.com"]),
    "userinfo": ("foreign", [b"https://app.example.com@evil.example"]),
    "own_userinfo": ("foreign", [b"https://evil@app.example.com"]),
    "upper_case": ("foreign", [b"HTTPS://APP.EXAMPLE.COM"]),
    "slash": ("foreign", [b"https://app.example.com/"]),
    "dot": ("foreign", [b"https://app.example.com."]),
    "quoted": ("foreign", [b'"https://app.example.com"']),
    "no_scheme": ("foreign", [b"app.example.com"]),
    "other_unicode": ("foreign", ["https://bücher.example".encode()]),
    "wildcard": ("foreign", [b"*"]),
    "empty": ("foreign", [b""]),
    "8_kib": ("foreign", [b"https://" + b"a" * 8192 + b".example"]),
    "8_kib_behind": ("foreign", [OURS + b"." + b"a" * 8192]),
    "obs_text": ("foreign", [b"https://app.example.com\xff"]),
    "only_obs_text": ("foreign", [bytes(range(0x80, 0x100))]),
    "null": ("null", [b"null"]),
    "host": ("foreign", [b"http://localhost"]),
    "twice": ("several", [OURS, OURS]),
    "trusted_then_foreign": ("several", [OURS, b"https://evil.example"]),
    "foreign_then_trusted": ("several", [b"https://evil.example", OURS]),
    "two_trusted": ("several", [OURS, b"http://localhost:3000"]),
    "joined": ("several", [OURS + b", https://evil.example"]),
    "joined_without_a_space": ("several", [b"https://evil.example," + OURS]),
    "joined_with_null": ("several", [b"null, " + OURS]),
}

SITES = {
    "absent": ("absent", []),
    "same_origin": ("same-origin", [b"same-origin"]),
    "same_site": ("other", [b"same-site"]),
    "cross_site": ("other", [b"cross-site"]),
    "none": ("other", [b"none"]),
    "upper_case": ("other", [b"Same-Origin"]),
    "longer": ("other", [b"same-origin;v=1"]),
    "shorter": ("other", [b"same-origi"]),
    "quoted": ("other", [b'"same-origin"']),
    "empty": ("other", [b""]),
    "obs_text": ("other", [b"same-origin\xa0"]),
    "twice": ("several", [b"same-origin", b"same-origin"]),
    "two": ("several", [b"same-origin", b"cross-site"]),
    "joined": ("several", [b"same-origin, same-origin"]),
    "joined_without_a_space": ("several", [b"cross-site,same-origin"]),
}

# PROPFIND and the like stand for every method that is not one of the three.
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"]
HARMLESS = {"GET", "HEAD", "OPTIONS"}
COOKIES = ["session_cookie", "token_cookie"]
KINDS = [*COOKIES, "bearer", "none"]
SEED = 20


def passes(method: str, origin: str, site: str, *, upgrade: bool = False, missing_is_good: bool = False) -> bool:
    """Whether a request with a cookie may have an effect: the rule, by what its variants of the two fields are."""
    if method in HARMLESS and not upgrade:
        return True
    if "several" in (origin, site) or origin == "null":
        return False
    if origin == "trusted" or site == "same-origin":
        return True
    return missing_is_good and origin == site == "absent"


@dataclass(frozen=True)
class Case:
    """A request by the names of its variants."""

    method: str
    origin: str
    site: str

    @property
    def fields(self) -> list[tuple[str, bytes]]:
        lines = [("origin", value) for value in ORIGINS[self.origin][1]]
        return lines + [("sec-fetch-site", value) for value in SITES[self.site][1]]

    def passes(self, **options) -> bool:
        return passes(self.method, ORIGINS[self.origin][0], SITES[self.site][0], **options)


ALL = [(origin, site) for origin in ORIGINS for site in SITES]
# What a case may hang on: each variant of one field beside the telling ones of the other.
TELLING = [
    pair
    for pair in ALL
    if pair[0] in ("absent", "exact", "suffix", "null", "joined") or pair[1] in ("absent", "same_origin", "cross_site", "joined")
]


def sampled(*what, pairs: list = ALL, count: int) -> list[tuple[str, str]]:
    """Some of the pairs, the same ones each time, and others for each `what`."""
    return random.Random(f"{SEED} {what}").sample(pairs, count)


@pytest.fixture(scope="module")
def start(start_envoy):
    """Starts an Envoy that takes every kind of credential, and lets WebSockets be asked for over HTTP/2 too."""

    def edit(bootstrap):
        manager = connection_manager(bootstrap)
        manager["http2_protocol_options"]["allow_connect"] = True
        manager["common_http_protocol_options"]["headers_with_underscores_action"] = "ALLOW"

    def start(**csrf):
        return start_envoy(plugin(credentials=CREDENTIALS, csrf={"trusted_origins": LISTED, **csrf}), edit=edit)

    return start


@pytest.fixture(scope="module")
def envoy(start):
    return start()


@pytest.fixture(scope="module")
def client(envoy):
    return envoy.client()


@pytest.fixture
def connection(client):
    with client.open() as opened:
        yield opened


@dataclass(frozen=True)
class Sent:
    """A credential on its way: the field that carries it, and how often somebody was asked for it."""

    fields: list[tuple[str, bytes]]
    bearer: str | None
    callouts: Callable[[], int]


@pytest.fixture
def carrying(auth):
    """Makes a credential that nobody has seen yet."""

    def make(kind: str) -> Sent:
        if kind == "session_cookie":
            session = auth.sign_in()
            return Sent([("cookie", session.cookie.encode())], session.bearer, lambda: len(auth.calls(session)))
        token = tokens.mint()
        fields = {
            "token_cookie": [("cookie", f"access_token={token}".encode())],
            "bearer": [("authorization", f"Bearer {token}".encode())],
            "none": [("cookie", b"theme=dark")],
        }
        return Sent(fields[kind], None if kind == "none" else f"Bearer {token}", lambda: 0)

    return make


def assert_refused(answer: Answer, backend, path: str, credential: Sent, *, method: str = "POST") -> None:
    """A 403 that says what to configure, after which nobody has been asked and nobody has been reached."""
    if method == "HEAD":
        assert answer.status == 403
    else:
        assert "csrf.trusted_origins" in assert_problem(answer, 403)["detail"]
    assert answer.values("www-authenticate") == []
    assert credential.callouts() == 0
    assert backend.requests(path) == []


def assert_passed(answer: Answer, backend, path: str, credential: Sent, case: Case) -> None:
    """The backend got the request with the token, and with the origin as it was."""
    assert answer.status == 200
    (received,) = backend.requests(path)
    assert received.method == case.method
    assert [value.decode() for value in received.values("authorization")] == [credential.bearer]
    assert b", ".join(received.values("origin")).replace(b", ", b",") == b",".join(ORIGINS[case.origin][1]).replace(b", ", b",")


def ask(connection, path: str, case: Case, credential: Sent, *headers) -> Answer:
    connection.send(head(path, *credential.fields, *case.fields, *headers, NO_BODY, method=case.method))
    return connection.read(to=case.method)


# The table


@pytest.mark.parametrize("origin", ORIGINS)
def test_verdict_on_a_post_with_a_session_is_that_of_the_rule(backend, connection, target, carrying, origin):
    for site in SITES:
        case, credential, path = Case("POST", origin, site), carrying("session_cookie"), target()
        answer = ask(connection, path, case, credential)
        assert (answer.status == 200) == case.passes(), f"{case} was answered {answer.status}"
        if case.passes():
            assert_passed(answer, backend, path, credential, case)
        else:
            assert_refused(answer, backend, path, credential)


@pytest.mark.parametrize("prefix", ["/api", "/optional"])
@pytest.mark.parametrize("kind", COOKIES)
@pytest.mark.parametrize("method", METHODS)
def test_verdict_on_a_cookie_is_that_of_the_rule(backend, connection, target, carrying, method, kind, prefix):
    for origin, site in sampled(method, kind, prefix, pairs=TELLING, count=16):
        case, credential, path = Case(method, origin, site), carrying(kind), target(prefix)
        answer = ask(connection, path, case, credential)
        assert (answer.status == 200) == case.passes(), f"{case} was answered {answer.status}"
        if case.passes():
            assert_passed(answer, backend, path, credential, case)
        else:
            assert_refused(answer, backend, path, credential, method=method)


@pytest.mark.parametrize("method", METHODS)
def test_bearer_passes_from_everywhere(backend, connection, target, carrying, method):
    for origin, site in sampled(method, count=16):
        case, credential, path = Case(method, origin, site), carrying("bearer"), target()
        assert_passed(ask(connection, path, case, credential), backend, path, credential, case)


@pytest.mark.parametrize("method", METHODS)
def test_request_without_a_credential_is_answered_as_ever(backend, connection, target, carrying, method):
    for origin, site in sampled(method, count=8):
        case, nobody = Case(method, origin, site), carrying("none")
        required, optional, off = target(), target("/optional"), target("/off")
        assert ask(connection, required, case, nobody).status == 401, case
        assert backend.requests(required) == []
        for path in (optional, off):
            assert ask(connection, path, case, nobody).status == 200, case
            (received,) = backend.requests(path)
            assert received.values("authorization") == []


@pytest.mark.parametrize("kind", COOKIES)
def test_off_route_passes_a_cookie_from_everywhere(backend, connection, target, carrying, kind):
    for origin, site in sampled(kind, count=16):
        case, credential, path = Case("POST", origin, site), carrying(kind), target("/off")
        assert ask(connection, path, case, credential).status == 200, case
        (received,) = backend.requests(path)
        assert received.values("cookie") == [value for _, value in credential.fields]
        assert credential.callouts() == 0


# Upgrades, and what only HTTP/2 can say


@pytest.mark.parametrize("kind", COOKIES)
@pytest.mark.parametrize("origin", ["absent", "exact", "ipv6", "suffix", "upper_case", "null", "empty", "two_trusted", "joined"])
def test_web_socket_with_a_cookie_is_opened_for_the_pages_of_the_site_alone(backend, client, target, carrying, origin, kind):
    for site in ("absent", "same_origin", "same_site", "cross_site", "none", "joined"):
        case, credential, path = Case("GET", origin, site), carrying(kind), target()
        backend.script(path, answers.raw(endless.WEB_SOCKET))
        answer = client.raw(head(path, *credential.fields, *case.fields, *UPGRADE))
        if case.passes(upgrade=True):
            assert answer.status == 101, case
            (received,) = backend.requests(path)
            assert [value.decode() for value in received.values("authorization")] == [credential.bearer]
        else:
            assert_refused(answer, backend, path, credential)


@pytest.mark.parametrize("origin", ["absent", "suffix", "null"])
def test_web_socket_with_a_bearer_is_opened_from_everywhere(backend, client, target, carrying, origin):
    credential, path = carrying("bearer"), target()
    backend.script(path, answers.raw(endless.WEB_SOCKET))
    answer = client.raw(head(path, *credential.fields, *Case("GET", origin, "cross_site").fields, *UPGRADE))
    assert answer.status == 101
    (received,) = backend.requests(path)
    assert [value.decode() for value in received.values("authorization")] == [credential.bearer]


FORGED = [("absent", "absent"), ("suffix", "absent"), ("absent", "cross_site"), ("null", "same_origin")]


@pytest.mark.parametrize(("origin", "site"), FORGED)
def test_web_socket_over_http2_is_refused_to_a_page_of_another_site(backend, client, target, carrying, origin, site):
    credential, path = carrying("session_cookie"), target()
    fields = [*credential.fields, *Case("CONNECT", origin, site).fields]
    with Http2Connection(client) as connection:
        request = connection.send(path, (":protocol", b"websocket"), *fields, method="CONNECT", end=False)
        connection.wait(lambda: request.ended, within=5, what="a refusal")
    assert_refused(request.answer, backend, path, credential)


def test_web_socket_over_http2_is_opened_for_the_pages_of_the_site(backend, client, target, carrying):
    credential, path = carrying("session_cookie"), target()
    backend.script(path, answers.raw(endless.WEB_SOCKET))
    with Http2Connection(client) as connection:
        fields = [*credential.fields, ("origin", OURS), ("sec-websocket-version", b"13")]
        request = connection.send(path, (":protocol", b"websocket"), *fields, method="CONNECT", end=False)
        connection.wait(lambda: request.headers, within=5, what="a response")
    assert request.answer.status == 200
    (received,) = backend.requests(path)
    assert [value.decode() for value in received.values("authorization")] == [credential.bearer]


# Names of methods are case-sensitive, and HTTP/2 lets them be anything.
UNUSUAL = ["get", "Get", "GETX", "head", "options", "post", "X-READ", "TRACE", "SEARCH"]


@pytest.mark.parametrize("method", UNUSUAL)
def test_method_that_is_not_exactly_one_of_the_three_is_checked(backend, client, target, carrying, method):
    with Http2Connection(client) as connection:
        for origin, site in FORGED:
            credential, path, case = carrying("session_cookie"), target(), Case(method, origin, site)
            assert_refused(connection.get(path, *credential.fields, *case.fields, method=method), backend, path, credential)
        credential, path, case = carrying("session_cookie"), target(), Case(method, "exact", "absent")
        assert_passed(connection.get(path, *credential.fields, *case.fields, method=method), backend, path, credential, case)


def test_grpc_caller_is_told_that_permission_is_denied(backend, client, target, carrying):
    credential, path = carrying("session_cookie"), target()
    grpc = ("content-type", b"application/grpc"), ("te", b"trailers")
    with Http2Connection(client) as connection:
        answer = connection.get(path, *credential.fields, *grpc, ("origin", b"https://evil.example"), method="POST")
    assert (answer.status, answer.value("grpc-status")) == (200, "7")
    assert credential.callouts() == 0
    assert backend.requests(path) == []


# When, and by what


@pytest.mark.parametrize("prefix", ["/api", "/optional"])
def test_session_that_is_remembered_is_refused_to_a_page_of_another_site_and_stays(auth, backend, connection, target, prefix):
    session = auth.sign_in()
    known = Sent([("cookie", session.cookie.encode())], session.bearer, lambda: len(auth.calls(session)) - 1)
    assert ask(connection, target(), Case("GET", "absent", "absent"), known).status == 200
    for origin, site in [("absent", "absent"), ("suffix", "same_site"), ("null", "absent"), ("absent", "cross_site")]:
        path = target(prefix)
        assert_refused(ask(connection, path, Case("POST", origin, site), known), backend, path, known)
    path, case = target(prefix), Case("POST", "exact", "cross_site")
    assert_passed(ask(connection, path, case, known), backend, path, known, case)
    assert known.callouts() == 0


@pytest.mark.parametrize("prefix", ["/api", "/optional"])
@pytest.mark.parametrize("jar", [b"session=unknown", b"access_token=not-a-token", b"access_token=; session=unknown"])
def test_page_of_another_site_does_not_learn_whether_a_cookie_is_good(auth, backend, connection, target, jar, prefix):
    path, before = target(prefix), auth.count()
    unknown = Sent([("cookie", jar)], None, lambda: auth.count() - before)
    assert_refused(ask(connection, path, Case("POST", "suffix", "cross_site"), unknown), backend, path, unknown)


@pytest.mark.parametrize("kind", COOKIES)
def test_cookie_beside_a_bearer_that_decides_is_not_checked(backend, connection, target, carrying, kind):
    cookie, bearer, path, case = carrying(kind), carrying("bearer"), target(), Case("POST", "suffix", "cross_site")
    assert_passed(ask(connection, path, case, bearer, *cookie.fields), backend, path, bearer, case)
    assert cookie.callouts() == 0


def test_authorization_that_is_no_credential_does_not_help_a_cookie(backend, connection, target, carrying):
    credential, path = carrying("session_cookie"), target()
    answer = ask(connection, path, Case("POST", "suffix", "cross_site"), credential, ("authorization", b"Basic dTpw"))
    assert_refused(answer, backend, path, credential)


def test_bearer_beside_a_cookie_that_decides_does_not_help_it(backend, start_envoy, target, carrying):
    client = start_envoy(plugin(credentials=[*PLUGIN["credentials"], TOKEN_COOKIE, {"bearer": {}}])).client()
    with client.open() as connection:
        for kind in COOKIES:
            cookie, bearer, path, case = carrying(kind), carrying("bearer"), target(), Case("POST", "suffix", "cross_site")
            assert_refused(ask(connection, path, case, cookie, *bearer.fields), backend, path, cookie)


@pytest.mark.parametrize(
    "referer", [b"https://app.example.com/page", b"https://app.example.com", b"https://evil.example/", b"http://localhost/"]
)
def test_referer_changes_nothing(backend, connection, target, carrying, referer):
    for origin in ("absent", "suffix", "null"):
        credential, path = carrying("session_cookie"), target()
        answer = ask(connection, path, Case("POST", origin, "absent"), credential, ("referer", referer))
        assert_refused(answer, backend, path, credential)
    credential, path, case = carrying("session_cookie"), target(), Case("POST", "exact", "absent")
    assert_passed(ask(connection, path, case, credential, ("referer", referer)), backend, path, credential, case)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sec-fetch-mode", b"navigate"),
        ("sec-fetch-user", b"?1"),
        ("x-requested-with", b"XMLHttpRequest"),
        ("content-type", b"application/json"),
        ("x-forwarded-host", b"evil.example"),
        ("x-forwarded-origin", OURS),
        ("x-origin", OURS),
        ("access-control-request-method", b"POST"),
    ],
)
def test_no_other_field_helps(backend, connection, target, carrying, name, value):
    credential, path = carrying("session_cookie"), target()
    assert_refused(ask(connection, path, Case("POST", "suffix", "absent"), credential, (name, value)), backend, path, credential)


def test_host_that_equals_the_origin_does_not_make_it_trusted(backend, client, target, carrying):
    credential, path = carrying("session_cookie"), target()
    request = head(path, *credential.fields, ("origin", b"https://evil.example"), NO_BODY, method="POST")
    assert_refused(client.raw(request.replace(b"host: localhost", b"host: evil.example")), backend, path, credential)


def test_callout_does_not_carry_the_origin(auth, connection, target):
    session = auth.sign_in()
    credential = Sent([("cookie", session.cookie.encode())], session.bearer, lambda: 0)
    assert ask(connection, target(), Case("POST", "exact", "same_origin"), credential).status == 200
    (call,) = auth.calls(session)
    assert call.values("origin") == call.values("sec-fetch-site") == []
    assert OURS not in call.head


OVERRIDES = ["x-http-method-override", "X-HTTP-Method", "X-Method-Override", "x_http_method_override", "X_Http-Method", "x-METHOD_override"]


@pytest.mark.parametrize("name", OVERRIDES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_override_of_the_method_is_removed_from_a_request_with_a_cookie(backend, connection, target, carrying, method, name):
    case, override = Case(method, "exact", "absent"), (name, b"DELETE")
    for kind in COOKIES:
        credential, path = carrying(kind), target()
        assert_passed(ask(connection, path, case, credential, override, override, ("x-method", b"kept")), backend, path, credential, case)
        (received,) = backend.requests(path)
        assert b"DELETE" not in received.head
        assert received.values("x-method") == [b"kept"]


@pytest.mark.parametrize("name", OVERRIDES)
def test_override_of_the_method_stays_on_a_request_with_a_bearer(backend, connection, target, carrying, name):
    credential, path, case = carrying("bearer"), target(), Case("POST", "absent", "absent")
    assert_passed(ask(connection, path, case, credential, (name, b"DELETE")), backend, path, credential, case)
    (received,) = backend.requests(path)
    assert received.values(name) == [b"DELETE"]


# Options


def warnings(envoy) -> set[str]:
    """What is warned about in the section, by every worker alike."""
    lines = (line.partition("configuration: csrf.") for line in envoy.log().splitlines() if "[warning][wasm]" in line)
    return {f"csrf.{rest}" for _, found, rest in lines if found}


def test_nothing_is_warned_about_by_default(envoy):
    assert warnings(envoy) == set()


@pytest.fixture(scope="module")
def lenient(start):
    return start(insecure_allow_missing_origin=True)


@pytest.mark.parametrize("upgrade", [False, True], ids=["post", "web_socket"])
def test_missing_origin_is_all_that_insecure_allow_missing_origin_allows(backend, lenient, target, carrying, upgrade):
    client = lenient.client()
    for origin in ("absent", "exact", "suffix", "null", "empty", "two_trusted", "joined"):
        for site in ("absent", "same_origin", "same_site", "none", "empty", "joined"):
            case, credential, path = Case("GET" if upgrade else "POST", origin, site), carrying("session_cookie"), target()
            if upgrade:
                backend.script(path, answers.raw(endless.WEB_SOCKET))
            answer = client.raw(head(path, *credential.fields, *case.fields, *(UPGRADE if upgrade else [NO_BODY]), method=case.method))
            if case.passes(upgrade=upgrade, missing_is_good=True):
                assert answer.status == (101 if upgrade else 200), case
            else:
                assert_refused(answer, backend, path, credential)


def test_insecure_allow_missing_origin_is_warned_about(lenient):
    (warning,) = warnings(lenient)
    assert "csrf.insecure_allow_missing_origin" in warning


def test_insecure_disable_lets_everything_pass_and_is_warned_about(backend, start, target, carrying):
    envoy = start(insecure_disable=True)
    with envoy.client().open() as connection:
        for origin, site in sampled(count=60):
            case, credential, path = Case("POST", origin, site), carrying("session_cookie"), target()
            assert_passed(ask(connection, path, case, credential), backend, path, credential, case)
    (warning,) = warnings(envoy)
    assert "csrf.insecure_disable" in warning


def test_trusted_origin_that_anybody_on_the_way_can_have_is_warned_about(start):
    unwarned = ["http://localhost", "http://127.0.0.1:8080", "http://[::1]:3000", "https://app.example.com"]
    envoy = start(trusted_origins=[*unwarned, "http://app.example.com"])
    (warning,) = warnings(envoy)
    assert "csrf.trusted_origins" in warning and "http://app.example.com" in warning


def test_without_the_section_only_the_browsers_word_lets_a_request_pass(backend, start_envoy, target, carrying):
    rest = {key: value for key, value in PLUGIN.items() if key != "csrf"}
    client = start_envoy(rest).client()
    with client.open() as connection:
        for origin in ("absent", "exact", "host", "null", "joined"):
            for site in ("absent", "same_origin", "same_site"):
                credential, path, case = carrying("session_cookie"), target(), Case("POST", origin, site)
                answer = ask(connection, path, case, credential)
                if site == "same_origin" and origin not in ("null", "joined"):
                    assert_passed(answer, backend, path, credential, case)
                else:
                    assert_refused(answer, backend, path, credential)
