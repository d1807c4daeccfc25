"""An Envoy that reads its listener from a file and follows the file's changes, as it would follow a control plane's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import yaml

import stack

from .bootstrap import PLUGIN, as_string, bootstrap, wasm_plugin
from .envoy import Envoy
from .eventually import eventually

Edit = Callable[[dict], None]
CREATED = "listener_manager.listener_create_success"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"


class Updated:
    """Begins with the good configuration of these tests. `edit` changes every listener, `options` are Envoy's."""

    def __init__(self, auth_port: int, backend_port: int, folder: Path, *, edit: Edit = lambda bootstrap: None, **options) -> None:
        self._services = (auth_port, backend_port)
        self._edit = edit
        self._watched = folder / "listeners"
        self._watched.mkdir(parents=True)
        (self._port,) = stack.free_ports(1)
        self.configure(PLUGIN)
        config = bootstrap(*self._services, PLUGIN)
        del config["static_resources"]["listeners"]
        config["node"] = {"id": "tests", "cluster": "tests"}
        source = {"path": str(self._watched / "listeners.yaml"), "watched_directory": {"path": str(self._watched)}}
        config["dynamic_resources"] = {"lds_config": {"resource_api_version": "V3", "path_config_source": source}}
        self.envoy = Envoy(config, folder / "envoy", **options)

    def __enter__(self) -> Updated:
        self.envoy.start()
        eventually(lambda: self.envoy.stat("listener_manager.total_listeners_active") == 1, what="an active listener")
        return self

    def __exit__(self, *_exc) -> None:
        self.envoy.stop()

    def configure(self, configuration: dict | str, *, vm_configuration: str | None = None) -> None:
        """Puts a listener with this plugin configuration in the place of the one before.

        Another VM configuration, which the filter does not read, makes Envoy start new VMs.
        """
        config = bootstrap(*self._services, configuration)
        self._edit(config)
        if isinstance(configuration, str):
            wasm_plugin(config)["configuration"] = as_string(configuration)
        if vm_configuration is not None:
            wasm_plugin(config)["vm_config"]["configuration"] = as_string(vm_configuration)
        (listener,) = config["static_resources"]["listeners"]
        listener["address"]["socket_address"]["port_value"] = self._port
        text = yaml.safe_dump({"resources": [{"@type": LISTENER, **listener}]})
        (self._watched / "next").write_text(text)
        os.replace(self._watched / "next", self._watched / "listeners.yaml")

    def accept(self, configuration: dict | str, *, vm_configuration: str | None = None) -> None:
        """Updates, and waits until the update has been taken and every worker has it."""
        created = self.envoy.stat(CREATED)
        self._update(configuration, "update_success", vm_configuration)
        eventually(lambda: self.envoy.stat(CREATED) >= created + self.envoy.workers, within=15, what="the update on every worker")

    def refuse(self, configuration: dict | str) -> str:
        """Updates, waits until the update has been refused, and gives what the filter said about it."""
        before = len(self.envoy.log())
        self._update(configuration, "update_rejected")
        return self.envoy.complaints(self.envoy.log()[before:])

    def _update(self, configuration: dict | str, outcome: str, vm_configuration: str | None = None) -> None:
        stat = f"listener_manager.lds.{outcome}"
        count = self.envoy.stat(stat)
        self.configure(configuration, vm_configuration=vm_configuration)
        eventually(lambda: self.envoy.stat(stat) == count + 1, within=15, what=f"one more {outcome}")
