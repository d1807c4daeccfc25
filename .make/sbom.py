"""Writes what the module is made of as a CycloneDX document: the crates that cargo links into it, Rust's library, nothing else.

Tools that run while it is built (derive macros and what they use) and crates of the tests alone are not in the module
and not in the document. It holds no time of day and nothing random, so that the same module gives the same document.

Usage: sbom.py MODULE DOCUMENT
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import uuid
from pathlib import Path

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

TARGET = "wasm32-wasip1"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "session-bearer")

Crate = tuple[str, str]


def main(module: Path, document: Path) -> None:
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", TARGET))
    packages = {(package["name"], package["version"]): package for package in metadata["packages"]}
    checksums = read_checksums(Path("Cargo.lock").read_text())
    components = {crate: component(packages[crate], checksums.get(crate)) for crate in sorted(linked_crates())}

    (root,) = (crate for crate, package in packages.items() if package["id"] == metadata["resolve"]["root"])
    content = module.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    components[root].hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=digest))
    bom = Bom(serial_number=uuid.uuid5(NAMESPACE, digest))
    bom.metadata.component = components[root]
    bom.components.update(part for crate, part in components.items() if crate != root)
    bom.components.update(standard_library(content))
    for node in metadata["resolve"]["nodes"]:
        if part := components.get(crate_of(node["id"], packages)):
            needed = [components.get(crate_of(id_, packages)) for id_ in normal_dependencies(node)]
            bom.register_dependency(part, [other for other in needed if other])

    written = json.loads(JsonV1Dot6(bom).output_as_string())
    del written["metadata"]["timestamp"]
    document.write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")


def linked_crates() -> set[Crate]:
    """Name and version of each, the project's own crate included. Of metadata alone cargo does not say which features are on."""
    edges = ["--edges", "normal,no-proc-macro"]
    lines = cargo("tree", "--target", TARGET, *edges, "--prefix", "none", "--format", "{p}").splitlines()
    return {(line.split()[0], line.split()[1].removeprefix("v")) for line in lines if line}


def read_checksums(lock: str) -> dict[Crate, str]:
    entry = re.compile(r'^name = "(.+)"\nversion = "(.+)"\nsource = .+\nchecksum = "([0-9a-f]{64})"$', re.MULTILINE)
    return {(name, version): checksum for name, version, checksum in entry.findall(lock)}


def component(package: dict, checksum: str | None) -> Component:
    name, version = package["name"], package["version"]
    # An older way of writing "or" that no longer is an expression.
    expression = package["license"].replace("/", " OR ")
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=f"{name}@{version}",
        description=package["description"],
        purl=PackageURL("cargo", None, name, version),
        licenses=[LicenseFactory().make_with_expression(expression)],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
    )


def standard_library(module: bytes) -> list[Component]:
    """As the module itself names it, in what its panics say of their source: the commit of Rust's repository."""
    commits = sorted({commit.decode() for commit in re.findall(rb"/rustc/([0-9a-f]{40})/library/", module)})
    return [
        Component(
            type=ComponentType.LIBRARY,
            name="rust-std",
            version=commit,
            bom_ref=f"rust-std@{commit}",
            purl=PackageURL("github", "rust-lang", "rust", commit, subpath="library"),
            licenses=[LicenseFactory().make_with_expression("MIT OR Apache-2.0")],
        )
        for commit in commits
    ]


def normal_dependencies(node: dict) -> list[str]:
    return [entry["pkg"] for entry in node["deps"] if any(kind["kind"] is None for kind in entry["dep_kinds"])]


def crate_of(package_id: str, packages: dict[Crate, dict]) -> Crate:
    return next(crate for crate, package in packages.items() if package["id"] == package_id)


def cargo(*arguments: str) -> str:
    return subprocess.run(["cargo", *arguments, "--locked"], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
