"""Proves that a jar of any size and shape is answered: with our bearer and every neighbour as it was, or by Envoy's own limits."""

from collections.abc import Callable

import hpack
import pytest

from harness.bootstrap import connection_manager
from harness.client import Answer, Client, head
from harness.envoy import Envoy
from harness.http2_connection import Http2Connection
from harness.problem import assert_anonymous, assert_problem

KIB = 1024
LONGEST_VALUE = 4096
SENT = ["http1", "http2", "crumbs"]


def roomy(bootstrap: dict) -> None:
    """So large that everything here reaches the filter."""
    manager = connection_manager(bootstrap)
    manager["max_request_headers_kb"] = 96
    manager["common_http_protocol_options"]["max_headers_count"] = 20_000


def usual(bootstrap: dict) -> None:
    """The limits that Envoy has when none are written: 60 KiB, and 100 fields."""
    manager = connection_manager(bootstrap)
    del manager["max_request_headers_kb"], manager["common_http_protocol_options"]["max_headers_count"]


@pytest.fixture(scope="module")
def envoy(start_envoy):
    return start_envoy(edit=roomy)


@pytest.fixture(scope="module")
def client(envoy):
    return envoy.client()


@pytest.fixture(autouse=True)
def _values_as_they_are(monkeypatch):
    """Without Huffman coding, for which this library takes a time that grows with the square of the length."""
    encode = hpack.Encoder.encode
    monkeypatch.setattr(hpack.Encoder, "encode", lambda encoder, headers: encode(encoder, headers, huffman=False))


@pytest.fixture(autouse=True)
def _no_vm_has_failed(envoy):
    yield
    assert envoy.failures() == []


def ask(client: Client, path: str, pairs: list[str], sent: str) -> Answer:
    """One request with these cookies: in one line, or in HTTP/2 each in a crumb of its own."""
    line = "; ".join(pairs)
    if sent == "http1":
        return client.raw(head(path, ("cookie", line.encode())))
    with Http2Connection(client) as connection:
        return connection.get(path, *(("cookie", value) for value in (pairs if sent == "crumbs" else [line])))


JARS = {
    "one_pair_10000_times": ["a=1"] * 10_000,
    "8000_pairs": [f"c{number}=" for number in range(8_000)],
    "60_kib_in_one_value": ["n=" + "x" * 60 * KIB],
    "60_kib_without_a_name": ["x" * 60 * KIB],
    "60_kib_of_equals_signs": ["n" + "=" * 60 * KIB],
    "60_kib_of_quotes": ["n=" + '"' * 60 * KIB, "b=2"],
    "the_sessions_name_over_and_over": ["session"] * 7_000,
    "names_that_begin_as_ours": ["sessio=1", "session2=1", "Session=1", "__Host-session2=1"] * 1_000,
}
CASES = [(jar, sent) for jar, pairs in JARS.items() for sent in (SENT if len(pairs) > 2 else SENT[:2])]
PLACES: dict[str, Callable[[list[str], str], list[str]]] = {
    "first": lambda jar, cookie: [cookie, *jar],
    "in_the_middle": lambda jar, cookie: [*jar[: len(jar) // 2], cookie, *jar[len(jar) // 2 :]],
    "last": lambda jar, cookie: [*jar, cookie],
}


@pytest.mark.parametrize(("jar", "sent"), CASES)
def test_session_is_found_and_no_byte_of_its_neighbours_moves(auth, client, target, jar, sent):
    session = auth.sign_in()
    for place in PLACES.values():
        upstream = ask(client, target(), place(JARS[jar], session.cookie), sent).upstream
        assert upstream.values("authorization") == [session.bearer]
        assert upstream.values("cookie") == ["; ".join(JARS[jar])]


@pytest.mark.parametrize(("jar", "sent"), CASES)
def test_jar_without_a_session_is_no_credential_and_stays_as_it_is(auth, backend, client, target, jar, sent):
    before, required = auth.count(), target()
    assert_problem(ask(client, required, JARS[jar], sent), 401)
    assert backend.requests(required) == []
    answer = ask(client, target("/optional"), JARS[jar], sent)
    assert_anonymous(answer)
    assert answer.upstream.values("cookie") == ["; ".join(JARS[jar])]
    assert auth.count() == before


@pytest.mark.parametrize("sent", ["http1", "http2"])
def test_60_kib_of_semicolons_hide_no_session_and_leave_nothing(auth, client, target, sent):
    session, semicolons = auth.sign_in(), ";" * 60 * KIB
    for jar in (semicolons + session.cookie, session.cookie + semicolons, semicolons[::2] + session.cookie + semicolons[::2]):
        upstream = ask(client, target(), [jar], sent).upstream
        assert upstream.values("authorization") == [session.bearer]
        assert upstream.values("cookie") == []
    assert_problem(ask(client, target(), [semicolons], sent), 401)
    assert_anonymous(ask(client, target("/optional"), [semicolons], sent))


def test_session_in_one_of_thousands_of_cookie_lines_is_found(auth, client, target):
    session = auth.sign_in()
    lines = [("cookie", b"a=1")] * 3_000
    for place in (0, 1_500, 3_000):
        placed = [*lines[:place], ("cookie", session.cookie.encode()), *lines[place:]]
        upstream = client.raw(head(target(), *placed)).upstream
        assert upstream.values("authorization") == [session.bearer]
        assert upstream.values("cookie") == ["; ".join(["a=1"] * 3_000)]


# Values that can be no session


@pytest.mark.parametrize("sent", ["http1", "http2"])
@pytest.mark.parametrize(
    "value", ["x" * (LONGEST_VALUE + 1), "x" * 60 * KIB, "=" * 60 * KIB, '"' * 60 * KIB], ids=["4097", "60_kib", "equals_signs", "quotes"]
)
def test_value_that_no_browser_would_keep_is_refused_without_a_callout(auth, backend, client, target, value, sent):
    before, required = auth.count(), target()
    assert_problem(ask(client, required, ["a=1", f"session={value}", "b=2"], sent), 401)
    assert backend.requests(required) == []
    answer = ask(client, target("/optional"), ["a=1", f"session={value}", "b=2"], sent)
    assert_anonymous(answer)
    assert answer.upstream.values("cookie") == ["a=1; b=2"]
    assert auth.count() == before


def test_longest_value_that_a_browser_would_keep_is_asked_about(auth, client, target):
    before = auth.count()
    assert_problem(client.get(target(), cookie="session=" + "y" * LONGEST_VALUE), 401)
    assert auth.count() == before + 1


@pytest.mark.parametrize("sent", SENT)
def test_session_thousands_of_times_is_one_session(auth, client, target, sent):
    session = auth.sign_in()
    upstream = ask(client, target(), [session.cookie] * 1_200, sent).upstream
    assert upstream.values("authorization") == [session.bearer]
    assert upstream.values("cookie") == []
    assert len(auth.calls(session)) == 1


@pytest.mark.parametrize("prefix", ["/api", "/optional"])
@pytest.mark.parametrize("sent", SENT)
def test_thousands_of_sessions_are_answered_400_without_a_callout(auth, backend, client, target, prefix, sent):
    before, path = auth.count(), target(prefix)
    assert_problem(ask(client, path, [f"session={number}" for number in range(4_000)], sent), 400)
    assert auth.count() == before
    assert backend.requests(path) == []


# Envoy's own limits


@pytest.fixture(scope="module")
def limited(start_envoy):
    return start_envoy(edit=usual)


@pytest.mark.parametrize("sent", ["http1", "http2"])
@pytest.mark.parametrize("filling", ["a=1; ", "n", ";"], ids=["pairs", "one_cookie", "semicolons"])
def test_jar_just_below_envoys_limit_works_and_one_above_is_refused_by_envoy(auth, backend, limited, target, filling, sent):
    session, client = auth.sign_in(), limited.client()
    below, above = ((filling * size)[:size].rstrip("; ") or filling * size for size in (60_000, 61_600))
    assert_served(ask(client, target(), [session.cookie, below], sent), session, [] if filling == ";" else [below])
    path, jar = target(), [session.cookie, above]
    if too_large(client, path, [("cookie", "; ".join(jar))], sent):
        assert backend.requests(path) == []
    else:
        assert sent == "http2" and not counts_cookies(limited)
        assert_served(ask(client, path, jar, sent), session, [] if filling == ";" else [above])
    assert limited.failures() == []


def assert_served(answer: Answer, session, neighbours: list[str]) -> None:
    assert answer.upstream.values("authorization") == [session.bearer]
    assert answer.upstream.values("cookie") == neighbours


def counts_cookies(envoy: Envoy) -> bool:
    """Before 1.36.7, 1.37.3 and 1.38.1 Envoy does not hold cookies to its limits in HTTP/2 (CVE-2026-47774), but for some that come in one line."""
    first = {36: (1, 36, 7), 37: (1, 37, 3)}
    return envoy.version >= first.get(envoy.version[1], (1, 38, 1))


def too_large(client: Client, path: str, fields: list[tuple[str, str]], sent: str) -> bool:
    """Whether Envoy refuses a request for its size; over HTTP/2 it resets it."""
    if sent == "http1":
        return client.raw(head(path, *((name, value.encode()) for name, value in fields))).status == 431
    with Http2Connection(client) as connection:
        request = connection.send(path, *fields)
        connection.wait(lambda: request.ended, within=5, what="an answer")
        return request.reset_at is not None


CRUMBS = {
    "few": ["a=1"] * 80,
    "more_than_100": [f"c{number}=1" for number in range(200)],
    "10000": ["a=1"] * 10_000,
    "80_kib_in_all": ["n=" + "x" * KIB] * 80,
}


@pytest.mark.parametrize("crumbs", CRUMBS)
def test_crumbs_are_refused_by_envoy_or_answered_as_one_jar(auth, backend, limited, target, crumbs):
    session, client, path = auth.sign_in(), limited.client(), target()
    if crumbs != "few" and too_large(client, path, [("cookie", crumb) for crumb in [session.cookie, *CRUMBS[crumbs]]], "crumbs"):
        assert backend.requests(path) == []
    else:
        assert crumbs == "few" or not counts_cookies(limited)
        assert_served(ask(client, path, [session.cookie, *CRUMBS[crumbs]], "crumbs"), session, ["; ".join(CRUMBS[crumbs])])
    assert limited.failures() == []
