//! Key sets from elsewhere: when they are fetched, what happens to requests meanwhile, and what a failure
//! takes away: nothing.

mod common;
mod world;

use std::time::Duration;

use common::{Head, base64url, claims, get, minimal, set};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use session_bearer::keys::SharedDocument;
use session_bearer::stats::Counter;
use session_bearer::time::UnixTime;
use session_bearer::token::key::KeyError;
use session_bearer::token::keyset::KeySet;
use world::{Fate, Reply, World};

/// A key pair by its number.
fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn jwk(n: u8) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "kid": n.to_string(), "x": base64url(key(n).verifying_key().as_bytes())})
}

fn jwks(keys: &[u8]) -> Value {
    json!({"keys": keys.iter().map(|&n| jwk(n)).collect::<Vec<_>>()})
}

fn published(keys: &[u8]) -> Reply {
    Reply::json(200, &jwks(keys))
}

/// A token signed by key `n`, which names it.
fn token(n: u8, now: UnixTime) -> String {
    token_of(n, &claims("ada", now))
}

fn token_of(n: u8, claims: &Value) -> String {
    let header = json!({"alg": "EdDSA", "kid": n.to_string()});
    let signed = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()));
    let signature = base64url(&key(n).sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}

fn bearer(n: u8, now: UnixTime) -> Head {
    get("/api/x").with("authorization", format!("Bearer {}", token(n, now)))
}

fn world() -> World {
    World::with(&endpoint_config())
}

fn endpoint_config() -> Value {
    let mut config = minimal();
    let session = config["credentials"][0].clone();
    set(&mut config, "/credentials", json!([{"bearer": {}}, session]));
    let endpoint =
        json!({"cluster": "keys", "authority": "auth.internal", "path": "/jwks", "timeout": "2s", "refresh": "1m"});
    set(&mut config, "/token/keys", json!({ "jwks": endpoint }));
    config
}

/// A world whose keys are there.
fn ready(keys: &[u8]) -> World {
    let mut world = world();
    world.answer_fetch(&published(keys));
    world
}

fn passes(world: &mut World, n: u8) -> bool {
    let stream = world.request(bearer(n, world.now));
    matches!(world.fate(stream), Fate::Passed { .. })
}

#[test]
fn keys_are_fetched_before_anybody_asks() {
    let mut world = world();
    assert_eq!(world.fetches(), 1);
    world.answer_fetch(&published(&[1]));
    assert!(passes(&mut world, 1));
    assert_eq!(world.count(Counter::KeysFetches), 1);
}

#[test]
fn requests_before_the_first_keys_wait_for_them() {
    let mut world = world();
    let now = world.now;
    let good = world.request(bearer(1, now));
    let twin = world.request(bearer(1, now));
    let bad = world.request(bearer(2, now));
    assert_eq!((world.fate(good), world.fate(twin), world.fate(bad)), (Fate::Waiting, Fate::Waiting, Fate::Waiting));
    world.answer_fetch(&published(&[1]));
    assert!(matches!(world.fate(good), Fate::Passed { .. }));
    assert!(matches!(world.fate(twin), Fate::Passed { .. }));
    assert_eq!(world.fate(bad), Fate::Waiting, "its key may have come since");
    world.answer_fetch(&published(&[1]));
    assert_eq!(world.fate(bad), Fate::Answered(401));
    assert_eq!(world.authenticator.in_flight(), 0);
}

#[test]
fn tokens_of_unknown_keys_leave_room_for_sessions() {
    let mut config = endpoint_config();
    set(&mut config, "/exchange/max_in_flight", json!(8));
    let mut world = World::with(&config);
    world.answer_fetch(&published(&[1]));
    world.ticks(31);
    let now = world.now;
    let streams: Vec<_> = (2..12).map(|n| world.request(bearer(n, now))).collect();
    let waiting = streams.into_iter().filter(|stream| world.fate(*stream) == Fate::Waiting);
    assert_eq!(waiting.count(), 6);
    let session = world.request(get("/api/x").cookie("sid=abc"));
    assert_eq!(world.fate(session), Fate::Waiting);
}

#[test]
fn garbage_does_not_wait_for_keys() {
    let mut world = world();
    let expired = bearer(1, world.now.minus(Duration::from_secs(2000)));
    for head in [get("/api/x").with("authorization", "Bearer x"), expired] {
        let stream = world.request(head);
        assert_eq!(world.fate(stream), Fate::Answered(401));
    }
}

#[test]
fn requests_are_503_when_the_first_fetch_fails_and_pass_when_one_succeeds() {
    let mut world = world();
    let stream = world.request(bearer(1, world.now));
    world.answer_fetch(&Reply::reset());
    assert_eq!(world.fate(stream), Fate::Answered(503));
    let again = world.request(bearer(1, world.now));
    assert_eq!(world.fate(again), Fate::Answered(503));
    world.ticks(1);
    let waiting = world.request(bearer(1, world.now));
    world.answer_fetch(&published(&[1]));
    assert!(matches!(world.fate(waiting), Fate::Passed { .. }));
}

#[test]
fn failed_fetches_are_spaced_out() {
    let mut world = world();
    world.answer_fetch(&Reply::reset());
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let mut pause = 0;
        while world.fetches() == 0 {
            world.ticks(1);
            pause += 1;
        }
        pauses.push(pause);
        world.answer_fetch(&Reply::json(500, &json!({})));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
}

#[test]
fn keys_are_fetched_again_after_refresh_and_not_earlier() {
    let mut world = ready(&[1]);
    world.ticks(59);
    assert_eq!(world.fetches(), 0);
    world.ticks(1);
    assert_eq!(world.fetches(), 1);
}

#[test]
fn useless_answers_leave_the_keys_in_use() {
    let useless = [
        Reply::reset(),
        Reply::json(500, &jwks(&[2])),
        Reply::json(404, &jwks(&[2])),
        Reply::json(302, &jwks(&[2])),
        Reply::new(200, "text/html", "<html>"),
        Reply::new(200, "application/json", "{"),
        Reply::json(200, &json!({})),
        Reply::json(200, &json!({"keys": []})),
        Reply::json(200, &json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "1"}]})),
        Reply::json(200, &json!({"keys": [jwk(1)], "padding": "x".repeat(128 * 1024)})),
    ];
    for reply in &useless {
        let mut world = ready(&[1]);
        world.ticks(60);
        world.answer_fetch(reply);
        assert!(passes(&mut world, 1), "{:?}", reply.fields);
        assert_eq!(world.failures.len(), 1);
    }
}

#[test]
fn good_key_is_used_whatever_stands_beside_it() {
    let beside = [
        json!(7),
        json!({}),
        json!({"kty": "oct", "k": "AAAA", "kid": "2"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
    ];
    for other in beside {
        let mut world = world();
        world.answer_fetch(&Reply::json(200, &json!({"keys": [other, jwk(1)]})));
        assert!(passes(&mut world, 1), "{other}");
    }
}

#[test]
fn keys_of_the_same_name_are_not_used() {
    let mut twin = jwk(2);
    twin["kid"] = json!("1");
    let mut world = world();
    world.answer_fetch(&Reply::json(200, &json!({"keys": [jwk(1), twin, jwk(3)]})));
    assert!(passes(&mut world, 3));
    assert!(!passes(&mut world, 1));
}

#[test]
fn unknown_name_brings_the_next_fetch_forward_and_the_request_waits_for_it() {
    let mut world = ready(&[1]);
    let stream = world.request(bearer(2, world.now));
    assert_eq!((world.fate(stream), world.fetches()), (Fate::Waiting, 1));
    world.answer_fetch(&published(&[1, 2]));
    assert!(matches!(world.fate(stream), Fate::Passed { .. }));
}

#[test]
fn flood_of_unknown_names_causes_one_fetch_in_thirty_seconds() {
    let mut world = ready(&[1]);
    for round in 0..10_000_u32 {
        let n = u8::try_from(2 + round % 250).unwrap();
        let stream = world.request(bearer(n, world.now));
        if world.fetches() > 0 {
            world.answer_fetch(&published(&[1]));
        }
        assert_eq!(world.fate(stream), Fate::Answered(401));
    }
    assert_eq!(world.count(Counter::KeysFetches), 2, "the first, and one for the flood");
    world.ticks(30);
    let stream = world.request(bearer(2, world.now));
    assert_eq!(world.fate(stream), Fate::Waiting);
}

#[test]
fn token_of_the_auth_service_with_an_unknown_key_waits_too() {
    let mut world = ready(&[1]);
    let stream = world.request(get("/api/x").cookie("sid=abc"));
    world.answer(&Reply::token(&token(2, world.now)));
    assert_eq!((world.fate(stream), world.fetches()), (Fate::Waiting, 1));
    world.answer_fetch(&published(&[1, 2]));
    assert!(matches!(world.fate(stream), Fate::Passed { .. }));
    let second = world.request(get("/api/x").cookie("sid=abc"));
    assert!(matches!(world.fate(second), Fate::Passed { .. }), "and is remembered");
}

#[test]
fn auth_service_whose_key_stays_unknown_is_503() {
    let mut world = ready(&[1]);
    let stream = world.request(get("/api/x").cookie("sid=abc"));
    world.answer(&Reply::token(&token(2, world.now)));
    world.answer_fetch(&published(&[1]));
    assert_eq!(world.fate(stream), Fate::Answered(503));
}

#[test]
fn rotation_with_overlap_refuses_nobody() {
    let mut world = ready(&[1]);
    let old = world.now;
    world.ticks(60);
    world.answer_fetch(&published(&[1, 2]));
    assert!(passes(&mut world, 2));
    let stream = world.request(bearer(1, old));
    assert!(matches!(world.fate(stream), Fate::Passed { .. }));
}

#[test]
fn withdrawn_key_takes_its_tokens_along_also_the_remembered_ones() {
    let mut world = ready(&[1, 2]);
    let token = token(1, world.now);
    world.exchange(get("/api/x").cookie("sid=abc"), &Reply::token(&token));
    assert!(passes(&mut world, 1) && passes(&mut world, 2));
    world.ticks(50);
    let start = world.now;
    world.ticks(10);
    world.answer_fetch(&published(&[2]));
    let bearer = world.request(bearer(1, start));
    world.answer_fetch(&published(&[2]));
    assert_eq!(world.fate(bearer), Fate::Answered(401));
    let session = world.request(get("/api/x").cookie("sid=abc"));
    assert_eq!(world.fate(session), Fate::Waiting, "the session is asked about again");
}

#[test]
fn keys_that_cannot_be_fetched_again_are_used_for_a_day() {
    let mut world = ready(&[1]);
    for seconds in 0..86_402_u32 {
        world.ticks(1);
        if world.fetches() > 0 {
            world.answer_fetch(&Reply::reset());
        }
        if seconds == 86_398 {
            assert!(passes(&mut world, 1));
        }
    }
    assert!(!passes(&mut world, 1));
}

#[test]
fn keys_given_up_take_the_remembered_tokens_along() {
    let mut world = ready(&[1]);
    let mut lasting = claims("ada", world.now);
    lasting["exp"] = json!(world.now.as_millis() / 1000 + 200_000);
    let head = get("/api/x").with("authorization", format!("Bearer {}", token_of(1, &lasting)));
    for _ in 0..2 {
        let stream = world.request(head.clone());
        assert!(matches!(world.fate(stream), Fate::Passed { .. }));
    }
    for _ in 0..86_402_u32 {
        world.ticks(1);
        if world.fetches() > 0 {
            world.answer_fetch(&Reply::reset());
        }
    }
    let stream = world.request(head);
    assert!(!matches!(world.fate(stream), Fate::Passed { .. }));
}

#[test]
fn keys_beyond_the_bound_are_told_of() {
    let many: Vec<Value> = (0..70_u8).map(jwk).collect();
    let set = KeySet::parse(json!({ "keys": many }).to_string().as_bytes()).ok().unwrap();
    assert_eq!((set.len(), set.skipped()), (64, [KeyError::TooMany].as_slice()));
}

#[test]
fn waiting_for_keys_ends_when_nothing_ever_comes() {
    let mut world = world();
    let required = world.request(bearer(1, world.now));
    let optional = world.request(get("/feed").with("authorization", format!("Bearer {}", token(2, world.now))));
    world.ticks(20);
    assert_eq!((world.fate(required), world.fate(optional)), (Fate::Answered(503), Fate::Answered(503)));
    assert_eq!(world.authenticator.in_flight(), 0);
}

fn shared(keys: &[u8], stamp: UnixTime, brought_forward: Option<UnixTime>) -> SharedDocument {
    SharedDocument { stamp, brought_forward, document: jwks(keys).to_string().into_bytes() }
}

/// Lets keys be wanted without making the fetch.
fn due(world: &mut World) {
    world.ticks(59);
    world.pass(Duration::from_secs(1));
    world.authenticator.on_tick(world.now);
}

#[test]
fn document_of_another_worker_saves_a_fetch_when_it_is_young_and_news() {
    for (age, adopted) in [(0, true), (6, true), (7, false)] {
        let mut world = ready(&[1]);
        due(&mut world);
        let stamp = world.now.minus(Duration::from_secs(age));
        assert_eq!(world.share_keys(&shared(&[1, 2], stamp, None)), adopted, "{age} s old");
        assert_eq!(passes(&mut world, 2), adopted);
    }
}

#[test]
fn shared_document_that_cannot_be_read_neither_fails_anybody_nor_saves_the_fetch() {
    let mut world = ready(&[1]);
    due(&mut world);
    let garbage = SharedDocument { stamp: world.now, brought_forward: None, document: b"{}".to_vec() };
    assert!(!world.share_keys(&garbage));
    assert!(world.authenticator.wants_keys() && world.failures.is_empty());
}

#[test]
fn workers_cool_down_together() {
    for (ago, allowed) in [(0, false), (29, false), (30, true)] {
        let mut world = ready(&[1]);
        due(&mut world);
        let brought_forward = world.now.minus(Duration::from_secs(ago));
        assert!(world.share_keys(&shared(&[1], world.now, Some(brought_forward))));
        let stream = world.request(bearer(2, world.now));
        assert_eq!(world.fate(stream) == Fate::Waiting, allowed, "{ago} s ago");
    }
}

#[test]
fn key_that_came_after_the_fetch_under_way_is_fetched_after_it() {
    let mut world = ready(&[1]);
    world.ticks(60);
    let stream = world.request(bearer(2, world.now));
    world.answer_fetch(&published(&[1]));
    assert_eq!((world.fate(stream), world.fetches()), (Fate::Waiting, 1));
    world.answer_fetch(&published(&[1, 2]));
    assert!(matches!(world.fate(stream), Fate::Passed { .. }));
}

#[test]
fn one_token_too_many_to_wait_is_503_on_an_optional_route_too() {
    let mut config = endpoint_config();
    set(&mut config, "/exchange/max_in_flight", json!(1));
    let mut world = World::with(&config);
    let waiting = world.request(bearer(1, world.now));
    let other = world.request(get("/feed").with("authorization", format!("Bearer {}", token(2, world.now))));
    assert_eq!((world.fate(waiting), world.fate(other)), (Fate::Waiting, Fate::Answered(503)));
}

#[test]
fn clock_that_is_set_moves_no_fetch() {
    let mut world = ready(&[1]);
    world.pass(Duration::from_secs(86_400));
    world.tick();
    assert_eq!(world.fetches(), 0);
}
