"""One Envoy process: started with a configuration, asked through its admin interface, stopped at the end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import ClassVar

import httpx
import yaml

from . import paths, tokens
from .client import NO_TLS, Client
from .eventually import eventually

START_SECONDS = 40
TRAP = re.compile(r"Function: \w+ failed|Uncaught RuntimeError|panicked at")
METRIC = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?P<labels>\{.*\})? (?P<value>\S+)$")


class Envoy:
    """Listens on ports of its own choice. Use as a context manager, or `start` and `stop`. `log_level` is the filter's."""

    running: ClassVar[list[Envoy]] = []

    def __init__(
        self, bootstrap: dict | str, directory: Path, *, secret: str | None = tokens.SECRET, workers: int = 2, log_level: str = "trace"
    ) -> None:
        self.directory = directory
        self.workers = workers
        self.log_level = log_level
        self._secret = secret
        self._process: subprocess.Popen | None = None
        self._created = 0
        directory.mkdir(parents=True, exist_ok=True)
        self.log_path = directory / "envoy.log"
        text = bootstrap if isinstance(bootstrap, str) else yaml.safe_dump(bootstrap, sort_keys=False)
        (directory / "envoy.yaml").write_text(text)

    def __enter__(self) -> Envoy:
        return self.start()

    def __exit__(self, *_exc) -> None:
        self.stop()

    def start(self) -> Envoy:
        self.launch()
        Envoy.running.append(self)
        eventually(self._ready, within=START_SECONDS, what="a started Envoy")
        self._admin = httpx.Client(
            base_url=f"http://{(self.directory / 'admin').read_text().strip()}", trust_env=False, verify=NO_TLS, timeout=10
        )
        eventually(lambda: self.admin("/ready", any_status=True) == "LIVE\n", within=START_SECONDS, what="Envoy's /ready")
        self._created = self.stat("wasm.envoy.wasm.runtime.v8.created")
        return self

    def launch(self, *arguments: str) -> None:
        """Starts the process and does not wait for it to be ready."""
        paths.module()
        environment = {"PATH": os.environ.get("PATH", "")}
        if self._secret is not None:
            environment["JWT_SECRET"] = self._secret
        command = [
            str(paths.envoy_binary()),
            *("-c", str(self.directory / "envoy.yaml"), "--concurrency", str(self.workers), "--disable-hot-restart"),
            *("--admin-address-path", str(self.directory / "admin"), "--file-flush-interval-msec", "100"),
            *("--log-level", "info", "--component-log-level", f"wasm:{self.log_level}"),
            *arguments,
        ]
        # To a file of its own with --log-path, Envoy would write late, and not at all what it says before it gives up.
        with self.log_path.open("wb") as log:  # file names in envoy.yaml are relative to the root
            self._process = subprocess.Popen(command, cwd=paths.ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait(self) -> int:
        """The exit code of a process that is expected to end by itself."""
        return self._process.wait(timeout=START_SECONDS)

    def stop(self) -> None:
        if self in Envoy.running:
            Envoy.running.remove(self)
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _ready(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"Envoy ended with code {self._process.returncode} at its start:\n{self.log_tail()}")
        return (self.directory / "admin").exists() and bool((self.directory / "admin").read_text().strip())

    # What it says about itself

    def admin(self, path: str, *, any_status: bool = False) -> str:
        response = self._admin.get(path)
        assert any_status or response.status_code == 200, f"{path} answered {response.status_code}"
        return response.text

    def post(self, path: str) -> None:
        """Changes something through the admin interface."""
        assert self._admin.post(path).status_code == 200

    def client(self, listener: str | None = None) -> Client:
        """A client of a listener, by its name; of the only one when none is given."""
        listeners = json.loads(self.admin("/listeners?format=json"))["listener_statuses"]
        ports = {entry["name"]: entry["local_address"]["socket_address"]["port_value"] for entry in listeners}
        return Client(ports[listener] if listener else next(iter(ports.values())))

    def stat(self, name: str) -> int:
        """One counter or gauge of Envoy's own; 0 when it does not exist yet."""
        for line in self.admin("/stats").splitlines():
            key, _, value = line.partition(": ")
            if key == name:
                return int(value)
        return 0

    def stats(self, pattern: str) -> dict[str, int]:
        """The counters and gauges whose whole name matches."""
        found = {}
        for line in self.admin("/stats").splitlines():
            key, _, value = line.partition(": ")
            if re.fullmatch(pattern, key) and value.isdigit():
                found[key] = int(value)
        return found

    def metrics(self) -> dict[str, float]:
        """The filter's own metrics as Prometheus reads them, labels and all."""
        found = {}
        for line in self.admin("/stats/prometheus").splitlines():
            if line.startswith("session_bearer_") and (match := METRIC.match(line)):
                found[match["name"] + (match["labels"] or "")] = float(match["value"])
        return found

    def resident(self) -> int:
        """The bytes of memory that the process holds at the moment, as the kernel counts them."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024

    @property
    def version(self) -> tuple[int, ...]:
        """As in `(1, 40, 0)`."""
        number = json.loads(self.admin("/server_info"))["version"].split("/")[1]
        return tuple(int(part) for part in number.partition("-")[0].split("."))

    def memory(self) -> dict[str, int]:
        """What Envoy's allocator says of its heap, in bytes; the memory of the VMs is outside of it."""
        return {name: int(value) for name, value in json.loads(self.admin("/memory")).items()}

    def log(self) -> str:
        """Everything it has logged, and its access log."""
        return self.log_path.read_text(encoding="latin-1")

    def complaints(self, log: str | None = None) -> str:
        """What the filter has said at error level or above, in all of the log or in a part of it."""
        severe = ("[error][wasm]", "[critical][wasm]")
        lines = (self.log() if log is None else log).splitlines()
        return "\n".join(line for line in lines if any(mark in line for mark in severe))

    def log_tail(self, start: int = 0, lines: int = 40) -> str:
        """The end of the log, from `start` at most, without trace lines and the list of extensions that every start prints."""
        kept = [line for line in self.log()[start:].splitlines() if "source/server/server.cc" not in line and "[trace]" not in line]
        return "\n".join(line[:400] for line in kept[-lines:])

    def traps(self) -> list[str]:
        """The lines of the log that tell of a VM that broke."""
        return [line for line in self.log().splitlines() if TRAP.search(line)]

    def failures(self) -> list[str]:
        """Every sign that a VM broke since the start: traps, reloads, new VMs. Updates of the configuration make new VMs too."""
        signs = [f"{name}: {value}" for name, value in self.stats(r"wasm\..*\.vm_reload\w*").items() if value]
        created = self.stat("wasm.envoy.wasm.runtime.v8.created")
        if created != self._created:
            signs.append(f"VMs created after the start: {created - self._created}")
        return signs + self.traps()


@contextlib.contextmanager
def stopped_at_the_end():
    """A list of Envoys that are stopped in the end; none of their VMs may have failed by then."""
    started: list[Envoy] = []
    yield started
    failures = [sign for envoy in started for sign in envoy.failures()]
    for envoy in started:
        envoy.stop()
    assert not failures, "a VM of the filter failed:\n" + "\n".join(failures)
