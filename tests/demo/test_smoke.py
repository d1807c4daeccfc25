"""Proves that `make smoke` ends well and says so: the same program, with ports and a folder of its own."""

import re
import subprocess
import sys

from stack import DEMO, ROOT


def test_transcript_has_no_failure():
    done = subprocess.run([sys.executable, DEMO / "smoke.py"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.fullmatch(r"smoke: \d+ passed, 0 failed", done.stdout.splitlines()[-1])
