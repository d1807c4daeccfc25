//! The origin check: who may make a signed-in browser send a request that has an effect.

mod common;
mod world;

use common::{Head, claims, get, minimal, request, set, sign};
use serde_json::{Value, json};
use session_bearer::stats::Counter;
use world::{Fate, Reply, World, values};

const OURS: &str = "https://app.example";

const METHODS: [&str; 10] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "get", "Post", "QUERY"];

const ORIGINS: [&[&str]; 20] = [
    &[],
    &[OURS],
    &["https://other.example"],
    &["http://app.example"],
    &["https://app.example:443"],
    &["https://app.example:8443"],
    &["https://APP.example"],
    &["https://sub.app.example"],
    &["https://app.example.evil"],
    &["https://app.example@evil"],
    &["https://app.example/"],
    &["https://evil/https://app.example"],
    &["https://xn--pp-eka.example"],
    &["https://[::1]"],
    &["null"],
    &[""],
    &[OURS, OURS],
    &[OURS, "https://evil"],
    &["https://app.example,https://evil"],
    &["\u{e9}"],
];

const SITES: [&[&str]; 9] = [
    &[],
    &["same-origin"],
    &["same-site"],
    &["cross-site"],
    &["none"],
    &["Same-Origin"],
    &["same-origin, cross-site"],
    &["same-origin", "same-origin"],
    &[""],
];

/// The rule in other words: what has to be so for the request to pass.
fn expected(method: &str, upgrade: bool, origins: &[&str], sites: &[&str], allow_missing: bool) -> bool {
    if ["GET", "HEAD", "OPTIONS"].contains(&method) && !upgrade {
        return true;
    }
    let joined = origins.iter().chain(sites).any(|value| value.contains(','));
    if origins.len() > 1 || sites.len() > 1 || joined || origins == ["null"] {
        return false;
    }
    if origins == [OURS] {
        return true;
    }
    match sites.first() {
        Some(&site) => site == "same-origin",
        None => origins.is_empty() && allow_missing,
    }
}

/// Accepts every kind of credential.
fn config(csrf: &Value) -> Value {
    let mut config = minimal();
    let session = config["credentials"][0].clone();
    set(&mut config, "/credentials", json!([{"bearer": {}}, session, {"token_cookie": {"names": ["token"]}}]));
    set(&mut config, "/csrf", csrf.clone());
    config
}

fn head(method: &str, path: &str, upgrade: Option<&str>, origins: &[&str], sites: &[&str]) -> Head {
    let mut head = request(method, path);
    for origin in origins {
        head = head.with("origin", origin);
    }
    for site in sites {
        head = head.with("sec-fetch-site", site);
    }
    upgrade.into_iter().fold(head, |head, name| head.with(name, "websocket"))
}

fn is_let_through(world: &mut World, head: Head) -> bool {
    let stream = world.request(head);
    while !world.callouts().is_empty() {
        let token = sign(&claims("ada", world.now));
        world.answer(&Reply::token(&token));
    }
    match world.fate(stream) {
        Fate::Passed { .. } => true,
        Fate::Answered(403) => false,
        fate => panic!("{fate:?}"),
    }
}

#[test]
fn request_with_a_cookie_passes_exactly_where_the_rule_says() {
    for allow_missing in [false, true] {
        let csrf = json!({"trusted_origins": [OURS], "insecure_allow_missing_origin": allow_missing});
        let mut world = World::with(&config(&csrf));
        let token = sign(&claims("ada", world.now));
        for method in METHODS {
            for upgrade in [None, Some("upgrade"), Some(":protocol")] {
                for (origins, sites) in
                    ORIGINS.iter().flat_map(|origins| SITES.iter().map(move |sites| (*origins, *sites)))
                {
                    for (path, cookie) in [("/api/x", "sid=abc".to_owned()), ("/feed", format!("token={token}"))] {
                        let head = head(method, path, upgrade, origins, sites).cookie(&cookie);
                        let passes = expected(method, upgrade.is_some(), origins, sites, allow_missing);
                        let told = format!("{method} {upgrade:?} {origins:?} {sites:?} {cookie}");
                        assert_eq!(is_let_through(&mut world, head), passes, "{told}");
                    }
                }
            }
        }
    }
}

#[test]
fn request_without_a_cookie_for_its_credential_is_not_asked_where_it_comes_from() {
    let mut world = World::with(&config(&json!({})));
    let token = sign(&claims("ada", world.now));
    let foreign = |path: &str| head("POST", path, None, &["https://evil"], &["cross-site"]);
    let bearer = format!("Bearer {token}");
    assert!(is_let_through(&mut world, foreign("/api/x").with("authorization", &bearer)));
    assert!(is_let_through(&mut world, foreign("/api/x").with("authorization", &bearer).cookie("sid=abc")));
    assert!(is_let_through(&mut world, foreign("/feed")));
    assert!(is_let_through(&mut world, foreign("/api/auth/sign-in").cookie("sid=abc")));
    let stream = world.request(foreign("/api/x"));
    assert_eq!(world.fate(stream), Fate::Answered(401));
}

#[test]
fn foreign_request_is_refused_before_anybody_is_asked_and_says_which_key_to_set() {
    let mut world = World::with(&config(&json!({})));
    let stream = world.request(head("POST", "/feed", None, &["https://evil"], &[]).cookie("sid=abc"));
    let reply = world.local_reply(stream);
    assert!(reply.status == 403 && reply.body.contains("csrf.trusted_origins"));
    assert!(reply.headers.iter().all(|(name, _)| *name != "www-authenticate"));
    assert!(!reply.body.contains("evil"), "nothing of the request is repeated");
    assert_eq!((world.count(Counter::ExchangeCallouts), world.count(Counter::DeniedCrossOrigin)), (0, 1));
}

#[test]
fn check_can_be_turned_off() {
    let mut world = World::with(&config(&json!({"insecure_disable": true})));
    let foreign = head("POST", "/api/x", Some("upgrade"), &["null", "https://evil"], &["cross-site"]);
    assert!(is_let_through(&mut world, foreign.cookie("sid=abc")));
}

#[test]
fn origin_goes_upstream_and_not_into_the_callout_and_no_method_is_overridden() {
    let mut world = World::with(&config(&json!({"trusted_origins": [OURS]})));
    let overrides = |head: Head| {
        let head = head.with("x-http-method-override", "DELETE").with("X-HTTP-Method", "DELETE");
        head.with("x_method_override", "DELETE").with("x-http-method-other", "kept")
    };
    let stream = world.request(overrides(head("POST", "/api/x", None, &[OURS], &[])).cookie("sid=abc"));
    assert!(world.callouts()[0].iter().all(|(name, _)| name != "origin"));
    let token = sign(&claims("ada", world.now));
    world.answer(&Reply::token(&token));
    assert_eq!(values(world.upstream(stream), "origin"), [OURS]);
    let names: Vec<_> = world.upstream(stream).iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    assert_eq!(
        names.iter().filter(|name| name.contains("method")).collect::<Vec<_>>(),
        [":method", "x-http-method-other"]
    );
    let own = world.request(overrides(get("/api/x")).with("authorization", format!("Bearer {token}")));
    assert_eq!(values(world.upstream(own), "x-http-method-override"), ["DELETE"], "a client with a bearer means it");
}
