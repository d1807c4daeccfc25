"""Every outcome there is, made by real requests to three Envoys, each with something of its own the matter with it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from . import answers, tokens
from .auth_service import AuthService
from .bootstrap import KEYS_CLUSTER, PLUGIN, add_cluster, bootstrap, plugin, remote_keys, wasm_plugin
from .client import Client, head
from .counts import WITHIN_SECONDS, values
from .echo_backend import EchoBackend
from .endless import events
from .envoy import Envoy
from .eventually import eventually
from .key_endpoint import KeyEndpoint
from .keys import SigningKey
from .origin import OWN_PAGE
from .stream import Stream
from .updated import Updated
from .workers import ask, balanced, connections

EVERY_KIND = [{"bearer": {}}, *PLUGIN["credentials"], {"token_cookie": {"names": ["access_token"]}}]
MAX_TTL_SECONDS = 2
MAX_ENTRIES = 8
MAX_IN_FLIGHT = 2
SIGN_OUT = "/api/sign-out"
OTHER_SITES = 30  # so many requests of theirs are more than a few in a hundred

BUSY = plugin(
    credentials=EVERY_KIND,
    exchange={"timeout": "800ms", "max_in_flight": MAX_IN_FLIGHT},
    cache={"max_ttl": f"{MAX_TTL_SECONDS}s", "refresh_ahead": "1900ms", "max_entries": MAX_ENTRIES, "sign_out_paths": [SIGN_OUT]},
    token={"leeway": "0s"},
    routes=[{"match": {"prefix": "/admin"}, "auth": "required", "require": {"claims": {"role": "admin"}}}, *PLUGIN["routes"]],
    upstream={"max_stream_age": "token"},
    unauthenticated={"sign_in": {"location": "/off/sign-in"}},
)
KEYLESS = plugin(
    credentials=EVERY_KIND, exchange={"cluster": "nowhere"}, token={"keys": remote_keys(timeout="300ms", refresh="1s")}, report_only=True
)
# Tokens of clients that are not accepted, and answers of the auth service, by how they are counted.
REFUSED = {
    "form": "a.b",
    "header": tokens.with_header(tokens.mint(), crit=["x"]),
    "algorithm": tokens.mint(tokens.SECRET * 2, algorithm="HS512"),
    "type": tokens.mint(headers={"typ": "dpop+jwt"}),
    "signature": tokens.mint(tokens.WRONG_SECRET),
    "claims": tokens.mint(without=("exp",)),
    "time": tokens.mint(exp=1),
    "issuer": tokens.mint(iss="somebody-else"),
    "audience": tokens.mint(aud="another-api"),
    "required_claim": tokens.mint(without=("sub",)),
}
FAULTS = {
    "server_error": answers.status(500),
    "throttled": answers.status(429),
    "reset": answers.cut_inside_the_body("x"),
    "unexpected_status": answers.status(404),
    "unreadable": answers.html(),
    "unverified_token": answers.token(tokens.mint(tokens.WRONG_SECRET)),
    "timeout": answers.never(),
}


def without_filter_state(config: dict) -> None:
    """Takes a capability from the module without which its VM fails with every request."""
    del wasm_plugin(config)["capability_restriction_config"]["allowed_capabilities"]["proxy_set_property"]


class Outcomes:
    """Use as a context manager; `drive` makes the requests."""

    def __init__(self, auth: AuthService, backend: EchoBackend, folder: Path) -> None:
        self._auth, self._backend, self._folder = auth, backend, folder
        self._keys = KeyEndpoint()
        self._keys.script(answers.status(500))
        self._stack = contextlib.ExitStack()
        self._dying = Updated(auth.port, backend.port, folder / "dying", edit=without_filter_state, workers=1)
        self.envoys = {
            "busy": self._envoy("busy", BUSY, balanced, workers=2),
            "keyless": self._envoy("keyless", KEYLESS, lambda config: add_cluster(config, KEYS_CLUSTER, self._keys.port), workers=1),
            "dying": self._dying.envoy,
        }

    def _envoy(self, name: str, configuration: dict, edit: Callable[[dict], None], *, workers: int) -> Envoy:
        config = bootstrap(self._auth.port, self._backend.port, configuration)
        config["stats_flush_interval"] = "0.5s"  # how often Envoy brings the workers' histograms together
        edit(config)
        return Envoy(config, self._folder / name, workers=workers, log_level="info")

    def __enter__(self) -> Outcomes:
        with self._stack as stack:
            stack.callback(self._keys.close)
            for name in ("busy", "keyless"):
                stack.enter_context(self.envoys[name])
            stack.enter_context(self._dying)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc) -> None:
        self._stack.close()

    def drive(self) -> None:
        """Takes about ten seconds."""
        client = self.envoys["busy"].client()
        self._lose_a_vm()
        self._do_without_keys(self.envoys["keyless"].client())
        refuse_without_a_callout(client, self._auth.sign_in().cookie)
        self._know_sessions(client)
        self._see_responses(client)
        self._fail(client)
        self._end_a_stream(client)
        self._pause(client)

    def _count(self, name: str, metric: str) -> float:
        return values(self.envoys[name])[f"session_bearer_{metric}"]

    def _lose_a_vm(self) -> None:
        client, envoy = self._dying.envoy.client(), self._dying.envoy
        reloaded = "wasm.session_bearer.vm_reload_success"
        eventually(
            lambda: client.get("/off").status == 503 and envoy.stat(reloaded), within=10, what="a VM in the place of one that failed"
        )
        self._dying.refuse(plugin(nonsense=True))

    def _do_without_keys(self, client: Client) -> None:
        key = SigningKey()
        assert client.get("/api", authorization=f"Bearer {key.mint()}").status == 200
        assert client.get("/api", cookie=self._auth.sign_in().cookie).status == 200
        self._keys.publish(key)
        eventually(lambda: self._count("keyless", "keys_loaded"), within=10, what="keys")
        assert client.get("/api", authorization=f"Bearer {SigningKey().mint()}").status == 200
        self._keys.script(answers.status(500))

    def _know_sessions(self, client: Client) -> None:
        known = self._auth.sign_in()
        with connections(self.envoys["busy"], client) as (here, there):
            assert [ask(where, known).status for where in (here, here, there)] == [200] * 3
            eventually(lambda: ask(here, known) and len(self._auth.calls(known)) > 1, what="a refresh")
            self._auth.script(known, answers.status(500))
            eventually(lambda: ask(here, known) and self._count("busy", "allowed_stale"), within=8, what="a stale hit")
            for _ in range(2 * MAX_ENTRIES):
                ask(here, self._auth.sign_in())

    def _see_responses(self, client: Client) -> None:
        session = self._auth.sign_in()
        assert client.get(SIGN_OUT, cookie=session.cookie).status == 200
        assert client.get("/api", cookie=session.cookie, headers=[("x-answer-status", "401")]).status == 401
        rolled = self._auth.sign_in()
        self._auth.script(rolled, answers.token(rolled.token, ("set-cookie", f"{rolled.cookie}; Path=/")))
        assert client.get("/api", cookie=rolled.cookie).values("set-cookie")

    def _fail(self, client: Client) -> None:
        for fault in FAULTS.values():
            assert client.get("/api", cookie=self._auth.sign_in(fault).cookie).status == 503
        with contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(client.open()) for _ in range(6 * MAX_IN_FLIGHT)]
            for connection in crowd:
                connection.send(head("/api", ("cookie", self._auth.sign_in(answers.never()).cookie.encode())))
            assert {connection.read().status for connection in crowd[1:]} == {503}
        session = self._auth.sign_in(answers.never())
        with client.open() as connection:
            connection.send(head("/api", ("cookie", session.cookie.encode())))
            eventually(lambda: self._auth.calls(session), what="the callout of a client that goes away")

    def _end_a_stream(self, client: Client) -> None:
        self._backend.script("/api/events", events())
        token = tokens.mint(exp=int(time.time()) + 2)
        stream = Stream(client, head("/api/events", ("authorization", f"Bearer {token}".encode())))
        assert stream.watch(until=time.time() + 8).closed
        stream.close()

    def _pause(self, client: Client) -> None:
        """Last, since nobody is asked about after it."""
        asks_for_it = answers.status(503, "{}", ("retry-after", "30"))

        def paused() -> float:
            client.get("/api", cookie=self._auth.sign_in(asks_for_it).cookie)
            return self._count("busy", "denied_paused")

        eventually(paused, within=WITHIN_SECONDS, what="a request in a pause")


def refuse_without_a_callout(client: Client, cookie: str) -> None:
    """Everything that is decided without asking anybody, and what lets pass without it."""
    good = f"Bearer {tokens.mint()}"
    for request, status in [
        ({"target": "/off"}, 200),
        ({"target": "/optional"}, 200),
        ({"target": "/api", "authorization": good}, 200),
        ({"target": "/admin", "authorization": good}, 403),
        ({"target": "/api"}, 401),
        ({"target": "/api", "headers": [("sec-fetch-mode", "navigate")]}, 302),
        ({"target": "/api", "cookie": 'session="quoted"'}, 401),
        ({"target": "/api", "cookie": "session=unknown"}, 401),
        ({"target": "/api", "cookie": "session=one; session=two"}, 400),
        ({"target": "/api", "headers": [("authorization", good), ("authorization", good)]}, 400),
        *(({"method": "POST", "target": "/api", "cookie": cookie}, 403) for _ in range(OTHER_SITES)),
        ({"method": "POST", "target": "/api", "cookie": cookie, "headers": [OWN_PAGE]}, 200),
        *(({"target": "/api", "authorization": f"Bearer {token}"}, 401) for token in REFUSED.values()),
    ]:
        assert client.request(request.pop("method", "GET"), request.pop("target"), **request).status == status, status
    assert client.raw(b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n").status == 400
