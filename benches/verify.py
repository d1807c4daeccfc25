"""Measures what verifying a token costs Envoy, by algorithm, with the host's cryptography and without it.

Each request brings a token not seen before; the same number of requests with one remembered token is the floor that is
taken off. What is counted is the CPU time of the Envoy process, one worker, the two ways in turn, medians of the rounds.
"""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jwt
import yaml
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "envoy"), str(ROOT / "envoy" / "demo")]

import stack  # noqa: E402
from harness.bootstrap import as_struct, connection_manager, wasm_plugin  # noqa: E402

ROUNDS = 5
REQUESTS = 400
KEYS = {
    "HS256": None,
    "RS256": rsa.generate_private_key(65537, 2048),
    "PS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
SECRET = "a-secret-of-at-least-thirty-two-bytes"


def main() -> int:
    print(f"{'':8}{'by the host':>14}{'in the module':>16}{'ratio':>8}", flush=True)
    for algorithm in KEYS:
        with Envoy(algorithm, host=True) as host, Envoy(algorithm, host=False) as module:
            rounds = [(host.cost(n), module.cost(n)) for n in range(ROUNDS)]
        by_host, in_module = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{algorithm:8}{by_host:11.0f} µs{in_module:13.0f} µs{in_module / by_host:8.1f}", flush=True)
    return 0


class Envoy:
    """One worker with the filter and a route that answers by itself."""

    def __init__(self, algorithm: str, *, host: bool) -> None:
        self._algorithm = algorithm
        self._port, admin = stack.free_ports(2)
        config = stack.envoy_config(stack.Ports(envoy=self._port, admin=admin))
        connection_manager(config)["route_config"]["virtual_hosts"] = [
            {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]}
        ]
        connection_manager(config).pop("access_log", None)
        plugin = wasm_plugin(config)
        plugin["configuration"] = as_struct({"credentials": [{"bearer": {}}], "token": {"keys": keys(algorithm)}})
        if not host:
            plugin["capability_restriction_config"]["allowed_capabilities"].pop("proxy_call_foreign_function")
        self._folder = tempfile.TemporaryDirectory(prefix="session-bearer-bench-")
        path = Path(self._folder.name) / "envoy.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        command = [str(stack.ENVOY), "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
        self._process = subprocess.Popen(command, cwd=ROOT, env={"JWT_SECRET": SECRET}, stderr=subprocess.DEVNULL)
        self._connection = self._connect()

    def __enter__(self) -> Envoy:
        return self

    def __exit__(self, *_exc) -> None:
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    def cost(self, number: int) -> float:
        """CPU microseconds per verification."""
        tokens = [token(self._algorithm, f"{number}-{n}") for n in range(REQUESTS)]
        self._request(tokens[0])
        floor = self._cpu_of(tokens[:1] * REQUESTS)
        return (self._cpu_of([token(self._algorithm, f"{number}-again-{n}") for n in range(REQUESTS)]) - floor) / REQUESTS

    def _cpu_of(self, tokens: list[str]) -> float:
        before = self._cpu()
        for each in tokens:
            self._request(each)
        return self._cpu() - before

    def _cpu(self) -> float:
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1000

    def _request(self, bearer: str) -> None:
        self._connection.request("GET", "/", headers={"authorization": f"Bearer {bearer}"})
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"error: {self._algorithm} was answered {answer.status}")

    def _connect(self) -> http.client.HTTPConnection:
        for _ in range(200):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            try:
                connection.connect()
                return connection
            except OSError:
                time.sleep(0.1)
        raise SystemExit("error: Envoy did not start")


def keys(algorithm: str) -> dict:
    if KEYS[algorithm] is None:
        return {"secret_env": "JWT_SECRET"}
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(KEYS[algorithm].public_key(), as_dict=True)
    jwk.pop("key_ops", None)
    return {"local_jwks": json.dumps({"keys": [jwk]})}


def token(algorithm: str, subject: str) -> str:
    return jwt.encode({"sub": subject, "exp": int(time.time()) + 900}, KEYS[algorithm] or SECRET, algorithm=algorithm)


if __name__ == "__main__":
    sys.exit(main())
