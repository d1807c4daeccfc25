"""Proves that no block in any document goes by unexamined: each is of a kind that a test looks at, or here with the test that does."""

import pytest

import test_neighbours
import test_printed
from harness.documents import Block, blocks, documents
from placed import place
from source_names import assert_test_is_there

SHELL = ("sh", "bash", "shell")

ELSEWHERE = {
    ("docs/command.md", "console"): "tests/command/documented.rs::documented_examples_print_what_is_documented",
}
"""By document and language: which test takes all of these blocks."""


def kinds(block: Block) -> list[str]:
    """The names of those that look at it."""
    found = [kind.__name__ for kind in test_neighbours.KINDS if kind(block)]
    if block.language == "text":
        found += [kind.__name__ for kind in test_printed.KINDS if kind(block)]
    if block.language in ("yaml", "json") and place(block):
        found.append("test_configurations")
    if block.language in SHELL:
        found.append("test_commands")
    if by := ELSEWHERE.get((block.document, block.language)):
        assert_test_is_there(by)
        found.append(by)
    return found


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_block_is_examined_by_one_test(block):
    language = block.language or "no language"
    assert kinds(block), f"{block}: no test looks at this block of {language}; {__name__} names those that there are:\n{block.text}"
    assert len(kinds(block)) == 1, f"{block}: taken for {kinds(block)}"


STRANGE = [("yaml", "some: thing\n"), ("text", "what nobody prints\n"), ("console", "$ ls\n"), ("", "")]


@pytest.mark.parametrize(("language", "text"), STRANGE)
def test_block_of_no_kind_is_noticed(language, text):
    assert kinds(Block("README.md", 1, text, language)) == []


def test_documents_are_found():
    assert {"README.md", "envoy/README.md", "docs/configuration.md", "tests/vectors/README.md"} <= set(documents())
    assert len(blocks()) >= 18
