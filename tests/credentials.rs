//! Credentials: which one decides, what becomes of the others, and what a route requires of it.

mod common;
mod world;

use common::{Head, SECRET, claims, get, minimal, set, sign, sign_with};
use serde_json::{Value, json};
use session_bearer::stats::Counter;
use world::session::{anonymous, passed};
use world::{Fate, Reply, World};

/// The minimal configuration with these kinds of credentials, in this order.
fn accepting(kinds: &[&str]) -> Value {
    let credential = |kind: &&str| match *kind {
        "session_cookie" => json!({"session_cookie": {"names": ["sid"], "companions": []}}),
        "token_cookie" => json!({"token_cookie": {"names": ["access_token"]}}),
        _ => json!({"bearer": {}}),
    };
    let mut config = minimal();
    set(&mut config, "/credentials", kinds.iter().map(credential).collect());
    config
}

fn fate(world: &mut World, head: Head) -> Fate {
    let stream = world.request(head);
    world.fate(stream)
}

#[test]
fn good_bearer_of_the_client_goes_on_unchanged_without_a_callout() {
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let mut world = World::with(&accepting(&["bearer"]));
        let token = sign(&claims("ada", world.now));
        let head = get("/api/x").with("authorization", format!("{scheme} {token}"));
        assert_eq!(fate(&mut world, head), passed(&token));
        assert!(world.callouts().is_empty());
    }
}

#[test]
fn same_bearer_is_verified_once() {
    let mut world = World::with(&accepting(&["bearer"]));
    let head = get("/api/x").with("authorization", format!("Bearer {}", sign(&claims("ada", world.now))));
    for _ in 0..3 {
        assert!(matches!(fate(&mut world, head.clone()), Fate::Passed { .. }));
    }
    assert_eq!((world.count(Counter::AllowedVerified), world.count(Counter::AllowedHit)), (1, 2));
}

#[test]
fn bad_bearer_is_401_on_every_route_and_never_falls_through() {
    let now = common::START;
    let mut expired = claims("ada", now);
    expired["exp"] = json!(now.as_millis() / 1000 - 60);
    let bad = [
        String::new(),
        "x".to_owned(),
        "a.b.c".to_owned(),
        "undefined".to_owned(),
        sign(&expired),
        sign_with(&json!({"alg": "none"}), &claims("ada", now), SECRET),
        sign_with(&json!({"alg": "HS256"}), &claims("ada", now), "another secret of thirty-two byte"),
        format!("{}x", sign(&claims("ada", now))),
    ];
    for token in &bad {
        for path in ["/api/x", "/feed"] {
            let mut world = World::with(&accepting(&["bearer", "session_cookie", "token_cookie"]));
            let good = sign(&claims("ada", now));
            let head = get(path).cookie(format!("sid=abc; access_token={good}"));
            let stream = world.request(head.with("authorization", format!("Bearer {token}")));
            assert_eq!(world.fate(stream), Fate::Answered(401), "{path} {token}");
            let challenge = ("www-authenticate", r#"Bearer error="invalid_token""#.into());
            assert!(world.local_reply(stream).headers.contains(&challenge));
            assert!(world.callouts().is_empty());
        }
    }
}

#[test]
fn another_scheme_is_no_credential_and_is_removed() {
    for value in ["Basic dTpw", "Bearerx", "Digest a=1", "DPoP a.b.c", ""] {
        let mut world = World::with(&accepting(&["bearer"]));
        let head = |path| get(path).with("authorization", value);
        assert_eq!(fate(&mut world, head("/api/x")), Fate::Answered(401), "{value}");
        assert_eq!(fate(&mut world, head("/feed")), anonymous(), "{value}");
    }
}

#[test]
fn first_listed_kind_that_is_present_decides() {
    let now = common::START;
    let (bearer, cookie) = (sign(&claims("bearer", now)), sign(&claims("cookie", now)));
    let head = || {
        get("/api/x")
            .with("authorization", format!("Bearer {bearer}"))
            .cookie(format!("access_token={cookie}; sid=abc"))
    };
    for (order, expected) in [
        (["bearer", "token_cookie", "session_cookie"], passed(&bearer)),
        (["token_cookie", "bearer", "session_cookie"], passed(&cookie)),
        (["session_cookie", "bearer", "token_cookie"], Fate::Waiting),
    ] {
        let mut world = World::with(&accepting(&order));
        assert_eq!(fate(&mut world, head()), expected, "{order:?}");
    }
}

#[test]
fn token_cookie_becomes_the_bearer_and_leaves_the_jar() {
    let mut world = World::with(&accepting(&["token_cookie"]));
    let token = sign(&claims("ada", world.now));
    let head = get("/api/x").cookie(format!("theme=dark; access_token={token}; client_token=x"));
    let authorization = vec![format!("Bearer {token}")];
    let expected = Fate::Passed { authorization, cookie: Some("theme=dark; client_token=x".to_owned()) };
    assert_eq!(fate(&mut world, head), expected);
}

#[test]
fn bad_token_cookie_is_401_and_two_of_them_400() {
    for (cookie, status) in [("access_token=x", 401), ("access_token=", 401), ("access_token=a; access_token=b", 400)] {
        let mut world = World::with(&accepting(&["token_cookie"]));
        assert_eq!(fate(&mut world, get("/feed").cookie(cookie)), Fate::Answered(status), "{cookie}");
    }
}

#[test]
fn credential_that_is_not_listed_is_none() {
    let mut world = World::with(&accepting(&["bearer"]));
    let token = sign(&claims("ada", world.now));
    let head = get("/api/x").cookie(format!("sid=abc; access_token={token}"));
    assert_eq!(fate(&mut world, head), Fate::Answered(401));
}

/// A world in which `/api/admin` requires `require`, and `/feed` does too where a credential is sent.
fn requiring(require: &Value) -> World {
    let mut config = accepting(&["bearer", "session_cookie"]);
    let routes = json!([
        {"match": {"prefix": "/api/admin"}, "auth": "required", "require": require},
        {"match": {"prefix": "/feed"}, "auth": "optional", "require": require},
    ]);
    set(&mut config, "/routes", routes);
    World::with(&config)
}

fn bearer_with(path: &str, claim: &str, value: Value) -> Head {
    let mut claims = claims("ada", common::START);
    claims[claim] = value;
    get(path).with("authorization", format!("Bearer {}", sign(&claims)))
}

#[test]
fn required_claim_is_met_whole_or_as_a_member() {
    for (required, claim, met) in [
        (json!("admin"), json!("admin"), true),
        (json!("admin"), json!("administrator"), false),
        (json!("admin"), json!("Admin"), false),
        (json!("admin"), json!(["user", "admin"]), true),
        (json!("admin"), json!(["administrator"]), false),
        (json!("admin"), json!(null), false),
        (json!("admin"), json!({"admin": true}), false),
        (json!(1), json!(1), true),
        (json!(1), json!("1"), false),
        (json!(true), json!(true), true),
        (json!(true), json!("true"), false),
        (json!(["a", "b"]), json!(["a", "b"]), true),
        (json!(["a", "b"]), json!(["b", "a"]), false),
    ] {
        let mut world = requiring(&json!({"claims": {"role": required}}));
        for path in ["/api/admin", "/feed"] {
            let fate = fate(&mut world, bearer_with(path, "role", claim.clone()));
            let as_expected = if met { matches!(fate, Fate::Passed { .. }) } else { fate == Fate::Answered(403) };
            assert!(as_expected, "{path}: {required} by {claim}: {fate:?}");
        }
    }
}

#[test]
fn required_scopes_come_from_scope_scp_or_permissions() {
    for (claim, value, met) in [
        ("scope", json!("read admin:write"), true),
        ("scope", json!("admin:write read"), true),
        ("scope", json!("admin:write"), false),
        ("scope", json!("read admin:writer"), false),
        ("scope", json!(["read", "admin:write"]), false),
        ("scp", json!(["read", "admin:write"]), true),
        ("scp", json!("read admin:write"), true),
        ("permissions", json!(["admin:write", "read"]), true),
        ("permissions", json!(["admin:write"]), false),
        ("roles", json!(["admin:write", "read"]), false),
    ] {
        let mut world = requiring(&json!({"scopes": ["admin:write", "read"]}));
        let fate = fate(&mut world, bearer_with("/api/admin/x", claim, value.clone()));
        let as_expected = if met { matches!(fate, Fate::Passed { .. }) } else { fate == Fate::Answered(403) };
        assert!(as_expected, "{claim} {value}: {fate:?}");
    }
}

#[test]
fn requirement_is_looked_at_on_a_cache_hit_too() {
    let mut world = requiring(&json!({"claims": {"role": "admin"}}));
    let token = sign(&claims("ada", world.now));
    assert_eq!(world.exchange(get("/api/x").cookie("sid=abc"), &Reply::token(&token)), passed(&token));
    assert_eq!(fate(&mut world, get("/api/x").cookie("sid=abc")), passed(&token));
    let stream = world.request(get("/api/admin").cookie("sid=abc"));
    assert_eq!(world.fate(stream), Fate::Answered(403));
    let challenge = ("www-authenticate", r#"Bearer error="insufficient_scope""#.into());
    assert!(world.local_reply(stream).headers.contains(&challenge));
}

#[test]
fn anonymous_request_meets_no_requirement_of_an_optional_route() {
    let mut world = requiring(&json!({"claims": {"role": "admin"}}));
    assert_eq!(fate(&mut world, get("/feed")), anonymous());
}

#[test]
fn odd_spelling_of_a_path_does_not_escape_its_requirement() {
    let mut world = requiring(&json!({"claims": {"role": "admin"}}));
    for path in [
        "/api//admin",
        "//api/admin",
        "/api/./admin",
        "/api/x/../admin",
        "/api/%61dmin",
        "/api%2fadmin",
        "/api%2Fadmin/x",
        "/api\\admin",
        "/api%5cadmin",
        "/api/admin;x=1",
        "/api;x/admin",
        "/api/x/..;/admin",
        "/api/%2e/admin",
        "/x/%2e%2e/api/admin",
        "/api/%2561dmin",
        "/api/admin#x",
        "/api/admin%23",
        "/api/admin%3fx",
        "/api/admin%00",
        "/api/x/%252e%252e/admin",
        "/api/%2e%2e/api/admin",
        "/api/x/..%2fadmin",
        "/api/x/%2e%2e%5cadmin",
        "/api/admin%3bx",
    ] {
        let plain = bearer_with(path, "role", json!("user"));
        assert_eq!(fate(&mut world, plain), Fate::Answered(403), "{path}");
        let admin = bearer_with(path, "role", json!("admin"));
        assert!(matches!(fate(&mut world, admin), Fate::Passed { .. }), "{path}");
    }
    for path in ["/api//x", "/api/%2e%2e/x", "/x;y/z", "/api/administrator;x"] {
        let plain = bearer_with(path, "role", json!("user"));
        assert!(matches!(fate(&mut world, plain), Fate::Passed { .. }), "{path}");
    }
    let long = format!("/api/{}//x", "y/".repeat(1000));
    assert_eq!(fate(&mut world, bearer_with(&long, "role", json!("user"))), Fate::Answered(403));
}
