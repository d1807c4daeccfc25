"""Proves that a real Envoy, with the real filter in it, takes every configuration and every piece of one that the documents show."""

import copy

import pytest
import yaml

from harness.documents import Block, blocks
from placed import completed, is_plugin, listeners, place, said

SHOWN = [block for block in blocks("yaml", "json") if place(block)]
WRONG_ON_PURPOSE = "# plugin.yaml\n"
"""How docs/command.md begins a file in which the command finds mistakes."""

GOOD = [block for block in SHOWN if not block.text.startswith(WRONG_ON_PURPOSE)]


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> tuple[bool, str]:
    """Whether one Envoy takes all of them, and its log."""
    return said(listeners(GOOD), tmp_path_factory.mktemp("shown"))


@pytest.mark.parametrize("block", GOOD, ids=str)
def test_envoy_takes_what_is_shown(together, tmp_path, block):
    """Looks at each alone only when something is wrong with one of them."""
    taken, log = together if together[0] else said(listeners([block]), tmp_path)
    complaints = [line for line in log.splitlines() if "[error]" in line or "[critical]" in line]
    assert taken, f"{block}:\n" + "\n".join(complaints)
    warnings = [line for line in log.splitlines() if f"wasm log {block} " in line and ": configuration: " in line]
    assert warnings == [], "what is shown should not be warned of"


def test_filter_has_seen_each_plugin_configuration(together):
    """A configuration that the filter never got would be taken as well."""
    seen = {block for block in GOOD if f"wasm log {block} session-bearer: configured" in together[1]}
    assert seen == {block for block in GOOD if is_plugin(block)} and len(seen) >= 6


SPOILED = {place(block): block for block in GOOD}


@pytest.mark.parametrize("block", SPOILED.values(), ids=str)
def test_typo_in_what_is_shown_would_be_found(tmp_path, block):
    written = yaml.safe_load(block.text)
    first = next(iter(written))
    typo = Block(block.document, block.line, yaml.safe_dump(written | {f"{first}_typo": written[first]}), "yaml")
    put = place(block)
    listener = copy.deepcopy(listeners([block])[0])
    put(listener, typo)
    taken, log = said([listener], tmp_path)
    assert not taken and f"{first}_typo" in log


def test_section_is_completed_by_the_configuration_before_it():
    (section,) = (block for block in GOOD if "header: set-auth-jwt" in block.text)
    whole = completed(section)
    assert whole["exchange"]["path"] == "/api/auth/get-session" and whole["token"]["issuer"] == "https://app.example.com"
