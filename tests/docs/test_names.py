"""Proves that the tests, files and modules which the documents name in their sentences are there."""

import itertools
import re

import pytest

from harness.documents import document, documents, rows, sections
from harness.paths import ROOT

ARCHITECTURE = "docs/architecture.md"
FOLDERS = "src|tests|docs|envoy|benches|fuzz|\\.make|\\.ci"
SPANS = [span for name in documents() for span in document(name).spans]
ELSEWHERE = {"tests/data/parser"}
"""Of the repository that some vectors come from."""

PATHS = [span for span in SPANS if span.text not in ELSEWHERE and re.fullmatch(rf"(?:{FOLDERS})/[\w./{{}},*-]+", span.text)]
CLAIM = re.compile(r"(?!on_http_)[a-z]+(?:_[a-z0-9]+){3,}")
TESTS = [span for span in document(ARCHITECTURE).spans if CLAIM.fullmatch(span.text)]
TEXTS = [path.read_text() for suffix in ("rs", "py") for path in (ROOT / "tests").rglob(f"*.{suffix}") if "node_modules" not in path.parts]


def expanded(path: str) -> list[str]:
    """What a shell makes of braces."""
    parts = re.split(r"\{([^}]*)\}", path)
    choices = [part.split(",") if place % 2 else [part] for place, part in enumerate(parts)]
    return ["".join(chosen) for chosen in itertools.product(*choices)]


@pytest.mark.parametrize("span", PATHS, ids=lambda span: f"{span}-{span.text}")
def test_file_that_a_sentence_names_is_there(span):
    for path in expanded(span.text):
        assert list(ROOT.glob(path)), f"{span}: there is no {path}"


@pytest.mark.parametrize("span", TESTS, ids=lambda span: f"{span}-{span.text}")
def test_test_that_holds_an_invariant_is_there(span):
    name = re.compile(rf"\bfn {span.text}\(|\bdef (?:test_)?{span.text}\(")
    assert any(name.search(text) for text in TEXTS), f"{span}: there is no test {span.text}"


def test_names_are_found_at_all():
    assert len(PATHS) > 20 and len(TESTS) > 15


def test_code_map_names_modules_that_are_there_and_every_one_of_the_top():
    named = {name for first, *_ in rows(sections(ARCHITECTURE)["Code map"]) for name in re.findall(r"`(\w+)`", first)}
    there = {path.stem for path in (ROOT / "src").glob("*.rs")} - {"lib", "main"}
    assert named == there, f"missing in {ARCHITECTURE}: {there - named}; gone: {named - there}"
