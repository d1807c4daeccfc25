"""Proves that every command in the documents is one that works: it is run here, or by what the table below names for it."""

import argparse
import functools
import json
import re
import subprocess
from pathlib import Path

import pytest

from harness.documents import Block, blocks, document, documents
from harness.paths import ROOT, command
from shell import Call, calls, make
from source_names import assert_test_is_there

PYTHON = "target/tools/venv/bin/python"
COMMAND = "target/session-bearer"

RUN_BY = {
    ".make/lint.sh quick": "Makefile::quick-lint",
    "envoy --mode validate": "tests/envoy/test_bad_configuration.py::test_validation_mode_finds_a_mistake_too",
    "curl -i http://localhost:10000/api/me": "tests/demo/test_what_to_try.py::test_each_command_answers_as_it_says",
    "func-e run -c envoy/envoy.yaml": "tests/packages/test_func_e.py::test_func_e_runs_the_filter",
    "docker compose up": "tests/packages/test_compose.py::test_file_is_what_its_definition_takes",
}
"""By how a command begins: what runs the same. The stand-ins here are never the proof that something works."""

CLUSTER = ("kubectl", "helm", "istioctl")
"""What only a cluster can run. Here: that the files and the secret they name are those of the manifests."""

VERBS = {
    "run": "tests/demo/test_what_to_try.py::test_each_command_answers_as_it_says",
    "test": ".ci/run::make test",
    "smoke": "tests/demo/test_smoke.py::test_transcript_has_no_failure",
    "soak": "tests/soak/test_soak.py::",
    "wasm": "Makefile::test: ",
    "envoy": "Makefile::test: ",
    "command": "Makefile::test: ",
    "image": "Makefile::test: ",
    "release": "tests/packages/test_release.py::test_checksums_cover_every_file_and_hold",
    "lint": "Makefile::lint.sh",
    "fuzz": "Makefile::fuzz.sh",
    "bench": "Makefile::bench.py",
    "help": "tests/docs/test_commands.py::test_help_lists_every_verb",
}
"""By verb: what runs it in full. Only reading it (`make -n`) is done for `lint`, `fuzz` and `bench`, which take long or need a network."""

PROGRAMS = ["make", "cargo", PYTHON, COMMAND, *CLUSTER, *sorted({command.split()[0] for command in RUN_BY})]
BLOCKS = blocks("sh", "bash", "shell")


@functools.cache
def verbs() -> dict[str, str]:
    """What `make help` prints: a line for each verb."""
    return dict(re.fullmatch(r"make ([a-z-]+) +(.+)", line).groups() for line in make("help").splitlines())


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_each_command_of_the_block_works(tmp_path, block):
    found = calls(block, PROGRAMS, tmp_path)
    assert found, f"{block} runs nothing"
    for call in found:
        program = call.words[0]
        if program in CHECKS:
            CHECKS[program](call)
        elif program in CLUSTER:
            check_manifests(call)
        else:
            check_table(call)


def check_make(call: Call) -> None:
    verb, *settings = call.words[1:]
    assert verb in verbs(), f"{call}: make help has no {verb}"
    known = {path: path.read_text() for path in [ROOT / "Makefile", *(ROOT / ".make").iterdir(), *(ROOT / "benches").glob("*.py")]}
    for setting in settings:
        name, _, value = setting.partition("=")
        assert value and any(re.search(rf"\b{name}\b", text) for text in known.values()), f"{call}: nothing reads {name}"
    make("-n", *call.words[1:], folder=call.folder)


class Options(argparse.ArgumentParser):
    """The options that the documents use; another one is a mistake, or to be added where they are read."""

    def error(self, message: str):
        raise AssertionError(f"{self.prog}: {message}")


def check_cargo(call: Call) -> None:
    """Nothing is built for it: the target has to be there, with its features, and a name has to be that of one of its tests."""
    cargo = Options(f"{call}")
    cargo.add_argument("verb", choices=["test"])
    cargo.add_argument("--locked", action="store_true")
    cargo.add_argument("--features", default="")
    cargo.add_argument("--test", required=True)
    cargo.add_argument("name", nargs="?", default="")
    asked = cargo.parse_intermixed_args(call.words[1:])
    metadata = ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"]
    listed = subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True)
    (package,) = json.loads(listed.stdout)["packages"]
    found = [target for target in package["targets"] if target["kind"] == ["test"] and target["name"] == asked.test]
    assert found, f"{call}: there is no test {asked.test}"
    assert set(found[0].get("required-features", [])) <= set(asked.features.split(",")), f"{call}: a feature is missing"
    source = Path(found[0]["src_path"]).read_text()
    assert re.search(rf"\bfn \w*{asked.name}\w*\(", source), f"{call}: {asked.test} has no test {asked.name}"


def check_pytest(call: Call) -> None:
    assert call.words[1:3] == ("-m", "pytest"), f"{call}: not pytest"
    command = [str(ROOT / PYTHON), *call.words[1:], "--collect-only", "-q"]
    collected = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert collected.returncode == 0, f"{call}: {collected.stdout[-2000:]}"


def check_command(call: Call) -> None:
    """Run as it stands, and what it finds has to be good."""
    done = subprocess.run([command(), *call.words[1:]], cwd=ROOT / call.folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{call}: {done.stdout}{done.stderr}"


CHECKS = {"make": check_make, "cargo": check_cargo, PYTHON: check_pytest, COMMAND: check_command}


def check_manifests(call: Call) -> None:
    manifests = {path: path.read_text() for path in [*(ROOT / "envoy/istio").iterdir(), *(ROOT / "envoy/gateway").iterdir()]}
    text = "\n".join(manifests.values())
    for before, word in zip(call.words, call.words[1:], strict=False):
        if word.endswith(".yaml"):
            assert (ROOT / call.folder / word) in manifests, f"{call}: there is no {word}"
        if before == "generic":
            assert re.search(rf"\bname: {word}\b", text), f"{call}: no manifest takes a Secret {word}"
        if word.startswith("--from-file="):
            key = word.removeprefix("--from-file=").partition("=")[0]
            assert re.search(rf"\bkey: {key}\b", text), f"{call}: no manifest takes the key {key}"


def check_table(call: Call) -> None:
    command = " ".join(call.words)
    by = [by for beginning, by in RUN_BY.items() if command.startswith(beginning)]
    assert by, f"{call}: nothing runs this; RUN_BY in this file names what does"
    assert_test_is_there(by[0])


def test_help_lists_every_verb():
    assert set(verbs()) <= set(VERBS), "a verb that this file does not know"
    for verb in verbs():
        assert_test_is_there(VERBS[verb])


SPANS = [span for name in documents() for span in document(name).spans if re.match(r"make [a-z]", span.text)]


@pytest.mark.parametrize("span", SPANS, ids=lambda span: f"{span}-{span.text}")
def test_verb_that_is_named_in_a_sentence_works(span):
    check_make(Call(span, ".", tuple(span.text.replace("=…", "=x").split())))


MISTAKES = [
    "make tset",
    "make bench BENCH_RUONDS=9",
    "cargo test --test cookies",
    "cargo test --test routes nothing_like_it",
    "cargo test --test command",
    f"{PYTHON} -m pytest tests/envoy/test_nothing.py",
    f"{COMMAND} chekc envoy/envoy.yaml",
    "kubectl apply -f envoy/istio/nothing.yaml",
    "curl -i http://elsewhere",
    "crul -i http://localhost:10000/api/me",
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_command_that_does_not_work_is_found(tmp_path, mistake):
    with pytest.raises((AssertionError, subprocess.CalledProcessError)):
        test_each_command_of_the_block_works(tmp_path, Block("x.md", 1, mistake, "sh"))
