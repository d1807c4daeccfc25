"""What the source itself lists: the counters, the refusals, the failures, and the lines it can log."""

from __future__ import annotations

import re

from .paths import ROOT

SRC = ROOT / "src"
PREFIX = "session_bearer_"


def _read(name: str) -> str:
    return (SRC / name).read_text()


def _found(pattern: str, text: str, *, at_least: int) -> list[str]:
    """All matches. Too few mean that the source is no longer written as this file reads it."""
    found = re.findall(pattern, text, re.DOTALL)
    assert len(found) >= at_least, f"only {len(found)} matches of {pattern}"
    return found


def counters() -> list[str]:
    """The labels of all counters."""
    (listed,) = _found(r"\ncounters! \{\n(.*?)\n\}\n", _read("stats.rs"), at_least=1)
    return _found(r'\w+ = "(\w+)",', listed, at_least=50)


def gauges() -> list[str]:
    """The full names of the metrics that are no counters."""
    return _found(r'pub const \w+: &str = "(session_bearer_\w+)";', _read("stats.rs"), at_least=4)


def metrics() -> set[str]:
    """The full names of all metrics."""
    return {PREFIX + label for label in counters()} | set(gauges())


def _messages(name: str, enum: str) -> list[str]:
    """The messages of an error type, in which a field is `{0}`."""
    (body,) = _found(rf"pub enum {enum} \{{\n(.*?)\n\}}\n", _read(name), at_least=1)
    return _found(r'#\[error\(\s*"([^"]+)"\s*\)\]', body, at_least=3)


def denials() -> list[str]:
    """The counter of each reason for which a request is refused, by the `Denial` variants."""
    (body,) = _found(r"pub enum Denial \{\n(.*?)\n\}\n", _read("reply.rs"), at_least=1)
    variants = _found(r"\n    (\w+)(?:\(\w+\))?,", body, at_least=10)
    labels = dict(re.findall(r'(\w+) = "(\w+)"', _read("stats.rs")))
    return [labels[f"Denied{variant}"] for variant in variants]


def failures() -> list[str]:
    """Every failure as it is logged, its cause spelled out."""
    causes = {"ExchangeError": "exchange.rs", "TokenError": "token.rs", "KeysError": "keys.rs"}
    (body,) = _found(r"pub enum Failure \{\n(.*?)\n\}\n", _read("authenticator/outcome.rs"), at_least=1)
    kinds = re.findall(r'#\[error\("([^"]+)"\)\]\s*\w+\(#\[from\] (\w+)\)', body)
    assert {cause for _, cause in kinds} == set(causes), f"a kind of failure that is not known here: {kinds}"
    return [text.replace("{0}", message) for text, cause in kinds for message in _messages(causes[cause], cause)]


def key_errors() -> list[str]:
    """Why a key of a fetched set is not used."""
    return _messages("token/key.rs", "KeyError")


def log_lines() -> list[tuple[str, str]]:
    """Level and format of every line that the filter can log, wherever in the source."""
    text = "\n".join(path.read_text() for path in sorted(SRC.rglob("*.rs")))
    macro = r"\b(trace|debug|info|warn|error)!\("
    lines = _found(macro + r'\s*"([^"]*)"', text, at_least=len(re.findall(macro, text)))
    return sorted(set(lines))


def warnings() -> list[str]:
    """Every warning about a configuration that is accepted, as its format is written."""
    folder = SRC / "config"
    text = "\n".join(path.read_text() for path in [folder / "check.rs", *sorted((folder / "check").glob("*.rs"))])
    literal = r'"((?:[^"\\]|\\.)*)"'
    apart = _found(rf"const REPORT_ONLY: &str =\s*{literal}", text, at_least=1)
    push = r"warnings\s*\.push\("
    pushed = _found(rf"{push}\s*(?:format!\(\s*)?{literal}", text, at_least=len(re.findall(push, text)) - len(apart))
    returned = _found(rf"pub fn warning\(.*?format!\(\s*{literal}", text, at_least=1)
    return [warning.replace('\\"', '"') for warning in pushed + apart + returned]
