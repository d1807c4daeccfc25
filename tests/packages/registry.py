"""A real registry on a port of its own, which keeps what it is sent in a folder."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import httpx

import stack
from harness import paths
from harness.eventually import eventually
from layout import OCI_MANIFEST


class Registry:
    def __init__(self, folder: Path) -> None:
        (port,) = stack.free_ports(1)
        self.host = f"127.0.0.1:{port}"
        config = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}}, "http": {"addr": self.host}}
        (folder / "registry.yaml").write_text(json.dumps(config))
        self._log = (folder / "registry.log").open("wb")
        command = [paths.registry(), "serve", folder / "registry.yaml"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        self._client = httpx.Client(base_url=f"http://{self.host}/v2", trust_env=False)

    def __enter__(self) -> Registry:
        eventually(self._answers, within=15, what="a registry that answers")
        return self

    def __exit__(self, *_exc) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait(timeout=10)
        self._log.close()

    def pull(self, name: str, reference: str, folder: Path) -> str:
        """Writes an image with all its blobs to a folder and gives the digest that the registry has for it."""
        answer = self._client.get(f"/{name}/manifests/{reference}", headers={"accept": OCI_MANIFEST}).raise_for_status()
        blobs = folder / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        (blobs / hashlib.sha256(answer.content).hexdigest()).write_bytes(answer.content)
        digest = answer.headers["docker-content-digest"]
        descriptor = {"mediaType": answer.headers["content-type"], "digest": digest, "size": len(answer.content)}
        (folder / "index.json").write_text(json.dumps({"manifests": [descriptor]}))
        for part in (answer.json()["config"], *answer.json()["layers"]):
            content = self._client.get(f"/{name}/blobs/{part['digest']}").raise_for_status().content
            (blobs / part["digest"].removeprefix("sha256:")).write_bytes(content)
        return digest

    def _answers(self) -> bool:
        assert self._process.poll() is None, "the registry ended at its start"
        try:
            return self._client.get("/").status_code == 200
        except httpx.TransportError:
            return False
