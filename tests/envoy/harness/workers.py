"""Envoy's workers: connections that are spread over them evenly, so that each of them gets to see a session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from .client import Answer, Client, Connection, head
from .envoy import Envoy
from .eventually import eventually

ACCEPTED = r"listener\.127.*\.worker_\d+\.downstream_cx_total"
OPEN = r"listener\.127.*\.worker_\d+\.downstream_cx_active"


def balanced(config: dict) -> None:
    """Lets Envoy give each new connection to the worker that has the fewest."""
    for listener in config["static_resources"]["listeners"]:
        listener["connection_balance_config"] = {"exact_balance": {}}


@contextlib.contextmanager
def connections(envoy: Envoy, client: Client, *, each: int = 1) -> Iterator[list[Connection]]:
    """Open connections to a balanced listener, `each` on every worker; the first ones are on different workers."""
    eventually(lambda: len(set(envoy.stats(OPEN).values())) == 1, what="an even spread before")
    before = envoy.stats(ACCEPTED)
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(each * envoy.workers):
            opened.append(stack.enter_context(client.open()))
            ask(opened[-1], path="/off/which-worker")  # an answer means that a worker has it
        accepted = [count - before[name] for name, count in envoy.stats(ACCEPTED).items()]
        assert accepted == [each] * envoy.workers, f"connections are not spread evenly: {accepted}"
        yield opened


def send(connection: Connection, session, path: str = "/api/workers") -> None:
    """Asks for a session and leaves the answer unread."""
    connection.send(head(path, ("cookie", session.cookie.encode())))


def ask(connection: Connection, session=None, path: str = "/api/workers") -> Answer:
    """One request, with the cookie of a session when there is one, and its answer."""
    connection.send(head(path, *([("cookie", session.cookie.encode())] if session else [])))
    return connection.read()
