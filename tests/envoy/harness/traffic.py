"""Requests without a pause, while something else happens."""

from __future__ import annotations

import threading

from .eventually import eventually


class Traffic:
    """Calls `ask` from several threads again and again until its block ends; what was answered is for `ask` to note."""

    def __init__(self, threads: int) -> None:
        self.statuses: list[int] = []
        self.over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join()

    def ask(self) -> None:
        """Some requests over one connection."""
        raise NotImplementedError

    def go_on(self, requests: int) -> None:
        """Waits until so many more have been answered."""
        goal = len(self.statuses) + requests
        eventually(lambda: len(self.statuses) >= goal, within=20, what=f"{requests} more answers")

    def _run(self) -> None:
        while not self.over.is_set():
            self.ask()
