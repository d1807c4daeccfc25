"""Clients that go on asking in the background, and what each of their requests was answered."""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from harness.client import Connection, head

ME = "/api/v1/auth/me"


@dataclass(frozen=True)
class Asked:
    """One request: when it was sent, in seconds since 1970, and the status of its answer."""

    sent: float
    status: int


# Gives the Cookie header of the next request, or None for a request without; is told the status of the last answer, 0 at first.
Cookies = Callable[[int], str | None]


def always(cookie: str | None) -> Cookies:
    return lambda _status: cookie


def cookie_header(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


class Caller:
    """Asks in rounds, with one request on each of its connections, all sent before the first answer is read.

    Use as a context manager. The connections are kept from first to last, so that each stays with its worker; one that Envoy
    closes, or that gets no answer, is an error, raised at the end.
    """

    def __init__(self, connections: list[tuple[Connection, Cookies]], *, path: str = ME, pause: float = 0) -> None:
        self.answers: list[list[Asked]] = [[] for _ in connections]
        self._connections = connections
        self._path = path
        self._pause = pause
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @classmethod
    def to(cls, port: int, *clients: Cookies, **options) -> Caller:
        """A caller with a new connection for each of these clients."""
        return cls([(Connection(port), client) for client in clients], **options)

    def __enter__(self) -> Caller:
        self._thread.start()
        return self

    def __exit__(self, kind, *_exc) -> None:
        self._stop.set()
        self._thread.join()
        for connection, _ in self._connections:
            connection.close()
        if self._error is not None and kind is None:
            raise self._error

    def counts(self) -> collections.Counter[int]:
        """How many of its requests were answered with which status."""
        return collections.Counter(asked.status for answers in self.answers for asked in answers)

    def last(self) -> list[int]:
        """The status of the last answer on each connection, 0 where there was none yet."""
        if self._error is not None:
            raise self._error
        return [answers[-1].status if answers else 0 for answers in self.answers]

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._round()
                self._stop.wait(self._pause)
        except Exception as error:
            self._error = error

    def _round(self) -> None:
        sent = []
        for (connection, cookies), answers in zip(self._connections, self.answers, strict=True):
            cookie = cookies(answers[-1].status if answers else 0)
            sent.append(time.time())
            connection.send(head(self._path, *([("cookie", cookie.encode())] if cookie else [])))
        for (connection, _), answers, moment in zip(self._connections, self.answers, sent, strict=True):
            answers.append(Asked(moment, connection.read().status))


@contextlib.contextmanager
def all_running(callers: dict[str, Caller]):
    """The callers by their kind, started and stopped together."""
    with contextlib.ExitStack() as running:
        for caller in callers.values():
            running.enter_context(caller)
        yield callers
