"""The configurations that the documentation shows: what is written there is what is tested."""

from __future__ import annotations

import re

import yaml

from . import paths


def preset(heading: str, replaced: dict[str, str] | None = None, *, page: str = "presets.md") -> dict:
    """The first YAML block below a heading of a page, with other names of hosts in it."""
    text = (paths.ROOT / "docs" / page).read_text()
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"docs/{page} has no heading {heading!r}"
    block = re.search(r"^```yaml\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)[1]
    for name, other in (replaced or {}).items():
        assert name in block, f"{name!r} is not in the configuration of {heading!r}"
        block = block.replace(name, other)
    return yaml.safe_load(block)
