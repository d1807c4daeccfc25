//! The fields that tell the backend who the user is: from the token, or not at all.

mod common;
mod world;

use common::{Head, claims, get, minimal_with, request, sign};
use serde_json::{Value, json};
use session_bearer::request::Field;
use world::{Reply, World};

fn config() -> Value {
    minimal_with(
        "/upstream",
        json!({
            "claim_headers": {"x-user-id": "/sub", "x-user-email": "/email", "x-user-roles": "/roles", "x-tenant": "/org/~1id"},
            "remove_headers": ["x-admin", "x-internal-*"],
        }),
    )
}

/// Spellings of names that no client may send.
const FORBIDDEN: [&str; 12] = [
    "x-user-id",
    "X-User-Id",
    "x_user_id",
    "X-USER_id",
    "x-user-email",
    "x-tenant",
    "x-admin",
    "X_Admin",
    "x-internal-",
    "x-internal-a",
    "X_Internal_B",
    "x_internal-c-d",
];

const ALLOWED: [&str; 6] = ["x-user-ids", "x-user", "x-admins", "xx-admin", "x-internal", "user-agent"];

fn forging(head: Head) -> Head {
    FORBIDDEN.iter().chain(&ALLOWED).fold(head, |head, name| head.with(name, "of-the-client"))
}

/// The names under which a value of the client's has reached the backend.
fn of_the_client(fields: &[Field]) -> Vec<&str> {
    fields.iter().filter(|(_, value)| value == b"of-the-client").map(|(name, _)| name.as_str()).collect()
}

fn value<'a>(fields: &'a [Field], name: &str) -> Option<&'a str> {
    let mut named = fields.iter().filter(|(n, _)| n == name);
    let value = named.next().map(|(_, value)| std::str::from_utf8(value).unwrap());
    assert!(named.next().is_none(), "{name} came twice");
    value
}

fn claims_with(world: &World, more: &Value) -> Value {
    let mut claims = claims("ada", world.now);
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

#[test]
fn client_can_send_none_of_them_on_any_route() {
    let mut world = World::with(&config());
    let token = sign(&claims("ada", world.now));
    world.exchange(get("/api/x").cookie("sid=abc"), &Reply::token(&token));
    let preflight =
        request("OPTIONS", "/api/x").with("origin", "https://app").with("access-control-request-method", "PUT");
    for (head, user) in [
        (get("/api/x").cookie("sid=abc"), Some("ada")),
        (get("/feed").cookie("sid=abc"), Some("ada")),
        (get("/feed"), None),
        (get("/api/auth/x"), None),
        (get("/hook"), None),
        (preflight, None),
    ] {
        let stream = world.request(forging(head));
        let upstream = world.upstream(stream);
        assert_eq!(of_the_client(upstream), ALLOWED);
        assert_eq!(value(upstream, "x-user-id"), user);
        assert_eq!(value(upstream, "x-user-email"), None, "a claim that is absent sets nothing");
    }
}

#[test]
fn request_that_waited_for_its_exchange_gets_them_too() {
    let mut world = World::with(&config());
    let stream = world.request(forging(get("/api/x").cookie("sid=abc")));
    let token = sign(&claims_with(&world, &json!({"email": "ada@example.com", "org": {"/id": 7}})));
    world.answer(&Reply::token(&token));
    let upstream = world.upstream(stream);
    assert_eq!(of_the_client(upstream), ALLOWED);
    let names = ["x-user-id", "x-user-email", "x-tenant"];
    assert_eq!(names.map(|name| value(upstream, name)), [Some("ada"), Some("ada@example.com"), Some("7")]);
}

#[test]
fn any_claim_becomes_a_value_that_a_field_can_have_and_that_can_be_decoded() {
    for (claim, expected) in [
        (json!("admin"), Some("admin")),
        (json!("two words, one comma"), Some("two words, one comma")),
        (json!(" spaces at the ends  "), Some("%20spaces at the ends%20%20")),
        (json!("  "), Some("%20%20")),
        (json!("Bücher"), Some("B%C3%BCcher")),
        (json!("100%"), Some("100%25")),
        (json!("a\r\nx-admin: 1"), Some("a%0D%0Ax-admin: 1")),
        (json!("nul\u{0}tab\tdel\u{7f}"), Some("nul%00tab%09del%7F")),
        (json!("\u{10a}"), Some("%C4%8A")),
        (json!(7), Some("7")),
        (json!(-1.5), Some("-1.5")),
        (json!(true), Some("true")),
        (json!(["a", "b,c", 3, false, null, "ü"]), Some("a,b%2Cc,3,false,%C3%BC")),
        (json!({"a": ["b"]}), Some(r#"{"a":["b"]}"#)),
        (json!([["a"], "ü"]), Some(r#"[["a"],"%C3%BC"]"#)),
        (json!(null), None),
        (json!(""), None),
        (json!([]), None),
        (json!([null]), None),
    ] {
        let mut world = World::with(&config());
        let token = sign(&claims_with(&world, &json!({ "roles": claim })));
        let stream = world.request(get("/api/x").cookie("sid=abc").with("x-user-roles", "forged"));
        world.answer(&Reply::token(&token));
        assert_eq!(value(world.upstream(stream), "x-user-roles"), expected, "{claim}");
    }
}
