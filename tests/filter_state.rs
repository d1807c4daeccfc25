//! What Envoy is told about a request, for its access logs and for the filters after this one.

mod common;
mod world;

use std::time::Duration;

use common::{Head, claims, get, minimal, minimal_with, request, set, sign};
use serde_json::{Value, json};
use world::{Reply, World};

fn config() -> Value {
    let every_kind =
        json!([{"bearer": {}}, {"session_cookie": {"names": ["sid"]}}, {"token_cookie": {"names": ["jwt"]}}]);
    let mut config = minimal_with("/credentials", every_kind);
    let admin = json!({"match": {"prefix": "/admin"}, "auth": "required", "require": {"claims": {"role": "admin"}}});
    config["routes"].as_array_mut().unwrap().insert(0, admin);
    config
}

fn token(subject: &str) -> String {
    sign(&claims(subject, common::START))
}

/// What is told of a request whose exchange is answered so.
fn told(world: &mut World, head: Head, reply: &Reply) -> Vec<String> {
    let stream = world.request(head);
    while !world.callouts().is_empty() {
        world.answer(reply);
    }
    world.told(stream).into_iter().map(str::to_owned).collect()
}

#[test]
fn outcome_credential_and_subject_are_told_of_every_request() {
    let (ada, bob) = (token("ada"), token("bob"));
    let session = get("/api/x").cookie("sid=abc");
    let refused = get("/api/x").cookie("sid=unknown");
    let (granted, no) = (Reply::token(&ada), Reply::json(401, &json!({})));
    let mut world = World::with(&config());
    for (head, reply, expected) in [
        (session.clone(), &granted, vec!["allowed_miss", "session_cookie", "ada"]),
        (session.clone(), &granted, vec!["allowed_hit", "session_cookie", "ada"]),
        (get("/admin").cookie("sid=abc"), &granted, vec!["denied_insufficient_scope", "session_cookie"]),
        (request("POST", "/api/x").cookie("sid=abc"), &granted, vec!["denied_cross_origin", "session_cookie"]),
        (get("/api/x").with("authorization", format!("Bearer {bob}")), &no, vec!["allowed_verified", "bearer", "bob"]),
        (get("/api/x").with("authorization", "Bearer a.b.c"), &no, vec!["denied_invalid_token", "bearer"]),
        (get("/feed").cookie(format!("jwt={bob}")), &no, vec!["allowed_hit", "token_cookie", "bob"]),
        (refused.clone(), &no, vec!["denied_session_refused", "session_cookie"]),
        (get("/feed").cookie("sid=unknown"), &no, vec!["allowed_anonymous", "session_cookie"]),
        (get("/feed"), &no, vec!["allowed_anonymous", "none"]),
        (get("/api/x"), &no, vec!["denied_no_credential", "none"]),
        (get("/api/x").cookie("sid=a; sid=b"), &no, vec!["denied_conflicting_cookies", "none"]),
        (get("/api/auth/x").cookie("sid=abc"), &no, vec!["allowed_off", "none"]),
        (Head(vec![]), &no, vec!["denied_malformed_request", "none"]),
    ] {
        assert_eq!(told(&mut world, head, reply), expected);
    }
}

#[test]
fn what_would_have_become_of_a_request_is_told_when_denials_are_only_reported() {
    let mut config = config();
    set(&mut config, "/report_only", json!(true));
    let mut world = World::with(&config);
    assert_eq!(told(&mut world, get("/api/x"), &Reply::reset()), ["denied_no_credential", "none"]);
    let in_vain = get("/api/x").cookie("sid=abc");
    assert_eq!(told(&mut world, in_vain, &Reply::json(404, &json!({}))), ["denied_exchange_failed", "session_cookie"]);
}

#[test]
fn stale_token_is_told_with_its_subject() {
    let mut world = World::with(&minimal());
    let head = get("/api/x").cookie("sid=abc");
    told(&mut world, head.clone(), &Reply::token(&token("ada")));
    world.pass(Duration::from_secs(61));
    assert_eq!(told(&mut world, head, &Reply::json(500, &json!({}))), ["allowed_stale", "session_cookie", "ada"]);
}

#[test]
fn subject_can_neither_end_a_line_of_a_log_nor_hide_in_it() {
    for (sub, expected) in [
        (json!("ada\nbob"), vec!["ada%0Abob"]),
        (json!("100% ada"), vec!["100%25 ada"]),
        (json!(" \u{e9}\u{7f}"), vec!["%20%C3%A9%7F"]),
        (json!(7), vec![]),
    ] {
        let mut claims = claims("", common::START);
        claims["sub"] = sub;
        let mut config = minimal();
        set(&mut config, "/token/required_claims", json!([]));
        let mut world = World::with(&config);
        let told = told(&mut world, get("/api/x").cookie("sid=abc"), &Reply::token(&sign(&claims)));
        assert_eq!(told[2..], expected);
    }
}
