"""Proves that what the documents show as text is what is printed, or what is there."""

import functools
import re
import tempfile
from pathlib import Path

import pytest

import run
import stack
from harness.documents import Block, blocks, document, documents
from harness.paths import ROOT
from placed import said, shipped
from shell import make

TEXTS = blocks("text")
REFUSAL = re.compile(r"configuration refused: (?P<section>\w+)\.(?P<key>\w+): (?P<written>\S+) is out of range; .*\n")


def is_drawing(block: Block) -> bool:
    """A picture; nothing prints it."""
    return "────▶" in block.text


def is_refusal(block: Block) -> bool:
    return block.text.startswith("configuration refused: ")


def is_way(block: Block) -> bool:
    """Names from the source, each with its module."""
    return "Authenticator::" in block.text


def is_generated(block: Block) -> bool:
    """Of a page that a program writes."""
    return "<!-- Written by " in (ROOT / block.document).read_text()


def is_printed_by_run(block: Block) -> bool:
    return "Open http" in block.text


def is_printed_by_test(block: Block) -> bool:
    return block.text.startswith("make test: ")


def is_schema_line(block: Block) -> bool:
    return block.text.startswith("# yaml-language-server: $schema=")


def of(kind) -> list[Block]:
    return [block for block in TEXTS if kind(block)]


KINDS = [is_drawing, is_refusal, is_way, is_generated, is_printed_by_run, is_printed_by_test, is_schema_line]


@pytest.mark.parametrize("block", of(is_refusal), ids=str)
def test_refusal_is_what_envoy_logs(block):
    shown = REFUSAL.fullmatch(block.text)
    assert shown, f"{block} is not written like a refusal"
    assert block.text.strip() in refusal(shown["section"], shown["key"], shown["written"]).splitlines()


@functools.cache
def refusal(section: str, key: str, written: str) -> str:
    """What the filter says when this is configured, without what Envoy puts before it."""
    config = shipped()
    stack.plugin(config)[section][key] = written
    with tempfile.TemporaryDirectory() as folder:
        taken, log = said(config["static_resources"]["listeners"], Path(folder))
    assert not taken
    return "\n".join(line[line.index("configuration refused: ") :] for line in log.splitlines() if "configuration refused: " in line)


@pytest.mark.parametrize("block", of(is_printed_by_run), ids=str)
def test_make_run_prints_what_is_shown(block):
    """That the rest of it is true is proven by tests/demo/test_what_to_try.py."""
    ports = stack.Ports()
    printed = run.WHAT_TO_TRY.format(url=f"http://localhost:{ports.envoy}", backend=ports.backend, admin=ports.admin, folder="target/demo")
    assert block.text in printed


@pytest.mark.parametrize("block", of(is_printed_by_test), ids=str)
def test_make_test_ends_with_what_is_shown(block):
    recipe = make("-n", "test").splitlines()[-1]
    (printed,) = re.findall(r'^echo "(.* )\$\(.*\)"$', recipe)
    (version,) = re.findall(r"^export ENVOY_VERSION \?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert block.text == f"{printed}{version}\n"


@pytest.mark.parametrize("block", of(is_generated), ids=str)
def test_text_of_a_generated_page_is_what_its_program_writes(block):
    (program,) = re.findall(r"<!-- Written by (\S+):", (ROOT / block.document).read_text())
    sources = [path.read_text() for path in (ROOT / program).parent.glob("scaling*.py")]
    assert any(block.text in source for source in sources), f"{block} is not in {program} or beside it"


def test_schema_is_where_the_line_says():
    for block in of(is_schema_line):
        path = block.text.strip().removeprefix("# yaml-language-server: $schema=")
        assert (ROOT / "envoy" / path).resolve().exists(), f"{block}: from envoy/ there is no {path}"


SOURCES = {str(path.relative_to(ROOT / "src")): path.read_text() for path in sorted((ROOT / "src").rglob("*.rs"))}


@pytest.mark.parametrize("block", of(is_way), ids=str)
def test_every_name_on_the_way_of_a_request_is_in_the_source(block):
    columns = [re.split(r"  +", line.strip()) for line in block.text.splitlines()]
    named = [name for first, *_ in columns for name in re.findall(r"(?:\w+::)?\w+(?=$|,| →)", first) if "_" in name or "::" in name]
    assert len(named) >= 20, f"only {len(named)} names were read"
    for name in named:
        kind, _, function = name.rpartition("::")
        places = [text for text in SOURCES.values() if re.search(rf"\bfn {function}\b", text)]
        assert any(re.search(rf"\bimpl\b.*\b{kind}\b", text) for text in places), f"{block}: there is no {name}"
    modules = [module for _, *others in columns for module in (others or [""])[0].split(", ") if re.fullmatch(r"[…\w/]+", module)]
    for module in {module.removeprefix("…/") for module in modules}:
        assert any(path.endswith(f"{module}.rs") for path in SOURCES), f"{block}: there is no module {module}"


SPANS = [span for name in documents() for span in document(name).spans if re.fullmatch(r"[A-Z]\w+::\w+", span.text)]


@pytest.mark.parametrize("span", SPANS, ids=lambda span: f"{span}-{span.text}")
def test_function_that_is_named_in_a_sentence_is_in_the_source(span):
    kind, _, function = span.text.partition("::")
    assert any(re.search(rf"\bfn {function}\b", text) and re.search(rf"\bimpl\b.*\b{kind}\b", text) for text in SOURCES.values())
