"""Proves that large bodies pass with a session, wait outside while it is exchanged, and go nowhere without one."""

import hashlib
import os

import pytest

from harness import answers
from harness.client import head
from harness.eventually import eventually
from harness.origin import OWN_PAGE
from harness.problem import assert_problem

FIVE_MEGABYTES = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def upload():
    return os.urandom(FIVE_MEGABYTES)


def test_5_mb_upload_arrives_whole_with_a_session(auth, client, target, upload):
    session = auth.sign_in()
    for _exchanged_then_cached in range(2):
        upstream = client.request("POST", target(), cookie=session.cookie, headers=[OWN_PAGE], body=upload).upstream
        assert upstream.values("authorization") == [session.bearer]
        assert upstream.body_sha256 == hashlib.sha256(upload).hexdigest()


def test_upload_waits_outside_while_its_session_is_exchanged(auth, backend, client, target, upload):
    gate, path = answers.Gate(), target()
    session = auth.sign_in()
    auth.script(session, gate.before(answers.token(session.token)))
    first = upload[:32_768]
    with client.open() as connection:
        length = ("content-length", str(len(first) * 2).encode())
        connection.send(head(path, ("cookie", session.cookie.encode()), OWN_PAGE, length, method="POST"))
        connection.send(first)
        eventually(lambda: auth.calls(session), what="the callout")
        assert backend.requests(path) == []
        gate.open()
        connection.send(first)
        assert connection.read().upstream.body_sha256 == hashlib.sha256(first * 2).hexdigest()


@pytest.mark.parametrize("cookie", [None, "session=unknown"], ids=["no_credential", "refused_session"])
def test_upload_without_a_valid_session_is_answered_401_and_not_delivered(auth, backend, client, target, upload, cookie):
    path = target()
    headers = [("content-length", str(len(upload)).encode())] + ([("cookie", cookie.encode()), OWN_PAGE] if cookie else [])
    with client.open() as connection:
        connection.send(head(path, *headers, method="POST"))
        assert_problem(connection.read(), 401)
    assert backend.requests(path) == []


def test_chunked_upload_arrives_whole(auth, client, target, upload):
    session, path = auth.sign_in(), target()
    chunks = [upload[start : start + 60_000] for start in range(0, 600_000, 60_000)]
    with client.open() as connection:
        connection.send(head(path, ("cookie", session.cookie.encode()), OWN_PAGE, ("transfer-encoding", b"chunked"), method="POST"))
        for chunk in chunks:
            connection.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        connection.send(b"0\r\n\r\n")
        upstream = connection.read().upstream
    assert upstream.values("authorization") == [session.bearer]
    assert upstream.body_sha256 == hashlib.sha256(b"".join(chunks)).hexdigest()
