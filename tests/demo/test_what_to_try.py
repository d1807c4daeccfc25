"""Proves that what `make run` tells a newcomer to try does what is said beside it: each command by curl, as it is printed."""

import re
import shutil
import subprocess

import pytest

import run

COMMAND = re.compile(r"curl .*?(?=\n +curl |\n +Envoy's|\Z)", re.DOTALL)
SAID = re.compile(r"# (\d{3})")


@pytest.fixture
def commands(demo):
    """The commands with this demo's ports in them, and the status that is said of each; 200 where nothing is."""
    if shutil.which("curl") is None:
        pytest.exit("curl is missing: install it (Debian and Ubuntu: apt-get install curl)", returncode=2)
    text = run.WHAT_TO_TRY.format(url=demo.url, backend=demo.ports.backend, admin=demo.ports.admin, folder="")
    return [(command, int((SAID.search(command) or [0, 200])[1])) for command in COMMAND.findall(text.replace("\\\n", "\n").strip())]


def test_each_command_answers_as_it_says(commands, demo, tmp_path):
    assert len(commands) >= 6
    for command, status in commands:
        without_comment = re.sub(r"\s+#.*", "", command, flags=re.DOTALL).replace("\n", " ")
        shell = ["bash", "-c", f"{without_comment} -s -o /dev/null -w '%{{http_code}}'"]
        told = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, timeout=30)
        assert (told.returncode, told.stdout) == (0, str(status)), f"{command}: {told.stdout} {told.stderr}"
