"""Proves with a real uvicorn and FastAPI that however a path is spelled, no handler runs without the credential that it needs."""

import itertools
from dataclasses import dataclass

import pytest

import stack
from harness.bare_requests import BareHttp1, BareHttp2
from harness.bootstrap import connection_manager, plugin, point_cluster
from harness.client import Answer
from harness.fastapi_backend import CASE_HEADER, FastApiBackend, Run
from harness.problem import assert_problem
from harness.spellings import FAMILIES, OPEN, PROTECTED

BACKEND = {"cluster": "backend"}
RULES = [
    {"match": {"prefix": "/public/admin"}, "auth": "required"},
    {"match": {"prefix": "/public"}, "auth": "off"},
    {"match": {"path": "/healthz", "methods": ["GET"]}, "auth": "off"},
    {"match": {"template": "/pages/{id}/view"}, "auth": "off"},
    {"match": {"prefix": "/optional"}, "auth": "optional"},
]
# To what is no HTTP/1.1; to https:// on a plain connection; to an absolute form without a path; to what looks like HTTP/0.9.
BY_ENVOY = {400, 403, 404, 426}
PASSED_ON = "cluster.backend.upstream_rq_total"
CASES = (str(number).encode() for number in itertools.count(1))


@dataclass(frozen=True)
class Outcome:
    """What became of a request; no answer when the proxy hung up."""

    asked: str
    answer: Answer | None
    runs: list[Run]

    @property
    def status(self) -> int | None:
        return self.answer and self.answer.status

    @property
    def is_refused_by_filter(self) -> bool:
        return self.answer is not None and self.answer.value("content-type") == "application/problem+json"

    @property
    def protected(self) -> list[str]:
        """The handlers that ran and should not run for everybody."""
        return [run.handler for run in self.runs if not run.is_open]


@pytest.fixture(scope="module")
def service():
    server = FastApiBackend()
    yield server
    server.close()


@pytest.fixture(scope="module")
def start_edge(start_envoy, service):
    """Starts an Envoy that hands every path to the service, if the filter lets it."""

    def start(edit=lambda bootstrap: None):
        def lead_to_service(bootstrap):
            point_cluster(bootstrap, "backend", service.port)
            manager = connection_manager(bootstrap)
            (host,) = manager["route_config"]["virtual_hosts"]
            host["routes"] = [{"match": {"connect_matcher": {}}, "route": BACKEND}, {"match": {"prefix": "/"}, "route": BACKEND}]
            # After an answer to what is no HTTP, Envoy would keep the connection for a second.
            manager["delayed_close_timeout"] = "0s"
            edit(bootstrap)

        return start_envoy(plugin(routes=RULES), edit=lead_to_service, log_level="warning")

    return start


def as_shipped(_bootstrap):
    """Envoy normalises paths, or refuses them."""


def not_normalising(bootstrap):
    """Envoy hands paths to the filter as they came, and CONNECT too."""
    manager = connection_manager(bootstrap)
    manager.update(normalize_path=False, merge_slashes=False, path_with_escaped_slashes_action="KEEP_UNCHANGED")
    manager["upgrade_configs"].append({"upgrade_type": "CONNECT"})
    manager["http2_protocol_options"]["allow_connect"] = True


@pytest.fixture(scope="module", params=[as_shipped, not_normalising], ids=lambda edit: edit.__name__)
def edge(request, start_edge):
    return start_edge(request.param)


@pytest.fixture(scope="module")
def without_filter(start_edge):
    def edit(bootstrap):
        not_normalising(bootstrap)
        filters = stack.http_filters(bootstrap)
        filters[:] = [entry for entry in filters if entry["name"] != "envoy.filters.http.wasm"]

    return start_edge(edit)


@pytest.fixture(scope="module")
def ask(service):
    """Sends a GET for each spelling, and says what became of it."""

    def ask(envoy, spellings, *, over=BareHttp1, cookie: str | None = None) -> list[Outcome]:
        fields = [(b"cookie", cookie.encode())] if cookie else []
        with over(envoy.client()) as connection:
            sent = list(zip(spellings, CASES, strict=False))
            answers = [connection.get(path.encode("latin-1"), (CASE_HEADER.encode(), case), *fields) for path, case in sent]
        return [Outcome(path, answer, service.runs(case.decode())) for (path, case), answer in zip(sent, answers, strict=True)]

    return ask


@pytest.mark.parametrize("over", [BareHttp1, BareHttp2])
def test_open_path_in_plain_spelling_runs_its_handler_for_everybody(edge, ask, over):
    for outcome in ask(edge, OPEN, over=over):
        assert outcome.status == 200, outcome
        assert [(run.is_open, run.authorization) for run in outcome.runs] == [(True, ())], outcome


@pytest.mark.parametrize("over", [BareHttp1, BareHttp2])
def test_protected_path_in_plain_spelling_runs_its_handler_with_a_session_alone(auth, edge, ask, over):
    session = auth.sign_in()
    for outcome in ask(edge, PROTECTED, over=over):
        assert_problem(outcome.answer, 401)
        assert outcome.runs == []
    for outcome in ask(edge, PROTECTED, over=over, cookie=session.cookie):
        assert outcome.status == 200, outcome
        assert [(run.is_open, run.authorization) for run in outcome.runs] == [(False, (session.bearer.encode(),))], outcome


@pytest.mark.parametrize("family", FAMILIES)
def test_spellings_of_a_family_run_protected_handlers_where_no_filter_stands(without_filter, ask, family):
    assert any(outcome.protected for outcome in ask(without_filter, FAMILIES[family]))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("over", [BareHttp1, BareHttp2])
def test_no_spelling_runs_a_protected_handler_without_a_credential(edge, ask, over, family):
    outcomes = ask(edge, FAMILIES[family], over=over)
    assert [(outcome.asked, outcome.runs) for outcome in outcomes if outcome.protected] == []
    assert {outcome.status for outcome in outcomes} <= {200, 401, None} | BY_ENVOY
    assert {outcome.status for outcome in outcomes if outcome.is_refused_by_filter} <= {401}
    assert edge.failures() == []


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("over", [BareHttp1, BareHttp2])
def test_any_spelling_passes_with_a_session_and_each_protected_handler_gets_its_token(auth, edge, ask, over, family):
    session = auth.sign_in()
    outcomes = ask(edge, FAMILIES[family], over=over, cookie=session.cookie)
    assert [(outcome.asked, outcome.answer) for outcome in outcomes if outcome.is_refused_by_filter] == []
    assert {outcome.status for outcome in outcomes} <= {200, 404, None} | BY_ENVOY
    token, none = (session.bearer.encode(),), ()
    for outcome in outcomes:
        for run in outcome.runs:
            assert run.authorization == token or (run.is_open and run.authorization == none), outcome


LOCALHOST = {"scheme": b"http", "authority": b"localhost"}
NO_PATH_HTTP1 = {
    "connect": b"CONNECT localhost:443 HTTP/1.1",
    "connect_to_an_open_path": b"CONNECT /public HTTP/1.1",
    "connect_in_lower_case": b"connect localhost:443 HTTP/1.1",
    "options_asterisk": b"OPTIONS * HTTP/1.1",
    "get_asterisk": b"GET * HTTP/1.1",
    "empty": b"GET  HTTP/1.1",
    "absent": b"GET HTTP/1.1",
    "query_alone": b"GET ?/public HTTP/1.1",
    "absolute_form_without_path": b"GET http://localhost?/public HTTP/1.1",
    "http_0_9": b"GET /public",
}
NO_PATH_HTTP2 = {
    "connect": {"method": b"CONNECT", "authority": b"localhost:443"},
    "connect_to_an_open_path": {"method": b"CONNECT", **LOCALHOST, "path": b"/public"},
    "connect_for_udp": {"method": b"CONNECT", **LOCALHOST, "path": b"/public", "protocol": b"connect-udp"},
    "connect_for_an_unknown_protocol": {"method": b"CONNECT", **LOCALHOST, "path": b"/public", "protocol": b"x"},
    "options_asterisk": {"method": b"OPTIONS", **LOCALHOST, "path": b"*"},
    "get_asterisk": {"method": b"GET", **LOCALHOST, "path": b"*"},
    "empty": {"method": b"GET", **LOCALHOST, "path": b""},
    "absent": {"method": b"GET", **LOCALHOST},
    "no_method": {**LOCALHOST, "path": b"/public"},
    "empty_method": {"method": b"", **LOCALHOST, "path": b"/public"},
    "query_alone": {"method": b"GET", **LOCALHOST, "path": b"?/public"},
    "nothing_at_all": {},
}


@pytest.fixture(scope="module")
def ask_bare(service):
    """Sends a head of HTTP/1.1 that begins with this line, or one of HTTP/2 with these pseudo-headers."""

    def ask_bare(envoy, bare: bytes | dict[str, bytes], cookie: str = "a=1") -> Outcome:
        case = next(CASES)
        fields = [(CASE_HEADER.encode(), case), (b"cookie", cookie.encode())]
        if isinstance(bare, bytes):
            head = b"\r\n".join([bare, b"host: localhost", *(name + b": " + value for name, value in fields)]) + b"\r\n\r\n"
            over = BareHttp1
        else:
            head, over = [*((b":" + name.encode(), value) for name, value in bare.items()), *fields], BareHttp2
        with over(envoy.client()) as connection:
            return Outcome(repr(bare), connection.ask(head), service.runs(case.decode()))

    return ask_bare


@pytest.mark.parametrize(
    "bare",
    [
        *(pytest.param(line, id=f"http1_{name}") for name, line in NO_PATH_HTTP1.items()),
        *(pytest.param(fields, id=f"http2_{name}") for name, fields in NO_PATH_HTTP2.items()),
    ],
)
def test_request_without_a_path_goes_nowhere_even_with_a_session(auth, edge, ask, ask_bare, bare):
    session = auth.sign_in()
    outcome = ask_bare(edge, bare, session.cookie)
    assert outcome.runs == []
    assert outcome.status in {None} | BY_ENVOY
    assert edge.failures() == []
    (next_one,) = ask(edge, ["/admin"], cookie=session.cookie)
    assert next_one.status == 200


@pytest.mark.parametrize("edge", [not_normalising], indirect=True, ids=["not_normalising"])
@pytest.mark.parametrize("bare", [NO_PATH_HTTP1["connect"], NO_PATH_HTTP2["connect"]], ids=["http1", "http2"])
def test_connect_that_envoy_would_pass_on_is_refused_by_the_filter(auth, edge, without_filter, ask_bare, bare):
    guarded, open_to_all = edge.stat(PASSED_ON), without_filter.stat(PASSED_ON)
    assert_problem(ask_bare(edge, bare, auth.sign_in().cookie).answer, 400)
    ask_bare(without_filter, bare)
    assert edge.stat(PASSED_ON) == guarded
    assert without_filter.stat(PASSED_ON) == open_to_all + 1
