"""Proves that a release holds what was tested and is told of, that two of them are the same, and that its list of parts is exact."""

import json
import os
import re
import shutil
import subprocess

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import manifests
from harness import paths
from layout import Layout

VERSION = re.search(r'^version = "(.*)"$', (paths.ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
ENTRY = f"# Changelog\n\n## {VERSION} - 2020-01-01\n\n- All of it.\n"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The work tree as it is, committed in a repository of its own, with what `make release` has built before it gathers it."""
    folder = tmp_path_factory.mktemp("release") / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=paths.ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (paths.ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(paths.ROOT / name, folder / name)
    (folder / "CHANGELOG.md").write_text(ENTRY)
    (folder / "target" / "tools").mkdir(parents=True)
    (folder / "target" / "tools" / "venv").symlink_to(paths.TARGET / "tools" / "venv")
    shutil.copy2(paths.module(), folder / "target")
    shutil.copytree(paths.image(), folder / "target" / "image")
    shutil.copy2(paths.TARGET / "image.digest", folder / "target")
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


@pytest.fixture(scope="module")
def gathered(checkout):
    done = release(checkout)
    assert done.returncode == 0, done.stderr
    return checkout / "target" / f"release-{VERSION}"


@pytest.fixture(scope="module")
def parts(gathered) -> dict:
    return json.loads((gathered / f"session-bearer-{VERSION}.cdx.json").read_text())


def test_checksums_cover_every_file_and_hold(gathered):
    lines = (gathered / "SHA256SUMS").read_text().splitlines()
    files = {str(path.relative_to(gathered)) for path in gathered.rglob("*") if path.is_file()} - {"SHA256SUMS"}
    assert {line.split("  ")[1] for line in lines} == files
    assert subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=gathered).returncode == 0


def test_second_release_has_the_same_checksums(checkout, gathered):
    before = (gathered / "SHA256SUMS").read_text()
    for path in checkout.rglob("target/image/**/*"):
        os.utime(path, (1, 1))
    assert release(checkout).returncode == 0
    assert (gathered / "SHA256SUMS").read_text() == before


def test_module_and_image_are_the_tested_ones(gathered, tmp_path):
    assert (gathered / "session_bearer.wasm").read_bytes() == paths.module().read_bytes()
    subprocess.run(["tar", "-xf", gathered / f"session-bearer-{VERSION}.image.tar", "-C", tmp_path], check=True)
    image = Layout(tmp_path)
    assert image.module() == paths.module().read_bytes()
    assert (gathered / f"session-bearer-{VERSION}.image.digest").read_text() == f"{image.digest}\n"


def test_manifests_have_the_digest_of_the_image_and_are_else_the_same(gathered, image):
    digest = image.digest.removeprefix("sha256:")
    filled = 0
    for folder in manifests.FOLDERS:
        for path in folder.glob("*.yaml"):
            released = (gathered / folder.name / path.name).read_text()
            assert released.replace(digest, "0" * 64) == path.read_text()
            filled += released.count(digest)
    assert filled == 3


def test_manifests_name_the_image_of_this_version():
    assert manifests.wasm_plugin()["url"].endswith(f"/session-bearer:{VERSION}")


# The list of what the module is made of


def test_list_of_parts_is_a_cyclonedx_document_without_a_path_of_the_machine(gathered, parts):
    text = (gathered / f"session-bearer-{VERSION}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert "file:" not in text and str(paths.ROOT) not in text
    assert "timestamp" not in parts["metadata"]
    assert parts["metadata"]["component"]["version"] == VERSION


def test_list_has_every_crate_whose_code_names_itself_in_the_module(parts):
    """Panics name their source, and so tell which crates were linked, whatever cargo says."""
    named = set(re.findall(rb"/cargo/registry/src/[^/]+/([\w-]+?)-(\d[\w.+-]*)/", paths.module().read_bytes()))
    assert len(named) > 5
    assert {(name.decode(), version.decode()) for name, version in named} <= {
        (part["name"], part["version"]) for part in parts["components"]
    }


def test_list_has_nothing_that_only_builds_or_tests_the_module(parts):
    names = {part["name"] for part in parts["components"]}
    assert {"proxy-wasm", "jsonwebtoken", "serde", "quick_cache"} <= names
    assert not names & {"allocation-counter", "divan", "fastrand", "url"}, "a crate of the tests"
    assert not names & {"syn", "quote", "proc-macro2", "serde_derive", "thiserror-impl", "prost-derive"}, "a derive macro"


def test_parts_have_what_it_takes_to_find_them_again(parts):
    *crates, library = sorted(parts["components"], key=lambda part: part["name"] == "rust-std")
    for part in crates:
        assert part["purl"] == f"pkg:cargo/{part['name']}@{part['version'].replace('+', '%2B')}"
        assert part["hashes"] and part["licenses"][0]["expression"], part["name"]
    assert library["purl"] == f"pkg:github/rust-lang/rust@{library['version']}#library"
    assert f"/rustc/{library['version']}/".encode() in paths.module().read_bytes()


# What is not released


def test_work_tree_with_changes_is_refused_unless_forced(checkout, gathered):
    (checkout / "src" / "stray.rs").write_text("")
    try:
        assert "not committed" in refused(checkout)
        assert release(checkout, FORCE="1").returncode == 0
    finally:
        (checkout / "src" / "stray.rs").unlink()


@pytest.mark.parametrize("heading", ["Unreleased", f"{VERSION}1", f"1{VERSION}", VERSION.replace(".", "x")])
def test_version_that_the_changelog_does_not_know_is_refused(checkout, heading):
    (checkout / "CHANGELOG.md").write_text(ENTRY.replace(VERSION, heading))
    commit(checkout)
    try:
        assert f"CHANGELOG.md has no entry for {VERSION}" in refused(checkout)
    finally:
        (checkout / "CHANGELOG.md").write_text(ENTRY)
        commit(checkout)


def refused(checkout) -> str:
    """Before anything is built, and in one line."""
    done = release(checkout, "check")
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def release(checkout, what="module", **variables):
    environment = {name: value for name, value in os.environ.items() if name != "FORCE"} | variables
    command = [checkout / ".make" / "release.sh", what]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def commit(folder) -> None:
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message", "All of it")


def git(folder, *arguments) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
