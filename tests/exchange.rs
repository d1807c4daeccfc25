//! The exchange: what is sent to the auth service, how often, and who is settled when.

mod common;
mod world;

use std::time::Duration;

use common::{claims, get, minimal_with, request, sign};
use serde_json::json;
use session_bearer::stats::Counter;
use world::session::{anonymous, passed};
use world::{CLIENT, Fate, Reply, World};

fn callout_of(world: &World) -> Vec<(String, String)> {
    world.callouts().pop().expect("a callout is under way")
}

fn field<'a>(callout: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    callout.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn callout_holds_configuration_cookie_listed_fields_and_address_and_nothing_else() {
    let mut world = World::with(&minimal_with("/exchange/headers", json!({"x-api-key": "k"})));
    let head = request("POST", "/api/secret?q=1")
        .cookie("sid=abc; tracking=1; remember=yes")
        .with("authorization", "Bearer mine")
        .with("origin", "https://app.example")
        .with("sec-fetch-site", "same-origin")
        .with("x-forwarded-for", "6.6.6.6")
        .with("x-custom", "1")
        .with("user-agent", "browser")
        .with("traceparent", "00-1-2-3");
    world.request(head);
    let mut sent = callout_of(&world);
    sent.sort();
    let expected = [
        (":authority", "auth.internal"),
        (":method", "GET"),
        (":path", "/api/auth/jwt"),
        ("accept", "application/json"),
        ("cache-control", "no-store"),
        ("cookie", "sid=abc; remember=yes"),
        ("traceparent", "00-1-2-3"),
        ("user-agent", "browser"),
        ("x-api-key", "k"),
        ("x-forwarded-for", CLIENT),
    ];
    assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn configured_field_replaces_the_one_sent_by_default() {
    let headers = json!({"accept": "application/jwt", "user-agent": "filter"});
    let mut world = World::with(&minimal_with("/exchange/headers", headers));
    world.request(get("/api/x").cookie("sid=abc").with("user-agent", "browser"));
    let callout = callout_of(&world);
    assert_eq!((field(&callout, "accept"), field(&callout, "user-agent")), (vec!["application/jwt"], vec!["filter"]));
}

#[test]
fn forwarded_field_that_is_not_printable_stays_behind() {
    let mut world = World::new();
    world.request(get("/api/x").cookie("sid=abc").with("user-agent", b"\xff\xfe").with("b3", "a\tb"));
    let callout = callout_of(&world);
    assert_eq!((field(&callout, "user-agent"), field(&callout, "b3")), (vec![], vec!["a\tb"]));
}

#[test]
fn companion_that_cannot_be_a_cookie_stays_behind() {
    let mut world = World::new();
    world.request(get("/api/x").cookie("sid=abc; remember=\"x\""));
    assert_eq!(field(&callout_of(&world), "cookie"), ["sid=abc"]);
}

#[test]
fn token_can_come_in_a_header() {
    let mut world = World::with(&minimal_with("/exchange/token", json!({"header": "set-auth-jwt"})));
    let token = sign(&claims("ada", world.now));
    let reply = Reply::json(200, &json!({"session": {}})).with("set-auth-jwt", &token);
    let fate = world.exchange(get("/api/x").cookie("sid=abc"), &reply);
    assert_eq!(fate, passed(&token));

    let without = Reply::json(200, &json!(null));
    assert_eq!(world.exchange(get("/api/x").cookie("sid=def"), &without), Fate::Answered(401));
    let twice = reply.with("set-auth-jwt", "another");
    assert_eq!(world.exchange(get("/api/x").cookie("sid=ghi"), &twice), Fate::Answered(503));
}

#[test]
fn token_is_found_by_a_deeper_pointer() {
    let mut world = World::with(&minimal_with("/exchange/token", json!({"json_pointer": "/session/tokenized"})));
    let token = sign(&claims("ada", world.now));
    let reply = Reply::json(200, &json!({"session": {"tokenized": token}}));
    assert!(matches!(world.exchange(get("/api/x").cookie("sid=abc"), &reply), Fate::Passed { .. }));
    let reply = Reply::json(200, &json!({"session": null}));
    assert_eq!(world.exchange(get("/api/x").cookie("sid=def"), &reply), Fate::Answered(401));
}

#[test]
fn second_request_waits_for_the_first_exchange() {
    let mut world = World::new();
    let streams: Vec<_> = (0..200).map(|_| world.request(get("/api/x").cookie("sid=abc"))).collect();
    assert_eq!(world.callouts().len(), 1);
    let token = sign(&claims("ada", world.now));
    world.answer(&Reply::token(&token));
    for stream in streams {
        let expected = passed(&token);
        assert_eq!(world.fate(stream), expected);
    }
}

#[test]
fn each_waiting_request_is_settled_by_its_own_route() {
    let mut world = World::new();
    let required = world.request(get("/api/x").cookie("sid=abc"));
    let optional = world.request(get("/feed").cookie("sid=abc"));
    world.answer(&Reply::json(401, &json!({})));
    assert_eq!(world.fate(required), Fate::Answered(401));
    assert_eq!(world.fate(optional), anonymous());
}

#[test]
fn followers_are_answered_when_the_first_client_hangs_up() {
    let mut world = World::new();
    let first = world.request(get("/api/x").cookie("sid=abc"));
    let second = world.request(get("/api/x").cookie("sid=abc"));
    world.hang_up(first);
    world.answer(&Reply::token(&sign(&claims("ada", world.now))));
    assert_eq!(world.fate(first), Fate::Gone);
    assert!(matches!(world.fate(second), Fate::Passed { .. }));
    assert_eq!(world.count(Counter::Abandoned), 1);
}

#[test]
fn answer_is_remembered_although_every_client_hung_up() {
    let mut world = World::new();
    let only = world.request(get("/api/x").cookie("sid=abc"));
    world.hang_up(only);
    world.answer(&Reply::token(&sign(&claims("ada", world.now))));
    let next = world.request(get("/api/x").cookie("sid=abc"));
    assert!(matches!(world.fate(next), Fate::Passed { .. }));
}

#[test]
fn retryable_failures_are_tried_again_as_often_as_configured() {
    for (retries, failure, callouts) in [
        (0, Reply::json(500, &json!({})), 1),
        (1, Reply::json(500, &json!({})), 2),
        (3, Reply::json(503, &json!({})), 4),
        (1, Reply::reset(), 2),
        (3, Reply::json(404, &json!({})), 1),
        (3, Reply::json(401, &json!({})), 1),
        (3, Reply::json(429, &json!({})), 1),
        (3, Reply::new(200, "text/html", "x"), 1),
    ] {
        let mut world = World::with(&minimal_with("/exchange/retries", json!(retries)));
        world.exchange(get("/api/x").cookie("sid=abc"), &failure);
        assert_eq!(world.count(Counter::ExchangeCallouts), callouts, "{retries} {failure:?}");
    }
}

#[test]
fn retry_that_succeeds_is_all_the_client_sees() {
    let mut world = World::new();
    let stream = world.request(get("/api/x").cookie("sid=abc"));
    world.answer(&Reply::json(500, &json!({})));
    assert_eq!(world.fate(stream), Fate::Waiting);
    world.answer(&Reply::token(&sign(&claims("ada", world.now))));
    assert!(matches!(world.fate(stream), Fate::Passed { .. }));
}

#[test]
fn timeout_is_not_tried_again_but_a_quick_failure_of_the_same_form_is() {
    for reply in [Reply::new(504, "text/plain", "upstream request timeout"), Reply::reset()] {
        for (elapsed, callouts) in [(Duration::from_millis(1995), 1), (Duration::from_millis(20), 2)] {
            let mut world = World::new();
            world.request(get("/api/x").cookie("sid=abc"));
            world.pass(elapsed);
            world.answer(&reply);
            assert_eq!(world.count(Counter::ExchangeCallouts), callouts, "{elapsed:?} {reply:?}");
        }
    }
}

#[test]
fn callout_the_host_refuses_is_503_at_once() {
    let mut world = World::new();
    let stream = world.request(get("/api/x").cookie("sid=abc"));
    world.refuse_callout();
    assert_eq!(world.fate(stream), Fate::Answered(503));
    assert_eq!(world.authenticator.in_flight(), 0);
}

#[test]
fn callout_that_is_never_answered_ends_after_some_ticks() {
    let mut world = World::new();
    let stream = world.request(get("/api/x").cookie("sid=abc"));
    world.lose_callout();
    for _ in 0..10 {
        assert_eq!(world.fate(stream), Fate::Waiting);
        world.tick();
    }
    world.tick();
    assert_eq!(world.fate(stream), Fate::Answered(503));
    assert_eq!(world.authenticator.in_flight(), 0);
}

#[test]
fn clock_that_jumps_does_not_end_an_exchange_early() {
    let mut world = World::new();
    let stream = world.request(get("/api/x").cookie("sid=abc"));
    world.pass(Duration::from_secs(3600));
    world.tick();
    assert_eq!(world.fate(stream), Fate::Waiting);
}

#[test]
fn one_exchange_too_many_is_refused_at_once() {
    let mut world = World::with(&minimal_with("/exchange/max_in_flight", json!(2)));
    let waiting: Vec<_> =
        ["a", "b"].iter().map(|sid| world.request(get("/api/x").cookie(format!("sid={sid}")))).collect();
    let known = world.request(get("/api/x").cookie("sid=a"));
    let refused = world.request(get("/api/x").cookie("sid=c"));
    assert_eq!(world.fate(refused), Fate::Answered(503));
    assert_eq!(
        (world.fate(waiting[0]), world.fate(waiting[1]), world.fate(known)),
        (Fate::Waiting, Fate::Waiting, Fate::Waiting)
    );
}

#[test]
fn late_answer_to_an_exchange_that_was_given_up_changes_nothing() {
    let mut world = World::new();
    let stream = world.request(get("/api/x").cookie("sid=abc"));
    for _ in 0..11 {
        world.tick();
    }
    assert_eq!(world.fate(stream), Fate::Answered(503));
    world.answer(&Reply::token(&sign(&claims("ada", world.now))));
    let next = world.request(get("/api/x").cookie("sid=abc"));
    assert_eq!(world.fate(next), Fate::Waiting);
}
