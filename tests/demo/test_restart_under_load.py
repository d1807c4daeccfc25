"""Proves that an auth service that crashes again and again is noticed by nobody who is signed in.

The real better-auth is killed without warning and started anew while clients of every kind keep asking, those who are signed in as
fast as they are answered. LOAD_SECONDS says for how long, 15 unless it is set.
"""

import base64
import collections
import os
import secrets
import time
import urllib.parse

import pytest

from caller import ME, Caller, all_running, always, cookie_header
from counters import counter
from harness.envoy import TRAP
from harness.eventually import eventually
from smoke import Browser
from stack import plugin

LOAD_SECONDS = float(os.environ.get("LOAD_SECONDS", "15"))
MAX_TTL_SECONDS = 2
USERS = 8
NEWCOMERS = 4
# Short, so that several crashes fit in; long enough for what was remembered to become due meanwhile.
OUTAGE_SECONDS = MAX_TTL_SECONDS + 1
RECOVERY_SECONDS = 40


@pytest.fixture
def edge(demo):
    """One more Envoy before the demo's services, which asks about a session every two seconds."""

    def edit(config):
        plugin(config)["cache"] = {"max_ttl": f"{MAX_TTL_SECONDS}s"}

    envoy = demo.add_envoy("restarts", edit=edit)
    envoy.start()
    yield envoy
    envoy.stop()
    demo.auth.restart()


def unknown_session(_status: int) -> str:
    """A cookie in the form of better-auth's, another one each time."""
    signature = urllib.parse.quote(base64.b64encode(secrets.token_bytes(32)))
    return f"better-auth.session_token={secrets.token_urlsafe(24)}.{signature}"


def test_users_who_are_signed_in_see_no_error_while_the_auth_service_crashes_again_and_again(demo, edge, sign_up, tell):
    users = [cookie_header(sign_up().cookies) for _ in range(USERS)]
    for user in users:
        assert Browser(f"http://127.0.0.1:{edge.port}").call("GET", ME, headers={"cookie": user}).status == 200

    kinds = {
        "signed in": Caller.to(edge.port, *map(always, users * 2)),
        "unknown session": Caller.to(edge.port, *[unknown_session] * 4, pause=0.05),
        "no session": Caller.to(edge.port, *[always(None)] * 4, pause=0.05),
    }
    new, recovered = collections.Counter(), []
    began = time.monotonic()
    with all_running(kinds):
        while time.monotonic() < began + LOAD_SECONDS:
            newcomers = [cookie_header(sign_up().cookies) for _ in range(NEWCOMERS)]
            stale = counter(edge, "allowed_stale")
            demo.auth.kill()
            with Caller.to(edge.port, *map(always, newcomers), pause=0.05) as newcomer:
                time.sleep(OUTAGE_SECONDS)
                assert newcomer.last() == [503] * NEWCOMERS
                eventually(lambda: counter(edge, "allowed_stale") > stale, within=10, what="a stale token in use")
                demo.auth.start()
                back, tokens = time.monotonic(), counter(edge, "exchange_token")
                eventually(lambda: newcomer.last() == [200] * NEWCOMERS, within=RECOVERY_SECONDS, what="the newcomers let in")
                recovered.append(time.monotonic() - back)
                eventually(
                    lambda: counter(edge, "exchange_token") >= tokens + NEWCOMERS + USERS, within=RECOVERY_SECONDS, what="exchanges for all"
                )
            new += newcomer.counts()

    counts = {kind: caller.counts() for kind, caller in kinds.items()} | {"new": new}
    tell(f"the auth service was killed {len(recovered)} times in {time.monotonic() - began:.0f} s; what was answered to whom:")
    for kind, statuses in counts.items():
        tell(f"  {kind:16}" + "".join(f"{status}: {count:<8}" for status, count in sorted(statuses.items())))
    tell(f"  newcomers were let in {max(recovered):.2f} s after the auth service was back, at the latest")
    assert set(counts["signed in"]) == {200}
    assert set(counts["no session"]) == {401}
    assert set(counts["unknown session"]) == {401, 503}
    assert set(counts["new"]) == {200, 503}
    assert not TRAP.search(edge.log())
