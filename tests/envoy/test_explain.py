"""Proves that `session-bearer explain` says of a request what Envoy does with it: the whole table of outcomes, asked of both."""

import dataclasses
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from harness import answers, origin, paths, tokens
from harness.bootstrap import PLUGIN, connection_manager, plugin, remote_keys
from harness.client import head

ROUTES = [
    {"match": {"prefix": "/off"}, "auth": "off"},
    {"match": {"prefix": "/off-own"}, "auth": "off", "pass_authorization": True},
    {"match": {"prefix": "/optional/admin"}, "auth": "optional", "require": {"claims": {"role": "admin"}}},
    {"match": {"prefix": "/optional"}, "auth": "optional"},
    {"match": {"prefix": "/api/admin"}, "auth": "required", "require": {"claims": {"role": "admin"}}},
    {"match": {"prefix": "/api/write"}, "auth": "required", "require": {"scopes": ["write"]}},
]
CONFIGURATION = plugin(
    credentials=[{"bearer": {}}, {"token_cookie": {"names": ["access_token"]}}, *PLUGIN["credentials"]],
    routes=ROUTES,
    upstream={"claim_headers": {"x-user-id": "/sub", "x-user-email": "/email"}, "remove_headers": ["x-internal-*"]},
    unauthenticated={"sign_in": {"location": "/off/sign-in"}},
)
FORGED = [("x-user-id", "mallory"), ("x-internal-role", "admin"), ("x-other", "stays")]
NAVIGATION = [("sec-fetch-mode", "navigate"), ("accept", "text/html")]
PREFLIGHT = [("origin", origin.TRUSTED), ("access-control-request-method", "PUT"), ("authorization", "Bearer x")]
UPGRADE = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"), ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")]
TRUSTED, FOREIGN = ("origin", origin.TRUSTED), ("origin", "https://evil.example")
CLAIMS = {"role": "admin", "scope": "read write"}


@dataclass(frozen=True)
class Situation:
    """What a request carries, and what `explain` is told of its session; `script` makes the answer to the callout from the token."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    method: str = "GET"
    session: str | None = None
    script: Callable[[str], answers.Answer] = answers.token
    claims: dict = field(default_factory=dict)
    is_known: bool = False


def in_session(said: str = "new", *fields, script=answers.token, **more) -> Situation:
    return Situation(list(fields), session=said, script=script, is_known=said == "known", **more)


def bearer(token: str) -> Situation:
    return Situation([("authorization", f"Bearer {token}")])


def token_cookie(token: str, *fields, **more) -> Situation:
    return Situation([("cookie", f"a=1; access_token={token}; b=2"), *fields], **more)


def situations() -> dict[str, Situation]:
    good, wrong = tokens.mint(), tokens.mint(tokens.WRONG_SECRET)
    return {
        "no_credential": Situation(),
        "navigation": Situation(NAVIGATION),
        "another_scheme": Situation([("authorization", "Basic YTpi")]),
        "preflight": Situation(PREFLIGHT, method="OPTIONS"),
        "session_new": in_session(),
        "session_known": in_session("known"),
        "session_with_claims": in_session(claims=CLAIMS),
        "session_known_with_claims": in_session("known", claims=CLAIMS),
        "session_refused": in_session("refused", script=lambda _: answers.status(401)),
        "session_refused_navigation": in_session("refused", *NAVIGATION, script=lambda _: answers.status(401)),
        "auth_service_failing": in_session("failing", script=lambda _: answers.status(500)),
        "auth_service_failing_navigation": in_session("failing", *NAVIGATION, script=lambda _: answers.status(500)),
        "token_does_not_verify": in_session("unverified", script=lambda _: answers.token(wrong)),
        "session_impossible": Situation([("cookie", 'session="a; b=2')]),
        "two_sessions": Situation([("cookie", "session=a; session=b")]),
        "bearer": bearer(good),
        "bearer_with_claims": bearer(tokens.mint(**CLAIMS)),
        "bearer_invalid": bearer(wrong),
        "bearer_expired": bearer(tokens.mint(exp=1_700_000_000)),
        "bearer_repeated": Situation([("authorization", f"Bearer {good}"), ("authorization", "Bearer x")]),
        "token_cookie": token_cookie(good),
        "token_cookie_invalid": token_cookie(wrong),
        "bearer_before_cookie": token_cookie(good, ("authorization", f"Bearer {wrong}")),
        "post_own_page": in_session("new", TRUSTED, method="POST"),
        "post_same_origin": in_session("new", ("sec-fetch-site", "same-origin"), method="POST"),
        "post_foreign_page": in_session("new", FOREIGN, method="POST"),
        "post_from_nowhere": in_session("new", method="POST"),
        "post_opaque_page": in_session("new", ("origin", "null"), ("sec-fetch-site", "same-origin"), method="POST"),
        "post_with_bearer": Situation([("authorization", f"Bearer {good}"), FOREIGN], method="POST"),
        "upgrade_foreign_page": in_session("new", FOREIGN, *UPGRADE),
    }


PREFIXES = ["/api", "/optional", "/off", "/off-own", "/api/admin", "/api/write", "/optional/admin"]
AMBIGUOUS = ["/off//x", "/off/../api/x", "/off/%2e%2e/api/x", "/optional;a=b", "/optional%2fx", "/off%5cx", "/x/..%2foptional/admin", "//off"]
BY_PATH = ["no_credential", "navigation", "session_new", "session_with_claims", "bearer_invalid", "post_foreign_page"]


@pytest.fixture(scope="module")
def edge(start_envoy):
    """Paths reach the filter as they are sent, and preflights too."""

    def edit(bootstrap):
        manager = connection_manager(bootstrap)
        manager.update(normalize_path=False, merge_slashes=False, path_with_escaped_slashes_action="KEEP_UNCHANGED")
        (host,) = manager["route_config"]["virtual_hosts"]
        del host["typed_per_filter_config"]
        host["routes"] = [{"match": {"prefix": "/"}, "route": {"cluster": "backend"}}]

    return start_envoy(CONFIGURATION, edit=edit).client()


def explain(file, situation: Situation, target: str, *options: str) -> dict:
    """What the command says of a request; it has the secret, so it verifies tokens itself."""
    command = [paths.command(), "explain", "--json", file, situation.method, f"http://localhost{target}", *options]
    command += [argument for name, value in situation.fields for argument in ("-H", f"{name}: {value}")]
    command += ["--session", situation.session] if situation.session else []
    return json.loads(subprocess.run(command, check=True, capture_output=True, env={"JWT_SECRET": tokens.SECRET}).stdout)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "plugin.json"
    path.write_text(json.dumps(CONFIGURATION))
    return path


@pytest.fixture
def compare(edge, file, auth, backend):
    """Asks both, and expects the same status, the same answer, the same callouts and the same changes."""

    def compare(situation: Situation, target: str) -> None:
        claims, session = {}, None
        if situation.session:
            claims = {"sub": "ada", "email": "ada@example.com", **situation.claims}
            token = tokens.mint(**claims)
            session = auth.sign_in(situation.script(token), token=token)
            situation = dataclasses.replace(situation, fields=[*situation.fields, ("cookie", f"a=1; {session.cookie}; b=2")])
        situation = dataclasses.replace(situation, fields=[*situation.fields, *FORGED])
        if situation.is_known:
            assert edge.get("/api/first", cookie=session.cookie).status == 200
        options = [f"--claim={name}={json.dumps(value)}" for name, value in claims.items()]
        told = explain(file, situation, target, "--env", *options)
        before = len(auth.calls(session)) if session else auth.count()
        fields = [(name, value.encode()) for name, value in situation.fields]
        answer = edge.raw(head(target, *fields, method=situation.method))
        calls = auth.calls(session)[before:] if session else []

        assert len(calls) == len(told["callouts"])
        for call, names in zip(calls, told["callouts"], strict=True):
            assert {name for name in names if not name.startswith(":")} <= call.names()
        if told["reply"]:
            assert answer.status == told["reply"]["status"], told
            assert answer.body.decode() == told["reply"]["body"]
            for name, value in told["reply"]["headers"]:
                assert answer.value(name) == value
            assert backend.requests(target) == []
        else:
            (received,) = backend.requests(target)
            assert answer.status == 200
            assert_changes(situation.fields, told["upstream"], received)

    return compare


def assert_changes(sent, changes, received) -> None:
    """What was said to be taken out is not there, what was said to be set is there once, and the rest is as it was sent."""
    for name in changes["remove"]:
        assert received.values(name) == [], name
    for name in changes["set"]:
        assert len(received.values(name)) == 1, name
        assert name == "authorization" or as_sent(sent, name) != received.values(name)[0], name
    for name in {name for name, _ in sent} - {*changes["remove"], *changes["set"], "connection", "upgrade"}:
        assert b",".join(received.values(name)) == as_sent(sent, name), name


def as_sent(sent, name: str) -> bytes:
    """The values of a field as Envoy joins them."""
    return ",".join(value for other, value in sent if other == name).encode()


@pytest.mark.parametrize("name", situations())
def test_each_situation_is_explained_on_every_kind_of_route(compare, target, name):
    for prefix in PREFIXES:
        compare(situations()[name], target(prefix))


@pytest.mark.parametrize("name", BY_PATH)
def test_ambiguous_path_is_explained(compare, target, name):
    for path in AMBIGUOUS:
        compare(situations()[name], path + target("/"))


def test_keys_that_are_not_there_yet_are_explained(start_fetching, auth, tmp_path, target):
    configuration = CONFIGURATION | {"token": plugin()["token"] | {"keys": remote_keys(timeout="500ms")}}
    file = tmp_path / "plugin.json"
    file.write_text(json.dumps(configuration))
    client = start_fetching(configuration).client()
    by_cookie = Situation([("cookie", auth.sign_in().cookie)])
    for situation in [by_cookie, bearer(tokens.mint())]:
        for prefix in ["/api", "/optional", "/off"]:
            told = explain(file, situation, path := target(prefix), "--no-keys")
            answer = client.raw(head(path, *((name, value.encode()) for name, value in situation.fields)))
            headers = dict(told["reply"]["headers"]) if told["reply"] else {}
            assert answer.status == (told["reply"]["status"] if told["reply"] else 200), path
            assert answer.value("retry-after") == headers.get("retry-after")
