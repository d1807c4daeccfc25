"""The documents as tests read them: sections, rows of tables, and what stands in code spans."""

from __future__ import annotations

import re

from .paths import ROOT

TROUBLESHOOTING = "docs/troubleshooting.md"
METRICS = "docs/metrics.md"
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def sections(document: str) -> dict[str, str]:
    """The text below each heading, up to the next one."""
    _, *parts = _HEADING.split((ROOT / document).read_text())
    headings, texts = parts[::2], parts[1::2]
    assert len(set(headings)) == len(headings), "two sections of one name"
    return dict(zip(headings, texts, strict=True))


def anchors(document: str) -> set[str]:
    """What a link into the document may name."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in sections(document)}


def rows(text: str) -> list[list[str]]:
    """The cells of each row of its tables, their heads among them."""
    return [re.split(r" (?<!\\)\| ", line[2:-2]) for line in text.splitlines() if line.startswith("| ")]


def code(text: str) -> list[str]:
    """What stands in code spans."""
    return _CODE.findall(text)


def yaml_blocks(text: str) -> list[str]:
    return _FENCE.findall(text)
