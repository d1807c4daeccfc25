"""What the tests of the packages share: the image, and a real Envoy with what is in a package."""

import copy

import pytest

from harness import paths
from harness.bootstrap import bootstrap, wasm_plugin
from harness.envoy import Envoy, stopped_at_the_end
from layout import Layout


@pytest.fixture
def image() -> Layout:
    return Layout(paths.image())


@pytest.fixture
def start_plugin(auth, backend, tmp_path):
    """Starts an Envoy whose filter is this PluginConfig with this module in it; it runs until the end of the test."""
    with stopped_at_the_end() as started:

        def start(config: dict, *, module=None, edit=lambda bootstrap: None) -> Envoy:
            whole = bootstrap(auth.port, backend.port, {})
            place = wasm_plugin(whole)
            place.clear()
            place |= copy.deepcopy(config)
            place["vm_config"]["code"] = {"local": {"filename": str(module or paths.module())}}
            edit(whole)
            started.append(Envoy(whole, tmp_path / f"envoy{len(started)}").start())
            return started[-1]

        yield start
