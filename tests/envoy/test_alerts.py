"""Proves with promtool that each alert fires when it should and keeps quiet when it should, and that it says what to do."""

import json
import re
from dataclasses import dataclass, field

import pytest

from harness import source
from harness.documents import anchors
from harness.monitoring import ALERTS, ENVOYS, alerts, named, rules
from harness.prometheus import promtool

LABELS = {"job": "envoy", "instance": "a"}
REQUESTS = {"envoy_http_conn_manager_prefix": "edge"}
ADMIN = {"envoy_http_conn_manager_prefix": "admin"}
RECORDED = re.compile(r"\binstance:\w+:rate5m\b")
DECIDED = ("allowed", "denied_for_the_client", "denied_503")

# What is counted where all is well: ten requests and one exchange a second.
WELL = {f"session_bearer_{label}": "0x60" for label in source.counters()} | {
    "session_bearer_host_algorithms": "5x60",
    "session_bearer_allowed_hit": "0+600x60",
    "session_bearer_exchange_token": "0+60x60",
    "envoy_wasm_session_bearer_vm_reload_success": "0x60",
    "envoy_wasm_session_bearer_vm_reload_failure": "0x60",
    "envoy_wasm_session_bearer_vm_reload_backoff": "0x60",
    "envoy_listener_manager_lds_update_rejected": "0x60",
}


@dataclass(frozen=True)
class Case:
    """What moves in some other way from the eleventh sample on, and which alerts are active how long after the beginning.

    The value is that of `$value` in the summary, where there is one.
    """

    what: str
    moves: dict[str, str]
    fires: dict[str, dict[str, str | None]]
    interval: str = "1m"
    requests: str = "0+600x60"
    quiet: dict[str, list[str]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=lambda: LABELS)


CASES = [
    Case("all is well", {}, {}, quiet={"30m": [alert["alert"] for alert in alerts()]}),
    Case(
        "half of all exchanges fail, and some users are turned away",
        {"exchange_server_error": "0x10 0+60x50", "denied_exchange_failed": "0x10 0+30x50"},
        {"20m": {"SessionBearerAuthServiceFailing": "50%", "SessionBearerUsersAnswered503": "4.762%"}},
        quiet={"11m": ["SessionBearerAuthServiceFailing"], "20m": ["SessionBearerTokensDoNotVerify"]},
    ),
    Case(
        "the auth service fails for a moment",
        {"exchange_server_error": "0x10 30x50", "denied_exchange_failed": "0x10 5x50"},
        {},
        quiet={time: ["SessionBearerAuthServiceFailing", "SessionBearerUsersAnswered503"] for time in ("12m", "20m")},
    ),
    Case(
        "another secret",
        {"exchange_unverified_token": "0x10 0+6x50", "denied_unverified_token": "0x10 0+6x50"},
        {"20m": {"SessionBearerTokensDoNotVerify": None}},
        quiet={"20m": ["SessionBearerAuthServiceFailing", "SessionBearerUsersAnswered503"]},
    ),
    Case(
        "an origin of one's own is missing",
        {"denied_cross_origin": "0x10 0+60x50"},
        {"30m": {"SessionBearerCrossOriginDenied": "9.091%"}},
        quiet={"15m": ["SessionBearerCrossOriginDenied"]},
    ),
    Case(
        "the auth service asks for pauses, and requests are too many",
        {"exchange_throttled": "0x10 0+1x50", "denied_overloaded": "0x10 0+1x50"},
        {"30m": {"SessionBearerThrottled": None, "SessionBearerOverloaded": None}},
        quiet={"14m": ["SessionBearerThrottled", "SessionBearerOverloaded"]},
    ),
    Case(
        "keys cannot be fetched",
        {"keys_failed": "0x10 0+2x50"},
        {"40m": {"SessionBearerKeysFailing": None}},
        quiet={"20m": ["SessionBearerKeysFailing"]},
    ),
    Case(
        "keys can be fetched now and then",
        {"keys_failed": "0x10 0+2x50", "keys_loaded": "0x10 0+1x50"},
        {},
        quiet={"40m": ["SessionBearerKeysFailing"]},
    ),
    Case(
        "sessions are pushed out",
        {"cache_evicted": "0x10 0+30x50"},
        {"45m": {"SessionBearerCacheTooSmall": None}},
        quiet={"20m": ["SessionBearerCacheTooSmall"]},
    ),
    Case(
        "other workers are not told of a sign-out",
        {"forgotten_here_only": "0x10 1x50"},
        {"20m": {"SessionBearerSignOutsNotShared": None}},
        quiet={"5m": ["SessionBearerSignOutsNotShared"]},
    ),
    Case(
        "a VM fails and is replaced, and an update is rejected",
        {"envoy_wasm_session_bearer_vm_reload_success": "0x10 1x50", "envoy_listener_manager_lds_update_rejected": "0x10 1x50"},
        {"15m": {"SessionBearerVmFailed": None, "SessionBearerConfigurationRejected": None}},
        quiet={time: ["SessionBearerVmFailed", "SessionBearerConfigurationRejected"] for time in ("5m", "40m")},
    ),
    Case(
        "a VM fails and is not replaced",
        {"allowed_hit": "0+600x10 6000x50"},
        {"25m": {"SessionBearerSilent": None}},
        quiet={"12m": ["SessionBearerSilent"], "25m": ["SessionBearerVmFailed"]},
    ),
    Case(
        "nobody comes",
        {"allowed_hit": "6000x60"},
        {},
        requests="6000x60",
        quiet={"25m": ["SessionBearerSilent", "SessionBearerUsersAnswered503"]},
    ),
    Case(
        "the filter has gone with its Envoy",
        {name.removeprefix("session_bearer_"): "1x10" for name in WELL},
        {"40m": {"SessionBearerMissing": None}},
        quiet={"12m": ["SessionBearerMissing"]},
        labels={},
    ),
    Case(
        "report_only for ten days",
        {"allowed_report_only": "0+5x60"},
        {"240h": {"SessionBearerReportOnlyLeftOn": None}},
        interval="4h",
        quiet={"120h": ["SessionBearerReportOnlyLeftOn"]},
    ),
]


def test_rules_are_accepted_by_promtool():
    assert "SUCCESS" in promtool("check", "rules", str(ALERTS))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_alert_fires_when_it_should(case, tmp_path):
    unit_test = tmp_path / "test.yaml"
    unit_test.write_text(
        json.dumps(
            {"rule_files": [str(ALERTS)], "evaluation_interval": case.interval, "tests": [{"interval": case.interval, **body(case)}]}
        )
    )
    assert "SUCCESS" in promtool("test", "rules", str(unit_test))


def body(case: Case) -> dict:
    """The case as promtool takes it."""
    moves = {name if name in WELL else f"session_bearer_{name}": values for name, values in case.moves.items()}
    assert moves.keys() <= WELL.keys()
    series = [(name, LABELS, values) for name, values in (WELL | moves).items()]
    series += [("envoy_http_downstream_rq_total", LABELS | labels, case.requests) for labels in (REQUESTS, ADMIN)]
    expected = [
        (time, name, [fired(name, value, case.labels)]) for time, all_of_it in case.fires.items() for name, value in all_of_it.items()
    ]
    expected += [(time, name, []) for time, names in case.quiet.items() for name in names]
    return {
        "input_series": [{"series": f"{name}{selector(labels)}", "values": values} for name, labels, values in series],
        "alert_rule_test": [{"eval_time": time, "alertname": name, "exp_alerts": alerts} for time, name, alerts in expected],
    }


def selector(labels: dict[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def fired(name: str, value: str | None, labels: dict[str, str]) -> dict:
    (alert,) = (alert for alert in alerts() if alert["alert"] == name)
    summary = alert["annotations"]["summary"].replace("{{ $labels.instance }}", labels.get("instance", ""))
    summary = summary.replace("{{ $value | humanizePercentage }}", value or "")
    assert "{{" not in summary, f"a value is missing for {summary}"
    return {"exp_labels": labels | alert["labels"], "exp_annotations": alert["annotations"] | {"summary": summary}}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_every_alert_is_tried_firing_and_quiet(alert):
    name = alert["alert"]
    assert any(name in fires for case in CASES for fires in case.fires.values())
    assert any(name in names for case in CASES[1:] for names in case.quiet.values())


def test_alerts_ask_only_for_what_there_is():
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        assert set(RECORDED.findall(rule["expr"])) <= recorded
        assert named(RECORDED.sub("", rule["expr"])) <= source.metrics() | ENVOYS


def test_whatever_is_decided_is_part_of_the_sums():
    sums = {rule["record"]: named(RECORDED.sub("", rule["expr"])) for rule in rules() if "record" in rule}
    outcomes = {f"session_bearer_{label}" for label in source.counters() if label.startswith(("allowed_", "denied_"))}
    assert set.union(*(sums[f"instance:session_bearer_{part}:rate5m"] for part in DECIDED)) == outcomes - {
        "session_bearer_allowed_report_only"
    }
    exchanges = sums["instance:session_bearer_exchange_failures:rate5m"] | sums["instance:session_bearer_exchanges:rate5m"]
    ends = {f"session_bearer_{label}" for label in source.counters() if label.startswith("exchange_")}
    assert exchanges == ends - {"session_bearer_exchange_callouts", "session_bearer_exchange_refreshes"}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_alert_says_what_to_do_and_where_more_stands(alert):
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    page, _, anchor = notes["runbook_url"].partition("#")
    assert anchor in anchors(page)
    assert alert["labels"]["severity"] in ("critical", "warning")
