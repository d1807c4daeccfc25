"""A scripted auth service: it knows the sessions a test opened, answers as told and keeps every callout it got."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import threading
from dataclasses import dataclass

from . import answers, tokens
from .http1 import Received, Server, read_body


@dataclass(frozen=True)
class Session:
    """A signed-in browser: the value of its cookie and the token that the auth service gives for it."""

    value: str
    token: str
    name: str = "session"

    @property
    def cookie(self) -> str:
        return f"{self.name}={self.value}"

    @property
    def bearer(self) -> str:
        return f"Bearer {self.token}"


class AuthService(Server):
    """Answers by the session value found in the callout's Cookie header; what it was not told about is no session."""

    def __init__(self) -> None:
        self._scripts: dict[str, list[answers.Answer]] = {}
        self._calls: list[Received] = []
        self._lock = threading.Lock()
        self._users = itertools.count(1)
        super().__init__()

    def sign_in(self, *script: answers.Answer, name: str = "session", token: str | None = None) -> Session:
        """Opens a session nobody else uses. Answers are given in order, the last one again and again."""
        number = next(self._users)
        minted = token or tokens.mint(sub=f"user-{number}", email=f"user{number}@example.com")
        session = Session(f"v{number}.{secrets.token_urlsafe(24)}", minted, name)
        self.script(session, *(script or (answers.token(minted),)))
        return session

    def script(self, session: Session, *script: answers.Answer) -> None:
        """What the session's next callouts get, from now on."""
        with self._lock:
            self._scripts[session.value] = list(script)

    def calls(self, session: Session) -> list[Received]:
        """The callouts made for a session so far."""
        with self._lock:
            return [call for call in self._calls if session.value in _values(call)]

    def count(self) -> int:
        """All callouts so far, whatever they carried."""
        with self._lock:
            return len(self._calls)

    async def answer(self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(reader, request)
        await self._next(request)(writer)

    def _next(self, request: Received) -> answers.Answer:
        with self._lock:
            self._calls.append(request)
            for value in _values(request):
                if script := self._scripts.get(value):
                    return script.pop(0) if len(script) > 1 else script[0]
        return answers.status(401)


def _values(request: Received) -> list[str]:
    """The values of all cookies of a request."""
    pairs = b"; ".join(request.values("cookie")).decode("latin-1").split("; ")
    return [pair.partition("=")[2] for pair in pairs]
