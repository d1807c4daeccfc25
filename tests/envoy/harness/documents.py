"""The documents as tests read them: sections, rows of tables, links, blocks, and what stands in code spans."""

from __future__ import annotations

import functools
import re
import subprocess
from dataclasses import dataclass

from markdown_it import MarkdownIt

from .paths import ROOT

TROUBLESHOOTING = "docs/troubleshooting.md"
METRICS = "docs/metrics.md"
CONFIGURATION = "docs/configuration.md"
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def sections(document: str) -> dict[str, str]:
    """The text below each heading, up to the next one."""
    _, *parts = _HEADING.split((ROOT / document).read_text())
    headings, texts = parts[::2], parts[1::2]
    assert len(set(headings)) == len(headings), "two sections of one name"
    return dict(zip(headings, texts, strict=True))


def rows(text: str) -> list[list[str]]:
    """The cells of each row of its tables, their heads among them."""
    return [re.split(r" (?<!\\)\| ", line[2:-2]) for line in text.splitlines() if line.startswith("| ")]


def code(text: str) -> list[str]:
    """What stands in code spans."""
    return _CODE.findall(text)


def yaml_blocks(text: str) -> list[str]:
    return _FENCE.findall(text)


@dataclass(frozen=True)
class Place:
    """A piece of a document, and where it stands: of a block, the line after its fence."""

    document: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


@dataclass(frozen=True)
class Block(Place):
    """What stands between fences, in a language."""

    language: str


@dataclass(frozen=True)
class Document:
    """One Markdown file, as GitHub reads it."""

    name: str
    blocks: tuple[Block, ...]
    links: tuple[Place, ...]
    spans: tuple[Place, ...]
    anchors: frozenset[str]


def documents() -> list[str]:
    """Every Markdown file of the repository, those that are not committed yet among them."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return sorted({name for name in names if (ROOT / name).exists()})


@functools.cache
def document(name: str) -> Document:
    tokens = MarkdownIt("commonmark").enable("table").parse((ROOT / name).read_text())
    blocks, links, spans, headings = [], [], [], []
    line = 1
    for before, token in zip([None, *tokens], tokens, strict=False):
        line = token.map[0] + 1 if token.map else line  # cells of tables have no line of their own
        if token.type == "fence":
            blocks.append(Block(name, line + 1, token.content, token.info))
        for child in token.children or []:
            if target := child.attrGet("href") or child.attrGet("src"):
                links.append(Place(name, line, target))
            if child.type == "code_inline":
                spans.append(Place(name, line, child.content))
        if before is not None and before.type == "heading_open":
            headings.append("".join(child.content for child in token.children))
    return Document(name, tuple(blocks), tuple(links), tuple(spans), _anchors(headings))


def anchors(name: str) -> frozenset[str]:
    """What a link into the document may name."""
    return document(name).anchors


def blocks(*languages: str) -> list[Block]:
    """The blocks of all documents, of these languages or of any."""
    return [block for name in documents() for block in document(name).blocks if not languages or block.language in languages]


def _anchors(headings: list[str]) -> frozenset[str]:
    """As GitHub makes them; a heading that is there before gets a number."""
    found: set[str] = set()
    for heading in headings:
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = sum(1 for other in found if re.fullmatch(re.escape(anchor) + r"(-\d+)?", other))
        found.add(f"{anchor}-{count}" if count else anchor)
    return frozenset(found)
