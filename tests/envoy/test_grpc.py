"""Proves that gRPC works through the filter, with a real client and a real server, in all four ways of streaming."""

import queue

import grpc
import pytest

from harness import answers, tokens
from harness.bootstrap import PLUGIN, cluster, plugin, point_cluster
from harness.client import TIMEOUT_SECONDS
from harness.eventually import eventually
from harness.grpc_service import KINDS, STREAMED, GrpcService
from harness.origin import TRUSTED

CREDENTIALS = [{"bearer": {}}, {"token_cookie": {"names": ["access_token"]}}, *PLUGIN["credentials"]]
ROUTES = [{"match": {"prefix": "/admin"}, "auth": "required", "require": {"scopes": ["admin:write"]}}, *PLUGIN["routes"]]
OWN_PAGE = ("origin", TRUSTED)
LARGE_MESSAGE_BYTES = 3 * 1024 * 1024


@pytest.fixture(scope="module")
def service():
    server = GrpcService()
    yield server
    server.close()


@pytest.fixture(scope="module")
def channel(start_envoy, service):
    """A channel to an Envoy with a gRPC server behind it."""

    def edit(bootstrap):
        point_cluster(bootstrap, "backend", service.port)
        options = cluster(bootstrap, "backend")["typed_extension_protocol_options"]
        (options,) = options.values()
        options["explicit_http_config"] = {"http2_protocol_options": {}}

    client = start_envoy(plugin(credentials=CREDENTIALS, routes=ROUTES), edit=edit).client()
    with grpc.insecure_channel(f"127.0.0.1:{client.port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        yield channel


@pytest.fixture
def method(target):
    """Makes the path of a method that no other test calls."""

    def make(kind, prefix="/api"):
        return f"{target(prefix)}/{kind}"

    return make


def call(channel, path, *metadata, messages=(b"one", b"two")):
    """Calls a method the way its kind is called, and gives all its answers."""
    kind = path.rpartition("/")[2]
    sent = iter(messages) if kind.startswith("stream") else messages[0]
    answer = getattr(channel, kind)(path)(sent, metadata=metadata, timeout=TIMEOUT_SECONDS)
    return list(answer) if kind.endswith("stream") else [answer]


ANSWERS = {
    "unary_unary": [b"again one"],
    "unary_stream": [b"one", *(b"%d" % number for number in range(1, STREAMED))],
    "stream_unary": [b"one two"],
    "stream_stream": [b"again one", b"again two"],
}


def values(metadata, name):
    return [value for key, value in metadata if key == name]


def assert_passed(service, path, bearer):
    """The server was called once, with this token and no cookie."""
    (metadata,) = service.calls(path)
    assert values(metadata, "authorization") == [bearer]
    assert values(metadata, "cookie") == []


@pytest.mark.parametrize("vouched", [OWN_PAGE, ("sec-fetch-site", "same-origin")], ids=["own_origin", "same_origin"])
@pytest.mark.parametrize("kind", KINDS)
def test_call_with_a_session_carries_its_token(auth, service, channel, method, kind, vouched):
    session = auth.sign_in()
    for _exchanged_then_cached in range(2):
        path = method(kind)
        assert call(channel, path, ("cookie", session.cookie), vouched) == ANSWERS[kind]
        assert_passed(service, path, session.bearer)


@pytest.mark.parametrize("field", ["authorization", "cookie"])
@pytest.mark.parametrize("kind", KINDS)
def test_call_with_a_token_of_its_own_carries_it(service, channel, method, kind, field):
    token, path = tokens.mint(), method(kind)
    metadata = {"authorization": [("authorization", f"Bearer {token}")], "cookie": [("cookie", f"access_token={token}"), OWN_PAGE]}
    assert call(channel, path, *metadata[field]) == ANSWERS[kind]
    assert_passed(service, path, f"Bearer {token}")


def test_session_and_the_rest_of_the_jar_come_in_metadata_of_their_own(auth, service, channel, method):
    session, path = auth.sign_in(), method("unary_unary")
    call(channel, path, ("cookie", "a=1"), ("cookie", session.cookie), ("cookie", "b=2"), OWN_PAGE)
    (metadata,) = service.calls(path)
    assert values(metadata, "authorization") == [session.bearer]
    assert "; ".join(values(metadata, "cookie")) == "a=1; b=2"


@pytest.mark.parametrize("kind", KINDS)
def test_call_without_a_credential_is_anonymous_where_that_is_allowed(service, channel, method, kind):
    path = method(kind, "/optional")
    assert call(channel, path, ("authorization", "Basic dXNlcjpwYXNz")) == ANSWERS[kind]
    (metadata,) = service.calls(path)
    assert values(metadata, "authorization") == []


@pytest.mark.parametrize("kind", KINDS)
def test_call_to_an_off_route_passes_without_the_clients_authorization(service, channel, method, kind):
    path = method(kind, "/off")
    assert call(channel, path, ("authorization", f"Bearer {tokens.mint()}")) == ANSWERS[kind]
    (metadata,) = service.calls(path)
    assert values(metadata, "authorization") == []


# Refusals

WRONG = tokens.mint(tokens.WRONG_SECRET)
REFUSED = {
    "no_credential": ("/api", [], grpc.StatusCode.UNAUTHENTICATED),
    "unknown_session": ("/api", [("cookie", "session=unknown"), OWN_PAGE], grpc.StatusCode.UNAUTHENTICATED),
    "bearer_that_does_not_verify": ("/api", [("authorization", f"Bearer {WRONG}")], grpc.StatusCode.UNAUTHENTICATED),
    "token_cookie_that_does_not_verify": ("/api", [("cookie", f"access_token={WRONG}"), OWN_PAGE], grpc.StatusCode.UNAUTHENTICATED),
    "scope_is_missing": ("/admin", [("authorization", f"Bearer {tokens.mint(scope='read')}")], grpc.StatusCode.PERMISSION_DENIED),
    "two_sessions": ("/api", [("cookie", "session=one; session=two"), OWN_PAGE], grpc.StatusCode.INTERNAL),
}


def assert_refused(service, path, error, status):
    """The client knows why in gRPC's own words, and the server knows nothing."""
    assert error.code() == status
    assert error.details(), "the refusal says nothing"
    assert service.calls(path) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", REFUSED)
def test_refusal_has_the_status_that_grpc_has_for_it(service, channel, method, case, kind):
    prefix, metadata, status = REFUSED[case]
    path = method(kind, prefix)
    with pytest.raises(grpc.RpcError) as refused:
        call(channel, path, *metadata)
    assert_refused(service, path, refused.value, status)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("origin", [None, "https://evil.example", "null"], ids=["none", "foreign", "null"])
def test_call_by_a_page_of_another_site_is_denied_before_anybody_is_asked(auth, service, channel, method, origin, kind):
    session, path = auth.sign_in(), method(kind)
    with pytest.raises(grpc.RpcError) as refused:
        call(channel, path, ("cookie", session.cookie), *([("origin", origin)] if origin else []))
    assert_refused(service, path, refused.value, grpc.StatusCode.PERMISSION_DENIED)
    assert auth.calls(session) == []


@pytest.mark.parametrize("kind", KINDS)
def test_outage_of_the_auth_service_is_unavailable(auth, service, channel, method, kind):
    session, path = auth.sign_in(answers.status(404)), method(kind)
    with pytest.raises(grpc.RpcError) as refused:
        call(channel, path, ("cookie", session.cookie), OWN_PAGE)
    assert_refused(service, path, refused.value, grpc.StatusCode.UNAVAILABLE)
    assert 1 <= int(dict(refused.value.trailing_metadata())["retry-after"]) <= 30


# Streams


def test_answering_stream_arrives_while_it_is_produced(auth, service, channel, method):
    session, path = auth.sign_in(), method("unary_stream")
    go_on = service.hold(path)
    metadata = [("cookie", session.cookie), OWN_PAGE]
    stream = channel.unary_stream(path)(b"first", metadata=metadata, timeout=TIMEOUT_SECONDS)
    try:
        assert next(stream) == b"first"  # a proxy that collected the stream would have nothing to give yet
    finally:
        go_on()
    assert len(list(stream)) == STREAMED - 1
    assert stream.code() == grpc.StatusCode.OK


def test_both_sides_of_a_stream_take_turns(auth, service, channel, method):
    session, path, sent = auth.sign_in(), method("stream_stream"), queue.SimpleQueue()
    metadata = [("cookie", session.cookie), OWN_PAGE]
    stream = channel.stream_stream(path)(iter(sent.get, None), metadata=metadata, timeout=TIMEOUT_SECONDS)
    for number in range(50):
        sent.put(b"%d" % number)
        assert next(stream) == b"again %d" % number
    sent.put(None)
    assert list(stream) == []
    assert_passed(service, path, session.bearer)


@pytest.mark.parametrize("kind", KINDS)
def test_call_waits_for_the_exchange_of_its_session(auth, service, channel, method, kind):
    gate, session, path = answers.Gate(), auth.sign_in(), method(kind)
    auth.script(session, gate.before(answers.token(session.token)))
    sent = iter([b"one", b"two"]) if kind.startswith("stream") else b"one"
    metadata = [("cookie", session.cookie), OWN_PAGE]
    begin = getattr(channel, kind)(path)
    begin = begin if kind.endswith("stream") else begin.future
    pending = begin(sent, metadata=metadata, timeout=TIMEOUT_SECONDS)
    try:
        eventually(lambda: auth.calls(session), what="the callout")
        assert service.calls(path) == []
    finally:
        gate.open()
    assert (list(pending) if kind.endswith("stream") else [pending.result()]) == ANSWERS[kind]
    assert_passed(service, path, session.bearer)


def test_call_whose_deadline_passes_during_the_exchange_never_reaches_the_server(auth, service, channel, method):
    gate, session, path = answers.Gate(), auth.sign_in(), method("unary_unary")
    auth.script(session, gate.before(answers.token(session.token)))
    metadata = [("cookie", session.cookie), OWN_PAGE]
    pending = channel.unary_unary(path).future(b"one", metadata=metadata, timeout=1)
    try:
        eventually(lambda: auth.calls(session), what="the callout")
        assert pending.exception().code() == grpc.StatusCode.DEADLINE_EXCEEDED
    finally:
        gate.open()
    later = method("unary_unary")
    assert call(channel, later, *metadata) == [b"again one"]
    assert_passed(service, later, session.bearer)
    assert service.calls(path) == []


def test_large_messages_pass_both_ways(auth, channel, method):
    session, message = auth.sign_in(), bytes(LARGE_MESSAGE_BYTES)
    metadata = ("cookie", session.cookie), OWN_PAGE
    assert call(channel, method("unary_unary"), *metadata, messages=[message]) == [b"again " + message]


def test_trailing_metadata_of_the_server_reaches_the_client(auth, channel, method):
    metadata = [("cookie", auth.sign_in().cookie), OWN_PAGE]
    _, done = channel.unary_unary(method("unary_unary")).with_call(b"one", metadata=metadata, timeout=TIMEOUT_SECONDS)
    assert dict(done.trailing_metadata())["x-trailer"] == "of the backend"
