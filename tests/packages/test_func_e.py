"""Proves that func-e runs the shipped envoy.yaml: the real func-e, offline, with the Envoy of these tests where it keeps its own."""

import os
import re
import signal
import subprocess

import pytest
import yaml

import stack
from harness import paths, tokens
from harness.client import Client
from harness.eventually import eventually

FUNC_E = paths.TARGET / "tools" / "func-e"


@pytest.mark.skipif(not FUNC_E.exists(), reason="neither func-e is here nor a Go that can build it")
def test_func_e_runs_the_filter(auth, backend, tmp_path):
    ports = stack.Ports(*stack.free_ports(2), auth=auth.port, backend=backend.port)
    (tmp_path / "envoy.yaml").write_text(yaml.safe_dump(stack.envoy_config(ports)))
    told = subprocess.run([paths.envoy_binary(), "--version"], capture_output=True, text=True).stdout
    version = re.search(r"version: [^/]*/([^/]*)/", told)[1]
    home = tmp_path / "home"
    laid = home / "versions" / version / "bin" / "envoy"
    laid.parent.mkdir(parents=True)
    laid.symlink_to(paths.envoy_binary().resolve())

    # Nothing is to be had at this address: what func-e has to fetch, it does not get.
    offline = {"FUNC_E_HOME": str(home), "ENVOY_VERSION": version, "ENVOY_VERSIONS_URL": "http://127.0.0.1:1/versions.json"}
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "JWT_SECRET": tokens.SECRET} | offline
    command = [str(FUNC_E), "run", "-c", str(tmp_path / "envoy.yaml"), "--concurrency", "2"]
    with (tmp_path / "func-e.log").open("wb") as log:
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        process = subprocess.Popen(command, cwd=paths.ROOT, env=environment, start_new_session=True, **streams)
    try:
        eventually(lambda: ready(process, ports, tmp_path), within=40, what="an Envoy that func-e has started")
        session = auth.sign_in(name="better-auth.session_token", token=tokens.mint(iss="auth-service", aud="api-service"))
        client = Client(ports.envoy)
        assert client.get("/api/me", cookie=session.cookie).upstream.values("authorization") == [session.bearer]
        assert client.get("/api/me").status == 401
    finally:
        stack.signal_group(process, signal.SIGINT)
        try:
            process.wait(timeout=15)
        finally:
            stack.signal_group(process, signal.SIGKILL)


def ready(process, ports, folder) -> bool:
    assert process.poll() is None, (folder / "func-e.log").read_text()[-3000:]
    return stack.answers(f"http://127.0.0.1:{ports.admin}/ready")
