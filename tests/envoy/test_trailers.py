"""Proves that a trailer section cannot change who a request is from: what the filter has set is alone in the header section."""

import jwt
import pytest

from harness import answers
from harness.bootstrap import add_cluster, cluster, connection_manager, plugin, point_cluster
from harness.client import TIMEOUT_SECONDS
from harness.eventually import eventually
from harness.origin import TRUSTED
from harness.problem import assert_problem
from harness.trailers import Http1Recorder, Http2Recorder, TrailingHttp2Connection, UvicornRecorder, http1_request

PLUGIN = plugin(upstream={"claim_headers": {"x-user-id": "/sub"}})
BODY = b"body " * 1000
PROTOCOLS = ["http1", "http2"]
BACKENDS = {"http1": Http1Recorder, "http2": Http2Recorder, "uvicorn": UvicornRecorder}


@pytest.fixture(scope="module")
def backends():
    servers = {name: make() for name, make in BACKENDS.items()}
    yield servers
    for server in servers.values():
        server.close()


@pytest.fixture(scope="module")
def client(start_envoy, backends):
    """A client of an Envoy that passes trailers on wherever it can; `x-backend` says to whom."""

    def edit(bootstrap):
        manager = connection_manager(bootstrap)
        manager["http_protocol_options"] = {"enable_trailers": True}
        manager["common_http_protocol_options"]["headers_with_underscores_action"] = "ALLOW"
        manager["route_config"]["virtual_hosts"][0]["routes"] = [{"match": {"prefix": "/"}, "route": {"cluster_header": "x-backend"}}]
        for name, server in backends.items():
            add_cluster(bootstrap, name, server.port)
            (options,) = cluster(bootstrap, name)["typed_extension_protocol_options"].values()
            http1 = {"http_protocol_options": {"enable_trailers": True}}
            options["explicit_http_config"] = {"http2_protocol_options": {}} if name == "http2" else http1

    return start_envoy(PLUGIN, edit=edit).client()


@pytest.fixture(scope="module")
def shipped(start_envoy, backends):
    """A client of an Envoy that is left as it is shipped."""
    return start_envoy(PLUGIN, edit=lambda bootstrap: point_cluster(bootstrap, "backend", backends["http1"].port)).client()


def trailers_of(session):
    """A trailer section that is this user's in every field that could count."""
    return [("authorization", session.bearer), ("x-user-id", "admin"), ("x-checksum", "abc"), ("cookie", session.cookie)]


def post(client, protocol, path, fields, trailers, *, before_the_body=None, after_the_trailers=lambda: None):
    """The answer to a POST with trailers, which is sent in one piece unless something is to be done before the body.

    Envoy 1.36 takes trailers that come after its answer for a new request, and ends the connection.
    """
    headers = [("origin", TRUSTED), ("trailer", ", ".join(name for name, _ in trailers)), *fields]
    if protocol == "http2":
        with TrailingHttp2Connection(client) as connection:
            connection.holds_back = not before_the_body
            request = connection.send(path, *headers, method="POST", end=False)
            if before_the_body:
                before_the_body()
            connection.finish(request, BODY, trailers)
            after_the_trailers()
            connection.wait(lambda: request.headers, within=TIMEOUT_SECONDS, what="a response")
            return request.answer
    opening, rest = http1_request(path, headers, BODY, trailers)
    with client.open() as connection:
        if before_the_body:
            connection.send(opening)
            before_the_body()
            connection.send(rest)
        else:
            connection.send(opening + rest)
        after_the_trailers()
        return connection.read()


# Each case: the prefix of the route, which of a session's fields the header section has, and which fields the backend gets from it.
CASES = {
    "required": ("/api", ["cookie"], ["authorization", "x-user-id"]),
    "optional": ("/optional", ["cookie"], ["authorization", "x-user-id"]),
    "anonymous": ("/optional", [], []),
    "off": ("/off", ["cookie", "authorization"], ["cookie"]),
    "off_with_authorization": ("/off-own", ["authorization"], ["authorization"]),
    "off_without_authorization": ("/off-own", [], []),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("upstream", BACKENDS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_trailers_change_nothing_in_the_header_section(auth, backends, client, target, protocol, upstream, case):
    prefix, sent, expected = CASES[case]
    session, other, path = auth.sign_in(), auth.sign_in(), target(prefix)
    subject = jwt.decode(session.token, options={"verify_signature": False})["sub"]
    fields = {"cookie": session.cookie, "authorization": session.bearer, "x-user-id": subject}
    headers = [("x-backend", upstream), *((name, fields[name]) for name in sent)]
    assert post(client, protocol, path, headers, trailers_of(other)).status == 200
    (received,) = backends[upstream].requests.of(path)
    for name, value in fields.items():
        assert received.values(name) == ([value] if name in expected else [])
    assert received.body == BODY
    assert auth.calls(other) == []


@pytest.mark.parametrize("upstream", ["http1", "http2"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_trailers_that_come_before_the_token_wait_with_the_rest(auth, backends, client, target, protocol, upstream):
    gate, session, other, path = answers.Gate(), auth.sign_in(), auth.sign_in(), target()
    auth.script(session, gate.before(answers.token(session.token)))

    def wait_for_the_callout():
        eventually(lambda: auth.calls(session), what="the callout")
        assert backends[upstream].requests.of(path) == []
        gate.open()

    headers = [("x-backend", upstream), ("cookie", session.cookie)]
    assert post(client, protocol, path, headers, trailers_of(other), after_the_trailers=wait_for_the_callout).status == 200
    (received,) = backends[upstream].requests.of(path)
    assert received.values("authorization") == [session.bearer]
    assert received.body == BODY


@pytest.mark.parametrize("upstream", ["http1", "http2"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_trailers_that_come_when_the_header_section_has_passed_change_nothing(auth, backends, client, target, protocol, upstream):
    session, other, path = auth.sign_in(), auth.sign_in(), target()

    def wait_for_the_backend():
        eventually(lambda: backends[upstream].requests.of(path), what="the header section at the backend")

    headers = [("x-backend", upstream), ("cookie", session.cookie)]
    assert post(client, protocol, path, headers, trailers_of(other), before_the_body=wait_for_the_backend).status == 200
    (received,) = backends[upstream].requests.of(path)
    assert received.values("authorization") == [session.bearer]
    assert received.values("cookie") == []


@pytest.mark.parametrize("jar", [[], [("cookie", "session=unknown")]], ids=["no_credential", "refused_session"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_credential_in_the_trailers_is_none(auth, backends, client, target, protocol, jar):
    session, path = auth.sign_in(), target()
    assert_problem(post(client, protocol, path, [("x-backend", "http2"), *jar], trailers_of(session)), 401)
    assert backends["http2"].requests.of(path) == []
    assert auth.calls(session) == []


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("upstream", BACKENDS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_trailers_reach_the_backend_without_what_says_who_a_request_is_from(auth, backends, client, target, protocol, upstream, case):
    prefix, sent, _ = CASES[case]
    session, path = auth.sign_in(), target(prefix)
    fields = {"cookie": session.cookie, "authorization": session.bearer}
    headers = [("x-backend", upstream), *((name, fields[name]) for name in sent)]
    spellings = [("Authorization", "Bearer a.b.c"), ("X_User_Id", "admin")] if protocol == "http1" else [("x_user_id", "admin")]
    post(client, protocol, path, headers, trailers_of(auth.sign_in()) + spellings)
    (received,) = backends[upstream].requests.of(path)
    assert received.trailers == ([] if upstream == "uvicorn" else [("x-checksum", "abc")])
    assert received.values("x-checksum") == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shipped_configuration_drops_trailers(auth, backends, shipped, target, protocol):
    session, path = auth.sign_in(), target()
    assert post(shipped, protocol, path, [("cookie", session.cookie)], trailers_of(auth.sign_in())).status == 200
    (received,) = backends["http1"].requests.of(path)
    assert received.values("authorization") == [session.bearer]
    assert received.body == BODY
    assert received.trailers == []
