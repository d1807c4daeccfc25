"""An Envoy that reads its listener from a file and follows the file's changes, as it would follow a control plane's."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

import stack

from .bootstrap import PLUGIN, as_string, bootstrap, wasm_plugin
from .envoy import Envoy
from .eventually import eventually

LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"


class Updated:
    """Begins with the good configuration of these tests."""

    def __init__(self, auth_port: int, backend_port: int, folder: Path) -> None:
        self._services = (auth_port, backend_port)
        self._watched = folder / "listeners"
        self._watched.mkdir(parents=True)
        (self._port,) = stack.free_ports(1)
        self.configure(PLUGIN)
        config = bootstrap(*self._services, PLUGIN)
        del config["static_resources"]["listeners"]
        config["node"] = {"id": "tests", "cluster": "tests"}
        source = {"path": str(self._watched / "listeners.yaml"), "watched_directory": {"path": str(self._watched)}}
        config["dynamic_resources"] = {"lds_config": {"resource_api_version": "V3", "path_config_source": source}}
        self.envoy = Envoy(config, folder / "envoy")

    def __enter__(self) -> Updated:
        self.envoy.start()
        eventually(lambda: self.envoy.stat("listener_manager.total_listeners_active") == 1, what="an active listener")
        return self

    def __exit__(self, *_exc) -> None:
        self.envoy.stop()

    def configure(self, configuration: dict | str) -> None:
        """Puts a listener with this plugin configuration in the place of the one before."""
        config = bootstrap(*self._services, configuration)
        if isinstance(configuration, str):
            wasm_plugin(config)["configuration"] = as_string(configuration)
        (listener,) = config["static_resources"]["listeners"]
        listener["address"]["socket_address"]["port_value"] = self._port
        text = yaml.safe_dump({"resources": [{"@type": LISTENER, **listener}]})
        (self._watched / "next").write_text(text)
        os.replace(self._watched / "next", self._watched / "listeners.yaml")

    def accept(self, configuration: dict | str) -> None:
        """Updates, and waits until the update has been taken."""
        self._update(configuration, "update_success")

    def refuse(self, configuration: dict | str) -> str:
        """Updates, waits until the update has been refused, and gives what the filter said about it."""
        before = len(self.envoy.log())
        self._update(configuration, "update_rejected")
        return self.envoy.complaints(self.envoy.log()[before:])

    def _update(self, configuration: dict | str, outcome: str) -> None:
        stat = f"listener_manager.lds.{outcome}"
        count = self.envoy.stat(stat)
        self.configure(configuration)
        eventually(lambda: self.envoy.stat(stat) == count + 1, within=15, what=f"one more {outcome}")
