"""Proves that the access log of docs/metrics.md can be read, tells what became of each request, and holds no secret."""

import json
import uuid

import pytest
import yaml

from harness import answers, source, tokens
from harness.bootstrap import connection_manager, plugin
from harness.documents import METRICS, sections, yaml_blocks
from harness.eventually import eventually
from harness.origin import OWN_PAGE

FILE = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
CREDENTIALS = [{"bearer": {}}, {"session_cookie": {"names": ["session"]}}]
SECRET = "planted-secret-0123456789-abcdefghijklmnop"


def documented() -> dict:
    """The entry of `access_log` as it stands in the document."""
    (block,) = yaml_blocks(sections(METRICS)["Access log"])
    (entry,) = yaml.safe_load(block)["access_log"]
    return entry


FIELDS = documented()["typed_config"]["log_format"]["json_format"]


@pytest.fixture(scope="module")
def logging(start_envoy, tmp_path_factory):
    """A client of an Envoy with the documented format, and the file it goes to."""
    path = tmp_path_factory.mktemp("access-log") / "access.log"

    def edit(config):
        entry = documented()
        entry["name"] = "envoy.access_loggers.file"
        entry["typed_config"] |= {"@type": FILE, "path": str(path)}
        connection_manager(config)["access_log"] = [entry]

    sections = {"credentials": CREDENTIALS, "exchange": {"timeout": "300ms"}, "unauthenticated": {"sign_in": {"location": "/off/sign-in"}}}
    return start_envoy(plugin(**sections), edit=edit, secret=SECRET).client(), path


@pytest.fixture(scope="module")
def logged(logging):
    """What the log says of the request for a path, which comes once."""

    def entry(target: str) -> dict:
        def found() -> list[dict]:
            lines = logging[1].read_text().splitlines() if logging[1].exists() else []
            return [entry for entry in map(json.loads, lines) if entry["path"] == target]

        (only,) = eventually(found, what=f"the line of {target}")
        return only

    return entry


def signed_in(auth, **claims):
    return auth.sign_in(token=tokens.mint(SECRET, **claims))


CASES = [
    pytest.param({"session": True}, 200, "allowed_miss", "session_cookie", "ada", id="session"),
    pytest.param({"authorization": f"Bearer {tokens.mint(SECRET, sub='bob')}"}, 200, "allowed_verified", "bearer", "bob", id="bearer"),
    pytest.param({"target": "/optional"}, 200, "allowed_anonymous", "none", None, id="anonymous"),
    pytest.param({"target": "/off"}, 200, "allowed_off", "none", None, id="off"),
    pytest.param({}, 401, "denied_no_credential", "none", None, id="no_credential"),
    pytest.param({"headers": [("sec-fetch-mode", "navigate")]}, 302, "denied_no_credential", "none", None, id="sent_to_sign_in"),
    pytest.param({"cookie": "session=planted-unknown"}, 401, "denied_session_refused", "session_cookie", None, id="refused"),
    pytest.param({"cookie": "session=planted-a; session=planted-b"}, 400, "denied_conflicting_cookies", "none", None, id="conflicting"),
    pytest.param({"authorization": "Bearer planted.bearer.token"}, 401, "denied_invalid_token", "bearer", None, id="invalid"),
    pytest.param({"session": True, "method": "POST"}, 403, "denied_cross_origin", "session_cookie", None, id="cross_origin"),
    pytest.param({"fault": answers.status(500)}, 503, "denied_exchange_failed", "session_cookie", None, id="outage"),
    pytest.param({"fault": answers.never()}, 503, "denied_exchange_failed", "session_cookie", None, id="timeout"),
    pytest.param({"fault": answers.token(tokens.mint())}, 503, "denied_unverified_token", "session_cookie", None, id="unverified"),
]


@pytest.mark.parametrize(("request_", "status", "outcome", "credential", "subject"), CASES)
def test_line_tells_what_became_of_the_request(auth, logging, logged, request_, status, outcome, credential, subject):
    asked = dict(request_)
    path = f"{asked.pop('target', '/api')}/{uuid.uuid4()}"
    if asked.pop("session", False):
        asked["cookie"] = signed_in(auth, sub="ada").cookie
    if fault := asked.pop("fault", None):
        asked["cookie"] = auth.sign_in(fault).cookie
    assert logging[0].request(asked.pop("method", "GET"), f"{path}?q=planted-query", **asked).status == status
    entry = logged(path)
    assert entry.keys() == FIELDS.keys()
    assert (entry["status"], entry["outcome"], entry["credential"], entry["subject"]) == (status, outcome, credential, subject)
    assert outcome in source.counters()
    assert (entry["details"] or None) == ("via_upstream" if status == 200 else None)


def test_line_of_what_envoy_answered_itself_has_no_outcome_and_says_why(logging):
    assert logging[0].get("/api/a%2fb").status == 400
    entries = eventually(lambda: [line for line in read(logging[1]) if line["details"] == "path_normalization_failed"], what="its line")
    assert entries[0]["outcome"] is None


def read(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_log_holds_no_secret(auth, logging, logged):
    client, path = logging
    session = signed_in(auth, sub="carol", email="carol@planted.example")
    auth.script(session, answers.token(session.token, ("set-cookie", "session=planted-renewed; Path=/")))
    headers = [OWN_PAGE, ("referer", "https://app.example.com/?planted-referer"), ("x-answer-header", "set-cookie:other=planted-cookie")]
    target = f"/api/{uuid.uuid4()}"
    for _exchanged_then_known in range(2):
        answer = client.request(
            "POST", f"{target}?planted=query", cookie=f"{session.cookie}; other=planted-neighbour", headers=headers, body=b"planted"
        )
        assert answer.status == 200
    eventually(lambda: sum(entry["path"] == target for entry in read(path)) == 2, what="both lines")
    text = path.read_text()
    assert "carol" in text and "planted" not in text
    for secret in (session.value, *session.token.split("."), SECRET):
        assert secret not in text
