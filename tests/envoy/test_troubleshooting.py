"""Proves docs/troubleshooting.md: what is seen comes with the outcome, the counter and the log line that its section names."""

import itertools
import json
from collections import Counter
from dataclasses import dataclass

import pytest

from harness import answers, tokens
from harness.bootstrap import KEYS_CLUSTER, PLUGIN, add_cluster, bootstrap, connection_manager, plugin, remote_keys, wasm_plugin
from harness.client import Client, head
from harness.counts import WITHIN_SECONDS, values
from harness.documents import TROUBLESHOOTING, code, sections
from harness.envoy import Envoy
from harness.eventually import eventually
from harness.key_endpoint import KeyEndpoint
from harness.keys import SigningKey
from harness.origin import OWN_PAGE, TRUSTED
from harness.outcomes import without_filter_state
from harness.paths import ROOT

SECTIONS = sections(TROUBLESHOOTING)
REQUESTS = plugin(
    credentials=[{"bearer": {}}, {"session_cookie": {"names": ["session"], "companions": []}}],
    exchange={"timeout": "300ms", "retries": 0},
    routes=[{"match": {"prefix": "/admin"}, "auth": "required", "require": {"scopes": ["admin"]}}, *PLUGIN["routes"]],
)
UPGRADE = (("connection", "upgrade"), ("sec-websocket-version", "13"), ("sec-websocket-key", "dGVzdHM="))
LOG = {"outcome": "%FILTER_STATE(wasm.session_bearer.outcome:PLAIN)%", "details": "%RESPONSE_CODE_DETAILS%", "status": "%RESPONSE_CODE%"}
FILE = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"


@dataclass(frozen=True)
class Symptom:
    """A request, and what is seen of it. In its fields `SESSION` stands for the cookie of a session.

    The auth service answers for the session by `script`, after it was served once if it is `known`. `told` is what the section names.
    """

    section: str
    status: int
    outcome: str | None
    fields: tuple[tuple[str, str], ...] = ()
    script: tuple = ()
    method: str = "GET"
    target: str = "/api"
    known: bool = False
    details: str | None = None
    counter: str | None = None
    line: str | None = None
    told: str | None = None

    def __str__(self) -> str:
        return f"{self.section}: {self.told or self.details or self.outcome}"


def cookie(value: str = "SESSION", *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("cookie", value), *more)


IN, POST, BAD, AT_RANDOM = "401 though signed in", "403 on POST", "400", "Signed out at random"
DEPLOYED, SOME, SOCKET, NONE = (
    "503 after a deployment",
    "503 for some users",
    "A WebSocket is refused, or closes",
    "The backend sees no Authorization",
)
ANSWERED_401, ANSWERED_403 = ("x-answer-status", "401"), ("x-answer-status", "403")


def unverified(reason: str, counter: str, **claims) -> Symptom:
    line = f"exchange failed: the token it handed out does not verify: {reason}"
    script = (answers.token(tokens.mint(**claims)),)
    return Symptom(DEPLOYED, 503, "denied_unverified_token", cookie(), script, counter=counter, line=line, told=reason)


def failing(section: str, fault: answers.Answer, counter: str, cause: str, told: str | None = None) -> Symptom:
    line = f"exchange failed: {cause}"
    return Symptom(section, 503, "denied_exchange_failed", cookie(), (fault,), counter=counter, line=line, told=told or line)


SYMPTOMS = [
    Symptom(IN, 401, "denied_no_credential", cookie("other=1")),
    Symptom(IN, 401, "denied_session_refused", cookie(), (answers.status(401),)),
    Symptom(IN, 401, "denied_malformed_session", cookie('session="quoted"')),
    Symptom(IN, 401, "denied_malformed_session", cookie("session=" + "v" * 4097)),
    Symptom(IN, 401, "denied_invalid_token", cookie("SESSION", ("authorization", "Bearer a.b")), counter="token_refused_form"),
    Symptom(IN, 401, "allowed_hit", cookie("SESSION", ANSWERED_401), known=True, counter="forgotten_upstream_401"),
    Symptom("Works here, 401 in production", 401, "denied_no_credential", cookie("__Secure-SESSION")),
    Symptom(POST, 403, "denied_cross_origin", cookie("SESSION", ("origin", "https://app.example.com:8443")), method="POST"),
    Symptom(POST, 403, "denied_insufficient_scope", cookie(), target="/admin"),
    Symptom(POST, 403, "allowed_hit", cookie("SESSION", ("origin", TRUSTED), ANSWERED_403), method="POST", known=True),
    Symptom("Works in curl, not in the browser", 403, "denied_cross_origin", cookie(), method="POST"),
    Symptom(BAD, 400, "denied_conflicting_cookies", cookie("SESSION; session=other")),
    Symptom(BAD, 400, "denied_repeated_authorization", (("authorization", "Bearer a.b.c"),) * 2),
    Symptom(BAD, 400, None, cookie(), target="/api/a%2fb", details="path_normalization_failed"),
    Symptom(BAD, 400, None, (("x_user", "1"),), details="http1.unexpected_underscore"),
    Symptom(BAD, 431, None, cookie("other=" + "v" * 40_000), details="http1.headers_too_large"),
    unverified("signature does not match the key", "token_refused_signature", secret=tokens.WRONG_SECRET),
    unverified("wrong issuer", "token_refused_issuer", iss="somebody-else"),
    unverified("wrong audience", "token_refused_audience", aud="another-api"),
    unverified("algorithm not allowed", "token_refused_algorithm", secret=tokens.SECRET * 2, algorithm="HS512"),
    unverified("expired", "token_refused_time", exp=1),
    unverified("not valid yet", "token_refused_time", nbf=4_000_000_000),
    failing(DEPLOYED, answers.redirect("/sign-in"), "exchange_unexpected_status", "an unexpected status"),
    failing(DEPLOYED, answers.html(), "exchange_unreadable", "an unreadable answer: "),
    failing(DEPLOYED, answers.status(500), "exchange_server_error", "the auth service failed or could not be connected to (5xx)"),
    failing(SOME, answers.never(), "exchange_timeout", "no answer within exchange.timeout", "denied_exchange_failed"),
    failing(SOME, answers.cut_inside_the_body("x"), "exchange_reset", "the connection was reset", "denied_exchange_failed"),
    Symptom(SOCKET, 403, "denied_cross_origin", cookie("SESSION", ("upgrade", "websocket"), *UPGRADE)),
    Symptom(SOCKET, 403, None, cookie("SESSION", ("upgrade", "other"), *UPGRADE), details="upgrade_failed"),
    Symptom(NONE, 200, "allowed_off", cookie(), target="/off"),
    Symptom(NONE, 200, "allowed_anonymous", target="/optional"),
    Symptom("A revocation takes a minute", 200, "allowed_hit", cookie(), (answers.status(401),), known=True),
    Symptom(
        AT_RANDOM,
        200,
        "allowed_hit",
        cookie("SESSION", ("x-answer-header", "set-cookie:session=; Max-Age=0")),
        known=True,
        counter="forgotten_signed_out",
        told="forgotten_signed_out",
    ),
    Symptom(
        AT_RANDOM,
        401,
        "allowed_hit",
        cookie("SESSION", ANSWERED_401),
        known=True,
        counter="forgotten_upstream_401",
        told="forgotten_upstream_401",
    ),
    # Last, since nobody is asked about after it.
    Symptom(
        SOME,
        503,
        "denied_paused",
        cookie(),
        (answers.status(429, "{}", ("retry-after", "30")),),
        counter="exchange_throttled",
        line="exchange failed: the auth service asked to be left alone for a while (429 or 503)",
    ),
    Symptom(SOME, 503, "denied_paused", cookie()),
]


def logging_to(path, edit=lambda config: None):
    """An access log that says what the page calls outcome and details."""

    def both(config: dict) -> None:
        config_of_file = {"@type": FILE, "path": str(path), "log_format": {"json_format": LOG}}
        connection_manager(config)["access_log"] = [{"name": "envoy.access_loggers.file", "typed_config": config_of_file}]
        edit(config)

    return both


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def last_line(path) -> dict:
    """What the access log says of the only request."""
    (line,) = eventually(lambda: lines(path), what="a line in the access log")
    return line


@pytest.fixture(scope="module")
def seen(auth, start_envoy, tmp_path_factory):
    """Status and line of the access log of each symptom; the Envoy that has seen them all, one after the other; its access log."""
    path = tmp_path_factory.mktemp("symptoms") / "access.log"

    def hasty(config: dict) -> None:
        connection_manager(config)["request_timeout"] = "0.9s"

    envoy = start_envoy(REQUESTS, edit=logging_to(path, hasty), workers=1, log_level="info")
    client, statuses, places = envoy.client(), [], itertools.count()
    for symptom in SYMPTOMS:
        session = auth.sign_in(*(() if symptom.known else symptom.script))
        if symptom.known:
            assert client.get("/api", cookie=session.cookie).status == 200
            next(places)
            auth.script(session, *(symptom.script or (answers.token(session.token),)))
        statuses.append((ask(client, symptom, session.cookie), next(places)))
    count = next(places)
    eventually(lambda: len(lines(path)) == count, what=f"{count} lines in the access log")
    told = lines(path)
    return {symptom: (status, told[place]) for symptom, (status, place) in zip(SYMPTOMS, statuses, strict=True)}, envoy, path


def ask(client: Client, symptom: Symptom, session: str) -> int:
    fields = [(name, value.replace("SESSION", session).encode()) for name, value in symptom.fields]
    no_body = [("content-length", b"0")] if symptom.method == "POST" else []
    return client.raw(head(symptom.target, *fields, *no_body, method=symptom.method)).status


@pytest.mark.parametrize("symptom", SYMPTOMS, ids=str)
def test_symptom_comes_with_what_its_section_names(seen, symptom):
    status, line = seen[0][symptom]
    assert status == line["status"] == symptom.status
    assert line["outcome"] == symptom.outcome
    upstream = "via_upstream" if str(symptom.outcome).startswith("allowed_") else None
    assert (line["details"] or None) == (symptom.details or upstream)
    assert (symptom.told or symptom.details or symptom.outcome) in SECTIONS[symptom.section]
    assert (symptom.line or "") in seen[1].log()


def test_counters_have_moved_with_the_symptoms(seen):
    expected = Counter(name for symptom in SYMPTOMS for name in (symptom.outcome, symptom.counter) if name)

    def moved() -> dict[str, float]:
        counts = values(seen[1])
        return {name: counts[f"session_bearer_{name}"] for name in expected}

    eventually(lambda: moved() == expected, within=WITHIN_SECONDS, what=f"{dict(expected)}")


@pytest.fixture(scope="module")
def deployed_wrongly(start_envoy, tmp_path_factory):
    """No such cluster, no keys, and a page to sign in that needs a session itself; with its access log."""
    path, endpoint = tmp_path_factory.mktemp("wrongly") / "access.log", KeyEndpoint()
    endpoint.script(answers.status(500))
    configuration = plugin(
        credentials=[{"bearer": {}}, *PLUGIN["credentials"]],
        exchange={"cluster": "nowhere"},
        token={"keys": remote_keys(timeout="300ms")},
        unauthenticated={"sign_in": {"location": "/api/sign-in"}},
    )
    edit = logging_to(path, lambda config: add_cluster(config, KEYS_CLUSTER, endpoint.port))
    yield start_envoy(configuration, edit=edit, workers=1, log_level="info"), path
    endpoint.close()


def test_cluster_that_there_is_not_is_named_after_a_deployment(auth, deployed_wrongly):
    envoy, _ = deployed_wrongly
    assert envoy.client().get("/api", cookie=auth.sign_in().cookie).status == 503
    line = "exchange failed: the callout was not made"
    assert line in envoy.log() and line in SECTIONS[DEPLOYED]


def test_keys_that_cannot_be_fetched_are_named_after_a_deployment(deployed_wrongly):
    envoy, path = deployed_wrongly
    before = len(lines(path))
    assert envoy.client().get("/api", authorization=f"Bearer {SigningKey().mint()}").status == 503
    # The line of a request before it may be written after it was counted.
    eventually(lambda: "denied_keys_unavailable" in [line["outcome"] for line in lines(path)[before:]], what="the line of this request in the access log")
    assert "fetch of keys failed: the status was not 200; the keys that are there stay in use" in envoy.log()
    assert {"fetch of keys failed: …", "denied_keys_unavailable"} <= set(code(SECTIONS[DEPLOYED]))


def test_page_to_sign_in_that_needs_a_session_is_a_loop_that_was_warned_of(deployed_wrongly):
    envoy, _ = deployed_wrongly
    client, location = envoy.client(), "/api/sign-in"
    for _ in range(3):
        answer = client.get(location, headers=[("sec-fetch-mode", "navigate")])
        assert answer.status == 302
        location = answer.value("location")
    assert location.startswith("/api/sign-in?return_to=")
    eventually(lambda: values(envoy)["session_bearer_sent_to_sign_in"] == 3, within=WITHIN_SECONDS, what="three redirects")
    assert 'unauthenticated.sign_in.location: "/api/sign-in" needs a session itself' in envoy.log()
    assert {"sent_to_sign_in", "unauthenticated.sign_in.location: … needs a session itself"} <= set(code(SECTIONS["A sign-in loop"]))


def test_failed_vm_leaves_no_outcome_and_the_name_of_the_capability(auth, backend, tmp_path):
    path = tmp_path / "access.log"
    config = bootstrap(auth.port, backend.port, PLUGIN)
    logging_to(path, without_filter_state)(config)
    with Envoy(config, tmp_path, workers=1, log_level="info") as envoy:
        assert envoy.client().get("/off").status == 503
        assert last_line(path) == {"status": 503, "outcome": None, "details": "wasm_fail_stream"}
        told = envoy.log()
    section = SECTIONS["Everything is answered 503"]
    for line, written in [
        (
            "Attempted call to restricted proxy-wasm capability: proxy_set_property",
            "Attempted call to restricted proxy-wasm capability: NAME",
        ),
        ("Function: proxy_on_request_headers failed", "Function: proxy_on_… failed"),
        ("panicked at ", "panicked at …"),
    ]:
        assert line in told and written in code(section)
    assert "wasm_fail_stream" in section


def test_secret_that_is_missing_keeps_envoy_from_starting_and_is_named(auth, backend, tmp_path):
    envoy = Envoy(bootstrap(auth.port, backend.port, PLUGIN), tmp_path, secret=None, log_level="info")
    envoy.launch()
    assert envoy.wait() != 0
    for line in ("configuration refused: token.keys.secret_env: ", "Unable to create Wasm plugin"):
        assert line in envoy.log() and line.strip() in SECTIONS["Envoy does not start"]


def test_capability_that_is_needed_from_the_start_keeps_envoy_from_starting_and_is_named(auth, backend, tmp_path):
    config = bootstrap(auth.port, backend.port, PLUGIN)
    del wasm_plugin(config)["capability_restriction_config"]["allowed_capabilities"]["proxy_set_shared_data"]
    envoy = Envoy(config, tmp_path, log_level="info")
    envoy.launch()
    assert envoy.wait() != 0
    assert "Attempted call to restricted proxy-wasm capability: proxy_set_shared_data" in envoy.log()
    assert "Attempted call to restricted proxy-wasm capability: NAME" in code(SECTIONS["Envoy does not start"])


def test_report_only_refuses_nothing_and_says_so(start_envoy, tmp_path):
    path = tmp_path / "access.log"
    envoy = start_envoy(plugin(report_only=True), edit=logging_to(path), workers=1, log_level="info")
    assert envoy.client().get("/api").upstream.values("authorization") == []
    assert last_line(path)["outcome"] == "denied_no_credential"
    eventually(
        lambda: values(envoy)["session_bearer_allowed_report_only"] == 1, within=WITHIN_SECONDS, what="a request that was let through"
    )
    eventually(lambda: "report_only: let through 1 times: denied_no_credential" in envoy.log(), what="its line in the log")
    assert "report_only is set: nothing is refused" in envoy.log()
    spans = set(code(SECTIONS["Nothing is refused"]))
    assert {"allowed_report_only", "report_only: let through N times: …", "report_only is set: …"} <= spans


def test_upload_that_takes_too_long_ends_with_what_the_page_names(seen):
    _, envoy, path = seen
    before = len(lines(path))
    with envoy.client().open() as connection:
        fields = ("authorization", f"Bearer {tokens.mint()}".encode()), ("content-length", b"100")
        connection.send(head("/api", *fields, method="POST") + b"half")
        assert connection.read().status == 408
    (said,) = eventually(lambda: lines(path)[before:], what="a line in the access log")
    assert said == {"status": 408, "outcome": "allowed_verified", "details": "request_overall_timeout"}
    assert {"request_overall_timeout", "request_timeout"} <= set(code(SECTIONS["An upload is cut off"]))


def test_page_that_may_send_may_not_read_unless_the_cors_filter_says_so(auth, envoy):
    answer = envoy.client().get("/api", cookie=auth.sign_in().cookie, headers=[OWN_PAGE])
    assert answer.status == 200 and answer.value("access-control-allow-origin") is None
    preflight = [OWN_PAGE, ("access-control-request-method", "PATCH")]
    before = values(envoy)["session_bearer_allowed_off"]
    assert envoy.client().request("OPTIONS", "/api", headers=preflight).status == 200
    eventually(lambda: values(envoy)["session_bearer_allowed_off"] == before + 1, within=WITHIN_SECONDS, what="a preflight for the backend")
    assert {"cors", "csrf.trusted_origins", "allowed_off"} <= set(code(SECTIONS["A CORS error in the console"]))


def test_log_level_can_be_raised_at_work_to_see_each_request(deployed_wrongly):
    envoy, _ = deployed_wrongly
    assert ": answered 401" not in envoy.log()
    envoy.post("/logging?wasm=debug")

    def told() -> bool:
        envoy.client().get("/api")
        return "request " in envoy.log() and ": answered 401" in envoy.log()

    eventually(told, within=WITHIN_SECONDS, what="a line for each request")
    assert "/logging?wasm=debug" in (ROOT / TROUBLESHOOTING).read_text()
