"""Proves that the oldest Python the documents ask for is one that everything pinned here can be installed with."""

import importlib.metadata
import re

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from harness.paths import ROOT

PINS = [
    Requirement(line)
    for file in ("tests/requirements.txt", "envoy/demo/backend/requirements.txt")
    for line in (ROOT / file).read_text().splitlines()
    if line and not line.startswith("#")
]
OLDEST = re.compile(r"Python (3\.\d+) or newer")


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", ".make/venv.sh"])
def test_oldest_python_asked_for_takes_every_pin(file):
    [oldest] = OLDEST.findall((ROOT / file).read_text())
    needs = {pin.name: importlib.metadata.metadata(pin.name)["Requires-Python"] or "" for pin in PINS}
    refusing = {name: need for name, need in needs.items() if not SpecifierSet(need).contains(oldest)}
    assert not refusing, f"{file} promises Python {oldest}, which these refuse: {refusing}"
