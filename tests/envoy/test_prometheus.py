"""Proves that a real Prometheus, which scrapes the real filter, has an answer to every query of the dashboard and to every alert."""

import re

import pytest

from harness import source
from harness.counts import LATENCY, WITHIN_SECONDS, values
from harness.eventually import eventually
from harness.monitoring import ALERTS, alerts, dashboard, named, targets
from harness.outcomes import Outcomes
from harness.prometheus import Prometheus

MAX_IN_FLIGHT = 2
VARIABLES = {"$__rate_interval": "1m", "$job": ".*", "$instance": ".*", "$max_in_flight": str(MAX_IN_FLIGHT)}
COUNTED = source.metrics() - {LATENCY}
# Zero in every test: Envoy does not start where the filter may not share data, and it has not failed to start a VM.
NEVER = {"session_bearer_forgotten_here_only", "envoy_wasm_session_bearer_vm_reload_failure"}
# Of what is missing altogether, and of what never happens here, promtool proves the alerts. Keys are there in the end.
ELSEWHERE = {"SessionBearerMissing", "SessionBearerSignOutsNotShared", "SessionBearerKeysFailing"}


@pytest.fixture(scope="module")
def outcomes(auth, backend, tmp_path_factory):
    with Outcomes(auth, backend, tmp_path_factory.mktemp("outcomes")) as outcomes:
        yield outcomes


@pytest.fixture(scope="module")
def prometheus(outcomes, tmp_path_factory):
    """It has seen every Envoy before and after every outcome."""
    with Prometheus(tmp_path_factory.mktemp("prometheus"), outcomes.envoys, rules=ALERTS) as prometheus:
        number = "count(session_bearer_host_algorithms)"
        eventually(lambda: prometheus.query(number).get(()) == len(outcomes.envoys), within=15, what="a first scrape of each Envoy")
        no_keys = {("SessionBearerKeysFailing", "keyless")}
        eventually(lambda: set(prometheus.alerts()) == no_keys, within=2 * WITHIN_SECONDS, what="one alert, that of the Envoy without keys")
        outcomes.drive()
        eventually(lambda: has_seen(prometheus, outcomes), within=3 * WITHIN_SECONDS, what="a scrape of the last counts")
        yield prometheus


def has_seen(prometheus: Prometheus, outcomes: Outcomes) -> bool:
    """Whether what was scraped last is what the Envoys count now."""
    scraped: dict[str, float] = {}
    for labels, value in prometheus.query('{__name__=~"session_bearer_.+"}').items():
        name = dict(labels)["__name__"]
        scraped[name] = scraped.get(name, 0) + value
    now = {name: sum(values(envoy)[name] for envoy in outcomes.envoys.values()) for name in COUNTED}
    return now == {name: scraped.get(name) for name in COUNTED} and scraped.get(f"{LATENCY}_count", 0) > 0


def substituted(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


@pytest.mark.parametrize(("panel", "legend", "expression"), targets())
def test_query_of_a_panel_has_numbers_that_move(prometheus, panel, legend, expression):
    (line,) = prometheus.range(substituted(expression)).values()
    assert line, "nothing but NaN"
    assert (max(line) > 0) == (not named(expression) <= NEVER)


@pytest.fixture
def shown(prometheus):
    """What a panel shows now."""

    def value(panel: str, legend: str) -> float:
        (expression,) = (expression for *where, expression in targets() if where == [panel, legend])
        (value,) = prometheus.query(substituted(expression)).values()
        return value

    return value


@pytest.fixture
def counted(outcomes):
    """What the Envoys have counted, of several things together."""
    return lambda *labels: sum(values(envoy)[f"session_bearer_{label}"] for envoy in outcomes.envoys.values() for label in labels)


def test_share_served_from_memory_is_the_one_that_was_counted(shown, counted):
    known = counted("allowed_hit", "allowed_shared", "allowed_stale")
    share = known / (known + counted("allowed_miss"))
    assert shown("Sessions served from memory", "from memory") == pytest.approx(share, rel=0.02)


def test_gauges_are_summed_over_the_envoys(shown, counted, outcomes):
    eventually(lambda: shown("Sessions remembered", "remembered") == counted("cache_entries") > 0, what="the sessions remembered")
    assert shown("Exchanges under way", "bound") == MAX_IN_FLIGHT * sum(envoy.workers for envoy in outcomes.envoys.values())


@pytest.mark.parametrize(
    ("legend", "labels"),
    [
        (
            "503 for users",
            ["denied_exchange_failed", "denied_overloaded", "denied_paused", "denied_unverified_token", "denied_keys_unavailable"],
        ),
        ("from another site", ["denied_cross_origin"]),
        ("let through by report_only", ["allowed_report_only"]),
    ],
)
def test_what_needs_attention_is_as_much_as_was_counted(shown, counted, legend, labels):
    assert shown("In the last hour", legend) == pytest.approx(counted(*labels), rel=0.15)  # Prometheus extrapolates


def test_latency_is_that_of_the_auth_service(shown):
    half, nearly_all = (shown("How long callouts take", name) for name in ("p50", "p99"))
    assert half < 250 < nearly_all <= 1000  # most answers come at once; what never comes is given up after 800 ms


def test_variables_offer_what_there_is(prometheus, outcomes):
    queries = {
        variable["name"]: variable["query"]["query"] for variable in dashboard()["templating"]["list"] if variable["type"] == "query"
    }
    offered = {}
    for name, query in queries.items():
        metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", query).groups()
        offered[name] = prometheus.label_values(substituted(metric), label)
    assert offered == {"job": {"envoy"}, "instance": set(outcomes.envoys)}


def test_every_alert_is_active_after_everything_has_happened_and_was_not_before(prometheus):
    expected = {alert["alert"] for alert in alerts()} - ELSEWHERE
    try:
        eventually(lambda: {name for name, _ in prometheus.alerts()} == expected, within=WITHIN_SECONDS)
    except AssertionError:
        assert {name for name, _ in prometheus.alerts()} == expected


@pytest.mark.parametrize(
    ("alert", "instance"),
    [
        ("SessionBearerVmFailed", "dying"),
        ("SessionBearerSilent", "dying"),
        ("SessionBearerConfigurationRejected", "dying"),
        ("SessionBearerReportOnlyLeftOn", "keyless"),
        ("SessionBearerTokensDoNotVerify", "busy"),
        ("SessionBearerCacheTooSmall", "busy"),
    ],
)
def test_alert_names_the_envoy_that_is_in_trouble(prometheus, alert, instance):
    assert [where for name, where in prometheus.alerts() if name == alert] == [instance]


def test_no_vm_failed_but_the_one_that_should(outcomes):
    assert {name for name, envoy in outcomes.envoys.items() if envoy.failures()} == {"dying"}
