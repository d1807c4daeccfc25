"""The Envoy that is measured: kept on cores of its own, with its CPU time and memory as the kernel counts them."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "envoy"), str(ROOT / "envoy" / "demo")]

from harness.envoy import START_SECONDS, Envoy  # noqa: E402

CORES = sorted(os.sched_getaffinity(0))
# Interrupts tend to arrive on the first core, so what is measured gets the last one.
MEASURED = CORES[-1:]
LOADING = CORES[:1]


class Proxy(Envoy):
    """One worker on one core, unless asked for otherwise."""

    def __init__(self, config: dict, directory: Path, *, cores: list[int] | None = None, workers: int = 1) -> None:
        super().__init__(config, directory, workers=workers, log_level="warning")
        self._cores = cores or MEASURED

    def launch(self, *arguments: str) -> None:
        # A process inherits where it may run, which holds for its threads from the first one on.
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self._cores)
        try:
            super().launch(*arguments)
        finally:
            os.sched_setaffinity(0, before)

    def port(self) -> int:
        return self.client().port

    def cpu(self) -> float:
        """The seconds of CPU time that all threads have had. Envoy's threads end with the process, so none is forgotten."""
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def seconds_until_ready(self) -> float:
        """Starts the process, and stops it as soon as its admin interface says that it is ready."""
        address = self.directory / "admin"
        address.unlink(missing_ok=True)
        began = time.monotonic()
        self.launch()
        try:
            while time.monotonic() < began + START_SECONDS:
                if _is_ready(address):
                    return time.monotonic() - began
                if self._process.poll() is not None:
                    break
                time.sleep(0.002)
            raise SystemExit(f"error: Envoy did not start:\n{self.log_tail()}")
        finally:
            self.stop()

    def requests_from_memory(self) -> tuple[int, int]:
        """How many requests the filter let through with a token it remembered, and how many it let through in all."""
        # The workers hand their counts to Envoy about once a second.
        time.sleep(1.5)
        counts = {name.partition("{")[0]: value for name, value in self.metrics().items()}
        allowed = {name: value for name, value in counts.items() if name.startswith("session_bearer_allowed_")}
        return int(allowed["session_bearer_allowed_hit"]), int(sum(allowed.values()))


def _is_ready(address: Path) -> bool:
    if not address.exists() or not (where := address.read_text().strip()):
        return False
    try:
        with urllib.request.urlopen(f"http://{where}/ready", timeout=1) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def keep_to(cores: list[int]) -> None:
    """Where this program and all it starts runs: the load generator and the services."""
    os.sched_setaffinity(0, cores)


def cores_in_use() -> float:
    """How many cores all programs together kept busy for a second."""

    def busy() -> int:
        user, nice, system = Path("/proc/stat").read_text().split()[1:4]
        return int(user) + int(nice) + int(system)

    before = busy()
    time.sleep(1)
    return (busy() - before) / os.sysconf("SC_CLK_TCK")


def machine(envoy: Envoy) -> dict[str, str]:
    """What the figures depend on, without saying whose machine it is."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    version = json.loads(envoy.admin("/server_info"))["version"].split("/")
    return {
        "CPU": models[0] if models else os.uname().machine,
        "cores": str(len(CORES)),
        "memory": f"{memory / 2**30:.0f} GiB",
        "kernel": f"{os.uname().sysname} {os.uname().release}",
        "Envoy": f"{version[1]} ({version[3].lower()}, {version[4]})",
    }
