"""Proves that the dashboard is one to Grafana, and whole: every metric there is, and for each panel what to make of it."""

import json
import re

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from harness import source
from harness.monitoring import ENVOYS, dashboard, named, panels, targets

COLUMNS = 24
SELECTED = '{job=~"$job", instance=~"$instance"}'
SELECTORS = re.compile(r"\{.*?\}")
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def test_grafana_knows_every_key_of_the_dashboard():
    """Its own types are made of it and written down again; what they do not know is lost on the way."""
    register_default_plugins()
    written = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard())))
    assert set(missing(dashboard(), written)) == set()


def missing(before, after, place: str = ""):
    """Where a value of `before` is not, or is another, in `after`."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from missing(value, after.get(key), f"{place}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from missing(one, other, f"{place}[{index}]")
    elif before != after:
        yield place


def test_every_metric_is_on_the_dashboard_and_none_that_there_is_not():
    asked = set.union(*(named(expression) for *_, expression in targets()))
    assert asked - ENVOYS == source.metrics()


def test_panels_are_told_apart():
    everything = dashboard()["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    assert len({panel["title"] for panel in everything}) == len(everything)
    for panel in panels():
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]), panel["title"]
        assert len({target["legendFormat"] for target in panel["targets"]}) == len(panel["targets"]), panel["title"]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_panel_says_what_to_make_of_it(panel):
    assert len(panel["description"]) > 40 and panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]


def test_panels_do_not_overlap():
    taken = {}
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS, panel["title"]
        for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])):
            assert cell not in taken, f"{panel['title']} lies over {taken[cell]}"
            taken[cell] = panel["title"]


def test_variables_choose_source_job_and_instance():
    variables = {variable["name"]: variable["type"] for variable in dashboard()["templating"]["list"]}
    assert variables == {"datasource": "datasource", "job": "query", "instance": "query", "max_in_flight": "textbox"}


@pytest.mark.parametrize(("panel", "legend", "expression"), targets())
def test_query_goes_by_what_was_chosen(panel, legend, expression):
    assert set(SELECTORS.findall(expression)) == {SELECTED}
    assert len(re.findall(r"\b(?:session_bearer|envoy)_\w+(?!\w|\{)", expression)) == 0, "a metric of all instances"
    (shown,) = (shown for shown in panels() if shown["title"] == panel)
    assert shown["datasource"] == SOURCE and all(target["datasource"] == SOURCE for target in shown["targets"])
