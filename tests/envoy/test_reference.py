"""Proves that the documents name every metric, every outcome and every line that the source has, each with what mends it."""

import re

import pytest

from harness import source
from harness.documents import METRICS, TROUBLESHOOTING, code, rows, sections
from harness.paths import ROOT

PLACEHOLDER = re.compile(r"\\\{[^}]*\\\}")
LINK = re.compile(r"\]\(([\w./-]*)#([\w-]+)\)")


def entries() -> dict[str, list[str]]:
    """What the tables of the reference have an entry for, with the cells behind it."""
    found = {}
    for heading, text in sections(TROUBLESHOOTING).items():
        for first, *others in rows(text):
            found |= dict.fromkeys(code(first), others)
            if heading in ("Exchanges", "Tokens refused"):
                found |= dict.fromkeys(code(others[0]), others[1:])
    return found


ENTRIES = entries()


def entry(text: str) -> list[str] | None:
    """The entry of a format string: what is inserted may be written in any way there."""
    pattern = re.compile(PLACEHOLDER.sub(".+", re.escape(text)))
    return next((others for written, others in ENTRIES.items() if pattern.fullmatch(written)), None)


def assert_explained(text: str) -> None:
    explained = entry(text)
    assert explained, f"{TROUBLESHOOTING} has no entry for {text!r}"
    assert all(cell.strip() for cell in explained), f"the entry for {text!r} leaves something open"


@pytest.mark.parametrize("metric", sorted(source.metrics()))
def test_metric_has_an_entry(metric):
    assert_explained(metric.removeprefix(source.PREFIX))


@pytest.mark.parametrize("metric", sorted(source.metrics()))
def test_metric_is_listed_among_the_metrics(metric):
    listed = {name for first, *_ in rows((ROOT / METRICS).read_text()) for name in code(first)}
    if metric.startswith("session_bearer_token_refused_"):
        (reasons,) = (others for first, *others in rows((ROOT / METRICS).read_text()) if first == "`session_bearer_token_refused_REASON`")
        assert metric.removeprefix("session_bearer_token_refused_") in code(reasons[0])
    else:
        assert metric in listed


@pytest.mark.parametrize("outcome", source.denials())
def test_refusal_has_an_entry_with_its_status_and_a_section_that_mends_it(outcome):
    cause, mend = entry(outcome)
    assert re.match(r"4\d\d|503", cause) and LINK.search(mend)


@pytest.mark.parametrize("failure", source.failures())
def test_failure_has_an_entry(failure):
    token = "exchange failed: the token it handed out does not verify: "
    assert_explained(failure.removeprefix(token))


@pytest.mark.parametrize("reason", source.key_errors())
def test_reason_not_to_use_a_key_has_an_entry(reason):
    assert_explained(reason)


@pytest.mark.parametrize("warning", source.warnings())
def test_warning_has_an_entry(warning):
    assert_explained(warning)


@pytest.mark.parametrize(("level", "line"), source.log_lines())
def test_log_line_has_an_entry_with_its_level(level, line):
    if line == "{failure}":
        return  # spelled out above
    assert_explained(line)
    lines = [(others, written) for written, *others in rows(sections(TROUBLESHOOTING)["Log lines"])]
    pattern = re.compile(PLACEHOLDER.sub(".+", re.escape(line)))
    assert any(pattern.fullmatch(span) and others[0] == level for others, written in lines for span in code(written))
