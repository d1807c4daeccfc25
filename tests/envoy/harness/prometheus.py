"""A real Prometheus that scrapes Envoys, and promtool, which checks rules."""

from __future__ import annotations

import math
import subprocess
import time
from pathlib import Path

import httpx
import stack
import yaml

from . import paths
from .client import NO_TLS
from .envoy import Envoy
from .eventually import eventually

SCRAPE_SECONDS = 0.5
START_SECONDS = 30


def promtool(*arguments: str) -> str:
    """What promtool prints; fails with it when promtool complains."""
    command = [str(paths.promtool()), *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}"
    return done.stdout


class Prometheus:
    """Listens on a port of its own choice and keeps everything in one folder. Use as a context manager."""

    def __init__(self, folder: Path, envoys: dict[str, Envoy], *, rules: Path) -> None:
        """Scrapes each of these Envoys, with its name as the `instance`."""
        self._folder = folder
        (port,) = stack.free_ports(1)
        self._address = f"127.0.0.1:{port}"
        targets = [
            {"targets": [(envoy.directory / "admin").read_text().strip()], "labels": {"instance": name}} for name, envoy in envoys.items()
        ]
        config = {
            "global": {"scrape_interval": f"{SCRAPE_SECONDS * 1000:.0f}ms", "scrape_timeout": "400ms", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [{"job_name": "envoy", "metrics_path": "/stats/prometheus", "static_configs": targets}],
        }
        self._config = folder / "prometheus.yaml"
        self._config.write_text(yaml.safe_dump(config))
        self._api = httpx.Client(base_url=f"http://{self._address}", trust_env=False, verify=NO_TLS, timeout=10)
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> Prometheus:
        command = [
            str(paths.prometheus()),
            *(f"--config.file={self._config}", f"--storage.tsdb.path={self._folder / 'data'}"),
            *(f"--web.listen-address={self._address}", "--log.level=warn"),
        ]
        self._log = self._folder / "prometheus.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(self._ready, within=START_SECONDS, what="a ready Prometheus")
        self._began = time.time()
        return self

    def __exit__(self, *_exc) -> None:
        self._api.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ready(self) -> bool:
        assert self._process.poll() is None, f"Prometheus ended at its start:\n{self._log.read_text()[-2000:]}"
        try:
            return self._api.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def query(self, expression: str) -> dict[tuple, float]:
        """The value of each series at the moment, by its labels in order."""
        found = self._get("query", query=expression, time=time.time())
        return {_labels(series): float(series["value"][1]) for series in found["result"]}

    def range(self, expression: str) -> dict[tuple, list[float]]:
        """The finite values of each series from the beginning to now, as a panel draws them."""
        found = self._get("query_range", query=expression, start=self._began, end=time.time(), step=SCRAPE_SECONDS)
        values = {_labels(series): [float(value) for _, value in series["values"]] for series in found["result"]}
        return {labels: [value for value in line if math.isfinite(value)] for labels, line in values.items()}

    def label_values(self, metric: str, label: str) -> set[str]:
        """What a dashboard's variable offers to choose from."""
        return set(self._get(f"label/{label}/values", **{"match[]": metric}))

    def alerts(self) -> dict[tuple[str, str], str]:
        """The alerts that are pending or firing: their state by name and instance."""
        found = self._get("alerts")["alerts"]
        return {(alert["labels"]["alertname"], alert["labels"].get("instance", "")): alert["state"] for alert in found}

    def _get(self, what: str, **parameters):
        answer = self._api.get(f"/api/v1/{what}", params=parameters).json()
        assert answer["status"] == "success", f"{parameters}: {answer.get('error')}"
        return answer["data"]


def _labels(series: dict) -> tuple:
    return tuple(sorted(series["metric"].items()))
