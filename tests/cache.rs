//! The cache: bounded in entries and in bytes, honest about time, and strict in what it compares.

mod common;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;

use common::{START, claims, sign};
use serde_json::json;
use session_bearer::cache::{Limits, TokenCache};
use session_bearer::cookie::CookieNames;
use session_bearer::session::{SessionKey, SessionKeys};
use session_bearer::time::UnixTime;
use session_bearer::token::VerifiedToken;
use session_bearer::token::algorithm::Algorithm;
use session_bearer::token::claims::ClaimRules;
use session_bearer::token::signature::InModule;
use session_bearer::token::verify::{TokenRules, Verifier};

fn limits() -> Limits {
    let size = |size| NonZeroUsize::new(size).unwrap();
    Limits { max_ttl: Duration::from_secs(60), max_entries: size(100), max_bytes: size(1_000_000) }
}

fn key_of(parts: &[&str], name: &str, value: &str) -> SessionKey {
    let cookies = CookieNames { sessions: vec![name.to_owned()], ..CookieNames::default() };
    let field = format!("{name}={value}");
    let (jar, _) = cookies.read([field.as_bytes()].into_iter()).unwrap();
    SessionKeys::new(parts.iter().map(|part| part.as_bytes())).key(jar.session().unwrap())
}

fn key(value: &str) -> SessionKey {
    key_of(&["cluster"], "s", value)
}

fn token_for(lifetime: u64, padding: usize) -> VerifiedToken {
    let mut claims = claims("ada", START);
    claims["exp"] = json!(START.as_millis() / 1000 + lifetime);
    claims["padding"] = json!("x".repeat(padding));
    let claims_rules = ClaimRules { leeway: Duration::from_secs(30), ..ClaimRules::default() };
    let rules = TokenRules {
        algorithms: vec![Algorithm::Hs256],
        types: vec!["JWT".to_owned()],
        claims: claims_rules,
        kept_claims: BTreeSet::new(),
    };
    let verifier = Verifier::new(Rc::new(rules), Rc::new(InModule));
    verifier.verify(sign(&claims).as_bytes(), &common::secret_keys(), START).unwrap_or_else(|error| panic!("{error}"))
}

fn after(secs: u64) -> UnixTime {
    START.plus(Duration::from_secs(secs))
}

#[test]
fn entry_lives_for_max_ttl() {
    let mut cache = TokenCache::new(limits());
    cache.insert(key("a"), token_for(900, 0), START);
    assert!(cache.get(&key("a"), after(59)).is_some());
    assert!(cache.get(&key("b"), after(59)).is_none());
    assert!(cache.get(&key("a"), after(60)).is_none());
    assert!(cache.is_empty(), "what has expired is let go when it is asked for");
}

#[test]
fn entry_ends_a_leeway_before_its_tokens_exp() {
    let mut cache = TokenCache::new(limits());
    cache.insert(key("a"), token_for(40, 0), START);
    assert!(cache.get(&key("a"), after(9)).is_some());
    assert!(cache.get(&key("a"), after(10)).is_none());
}

#[test]
fn verdict_on_a_clients_token_lives_as_long_as_the_token() {
    let mut cache = TokenCache::new(limits());
    cache.insert_verdict(key("a"), token_for(900, 0), START);
    assert!(cache.get(&key("a"), after(869)).is_some());
    assert!(cache.get(&key("a"), after(870)).is_none());
}

#[test]
fn token_within_leeway_of_its_end_is_not_kept_at_all() {
    let mut cache = TokenCache::new(limits());
    cache.insert(key("a"), token_for(30, 0), START);
    assert!(cache.is_empty());
}

#[test]
fn clock_that_steps_back_makes_nothing_younger() {
    let mut cache = TokenCache::new(limits());
    cache.insert(key("a"), token_for(900, 0), START);
    assert!(cache.get(&key("a"), START.minus(Duration::from_secs(1))).is_none());
}

#[test]
fn bounds_hold_in_entries_and_in_bytes() {
    for (padding, most) in [(0, 100), (4500, 1_000_000 / 6000)] {
        let mut cache = TokenCache::new(limits());
        let token = token_for(900, padding);
        for i in 0..1000 {
            cache.insert(key(&i.to_string()), token.clone(), START);
            assert!(cache.len() <= most.min(100), "{} entries of {padding} bytes", cache.len());
        }
        assert!(cache.len() >= 50.min(most / 2));
    }
}

#[test]
fn sessions_in_use_survive_a_flood_of_others() {
    let mut cache = TokenCache::new(limits());
    let token = token_for(900, 0);
    for i in 0..20 {
        cache.insert(key(&format!("known-{i}")), token.clone(), START);
    }
    for i in 0..10_000 {
        cache.insert(key(&format!("other-{i}")), token.clone(), START);
        assert!(cache.get(&key(&format!("known-{}", i % 20)), START).is_some(), "evicted after {i}");
    }
}

#[test]
fn key_covers_every_part_and_where_each_one_ends() {
    let keys = [
        key_of(&["cluster", "authority"], "s", "value"),
        key_of(&["clustera", "uthority"], "s", "value"),
        key_of(&["cluster", "authority", ""], "s", "value"),
        key_of(&["cluster"], "s", "value"),
        key_of(&["cluster", "authority"], "sv", "alue"),
        key_of(&["cluster", "authority"], "s", "valu"),
        key_of(&["cluster", "authority"], "s", "Value"),
    ];
    for (i, key) in keys.iter().enumerate() {
        assert!(keys.iter().skip(i + 1).all(|other| other != key), "{i}");
    }
}
