"""The dashboard and the alerts that are shipped, and what they ask for."""

from __future__ import annotations

import json
import re

import yaml

from .paths import ROOT

DASHBOARD = ROOT / "envoy" / "grafana" / "session-bearer.json"
ALERTS = ROOT / "envoy" / "prometheus" / "alerts.yaml"
# Envoy's own metrics among them; that they exist, a real Prometheus proves.
ENVOYS = {
    "envoy_wasm_session_bearer_vm_reload_success",
    "envoy_wasm_session_bearer_vm_reload_failure",
    "envoy_wasm_session_bearer_vm_reload_backoff",
    "envoy_listener_manager_lds_update_rejected",
    "envoy_http_downstream_rq_total",
    "envoy_server_concurrency",
}
_METRIC = re.compile(r"\b(?:session_bearer|envoy)_\w+(?!\w*=)")
_LABELS = re.compile(r"\{.*?\}")


def panels() -> list[dict]:
    """The panels that show something."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def dashboard() -> dict:
    return json.loads(DASHBOARD.read_text())


def targets() -> list[tuple[str, str, str]]:
    """Panel, legend and expression of every query."""
    return [(panel["title"], target["legendFormat"], target["expr"]) for panel in panels() for target in panel["targets"]]


def rules() -> list[dict]:
    """What is recorded, and the alerts."""
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[dict]:
    return [rule for rule in rules() if "alert" in rule]


def named(expression: str) -> set[str]:
    """The metrics an expression asks for; a histogram by its bare name."""
    return {name.removesuffix("_bucket") for name in _METRIC.findall(_LABELS.sub("", expression))}
