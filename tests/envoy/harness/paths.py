"""Where the tests find what they run. A missing tool is a failure with one line that says how to get it, never a skip."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TARGET = ROOT / "target"


def _need(path: Path, remedy: str) -> Path:
    if not path.exists():
        pytest.exit(f"{path} is missing: {remedy}", returncode=2)
    return path


def envoy_binary() -> Path:
    return _need(TARGET / "tools" / "envoy", "run `make envoy`")


def module() -> Path:
    return _need(TARGET / "session_bearer.wasm", "run `make wasm`")


def command() -> Path:
    return _need(TARGET / "session-bearer", "run `make command`")


def chromium() -> Path:
    return _need(TARGET / "tools" / "chromium", "run `make test`, which installs it")


def prometheus() -> Path:
    return _need(TARGET / "tools" / "prometheus", "run `make test`, which brings it")


def promtool() -> Path:
    return _need(TARGET / "tools" / "promtool", "run `make test`, which brings it")


def image() -> Path:
    return _need(TARGET / "image" / "index.json", "run `make image`").parent


def registry() -> Path:
    return _need(TARGET / "tools" / "registry", "run `make test`, which fetches it")
