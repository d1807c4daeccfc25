"""Proves that every link in every document leads to a file of the repository, and to a heading that is there."""

import subprocess

import pytest

from harness.documents import anchors, document, documents
from harness.paths import ROOT

TRACKED = set(subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split())
LINKS = [link for name in documents() for link in document(name).links]
INSIDE = [link for link in LINKS if not link.text.startswith(("https://", "mailto:"))]


@pytest.mark.parametrize("link", INSIDE, ids=lambda link: f"{link}-{link.text}")
def test_link_leads_to_a_file_and_a_heading(link):
    path, _, anchor = link.text.partition("#")
    assert not path.startswith(("http:", "/")), "links are relative, or https"
    target = ((ROOT / link.document).parent / path).resolve() if path else ROOT / link.document
    assert target.exists(), f"{link}: there is no {path}"
    name = str(target.relative_to(ROOT))
    files = TRACKED | set(documents())
    assert any(file == name or file.startswith(f"{name}/") for file in files), f"{link}: {name} is not in the repository"
    if anchor:
        assert name.endswith(".md"), f"{link}: only Markdown has headings"
        assert anchor in anchors(name), f"{link}: {name} has no heading #{anchor}; it has {', '.join(sorted(anchors(name)))}"


def test_links_are_found_at_all():
    """In paragraphs, lists and tables; what this module reads is not just nothing."""
    assert len(INSIDE) > 100 and {"README.md", "docs/troubleshooting.md"} <= {link.document for link in INSIDE}
