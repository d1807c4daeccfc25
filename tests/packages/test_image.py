"""Proves that the OCI image holds the module that was tested, in the form that Istio and Envoy Gateway read, and is the same each time."""

import hashlib
import json
import os
import re
import shutil
import subprocess

import pytest
import yaml

import stack
from harness import paths
from harness.bootstrap import PLUGIN, as_struct, wasm_plugin
from layout import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Layout
from registry import Registry


def build_image(**variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMAGE")} | variables
    done = subprocess.run([paths.ROOT / ".make" / "image.sh"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_builds_have_one_digest_whatever_the_age_of_the_module():
    before = (build_image(), Layout(paths.image()).digest)
    module = paths.module()
    modified = module.stat().st_mtime
    try:
        os.utime(module, (modified, modified - 12345))
        assert (build_image(), Layout(paths.image()).digest) == before
    finally:
        os.utime(module, (modified, modified))


def test_build_prints_the_digest_of_the_image_and_the_checksum_of_the_module():
    printed = build_image()
    image = Layout(paths.image())
    assert f"image: digest {image.digest} " in printed
    assert f"image: module sha256:{hashlib.sha256(paths.module().read_bytes()).hexdigest()}\n" in printed
    assert (paths.TARGET / "image.digest").read_text() == f"{image.digest}\n"


def test_registry_has_the_image_under_the_digest_that_was_printed(tmp_path):
    with Registry(tmp_path) as registry:
        name = f"{registry.host}/auth/session-bearer"
        printed = build_image(IMAGE=f"{name}:1.2.3", IMAGE_TLS_VERIFY="false")
        digest = registry.pull("auth/session-bearer", "1.2.3", tmp_path / "pulled")
    pulled = Layout(tmp_path / "pulled")
    assert digest == pulled.digest == Layout(paths.image()).digest
    assert f"image: pushed, oci://{name}@{digest}\n" in printed
    assert pulled.module() == paths.module().read_bytes()


def test_only_layer_holds_the_tested_module_and_nothing_else(image):
    (member,) = image.members()
    assert (member.name, member.mode & 0o7777, member.uid, member.gid, member.mtime) == ("plugin.wasm", 0o644, 0, 0, 0)
    assert len(image.layers) == 1
    assert image.module() == paths.module().read_bytes()


def test_media_types_are_those_of_the_variant_that_every_fetcher_takes(image):
    assert image.descriptor["mediaType"] == image.manifest["mediaType"] == OCI_MANIFEST
    assert image.manifest["config"]["mediaType"] == OCI_CONFIG
    assert [layer["mediaType"] for layer in image.layers] == [OCI_LAYER]
    assert image.manifest["annotations"]["module.wasm.image/variant"] == "compat"


def test_image_tells_the_version_and_no_time_of_day(image):
    version = re.search(r'^version = "(.*)"$', (paths.ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    assert image.manifest["annotations"]["org.opencontainers.image.version"] == version
    assert image.config["created"] == "1970-01-01T00:00:00Z"
    assert (image.config["os"], image.config["architecture"]) == ("linux", "amd64")


@pytest.mark.parametrize(
    ("mistake", "complaint"),
    [
        pytest.param(lambda manifest: manifest["layers"][0].update(mediaType="application/wasm"), "media type", id="media_type"),
        pytest.param(lambda manifest: manifest.update(layers=[]), "number of layers", id="no_layer"),
        pytest.param(lambda manifest: manifest["layers"][0].update(size=1), "size", id="size"),
    ],
)
def test_image_of_another_making_is_refused(tmp_path, mistake, complaint):
    folder = tmp_path / "image"
    shutil.copytree(paths.image(), folder)
    image = Layout(folder)
    mistake(image.manifest)
    with pytest.raises(AssertionError, match=complaint):
        image.module()


def test_module_taken_out_of_the_image_serves_a_session(image, auth, start_plugin, tmp_path):
    module = tmp_path / "plugin.wasm"
    module.write_bytes(image.module())
    shipped = wasm_plugin(yaml.safe_load(stack.ENVOY_YAML.read_text()))
    client = start_plugin(shipped | {"configuration": as_struct(PLUGIN)}, module=module).client()
    session = auth.sign_in()
    assert client.get("/api/image", cookie=session.cookie).upstream.values("authorization") == [session.bearer]
    assert client.get("/api/image").status == 401
    assert json.loads(client.get("/api/image").body)["detail"]
