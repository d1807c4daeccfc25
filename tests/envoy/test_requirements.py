"""Proves that a route's required claims and scopes hold each time: whatever the credential, remembered or not, by whatever path."""

import pytest

from harness import tokens
from harness.bootstrap import PLUGIN, as_string, connection_manager, plugin, wasm_plugin
from harness.client import head
from harness.problem import assert_anonymous, assert_problem

CREDENTIALS = [{"bearer": {}}, {"token_cookie": {"names": ["access_token"]}}, *PLUGIN["credentials"]]


def rule(prefix: str, auth: str = "required", **require) -> dict:
    return {"match": {"prefix": prefix}, "auth": auth} | ({"require": require} if require else {})


ROUTES = [
    rule("/admin", claims={"role": "admin"}),
    rule("/level", claims={"level": 3}),
    rule("/ratio", claims={"ratio": 0.5}),
    rule("/flag", claims={"email_verified": True}),
    rule("/whole", claims={"address": {"country": "CH", "codes": [1, 2]}}),
    rule("/claims", claims={"role": "admin", "tenant": "blue"}),
    rule("/namespaced", claims={"https://example.com/role": "admin"}),
    rule("/scoped", scopes=["admin:write"]),
    rule("/scopes", scopes=["read", "admin:write"]),
    rule("/both", claims={"role": "admin"}, scopes=["admin:write"]),
    rule("/maybe", "optional", claims={"role": "admin"}),
    rule("/off", "off"),
    rule("/"),
]
CONFIGURATION = plugin(credentials=CREDENTIALS, routes=ROUTES)

MET = {
    "string": ("/admin", {"role": "admin"}),
    "string_among_others": ("/admin", {"role": ["user", "admin"]}),
    "number": ("/level", {"level": 3}),
    "number_among_others": ("/level", {"level": [1, 2, 3]}),
    "boolean": ("/flag", {"email_verified": True}),
    "object": ("/whole", {"address": {"codes": [1, 2], "country": "CH"}}),
    "two_claims": ("/claims", {"role": "admin", "tenant": ["red", "blue"]}),
    "claim_with_a_long_name": ("/namespaced", {"https://example.com/role": "admin"}),
    "scope_string": ("/scoped", {"scope": "admin:write"}),
    "scope_among_others": ("/scoped", {"scope": "openid admin:write email"}),
    "scp_array": ("/scoped", {"scp": ["openid", "admin:write"]}),
    "permissions_array": ("/scoped", {"permissions": ["admin:write"]}),
    "two_scopes": ("/scopes", {"scope": "admin:write read"}),
    "scopes_from_two_places": ("/scopes", {"scope": "read", "permissions": ["admin:write"]}),
    "claim_and_scope": ("/both", {"role": "admin", "scope": "admin:write"}),
    "optional_route": ("/maybe", {"role": "admin"}),
}

UNMET = {
    "claim_absent": ("/admin", {}),
    "claim_null": ("/admin", {"role": None}),
    "other_string": ("/admin", {"role": "user"}),
    "string_in_other_case": ("/admin", {"role": "Admin"}),
    "string_with_a_suffix": ("/admin", {"role": "admins"}),
    "string_with_a_space": ("/admin", {"role": "user admin"}),
    "array_without_it": ("/admin", {"role": ["user", "admins"]}),
    "empty_array": ("/admin", {"role": []}),
    "nested_array": ("/admin", {"role": [["admin"]]}),
    "object_with_it_as_a_name": ("/admin", {"role": {"admin": True}}),
    "number_as_text": ("/level", {"level": "3"}),
    "other_number": ("/level", {"level": 30}),
    "boolean_as_text": ("/flag", {"email_verified": "true"}),
    "boolean_as_number": ("/flag", {"email_verified": 1}),
    "false": ("/flag", {"email_verified": False}),
    "object_with_more": ("/whole", {"address": {"country": "CH", "codes": [1, 2], "city": "Bern"}}),
    "one_of_two_claims": ("/claims", {"role": "admin"}),
    "claim_inside_another": ("/namespaced", {"https://example.com": {"role": "admin"}}),
    "no_scope": ("/scoped", {}),
    "scope_with_a_suffix": ("/scoped", {"scope": "admin:write-all"}),
    "scope_in_other_case": ("/scoped", {"scope": "Admin:Write"}),
    "scope_with_commas": ("/scoped", {"scope": "read,admin:write"}),
    "scope_as_an_array": ("/scoped", {"scope": ["admin:write"]}),
    "scope_in_another_claim": ("/scoped", {"scopes": ["admin:write"], "roles": ["admin:write"]}),
    "one_of_two_scopes": ("/scopes", {"scope": "read"}),
    "claim_without_scope": ("/both", {"role": "admin"}),
    "scope_without_claim": ("/both", {"scope": "admin:write"}),
    "optional_route": ("/maybe", {"role": "user"}),
}


@pytest.fixture(scope="module")
def client(start_envoy):
    return start_envoy(CONFIGURATION).client()


def assert_insufficient(answer):
    assert_problem(answer, 403)
    assert answer.value("www-authenticate") == 'Bearer error="insufficient_scope"'


def by_each_credential(auth, token: str) -> list[dict]:
    """The ways in which a client can show a token."""
    session = auth.sign_in(token=token)
    return [{"authorization": f"Bearer {token}"}, {"cookie": f"access_token={token}"}, {"cookie": session.cookie}]


@pytest.mark.parametrize("case", MET)
def test_token_that_has_what_is_required_passes(auth, client, target, case):
    prefix, claims = MET[case]
    token = tokens.mint_raw_claims(**claims)
    for credential in by_each_credential(auth, token):
        for _ in range(2):
            assert client.get(target(prefix), **credential).upstream.values("authorization") == [f"Bearer {token}"]


@pytest.mark.parametrize("case", UNMET)
def test_token_that_lacks_what_is_required_is_answered_403(auth, backend, client, target, case):
    prefix, claims = UNMET[case]
    path = target(prefix)
    for credential in by_each_credential(auth, tokens.mint_raw_claims(**claims)):
        for _ in range(2):
            assert_insufficient(client.get(path, **credential))
    assert backend.requests(path) == []


def ask(connection, path, *, authorization=None, cookie=None):
    field = ("authorization", authorization.encode()) if authorization else ("cookie", cookie.encode())
    connection.send(head(path, field))
    return connection.read()


def test_requirement_holds_for_a_remembered_credential_too(auth, backend, client, target):
    path = target("/admin")
    for credential in by_each_credential(auth, tokens.mint(role="user")):
        with client.open() as connection:
            assert ask(connection, target("/other"), **credential).status == 200
            assert_insufficient(ask(connection, path, **credential))
            assert ask(connection, target("/other"), **credential).status == 200
    assert backend.requests(path) == []


def test_requirement_that_is_not_met_costs_no_second_exchange(auth, client, target):
    session = auth.sign_in(token=tokens.mint(role="user"))
    with client.open() as connection:
        for _ in range(3):
            assert_insufficient(ask(connection, target("/admin"), cookie=session.cookie))
    assert len(auth.calls(session)) == 1


def test_missing_and_invalid_credentials_are_answered_401_where_something_is_required(client, target):
    assert client.get(target("/admin")).value("www-authenticate") == "Bearer"
    answer = client.get(target("/admin"), authorization=f"Bearer {tokens.mint(tokens.WRONG_SECRET, role='admin')}")
    assert_problem(answer, 401)


def test_optional_route_with_a_requirement_passes_anonymous_requests(client, target):
    assert_anonymous(client.get(target("/maybe")))
    assert_anonymous(client.get(target("/maybe"), cookie="session=unknown"))


def test_requirements_are_read_from_json_text_alike(start_envoy, target):
    def as_text(bootstrap):
        wasm_plugin(bootstrap)["configuration"] = as_string(CONFIGURATION)

    client = start_envoy(edit=as_text).client()
    fraction = ("/ratio", {"ratio": 0.5})  # only here: of a fraction in its YAML Envoy makes a string
    for prefix, claims in [*MET.values(), fraction]:
        assert client.get(target(prefix), authorization=f"Bearer {tokens.mint_raw_claims(**claims)}").status == 200
    for prefix, claims in UNMET.values():
        assert client.get(target(prefix), authorization=f"Bearer {tokens.mint_raw_claims(**claims)}").status == 403


# Spellings that some server takes for /admin or a path below it.
DISGUISED = [
    "//admin",
    "/./admin",
    "/x/../admin",
    "/off/../admin/x",
    "/off/..//admin",
    "/admin//",
    "/admin/",
    "/%61dmin",
    "/%2561dmin",
    "/admin%2fx",
    "/x/%2e%2e/admin",
    "/x/%2E./admin",
    "/x%2f..%2fadmin",
    "/x/%252e%252e/admin",
    "/x%5c..%5cadmin",
    "/x\\..\\admin",
    "/\\admin",
    "/admin;x=1",
    "/admin;x/y",
    "/;x/admin",
    "/off;/../admin",
    "/off/..;/admin",
    "/x;/..;a=b/admin",
    "/admin%3bx",
    "/admin%00",
    "/admin%23",
    "/admin#x",
    "/off%3f/../admin",
    "/./x/./../admin/.",
    "/x/y/../../admin",
    "/off/%2e%2e%2fadmin",
]

# As odd, but nobody takes them for a path that requires something.
ODD = ["/x//y", "/x/../y", "/x%2fy", "/x;a=b", "/x/%2e/y", "/x%5cy"]


@pytest.fixture(scope="module")
def not_normalising(start_envoy):
    """A client of an Envoy that hands paths to the filter as they came, as many do."""

    def edit(bootstrap):
        manager = connection_manager(bootstrap)
        manager.update(normalize_path=False, merge_slashes=False, path_with_escaped_slashes_action="KEEP_UNCHANGED")

    return start_envoy(CONFIGURATION, edit=edit).client()


def bearer(**claims) -> tuple[str, bytes]:
    return ("authorization", f"Bearer {tokens.mint(**claims)}".encode())


@pytest.mark.parametrize("path", DISGUISED)
def test_disguised_path_does_not_pass_without_what_is_required(backend, not_normalising, path):
    before = backend.count()
    statuses = {not_normalising.raw(head(path, *field)).status for field in ([], [bearer(role="user")], [bearer()])}
    assert statuses <= {400, 401, 403}, statuses
    assert backend.count() == before


@pytest.mark.parametrize("path", DISGUISED)
def test_disguised_path_does_not_pass_a_normalising_envoy_either(backend, client, path):
    before = backend.count()
    assert client.raw(head(path, bearer(role="user"))).status in (307, 400, 403)
    assert backend.count() == before


@pytest.mark.parametrize("path", DISGUISED)
def test_disguised_path_passes_with_what_is_required(not_normalising, path):
    answer = not_normalising.raw(head(path, bearer(role="admin")))
    assert answer.status in (200, 400), answer  # Envoy itself answers 400 to some


@pytest.mark.parametrize("path", ODD)
def test_odd_path_that_resembles_nothing_protected_passes_with_any_valid_credential(auth, not_normalising, path):
    token = tokens.mint(role="user")
    for credential in by_each_credential(auth, token):
        with not_normalising.open() as connection:
            assert ask(connection, path, **credential).upstream.values("authorization") == [f"Bearer {token}"]
    assert not_normalising.raw(head(path)).status == 401


def test_path_too_long_to_be_understood_has_to_meet_every_requirement(not_normalising):
    path = "/x" + "/./y" * 400
    assert_insufficient(not_normalising.raw(head(path, bearer(role="admin"))))
