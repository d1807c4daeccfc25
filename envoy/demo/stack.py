"""Starts the demo's three processes, auth service, backend and Envoy, and always stops them.

Use it as a context manager: `with Stack(folder, ports=Ports.free()) as stack: stack.start()`. Its parts
(`stack.auth`, `stack.backend`, `stack.envoy`) can be stopped, killed and started one by one.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe

import yaml

DEMO = Path(__file__).resolve().parent
ROOT = DEMO.parents[1]
ENVOY_YAML = DEMO.parent / "envoy.yaml"
ENVOY = ROOT / "target" / "tools" / "envoy"

NEEDED = {
    DEMO / "auth" / "node_modules": "run `npm ci` in envoy/demo/auth",
    ENVOY: "run `make envoy`",
    ROOT / "target" / "session_bearer.wasm": "run `make wasm`",
}

START_SECONDS = 30
STOP_SECONDS = 5

Edit = Callable[[dict], None]


class StackError(Exception):
    """Something keeps the demo from running; its text is one line for a person to act on, then perhaps a log."""


@dataclass(frozen=True)
class Ports:
    """Where everything listens: by default where envoy.yaml says."""

    envoy: int = 10000
    admin: int = 9901
    auth: int = 3001
    backend: int = 8000

    @classmethod
    def free(cls) -> Ports:
        return cls(*free_ports(4))


class Stack:
    """The demo with its files in one folder: database, Envoy's configuration, logs."""

    def __init__(
        self,
        folder: Path,
        *,
        ports: Ports | None = None,
        secrets: dict[str, str] | None = None,
        edit: Edit | None = None,
        concurrency: int = 2,
        session_update_age: int | None = None,
        log_level: str = "warning",
    ) -> None:
        self.folder = folder.resolve()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.ports = ports or Ports()
        self.secrets = secrets or kept_secrets(self.folder)
        self.concurrency = concurrency
        self.session_update_age = session_update_age
        self.log_level = log_level

        self.auth = self._auth()
        self.backend = self._backend()
        self.envoy = self._envoy("envoy", self.ports, self.secrets["JWT_SECRET"], edit)
        self.parts = [self.auth, self.backend, self.envoy]

    @property
    def url(self) -> str:
        return f"http://localhost:{self.ports.envoy}"

    def start(self, progress: Callable[[str], None] = lambda line: None) -> Stack:
        require_installed()
        for part in self.parts:
            part.start()
            progress(f"{part.name:8} listens on 127.0.0.1:{part.port}")
        return self

    def add_envoy(self, name: str, *, jwt_secret: str | None = None, edit: Edit | None = None) -> Part:
        """One more Envoy before the same services, on ports of its own; the caller starts it."""
        envoy, admin = free_ports(2)
        ports = Ports(envoy, admin, self.ports.auth, self.ports.backend)
        part = self._envoy(name, ports, jwt_secret or self.secrets["JWT_SECRET"], edit)
        self.parts.append(part)
        return part

    def dead(self) -> Part | None:
        """A part that ended although nobody stopped it."""
        return next((part for part in self.parts if part.died()), None)

    def close(self) -> None:
        for part in reversed(self.parts):
            part.stop()

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_exc) -> None:
        self.close()

    def _auth(self) -> Part:
        environment = self.secrets | {
            "PORT": str(self.ports.auth),
            "BETTER_AUTH_URL": self.url,
            "DATABASE": str(self.folder / "auth.sqlite"),
        }
        if self.session_update_age is not None:
            environment["SESSION_UPDATE_AGE"] = str(self.session_update_age)
        command = ["node", str(DEMO / "auth" / "server.mjs")]
        return Part("auth", command, self.folder, self.ports.auth, "/healthz", environment)

    def _backend(self) -> Part:
        where = ["--app-dir", str(DEMO / "backend"), "--host", "127.0.0.1", "--port", str(self.ports.backend)]
        command = [sys.executable, "-m", "uvicorn", "app:app", *where]
        environment = {"JWT_SECRET": self.secrets["JWT_SECRET"]}
        return Part("backend", command, self.folder, self.ports.backend, "/healthz", environment)

    def _envoy(self, name: str, ports: Ports, jwt_secret: str, edit: Edit | None) -> Part:
        config = self.folder / f"{name}.yaml"
        config.write_text(yaml.safe_dump(envoy_config(ports, edit), sort_keys=False))
        how = ["--concurrency", str(self.concurrency), "--disable-hot-restart", "--log-level", self.log_level]
        command = [str(ENVOY), "-c", str(config), *how]
        ready = f"http://127.0.0.1:{ports.admin}/ready"
        return Part(name, command, self.folder, ports.envoy, ready, {"JWT_SECRET": jwt_secret}, [ports.admin])


class Part:
    """One process, in a session of its own so that it can be ended together with whatever it started."""

    def __init__(
        self,
        name: str,
        command: list[str],
        folder: Path,
        port: int,
        ready: str,
        environment: dict[str, str],
        more_ports: list[int] | None = None,
    ) -> None:
        self.name = name
        self.command = command
        self.port = port
        self.ready_url = ready if ready.startswith("http") else f"http://127.0.0.1:{port}{ready}"
        self.environment = environment
        self.ports = [port, *(more_ports or [])]
        self.log_path = folder / f"{name}.log"
        self.log_path.write_text("")
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        for port in self.ports:
            require_free(port, self.name)
        with self.log_path.open("ab") as log:
            try:
                # Envoy's file names are relative to the root of the repository.
                self._process = subprocess.Popen(
                    self.command,
                    cwd=ROOT,
                    env=os.environ | self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            except FileNotFoundError:
                raise StackError(f"{self.name} cannot be started: there is no {self.command[0]}") from None
        atexit.register(self.stop)
        self._wait_until_ready()

    def stop(self) -> None:
        if self._process is None:
            return
        signal_group(self._process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Ends it at once, whatever it is doing, as a crash would."""
        process, self._process = self._process, None
        if process is None:
            return
        atexit.unregister(self.stop)
        signal_group(process, signal.SIGKILL)
        process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()

    def died(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def log_tail(self, lines: int = 20) -> str:
        return "\n".join(self.log().splitlines()[-lines:])

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.ready_url):
            if self.died():
                raise StackError(f"{self.name} ended at its start:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise StackError(f"{self.name} was not ready after {START_SECONDS} s:\n{self.log_tail()}")
            time.sleep(0.05)


# Configuration


def envoy_config(ports: Ports, edit: Edit | None = None) -> dict:
    """The shipped envoy.yaml on other ports, then changed by `edit`."""
    shipped = Ports()
    moved = {getattr(shipped, name): getattr(ports, name) for name in vars(shipped)}

    def moved_to_ports(node):
        if isinstance(node, list):
            return [moved_to_ports(item) for item in node]
        if isinstance(node, str):
            return node.replace(f"localhost:{shipped.envoy}", f"localhost:{ports.envoy}")
        if not isinstance(node, dict):
            return node
        node = {key: moved_to_ports(value) for key, value in node.items()}
        if "port_value" in node:
            node["port_value"] = moved[node["port_value"]]
        return node

    config = moved_to_ports(yaml.safe_load(ENVOY_YAML.read_text()))
    if edit is not None:
        edit(config)
    return config


def http_filters(config: dict) -> list[dict]:
    connection_manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
    return connection_manager["typed_config"]["http_filters"]


def plugin(config: dict) -> dict:
    """The filter's own configuration inside Envoy's, to be read or changed in place."""
    wasm = next(entry for entry in http_filters(config) if entry["name"] == "envoy.filters.http.wasm")
    return wasm["typed_config"]["config"]["configuration"]["value"]


def kept_secrets(folder: Path) -> dict[str, str]:
    """Made at the first run and kept, so that sessions in the database outlive a restart."""
    path = folder / "secrets.json"
    if not path.exists():
        made = {name: token_urlsafe(48) for name in ("JWT_SECRET", "BETTER_AUTH_SECRET")}
        with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            json.dump(made, file)
    return json.loads(path.read_text())


# Processes and ports


def stop_on_signals() -> None:
    """Makes the signals that end a program end it the way Ctrl-C does: with everything stopped."""

    def leave(_signal, _frame):
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def signal_group(process: subprocess.Popen, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def free_ports(count: int) -> list[int]:
    """Below the range from which the system picks ports for outgoing connections, one of which might take it first."""
    candidates = random.sample(range(20000, 32000), 200)
    return [port for port in candidates if is_free(port)][:count]


def is_free(port: int) -> bool:
    # Envoy and others share ports that are in use (SO_REUSEPORT); a plain bind tells.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def require_installed() -> None:
    for path, remedy in NEEDED.items():
        if not path.exists():
            raise StackError(f"{path.relative_to(ROOT)} is missing: {remedy}")


def require_free(port: int, name: str) -> None:
    if not is_free(port):
        raise StackError(f"port {port}, which {name} needs, is taken: stop what listens there (`lsof -i :{port}` names it)")


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return response.status == 200
    except (OSError, urllib.error.URLError):
        return False
