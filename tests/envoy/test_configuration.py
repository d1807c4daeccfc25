"""Proves which forms a good configuration may have, and that an update takes effect only when it is good."""

import pytest
import yaml

from harness import answers
from harness.bootstrap import PLUGIN, as_string, bootstrap, plugin, wasm_plugin
from harness.client import head
from harness.envoy import Envoy
from harness.eventually import eventually
from harness.problem import assert_anonymous, assert_problem
from harness.updated import Updated


def assert_works(auth, client, target):
    session = auth.sign_in()
    assert client.get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]
    assert_problem(client.get(target()), 401)


def test_json_text_is_accepted(auth, start_envoy, target):
    def as_text(bootstrap):
        wasm_plugin(bootstrap)["configuration"] = as_string(PLUGIN)

    assert_works(auth, start_envoy(edit=as_text).client(), target)


def test_inline_struct_is_accepted(auth, client, target):
    assert_works(auth, client, target)


def test_any_name_and_root_id_will_do(auth, start_envoy, target):
    def renamed(bootstrap):
        wasm_plugin(bootstrap).update(name="something-else", root_id="")

    assert_works(auth, start_envoy(edit=renamed).client(), target)


def test_bare_off_of_yaml_is_accepted_as_off(auth, backend, tmp_path, target):
    text = yaml.safe_dump(bootstrap(auth.port, backend.port, PLUGIN))
    bare = text.replace("auth: 'off'", "auth: off")
    assert bare != text
    with Envoy(bare, tmp_path) as envoy:
        assert_anonymous(envoy.client().get(target("/off")))
        assert_works(auth, envoy.client(), target)


def test_good_configuration_passes_validation_mode(auth, backend, tmp_path):
    envoy = Envoy(bootstrap(auth.port, backend.port, PLUGIN), tmp_path)
    envoy.launch("--mode", "validate")
    assert envoy.wait() == 0


def test_missing_issuer_and_audiences_are_warned_about(auth, start_envoy):
    rest = {key: value for key, value in PLUGIN["token"].items() if key == "keys"}
    envoy = start_envoy(PLUGIN | {"token": rest})
    warnings = [line for line in envoy.log().splitlines() if "[warning][wasm]" in line]
    assert any("token.issuer" in line for line in warnings)
    assert any("token.audiences" in line for line in warnings)


@pytest.fixture
def updated(auth, backend, tmp_path):
    with Updated(auth.port, backend.port, tmp_path / "lds") as envoy:
        yield envoy


def test_bad_update_keeps_the_old_configuration_serving(auth, updated, target):
    client = updated.envoy.client()
    known = auth.sign_in()
    assert client.get(target(), cookie=known.cookie).status == 200
    assert "exchange.timeout" in updated.refuse(plugin(exchange={"timeout": "40s"}))
    assert client.get(target(), cookie=known.cookie).upstream.values("authorization") == [known.bearer]
    assert_works(auth, client, target)
    assert updated.envoy.stat("listener_manager.total_listeners_active") == 1


def test_good_update_takes_effect_also_after_a_bad_one(auth, updated, target):
    client = updated.envoy.client()
    assert_problem(client.get(target()), 401)
    updated.refuse(plugin(routes=[{"match": {"prefix": "/"}, "auth": "nonsense"}]))
    updated.accept(plugin(routes=[{"match": {"prefix": "/"}, "auth": "optional"}]))
    eventually(lambda: client.get(target()).status == 200, within=10, what="the updated rule")
    session = auth.sign_in()
    assert client.get(target(), cookie=session.cookie).upstream.values("authorization") == [session.bearer]
    assert_anonymous(client.get(target()))


def test_request_that_waits_during_an_update_is_answered(auth, updated, target):
    client, gate = updated.envoy.client(), answers.Gate()
    session = auth.sign_in()
    auth.script(session, gate.before(answers.token(session.token)))
    with client.open() as connection:
        connection.send(head(target(), ("cookie", session.cookie.encode())))
        eventually(lambda: auth.calls(session), what="the callout")
        try:
            updated.accept(plugin(cache={"max_ttl": "30s"}))
        finally:
            gate.open()
        assert connection.read().upstream.values("authorization") == [session.bearer]
    assert_works(auth, client, target)
