//! The outcomes table: what becomes of a request, by its route and its credential.

mod common;
mod world;

use std::time::Duration;

use common::{claims, get, minimal_with, request, sign};
use serde_json::json;
use session_bearer::stats::Counter;
use world::session::{anonymous, passed, token_at};
use world::{Fate, Reply, World, values};

#[test]
fn request_without_credential_is_answered_by_its_route() {
    let mut world = World::new();
    for (path, fate) in [("/api/x", Fate::Answered(401)), ("/feed", anonymous()), ("/api/auth/sign-in", anonymous())] {
        let stream = world.request(get(path));
        assert_eq!(world.fate(stream), fate, "{path}");
    }
    assert!(world.callouts().is_empty());
}

#[test]
fn session_is_exchanged_for_exactly_one_bearer() {
    for path in ["/api/x", "/feed"] {
        let mut world = World::new();
        let token = token_at(&world);
        let head = get(path).cookie("sid=abc").with("authorization", "Bearer of-the-client");
        assert_eq!(world.exchange(head, &Reply::token(&token)), passed(&token), "{path}");
    }
}

#[test]
fn known_session_needs_no_second_exchange() {
    let mut world = World::new();
    let token = token_at(&world);
    world.exchange(get("/api/x").cookie("sid=abc"), &Reply::token(&token));
    let second = world.request(get("/api/y").cookie("sid=abc"));
    assert_eq!(world.fate(second), passed(&token));
    assert_eq!(world.count(Counter::ExchangeCallouts), 1);
    assert_eq!((world.count(Counter::AllowedMiss), world.count(Counter::AllowedHit)), (1, 1));
}

#[test]
fn session_is_asked_for_again_after_max_ttl() {
    let mut world = World::with(&minimal_with("/cache", json!({"max_ttl": "10s", "refresh_ahead": "0s"})));
    let reply = Reply::token(&token_at(&world));
    world.exchange(get("/api/x").cookie("sid=abc"), &reply);
    world.pass(Duration::from_millis(9_999));
    world.exchange(get("/api/x").cookie("sid=abc"), &reply);
    assert_eq!(world.count(Counter::ExchangeCallouts), 1);
    world.pass(Duration::from_millis(1));
    world.exchange(get("/api/x").cookie("sid=abc"), &reply);
    assert_eq!(world.count(Counter::ExchangeCallouts), 2);
}

#[test]
fn refused_session_is_anonymous_or_401() {
    let refusals = [
        Reply::json(401, &json!({"message": "no"})),
        Reply::json(403, &json!({})),
        Reply::json(200, &json!(null)),
        Reply::json(200, &json!({})),
        Reply::json(200, &json!({"token": null})),
    ];
    for refusal in &refusals {
        let mut world = World::new();
        assert_eq!(world.exchange(get("/api/x").cookie("sid=abc"), refusal), Fate::Answered(401), "{refusal:?}");
        assert_eq!(world.exchange(get("/feed").cookie("sid=abc"), refusal), anonymous(), "{refusal:?}");
        assert_eq!((world.count(Counter::ExchangeNoSession), world.count(Counter::ExchangeCallouts)), (1, 1));
    }
}

#[test]
fn unanswered_exchange_is_503_or_anonymous_and_never_401() {
    let failures = [
        Reply::json(500, &json!({})),
        Reply::json(502, &json!({})),
        Reply::json(429, &json!({})),
        Reply::json(302, &json!({})),
        Reply::json(204, &json!({})),
        Reply::json(206, &json!({"token": "x"})),
        Reply::new(200, "text/html", "<form>sign in</form>"),
        Reply::new(200, "application/json", "{"),
        Reply::new(200, "application/json", r#"{"token":"a","token":"b"}"#),
        Reply::json(200, &json!({"token": 7})),
        Reply::json(200, &json!({"token": ""})),
        Reply::json(200, &json!({"token": {"value": "x"}})),
        Reply::json(200, &json!([])),
        Reply::json(200, &json!({"token": "x".repeat(65_536)})),
        Reply::json(200, &json!({"token": null})).with("content-encoding", "gzip"),
        Reply::reset(),
    ];
    for failure in &failures {
        let mut world = World::new();
        assert_eq!(world.exchange(get("/api/x").cookie("sid=abc"), failure), Fate::Answered(503), "{failure:?}");
        assert_eq!(world.exchange(get("/feed").cookie("sid=abc"), failure), anonymous(), "{failure:?}");
        let token = token_at(&world);
        let later = world.exchange(get("/api/x").cookie("sid=abc"), &Reply::token(&token));
        assert_eq!(later, passed(&token), "a failure must not be remembered: {failure:?}");
    }
}

#[test]
fn token_that_does_not_verify_is_503_on_every_route() {
    for path in ["/api/x", "/feed"] {
        let mut world = World::new();
        let mut wrong = claims("ada", world.now);
        wrong["iss"] = json!("somebody-else");
        let fate = world.exchange(get(path).cookie("sid=abc"), &Reply::token(&sign(&wrong)));
        assert_eq!(fate, Fate::Answered(503), "{path}");
        assert_eq!(world.count(Counter::ExchangeUnverified), 1);
    }
}

#[test]
fn two_different_values_for_one_session_cookie_are_400_on_routes_that_look() {
    for path in ["/api/x", "/feed"] {
        for cookies in [["sid=a", "sid=b"], ["sid=a", "sid="], ["old-sid=a", "old-sid=b"], ["remember=0", "remember=1"]]
        {
            let mut world = World::new();
            let one_field = world.request(get(path).cookie(cookies.join("; ")));
            let two_fields = world.request(get(path).cookie(cookies[0]).cookie(cookies[1]));
            assert_eq!(world.fate(one_field), Fate::Answered(400), "{path} {cookies:?}");
            assert_eq!(world.fate(two_fields), Fate::Answered(400), "{path} {cookies:?}");
            assert!(world.callouts().is_empty());
        }
    }
}

#[test]
fn equal_duplicates_count_once() {
    let mut world = World::new();
    let token = token_at(&world);
    let head = get("/api/x").cookie("sid=a; sid=a").cookie("sid=a");
    assert_eq!(world.exchange(head, &Reply::token(&token)), passed(&token));
}

#[test]
fn two_authorization_values_are_400_where_a_credential_is_looked_for() {
    for (path, status) in [("/api/x", Some(400)), ("/feed", Some(400)), ("/api/auth/x", None)] {
        let mut world = World::new();
        let stream = world.request(get(path).with("authorization", "Bearer a").with("authorization", "Bearer b"));
        assert_eq!(world.fate(stream), status.map_or_else(anonymous, Fate::Answered), "{path}");
    }
}

#[test]
fn joined_authorization_values_are_told_from_one_with_parameters() {
    for (value, several) in [
        ("Bearer a,Bearer b", true),
        ("Bearer a, Bearer a", true),
        ("bearer a,b", true),
        ("Basic a,Bearer b", true),
        ("Basic a, basic b", true),
        ("Bearer a", false),
        ("Basic a==", false),
        ("Digest username=\"b, Bearer c\", realm=\"d\", qop=auth", false),
        ("Digest a=1,b=2", false),
        ("", false),
        (",", false),
    ] {
        let mut world = World::new();
        let stream = world.request(get("/feed").with("authorization", value));
        let expected = if several { Fate::Answered(400) } else { anonymous() };
        assert_eq!(world.fate(stream), expected, "{value}");
    }
}

#[test]
fn off_route_keeps_cookies_and_drops_authorization() {
    let mut world = World::new();
    let stream =
        world.request(get("/api/auth/session").cookie("sid=abc; theme=dark").with("authorization", "Bearer x"));
    let expected = Fate::Passed { authorization: vec![], cookie: Some("sid=abc; theme=dark".to_owned()) };
    assert_eq!(world.fate(stream), expected);
}

#[test]
fn off_route_passes_authorization_when_it_says_so() {
    let mut world = World::new();
    let stream = world.request(request("POST", "/hook").with("authorization", "Bearer x"));
    assert_eq!(world.fate(stream), Fate::Passed { authorization: vec!["Bearer x".to_owned()], cookie: None });
}

#[test]
fn session_and_companions_are_removed_upstream_and_neighbours_stay() {
    for (sent, left) in [
        (vec!["sid=abc"], None),
        (vec!["sid=abc; remember=1"], None),
        (vec!["a=1; sid=abc; b=2"], Some("a=1; b=2")),
        (vec!["sid=abc; a=1;b=2 ;c=3"], Some("a=1;b=2 ;c=3")),
        (vec!["old-sid=xyz; a=\"q;q\"; sid=abc"], Some("a=\"q;q\"")),
        (vec!["a=1", "sid=abc", "b=2; c=3"], Some("a=1; b=2; c=3")),
    ] {
        let mut world = World::new();
        let token = token_at(&world);
        let head = sent.iter().fold(get("/api/x"), |head, field| head.cookie(field));
        let fate = world.exchange(head, &Reply::token(&token));
        let expected = Fate::Passed { authorization: vec![format!("Bearer {token}")], cookie: left.map(str::to_owned) };
        assert_eq!(fate, expected, "{sent:?}");
    }
}

#[test]
fn session_cookie_stays_when_configured_so() {
    let mut world = World::with(&minimal_with("/upstream/remove_session_cookie", json!(false)));
    let token = token_at(&world);
    world.exchange(get("/api/x").cookie("sid=abc; a=1"), &Reply::token(&token));
    let stream = world.request(get("/api/x").cookie("sid=abc; a=1"));
    assert_eq!(values(world.upstream(stream), "cookie"), ["sid=abc; a=1"]);
}

#[test]
fn session_of_impossible_form_is_refused_without_a_callout() {
    let long = format!("sid={}", "a".repeat(4097));
    for cookie in ["sid=", "sid=\"abc\"", "sid=a b", "sid=a,b", "sid=a\\b", &long] {
        let mut world = World::new();
        let required = world.request(get("/api/x").cookie(cookie));
        let optional = world.request(get("/feed").cookie(cookie));
        assert_eq!(world.fate(required), Fate::Answered(401), "{cookie:.20}");
        assert_eq!(world.fate(optional), anonymous(), "{cookie:.20}");
        assert!(world.callouts().is_empty());
    }
}

#[test]
fn first_listed_name_decides_whatever_the_order_sent() {
    let mut world = World::new();
    world.request(get("/api/x").cookie("old-sid=old; sid=new"));
    let cookie: Vec<_> = world.callouts().remove(0).into_iter().filter(|(name, _)| name == "cookie").collect();
    assert_eq!(cookie, [("cookie".to_owned(), "sid=new".to_owned())]);
}

#[test]
fn same_value_under_another_name_is_another_session() {
    let mut world = World::new();
    let token = token_at(&world);
    world.exchange(get("/api/x").cookie("sid=abc"), &Reply::token(&token));
    let stream = world.request(get("/api/x").cookie("old-sid=abc"));
    assert_eq!(world.fate(stream), Fate::Waiting);
}

#[test]
fn true_preflight_passes_and_another_options_does_not() {
    let mut world = World::new();
    let preflight = request("OPTIONS", "/api/x")
        .with("origin", "https://app.example")
        .with("access-control-request-method", "POST")
        .with("authorization", "Bearer x");
    let preflight = world.request(preflight);
    let plain = world.request(request("OPTIONS", "/api/x").with("origin", "https://app.example"));
    assert_eq!((world.fate(preflight), world.fate(plain)), (anonymous(), Fate::Answered(401)));
}

#[test]
fn connect_and_requests_without_method_or_path_are_refused() {
    for head in
        [request("CONNECT", "/api/auth/x"), request("", "/api/auth/x"), request("GET", ""), common::Head(vec![])]
    {
        let mut world = World::new();
        let stream = world.request(head);
        assert_eq!(world.fate(stream), Fate::Answered(400));
    }
}

#[test]
fn every_503_says_when_to_come_back_and_every_401_is_a_challenge() {
    let mut world = World::new();
    let unauthorized = world.request(get("/api/x"));
    let unavailable = world.request(get("/api/x").cookie("sid=abc"));
    world.refuse_callout();
    for (stream, field) in [(unauthorized, ("www-authenticate", "Bearer")), (unavailable, ("retry-after", "1"))] {
        let reply = world.local_reply(stream);
        for (name, value) in [field, ("cache-control", "no-store"), ("content-type", "application/problem+json")] {
            assert!(reply.headers.contains(&(name, value.into())), "{reply:?}");
        }
        let problem: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(problem["status"], reply.status);
        assert!(problem["detail"].is_string());
    }
}

#[test]
fn underscore_and_case_variants_of_authorization_are_removed() {
    let mut world = World::new();
    let stream = world.request(get("/feed").with("Authorization", "Bearer x").with("AUTHORIZATION", "Bearer y"));
    assert!(world.upstream(stream).iter().all(|(name, _)| !name.eq_ignore_ascii_case("authorization")));
}
