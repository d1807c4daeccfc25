//! The cache: bounded in entries and in bytes, honest about time, and strict in what it compares.

mod common;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;

use common::{START, claims, sign};
use serde_json::json;
use session_bearer::cache::recent::Recent;
use session_bearer::cache::{Life, Limits, Remembered, TokenCache};
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
    Limits {
        max_ttl: Duration::from_secs(60),
        refresh_ahead: Duration::from_secs(10),
        stale_if_error: Duration::from_secs(300),
        max_entries: size(100),
        max_bytes: size(1_000_000),
    }
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
        claim_headers: [].into(),
    };
    let verifier = Verifier::new(Rc::new(rules), Rc::new(InModule));
    verifier.verify(sign(&claims).as_bytes(), &common::secret_keys(), START).unwrap_or_else(|error| panic!("{error}"))
}

/// What the cache says of a session.
fn ask(cache: &mut TokenCache, value: &str, now: UnixTime) -> &'static str {
    match cache.get(&key(value), now) {
        None => "nothing",
        Some(Remembered::Fresh(_)) => "fresh",
        Some(Remembered::Ageing(_)) => "ageing",
        Some(Remembered::Stale(_)) => "stale",
    }
}

fn after(secs: u64) -> UnixTime {
    START.plus(Duration::from_secs(secs))
}

#[test]
fn entry_is_fresh_then_ageing_then_stale_then_gone() {
    let mut cache = TokenCache::new(limits(), 0);
    cache.insert(key("a"), token_for(900, 0), START);
    for (secs, expected) in
        [(0, "fresh"), (49, "fresh"), (50, "ageing"), (59, "ageing"), (60, "stale"), (359, "stale"), (360, "nothing")]
    {
        assert_eq!(ask(&mut cache, "a", after(secs)), expected, "after {secs} s");
        assert_eq!(ask(&mut cache, "b", after(secs)), "nothing");
    }
    assert!(cache.is_empty(), "what has ended is let go when it is asked for");
}

#[test]
fn workers_begin_to_refresh_at_different_moments_within_the_window() {
    let first_ageing = |random| {
        let mut cache = TokenCache::new(limits(), random);
        cache.insert(key("a"), token_for(900, 0), START);
        (0..60).find(|&secs| ask(&mut cache, "a", after(secs)) == "ageing")
    };
    assert_eq!((first_ageing(0), first_ageing(255), first_ageing(u64::MAX)), (Some(50), Some(55), Some(55)));
}

#[test]
fn window_of_refresh_is_shorter_for_a_shorter_life() {
    let mut cache = TokenCache::new(limits(), 0);
    cache.insert(key("a"), token_for(20, 0), START);
    for (secs, expected) in [(14, "fresh"), (15, "ageing"), (17, "ageing"), (18, "nothing")] {
        assert_eq!(ask(&mut cache, "a", after(secs)), expected, "after {secs} s");
    }
}

#[test]
fn entry_ends_a_leeway_or_a_tenth_before_its_tokens_exp_however_stale_it_may_be() {
    let mut cache = TokenCache::new(limits(), 0);
    for (value, lifetime, end) in [("a", 330, 300), ("b", 100, 90)] {
        cache.insert(key(value), token_for(lifetime, 0), START);
        assert_eq!(ask(&mut cache, value, after(end - 1)), "stale");
        assert_eq!(ask(&mut cache, value, after(end)), "nothing");
    }
}

#[test]
fn life_given_by_another_worker_is_not_made_longer() {
    let mut cache = TokenCache::new(limits(), 0);
    let life = Life { stored: START.minus(Duration::from_secs(40)), fresh_until: after(20), usable_until: after(90) };
    assert_eq!(cache.insert_with_life(key("a"), token_for(900, 0), life, START), Some(life));
    assert_eq!(ask(&mut cache, "a", after(19)), "ageing");
    assert_eq!(ask(&mut cache, "a", after(89)), "stale");
    assert_eq!(ask(&mut cache, "a", after(90)), "nothing");
    for (life, token) in [
        (Life { usable_until: START, ..life }, token_for(900, 0)),
        (Life { stored: after(1), ..life }, token_for(900, 0)),
    ] {
        assert_eq!(cache.insert_with_life(key("b"), token, life, START), None);
        assert_eq!(ask(&mut cache, "b", START), "nothing");
    }
}

#[test]
fn session_whose_exchange_fails_is_left_alone_for_longer_each_time_and_no_other_is() {
    let mut cache = TokenCache::new(limits(), 0);
    cache.insert(key("a"), token_for(900, 0), START);
    cache.insert(key("b"), token_for(900, 0), START);
    let mut now = START;
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        assert!(cache.defer(&key("a"), now));
        assert!(cache.is_deferred(&key("a"), now.plus(Duration::from_millis(pause * 1000 - 1))));
        now = now.plus(Duration::from_secs(pause));
        assert!(!cache.is_deferred(&key("a"), now) && !cache.is_deferred(&key("b"), now));
    }
    cache.insert(key("a"), token_for(900, 0), START);
    cache.defer(&key("a"), START);
    assert!(!cache.is_deferred(&key("a"), after(1)), "a token that was had ends it");
    assert!(!cache.defer(&key("c"), START), "of which nothing is known");
}

#[test]
fn what_the_bounds_push_out_is_counted_and_what_is_replaced_is_not() {
    let mut cache = TokenCache::new(limits(), 0);
    let token = token_for(900, 0);
    for i in 0..100 {
        cache.insert(key(&i.to_string()), token.clone(), START);
        cache.insert(key(&i.to_string()), token.clone(), START);
    }
    assert_eq!(cache.evicted() + cache.len(), 100);
    for i in 100..1000 {
        cache.insert(key(&i.to_string()), token.clone(), START);
    }
    assert_eq!(cache.evicted() + cache.len(), 1000);
}

#[test]
fn recent_keys_are_bounded_and_forgotten_in_time() {
    let mut recent = Recent::new(100, Duration::from_secs(5));
    recent.insert(key("a"), START);
    assert!(recent.contains(&key("a"), after(4)) && !recent.contains(&key("b"), after(4)));
    assert!(!recent.contains(&key("a"), START.minus(Duration::from_secs(1))), "the clock stepped back");
    recent.insert(key("a"), START);
    assert!(!recent.contains(&key("a"), after(5)));
    (0..10_000).for_each(|i| recent.insert(key(&i.to_string()), START));
    assert!(recent.len() <= 100);
    let mut off = Recent::new(100, Duration::ZERO);
    off.insert(key("a"), START);
    assert!(off.is_empty());
}

#[test]
fn verdict_on_a_clients_token_lives_as_long_as_the_token_and_is_never_refreshed() {
    let mut cache = TokenCache::new(limits(), 0);
    cache.insert_verdict(key("a"), token_for(900, 0), START);
    assert_eq!(ask(&mut cache, "a", after(869)), "fresh");
    assert_eq!(ask(&mut cache, "a", after(870)), "nothing");
}

#[test]
fn token_past_its_end_is_not_kept_at_all() {
    let mut cache = TokenCache::new(limits(), 0);
    let late = START.plus(Duration::from_secs(900));
    cache.insert(key("a"), token_for(900, 0), late);
    assert!(cache.is_empty());
}

#[test]
fn clock_that_steps_back_makes_nothing_younger() {
    let mut cache = TokenCache::new(limits(), 0);
    cache.insert(key("a"), token_for(900, 0), START);
    assert!(cache.get(&key("a"), START.minus(Duration::from_secs(1))).is_none());
}

#[test]
fn bounds_hold_in_entries_and_in_bytes() {
    for (padding, most) in [(0, 100), (4500, 1_000_000 / 6000)] {
        let mut cache = TokenCache::new(limits(), 0);
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
    let mut cache = TokenCache::new(limits(), 0);
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
