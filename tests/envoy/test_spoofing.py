"""Proves that whatever a client says of itself, the backend sees no Authorization and no identity but those the filter made.

The verdicts are those of an oracle, which knows of each variant what it is and not how it is spelled.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import jwt
import pytest

from harness import answers, tokens
from harness.auth_service import Session
from harness.bootstrap import PLUGIN, connection_manager, plugin
from harness.client import Answer, Client, Upstream, head
from harness.http2_connection import Http2Connection

Fields = list[tuple[str, bytes]]

CLAIMS = {"x-user-id": "/sub", "x-user-email": "/email", "x-tenant": "/org/id"}
UPSTREAM = {"claim_headers": CLAIMS, "remove_headers": ["x-admin", "x-internal-*"]}
FORGED = b"of-the-client"
NEIGHBOUR = ("x-user-ids", b"an honest field")

OWN = tokens.mint(sub="user-of-the-app", email="app@example.com")
FOREIGN = tokens.mint(tokens.WRONG_SECRET, sub="admin")

# Each variant: what it is once Envoy has read it, and the fields that are sent.
AUTHORIZATIONS: dict[str, tuple[str, Fields]] = {
    "absent": ("absent", []),
    "own": ("valid", [("authorization", b"Bearer " + OWN.encode())]),
    "own_in_upper_case": ("valid", [("AUTHORIZATION", b"BEARER  " + OWN.encode())]),
    "foreign": ("invalid", [("Authorization", b"Bearer " + FOREIGN.encode())]),
    "no_token": ("invalid", [("authorization", b"Bearer")]),
    "basic": ("no bearer", [("authorization", b"Basic dXNlcjpwYXNz")]),
    "no_scheme": ("no bearer", [("authorization", OWN.encode())]),
    "empty": ("no bearer", [("authorization", b"")]),
    "own_twice": ("several", [("authorization", b"Bearer " + OWN.encode())] * 2),
    "own_and_foreign": ("several", [("authorization", b"Bearer " + OWN.encode()), ("Authorization", b"Bearer " + FOREIGN.encode())]),
    "basic_and_own": ("several", [("AUTHORIZATION", b"Basic dTpw"), ("authorization", b"Bearer " + OWN.encode())]),
    "joined": ("several", [("authorization", b"Bearer " + OWN.encode() + b", Bearer " + FOREIGN.encode())]),
    "nominated": ("absent", [("authorization", b"Bearer " + OWN.encode()), ("connection", b"Authorization")]),
    "two_nominated": ("absent", [("authorization", b"Bearer a.b.c"), ("connection", b"authorization"), ("authorization", b"Bearer d.e.f")]),
}

IDENTITIES: dict[str, Fields] = {
    "none": [],
    "exact": [("x-user-id", FORGED)],
    "upper_case": [("X-USER-ID", FORGED)],
    "underscores": [("x_user_id", FORGED)],
    "mixed": [("X_User-Id", FORGED), ("x-USER_id", FORGED)],
    "repeated": [("x-user-id", FORGED)] * 2,
    "repeated_in_two_spellings": [("x-user-id", FORGED), ("x_user_id", FORGED)],
    "joined": [("x-user-id", FORGED + b", " + FORGED)],
    "empty": [("x-user-id", b""), ("x_user_email", b"")],
    "nominated": [("x-user-id", FORGED), ("connection", b"X-User-Id")],
    "nominated_in_another_spelling": [("x_user_id", FORGED), ("connection", b"x-user-id, x-user-email")],
    "of_another_claim": [("X_user_email", FORGED), ("x-user-email", FORGED)],
    "of_an_absent_claim": [("x-tenant", FORGED), ("X_Tenant", FORGED)],
    "removed_name": [("x-admin", FORGED), ("X_ADMIN", FORGED)],
    "removed_prefix": [("x-internal-role", FORGED), ("X_Internal_Role", FORGED), ("x-internal-", FORGED)],
}
IDENTITIES["all"] = [field for fields in IDENTITIES.values() for field in fields]

PREFIXES = ["/api", "/optional", "/off"]
CALLOUTS = 2  # one per worker at most
STATES = ["no_session", "first_request", "cached", "auth_service_down"]


@dataclass(frozen=True)
class User:
    """Who a session is of: the fields that carry it, and its token; none when it gets none."""

    fields: Fields
    token: str | None
    status: int

    @property
    def identity(self) -> dict[str, list[str]]:
        return identity_of(self.token)


def identity_of(token: str | None) -> dict[str, list[str]]:
    """The protected fields that a token makes."""
    if token is None:
        return {}
    claims = jwt.decode(token, options={"verify_signature": False})
    return {"authorization": [f"Bearer {token}"], "x-user-id": [claims["sub"]], "x-user-email": [claims["email"]]}


def canonical(name: str) -> str:
    return name.lower().replace("_", "-")


def seen(upstream: Upstream) -> dict[str, list[str]]:
    """The protected fields as a backend reads them that takes an underscore for a hyphen."""
    fields: dict[str, list[str]] = {}
    for name, value in upstream.headers:
        name = canonical(name)
        if name in {"authorization", "x-admin", *CLAIMS} or name.startswith("x-internal-"):
            fields.setdefault(name, []).append(value)
    return fields


def verdict(prefix: str, authorization: str, user: User, *, takes_bearer: bool) -> tuple[int, dict[str, list[str]]]:
    """The status of the answer, and the protected fields that the backend has to see when it is 200."""
    what, _ = AUTHORIZATIONS[authorization]
    if prefix == "/off":
        return 200, {}
    if what == "several":
        return 400, {}
    if takes_bearer and what in ("valid", "invalid"):
        return (200, identity_of(OWN)) if what == "valid" else (401, {})
    if user.token is None and prefix == "/optional":
        return 200, {}
    return user.status, user.identity


def edit(bootstrap: dict) -> None:
    """Lets underscores in names pass, as Envoy does by default, and follows redirects of the backend."""
    manager = connection_manager(bootstrap)
    manager["common_http_protocol_options"]["headers_with_underscores_action"] = "ALLOW"
    (route,) = (route for route in manager["route_config"]["virtual_hosts"][0]["routes"] if route["match"] == {"prefix": "/"})
    route["route"]["internal_redirect_policy"] = {"max_internal_redirects": 1, "redirect_response_codes": [302]}


@pytest.fixture(scope="module")
def cookie_alone(start_envoy):
    return start_envoy(plugin(upstream=UPSTREAM), edit=edit).client()


@pytest.fixture(scope="module")
def bearer_too(start_envoy):
    credentials = [{"bearer": {}}, *PLUGIN["credentials"]]
    return start_envoy(plugin(credentials=credentials, upstream=UPSTREAM), edit=edit).client()


@pytest.fixture(params=["cookie_alone", "bearer_too"])
def filtered(request) -> tuple[Client, bool]:
    """A client of an Envoy, and whether a client's own bearer is a credential there."""
    return request.getfixturevalue(request.param), request.param == "bearer_too"


@pytest.fixture
def user(auth) -> Iterator[Callable[[str], User]]:
    """Makes who asks next, with the same session but for the first request of one."""
    good, failing = auth.sign_in(), auth.sign_in(answers.connection_reset())

    def cookie(session: Session) -> Fields:
        return [("cookie", session.cookie.encode())]

    def make(state: str) -> User:
        if state == "first_request":
            new = auth.sign_in()
            return User(cookie(new), new.token, 200)
        return {
            "no_session": User([], None, 401),
            "cached": User(cookie(good), good.token, 200),
            "auth_service_down": User(cookie(failing), None, 503),
        }[state]

    yield make
    assert len(auth.calls(good)) <= CALLOUTS, "the session was not served from the cache"


class Asking:
    """One connection after the other: Envoy closes it after some refusals of its own."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._connection = client.open()

    def __enter__(self) -> "Asking":
        return self

    def __exit__(self, *_exc) -> None:
        self._connection.close()

    def __call__(self, path: str, *fields: tuple[str, bytes]) -> Answer:
        self._connection.send(head(path, *fields))
        answer = self._connection.read()
        if "close" in answer.values("connection"):
            self._connection.close()
            self._connection = self._client.open()
        return answer


def offence(answer: Answer, expected: tuple[int, dict[str, list[str]]]) -> str | None:
    """What is wrong with an answer."""
    status, fields = expected
    if answer.status != status:
        return f"{answer.status} instead of {status}"
    if status != 200:
        return None
    if answer.upstream.values(NEIGHBOUR[0]) != [NEIGHBOUR[1].decode()]:
        return "the neighbour is gone"
    return None if seen(answer.upstream) == fields else f"{seen(answer.upstream)} instead of {fields}"


Cases = Iterator[tuple[str, str, str]]


def offenders(ask: Callable[..., Answer], cases: Cases, user: Callable[[], User], **options) -> tuple[int, list[str]]:
    """How many cases reached the backend, and those whose answer is not as it has to be."""
    passed, found = 0, []
    for prefix, authorization, identity in cases:
        who = user()
        answer = ask(prefix + "/x", *who.fields, *AUTHORIZATIONS[authorization][1], *IDENTITIES[identity], NEIGHBOUR)
        passed += answer.status == 200
        if wrong := offence(answer, verdict(prefix, authorization, who, **options)):
            found.append(f"{prefix} {authorization} {identity}: {wrong}")
    return passed, found


@pytest.mark.parametrize("state", STATES)
def test_backend_sees_none_or_exactly_ours(backend, filtered, user, state):
    client, takes_bearer = filtered
    cases, before = product(PREFIXES, AUTHORIZATIONS, IDENTITIES), backend.count()
    with Asking(client) as ask:
        passed, found = offenders(ask, cases, lambda: user(state), takes_bearer=takes_bearer)
    assert not found, f"{len(found)} cases, of which the first are:\n" + "\n".join(found[:20])
    assert passed > 0
    assert backend.count() - before == passed


def can_be_sent_over_http2(fields: Fields) -> bool:
    """Names are in lower case there, and no field is about the connection (RFC 9113 §8.2)."""
    return all(name == name.lower() != "connection" for name, _ in fields)


@pytest.mark.parametrize("state", STATES)
def test_backend_sees_none_or_exactly_ours_over_http2(filtered, user, state):
    client, takes_bearer = filtered
    authorizations = [name for name, (_, fields) in AUTHORIZATIONS.items() if can_be_sent_over_http2(fields)]
    identities = [name for name, fields in IDENTITIES.items() if can_be_sent_over_http2(fields)]
    assert (len(authorizations), len(identities)) == (8, 7)
    with Http2Connection(client) as connection:
        cases = product(PREFIXES, authorizations, identities)
        passed, found = offenders(connection.get, cases, lambda: user(state), takes_bearer=takes_bearer)
    assert not found, f"{len(found)} cases, of which the first are:\n" + "\n".join(found[:20])
    assert passed > 0


# A request that Envoy sends on by itself, where the backend redirects it, passes the filter again as the filter left it.


@pytest.mark.parametrize("to", PREFIXES)
@pytest.mark.parametrize("start", PREFIXES)
def test_request_that_envoy_redirects_is_judged_anew(auth, backend, filtered, target, start, to):
    client, takes_bearer = filtered
    session, first, second = auth.sign_in(), target(start), target(to)
    backend.script(first, answers.redirect(f"http://localhost{second}"))
    answer = client.raw(head(first, ("cookie", session.cookie.encode()), *IDENTITIES["all"], NEIGHBOUR))
    assert len(backend.requests(first)) == 1
    # The session cookie has been taken out, and our bearer is a credential only where bearers are.
    is_known = start == "/off" or takes_bearer
    expected = (200, identity_of(session.token) if is_known and to != "/off" else {})
    assert offence(answer, (401, {}) if to == "/api" and not is_known else expected) is None
    assert len(backend.requests(second)) == (answer.status == 200)
