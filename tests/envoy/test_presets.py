"""Proves that the configurations of docs/presets.md do what they are for, where the service is scripted or there is none."""

import json

import pytest
import yaml

import stack
from harness import answers, tokens
from harness.bootstrap import add_cluster
from harness.keys import SigningKey, key_set
from harness.origin import OWN_PAGE
from harness.presets import preset
from harness.problem import assert_anonymous, assert_problem

KRATOS_ISSUER = "https://app.example.com/"


class TestKratos:
    key = SigningKey("ES256")

    def mint(self, **claims) -> str:
        return self.key.mint(iss=KRATOS_ISSUER, aud="api-service", sid="9b5b1a0e", **claims)

    @pytest.fixture(scope="class")
    @classmethod
    def client(cls, auth, start_envoy):
        configuration = preset("Ory Kratos")
        configuration["token"]["keys"]["local_jwks"] = json.dumps(key_set(cls.key))
        return start_envoy(configuration, edit=lambda config: add_cluster(config, "kratos", auth.port)).client()

    def sign_in(self, auth, *script):
        return auth.sign_in(*script, name="ory_kratos_session", token=self.mint())

    def test_session_reaches_the_backend_as_the_token_of_the_template(self, auth, client, target):
        session = self.sign_in(auth)
        auth.script(session, answers.json_body({"id": "9b5b1a0e", "active": True, "identity": {"id": "x"}, "tokenized": session.token}))
        upstream = client.get(target(), cookie=f"a=1; {session.cookie}; csrf_token_5=2").upstream
        assert upstream.values("authorization") == [session.bearer]
        assert upstream.values("cookie") == ["a=1; csrf_token_5=2"]
        (call,) = auth.calls(session)
        assert (call.method, call.target) == ("GET", "/sessions/whoami?tokenize_as=session_bearer")
        assert call.values("cookie") == [session.cookie.encode()]

    @pytest.mark.parametrize(
        ("answer", "status"),
        [
            pytest.param(answers.status(401, '{"error":{"code":401,"status":"Unauthorized"}}'), 401, id="no_session"),
            pytest.param(answers.status(403, '{"error":{"id":"session_aal2_required","code":403}}'), 401, id="second_factor_due"),
            pytest.param(answers.json_body({"id": "9b5b1a0e", "active": True}), 401, id="no_template"),
            pytest.param(answers.status(400, '{"error":{"code":400}}'), 503, id="template_that_fails"),
        ],
    )
    def test_answers_of_whoami_without_a_token_come_to(self, auth, backend, client, target, answer, status):
        path, session = target(), self.sign_in(auth, answer)
        assert_problem(client.get(path, cookie=session.cookie), status)
        assert backend.requests(path) == []

    @pytest.mark.parametrize("claims", [{"iss": KRATOS_ISSUER.rstrip("/")}, {"aud": "another"}], ids=["issuer", "audience"])
    def test_token_of_another_making_is_answered_503(self, auth, client, target, claims):
        token = self.key.mint(**({"iss": KRATOS_ISSUER, "aud": "api-service"} | claims))
        session = self.sign_in(auth, answers.json_body({"tokenized": token}))
        assert_problem(client.get(target(), cookie=session.cookie), 503)

    def test_self_service_needs_no_session(self, client):
        assert_anonymous(client.get("/self-service/login/browser"))


class TestTokenInACookieAndInAHeader:
    @pytest.fixture(scope="class")
    @classmethod
    def client(cls, start_envoy):
        return start_envoy(preset("A token in a cookie, a token in a header")).client()

    def test_fetch_with_cookies_alone_reaches_the_backend_with_a_bearer(self, client, target):
        token = tokens.mint()
        answer = client.request("POST", target("/api/v1/sessions"), cookie=f"access_token={token}; theme=dark", headers=[OWN_PAGE])
        upstream = answer.upstream
        assert upstream.values("authorization") == [f"Bearer {token}"]
        assert upstream.values("cookie") == ["theme=dark"]

    def test_page_of_another_site_cannot_use_the_cookie_and_the_header_needs_no_origin(self, backend, client, target):
        token, path, elsewhere = tokens.mint(), target("/api/v1/sessions"), [("origin", "https://elsewhere.example")]
        assert_problem(client.request("POST", path, cookie=f"access_token={token}", headers=elsewhere), 403)
        assert backend.requests(path) == []
        answer = client.request("POST", path, authorization=f"Bearer {token}", headers=elsewhere)
        assert answer.upstream.values("authorization") == [f"Bearer {token}"]

    def test_axios_with_a_header_and_cookies_reaches_the_backend_with_the_header(self, client, target):
        in_header, in_cookie = tokens.mint(jti="header"), tokens.mint(jti="cookie")
        answer = client.get(target("/api/v1/documents"), cookie=f"access_token={in_cookie}", authorization=f"Bearer {in_header}")
        assert answer.upstream.values("authorization") == [f"Bearer {in_header}"]

    def test_app_without_cookies_reaches_the_backend(self, client, target):
        token = tokens.mint()
        assert client.get(target("/api/v1/me"), authorization=f"Bearer {token}").upstream.values("authorization") == [f"Bearer {token}"]

    def test_stale_header_is_not_helped_by_a_fresh_cookie(self, client, target):
        stale = tokens.mint(iat=1, exp=1000)
        assert_problem(client.get(target(), cookie=f"access_token={tokens.mint()}", authorization=f"Bearer {stale}"), 401)

    def test_login_and_refresh_pass_and_nothing_beside_them(self, client):
        for path in ("/api/v1/auth/login", "/api/v1/auth/refresh"):
            assert_anonymous(client.request("POST", path, body=b"{}"))
            assert_problem(client.get(path), 401)
        assert_problem(client.get("/api/v1/auth/me"), 401)


def test_preset_of_the_demo_is_what_the_demo_runs():
    assert preset("The demo") == stack.plugin(yaml.safe_load(stack.ENVOY_YAML.read_text()))
