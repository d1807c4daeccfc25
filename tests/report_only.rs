//! A careful roll-out: what would be denied is counted and passes, with nothing it did not prove.

mod common;
mod world;

use common::{Head, claims, get, minimal_with, request, set, sign};
use serde_json::{Value, json};
use session_bearer::stats::Counter;
use world::session::{ask, known, passed};
use world::{Fate, Reply, World, values};

fn config(report_only: bool) -> Value {
    let mut config = minimal_with("/report_only", json!(report_only));
    set(&mut config, "/credentials", json!([{"bearer": {}}, {"session_cookie": {"names": ["sid"]}}]));
    set(&mut config, "/csrf/trusted_origins", json!(["https://app.example"]));
    set(&mut config, "/upstream/claim_headers", json!({"x-user-id": "/sub"}));
    set(&mut config, "/unauthenticated", json!({"sign_in": {"location": "/api/auth/sign-in"}}));
    let admin = json!({"match": {"prefix": "/admin"}, "auth": "required", "require": {"claims": {"role": "admin"}}});
    config["routes"].as_array_mut().unwrap().insert(0, admin);
    config
}

fn token() -> Reply {
    Reply::token(&sign(&claims("ada", common::START)))
}

/// Every way to be denied: the request, the auth service's answer, the reason, and the status it has otherwise.
fn denials() -> Vec<(Head, Reply, Counter, u16)> {
    let session = || get("/api/x").cookie("sid=abc; theme=dark");
    vec![
        (get("/api/x"), token(), Counter::DeniedNoCredential, 401),
        (get("/api/x").with("sec-fetch-mode", "navigate"), token(), Counter::DeniedNoCredential, 302),
        (get("/api/x").with("authorization", "Basic eDp5"), token(), Counter::DeniedNoCredential, 401),
        (get("/api/x").with("authorization", "Bearer a.b.c"), token(), Counter::DeniedInvalidToken, 401),
        (get("/feed").with("authorization", "Bearer a.b.c"), token(), Counter::DeniedInvalidToken, 401),
        (
            get("/api/x").with("authorization", "Bearer a.b.c").with("authorization", "Bearer d.e.f"),
            token(),
            Counter::DeniedRepeatedAuthorization,
            400,
        ),
        (get("/feed").cookie("sid=abc; theme=dark; sid=def"), token(), Counter::DeniedConflictingCookies, 400),
        (get("/api/x").cookie("sid=\"abc\""), token(), Counter::DeniedMalformedSession, 401),
        (request("POST", "/api/x").cookie("sid=abc"), token(), Counter::DeniedCrossOrigin, 403),
        (get("/admin").cookie("sid=abc"), token(), Counter::DeniedInsufficientScope, 403),
        (session(), Reply::json(401, &json!({})), Counter::DeniedSessionRefused, 401),
        (session(), Reply::json(404, &json!({})), Counter::DeniedExchangeFailed, 503),
        (session(), Reply::json(429, &json!({})).with("retry-after", "9"), Counter::DeniedPaused, 503),
        (session(), Reply::token("a.b.c"), Counter::DeniedUnverifiedToken, 503),
    ]
}

#[test]
fn whatever_is_denied_passes_without_anything_it_did_not_prove() {
    for (head, reply, reason, _) in denials() {
        let mut world = World::with(&config(true));
        let stream = world.request(head.with("x-user-id", "root"));
        while !world.callouts().is_empty() {
            world.answer(&reply);
        }
        assert!(matches!(world.fate(stream), Fate::Passed { .. }), "{reason:?}: {:?}", world.fate(stream));
        let upstream = world.upstream(stream);
        assert_eq!(values(upstream, "authorization"), Vec::<String>::new(), "{reason:?}");
        assert_eq!(values(upstream, "x-user-id"), Vec::<String>::new(), "{reason:?}");
        assert!(!values(upstream, "cookie").concat().contains("sid="), "{reason:?}");
        assert_eq!((world.count(reason), world.count(Counter::AllowedReportOnly)), (1, 1), "{reason:?}");
        assert_eq!(world.count(Counter::AllowedAnonymous) + world.count(Counter::SentToSignIn), 0, "{reason:?}");
        assert_eq!(world.authenticator.take_waived(), [(reason.label(), 1)].into());
        assert!(world.authenticator.take_waived().is_empty(), "each is told once");
    }
}

#[test]
fn the_same_is_denied_once_denials_are_carried_out() {
    for (head, reply, reason, status) in denials() {
        let mut world = World::with(&config(false));
        assert_eq!(world.exchange(head, &reply), Fate::Answered(status), "{reason:?}");
        assert_eq!((world.count(reason), world.count(Counter::AllowedReportOnly)), (1, 0), "{reason:?}");
        assert!(world.authenticator.take_waived().is_empty());
    }
}

#[test]
fn valid_credential_passes_as_ever() {
    let (mut world, token) = known(&config(true));
    assert_eq!(ask(&mut world), passed(&token));
    let anonymous = world.request(get("/feed"));
    assert!(matches!(world.fate(anonymous), Fate::Passed { .. }));
    assert_eq!((world.count(Counter::AllowedAnonymous), world.count(Counter::AllowedReportOnly)), (1, 0));
}

#[test]
fn request_that_no_rule_can_be_about_is_answered_all_the_same() {
    let mut world = World::with(&config(true));
    for head in [request("CONNECT", "/api/x"), Head(vec![]), request("GET", "")] {
        let stream = world.request(head);
        assert_eq!(world.fate(stream), Fate::Answered(400));
    }
}

#[test]
fn backend_that_refuses_what_was_let_through_disputes_no_session() {
    let (mut world, _) = known(&config(true));
    let stream = world.request(request("POST", "/api/x").cookie("sid=abc"));
    world.respond(stream, &Reply::json(401, &json!({})));
    assert_eq!(world.count(Counter::ForgottenUpstream401), 0);
}

#[test]
fn sign_out_of_a_request_whose_cookies_contradict_each_other_is_noticed() {
    let (mut world, _) = known(&minimal_with("/report_only", json!(true)));
    let bye = request("POST", "/api/bye").cookie("sid=abc; sid=tossed").with("sec-fetch-site", "same-origin");
    let stream = world.request(bye);
    world.respond(stream, &Reply::json(200, &json!({})).with("set-cookie", "sid=; Max-Age=0"));
    assert_eq!(ask(&mut world), Fate::Waiting);
}
