"""An OCI image in a folder, read the way the fetchers of Istio and Envoy Gateway read one from a registry."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import posixpath
import tarfile
from pathlib import Path

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Layout:
    """Every blob is held against its digest when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        index = json.loads((folder / "index.json").read_text())
        (self.descriptor,) = index["manifests"]
        self.manifest = json.loads(self.blob(self.descriptor))
        self.config = json.loads(self.blob(self.manifest["config"]))

    @property
    def layers(self) -> list[dict]:
        return self.manifest["layers"]

    @property
    def digest(self) -> str:
        """What a reference with @ and a `sha256` in a manifest stand for."""
        return self.descriptor["digest"]

    def blob(self, descriptor: dict) -> bytes:
        algorithm, _, digest = descriptor["digest"].partition(":")
        content = (self.folder / "blobs" / algorithm / digest).read_bytes()
        assert algorithm == "sha256" and hashlib.sha256(content).hexdigest() == digest, f"the blob {digest} is another"
        assert len(content) == descriptor["size"], f"the blob {digest} has another size"
        return content

    def members(self) -> list[tarfile.TarInfo]:
        """Everything in all of the layers."""
        return [member for layer in self.layers for member in self._archive(layer).getmembers()]

    def module(self) -> bytes:
        """What both fetchers take for the module: in the last layer, of this media type alone, the first plugin.wasm."""
        assert self.manifest.get("mediaType", OCI_MANIFEST) == OCI_MANIFEST, "no manifest of OCI's"
        assert self.layers, "number of layers must be greater than zero"
        layer = self.layers[-1]
        assert layer["mediaType"] == OCI_LAYER, f"invalid media type {layer['mediaType']} (expect {OCI_LAYER})"
        archive = self._archive(layer)
        for member in archive:
            if posixpath.basename(member.name) == "plugin.wasm":
                return archive.extractfile(member).read()
        raise AssertionError("plugin.wasm not found in the archive")

    def _archive(self, layer: dict) -> tarfile.TarFile:
        return tarfile.open(fileobj=io.BytesIO(gzip.decompress(self.blob(layer))))
