"""A browser with one session that comes back again and again over one kept connection, and so to one worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from .auth_service import Session
from .client import Answer, Client, head
from .eventually import eventually


@dataclass(frozen=True)
class Visit:
    """One request: what was answered, and between which two moments."""

    answer: Answer
    began: float
    ended: float

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def bearer(self) -> str | None:
        """What the backend got as Authorization; None when it was not reached, or without any."""
        values = self.answer.upstream.values("authorization") if self.status == 200 else []
        assert len(values) <= 1, f"{len(values)} Authorization values reached the backend"
        return values[0] if values else None


class Visitor:
    """Remembers its visits, so that a test can ask afterwards when what was served."""

    def __init__(self, client: Client, session: Session, target: str) -> None:
        self._connection = client.open()
        self._request = head(target, ("cookie", session.cookie.encode()))
        self._began = 0.0
        self.visits: list[Visit] = []

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_exc) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def visit(self) -> Visit:
        self.send()
        return self.receive()

    def send(self) -> None:
        """The first half of a visit, for those who have something to do while it waits."""
        self._began = time.time()
        self._connection.send(self._request)

    def receive(self) -> Visit:
        """The second half."""
        self.visits.append(Visit(self._connection.read(), self._began, time.time()))
        return self.visits[-1]

    def until(self, check: Callable[[Visit], bool], *, within: float, what: str) -> Visit:
        """Comes back until a visit is as wanted, and gives that one."""
        eventually(lambda: check(self.visit()), within=within, what=what)
        return self.visits[-1]
