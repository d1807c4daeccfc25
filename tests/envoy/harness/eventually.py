"""Waiting without sleeping for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], *, within: float = 5.0, what: str = "") -> T:
    """The first true value of `check`; fails with what it last gave when none came in time."""
    deadline = time.monotonic() + within
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or 'the condition'} did not come true within {within} s; last seen: {value!r}")
        time.sleep(0.02)
