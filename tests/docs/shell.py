"""Runs a block of shell as it is written, with stand-ins for the programs: what they are called with, and where, is what tests look at."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.documents import Block
from harness.paths import ROOT

BY_THE_READER = {"JWT_SECRET": "s" * 48, "SESSION": "cookie.value"}
"""The variables that a reader has to set."""

AROUND = ("openssl", "grep")
"""Programs that make a value or look at what another prints. They stand in silently."""

STAND_IN = """{program}() {{ printf '%s\\x1f' "$PWD" '{program}' "$@" >>"$CALLS"; printf '\\x1e' >>"$CALLS"; }}\n"""


@dataclass(frozen=True)
class Call:
    """One program, as the shell would start it. `folder` is named from the root of the repository."""

    block: Block
    folder: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.block}: {' '.join(self.words)}"


def calls(block: Block, programs: list[str], folder: Path) -> list[Call]:
    """What a reader starts who copies the block. A program that is not among those is not there, as for a reader who lacks it."""
    record = folder / "calls"
    record.touch()
    stand_ins = "".join(STAND_IN.format(program=program) for program in programs)
    stand_ins += "".join(f"{program}() {{ while read -r _; do :; done; }}\n" for program in AROUND)
    environment = {"PATH": str(folder), "CALLS": str(record), "HOME": str(folder), **BY_THE_READER}
    script = ["/bin/bash", "-euo", "pipefail", "-c", stand_ins + block.text]
    run = subprocess.run(script, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    assert run.returncode == 0, f"{block} ends with {run.returncode}: {run.stderr}"
    told = [line.split("\x1f")[:-1] for line in record.read_text().split("\x1e")[:-1]]
    return [Call(block, os.path.relpath(where, ROOT), tuple(words)) for where, *words in told]


def make(*words: str, folder: str = ".") -> str:
    """What make prints, as for a reader: not as a part of the make that runs the tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", *words], cwd=ROOT / folder, env=environment, check=True, capture_output=True, text=True)
    return done.stdout
