"""Whether what a table names is there: `FILE::NAME`, where the name is a test, or anything that stands in the file."""

from __future__ import annotations

import re

from harness.paths import ROOT


def assert_test_is_there(place: str) -> None:
    file, _, name = place.partition("::")
    assert (ROOT / file).exists(), f"{file} is not there"
    text = (ROOT / file).read_text()
    pattern = rf"\bdef {name}\(|\bfn {name}\(" if name.startswith("test_") or file.endswith(".rs") else re.escape(name)
    assert re.search(pattern, text), f"{file} has no {name}"
