//! The life of a session that is known: refreshed ahead, served stale while nobody can be asked, refused
//! for a while; and what is asked of an auth service that fails, or asks to be left alone.

mod common;
mod world;

use std::time::Duration;

use common::{claims, get, minimal, minimal_with, sign};
use serde_json::json;
use session_bearer::flight::MAX_WAITERS;
use session_bearer::health::Health;
use session_bearer::stats::Counter;
use world::session::{anonymous, ask, head, known, passed, token_at};
use world::{Fate, Reply, World};

const SECOND: Duration = Duration::from_secs(1);

fn fails() -> Reply {
    Reply::json(404, &json!({}))
}

#[test]
fn hit_near_its_end_is_served_at_once_and_refreshed_in_the_background() {
    let (mut world, old) = known(&minimal());
    world.pass(SECOND * 55);
    assert_eq!(ask(&mut world), passed(&old));
    assert_eq!(ask(&mut world), passed(&old));
    assert_eq!(world.callouts().len(), 1, "one refresh at a time");
    let new = token_at(&world);
    world.answer(&Reply::token(&new));
    assert_eq!(ask(&mut world), passed(&new));
    world.pass(SECOND * 40);
    assert_eq!(ask(&mut world), passed(&new), "it lives from the refresh on");
    assert_eq!((world.count(Counter::ExchangeRefreshes), world.count(Counter::AllowedHit)), (1, 4));
}

#[test]
fn refresh_that_finds_no_session_ends_it_at_once() {
    let (mut world, old) = known(&minimal());
    world.pass(SECOND * 55);
    assert_eq!(ask(&mut world), passed(&old));
    world.answer(&Reply::json(401, &json!({})));
    assert_eq!(ask(&mut world), Fate::Answered(401));
    assert!(world.callouts().is_empty(), "the refusal is remembered");
    assert!(world.rang_others, "the other workers may remember the session still");
}

#[test]
fn refresh_that_fails_costs_nobody_anything_and_is_tried_again_later() {
    let (mut world, old) = known(&minimal());
    world.pass(SECOND * 51);
    assert_eq!(ask(&mut world), passed(&old));
    world.answer(&fails());
    assert_eq!(ask(&mut world), passed(&old));
    assert!(world.callouts().is_empty(), "an auth service that fails is left alone for a while");
    world.ticks(2);
    assert_eq!(ask(&mut world), passed(&old));
    assert_eq!(world.callouts().len(), 1);
}

#[test]
fn refresh_that_brings_a_token_that_does_not_verify_is_not_repeated_with_each_request() {
    let (mut world, old) = known(&minimal());
    world.pass(SECOND * 55);
    for _ in 0..100 {
        assert_eq!(ask(&mut world), passed(&old));
        while !world.callouts().is_empty() {
            world.answer(&Reply::token("not.a.token"));
        }
    }
    assert_eq!(world.count(Counter::ExchangeRefreshes), 1);
    world.pass(SECOND);
    ask(&mut world);
    assert_eq!(world.count(Counter::ExchangeRefreshes), 2);
}

#[test]
fn cookie_the_auth_service_stumbles_over_keeps_no_revoked_session_alive() {
    let stumbles = |world: &mut World| {
        let stream = world.request(get("/api/x").cookie("sid=made-up"));
        world.answer(&fails());
        assert_eq!(world.fate(stream), Fate::Answered(503));
    };
    let (mut world, _) = known(&minimal());
    stumbles(&mut world);
    world.pass(SECOND * 61);
    stumbles(&mut world);
    assert_eq!(world.exchange(head(), &Reply::json(401, &json!({}))), Fate::Answered(401));
}

#[test]
fn known_session_that_always_fails_keeps_no_other_alive_for_long() {
    let (mut world, old) = known(&minimal());
    world.exchange(get("/api/x").cookie("sid=stumbles"), &Reply::token(&old));
    world.ticks(61);
    let refused = (0..400).find(|_| {
        world.pass(SECOND / 4);
        for cookie in ["sid=stumbles", "sid=stumbles", "sid=abc"] {
            world.request(get("/api/x").cookie(cookie));
            while let Some(callout) = world.callouts().first() {
                let stumbles = callout.contains(&("cookie".to_owned(), "sid=stumbles".to_owned()));
                world.answer(&if stumbles { fails() } else { Reply::json(401, &json!({})) });
            }
        }
        world.tick();
        ask(&mut world) == Fate::Answered(401)
    });
    assert!(refused.is_some_and(|quarters| quarters < 16), "{refused:?}");
}

#[test]
fn zero_turns_refreshes_off() {
    let (mut world, old) = known(&minimal_with("/cache/refresh_ahead", json!("0s")));
    world.pass(Duration::from_millis(59_999));
    assert_eq!(ask(&mut world), passed(&old));
    assert!(world.callouts().is_empty());
}

#[test]
fn known_session_is_served_while_the_auth_service_cannot_be_asked() {
    for failure in [
        fails(),
        Reply::json(500, &json!({})),
        Reply::json(429, &json!({})),
        Reply::json(503, &json!({})).with("retry-after", "7"),
        Reply::new(200, "text/html", "sign in"),
        Reply::reset(),
    ] {
        let (mut world, old) = known(&minimal());
        world.pass(SECOND * 61);
        assert_eq!(world.exchange(head(), &failure), passed(&old), "{failure:?}");
        assert_eq!(ask(&mut world), passed(&old), "nobody waits for a service that is known to fail");
        assert!(world.callouts().is_empty());
        assert_eq!(world.count(Counter::AllowedStale), 2);
    }
}

#[test]
fn known_session_is_served_when_the_callout_is_refused_lost_or_one_too_many() {
    let (mut world, old) = known(&minimal_with("/exchange/max_in_flight", json!(1)));
    world.pass(SECOND * 61);
    let stream = world.request(head());
    world.refuse_callout();
    assert_eq!(world.fate(stream), passed(&old));

    let (mut world, old) = known(&minimal_with("/exchange/max_in_flight", json!(1)));
    world.pass(SECOND * 61);
    let stream = world.request(head());
    world.lose_callout();
    world.ticks(11);
    assert_eq!(world.fate(stream), passed(&old));

    let (mut world, old) = known(&minimal_with("/exchange/max_in_flight", json!(1)));
    world.pass(SECOND * 61);
    world.request(get("/api/x").cookie("sid=another"));
    assert_eq!(ask(&mut world), passed(&old), "a flood of others takes nothing from it");
}

#[test]
fn stale_token_is_served_for_stale_if_error_and_never_past_its_own_end() {
    for (stale_if_error, lifetime, last) in [("1m", 900, 119), ("10m", 200, 179), ("0s", 900, 59)] {
        let config = minimal_with("/cache", json!({"stale_if_error": stale_if_error, "refresh_ahead": "0s"}));
        let mut world = World::with(&config);
        let mut short = claims("ada", world.now);
        short["exp"] = json!(world.now.as_millis() / 1000 + lifetime);
        let token = sign(&short);
        world.exchange(head(), &Reply::token(&token));
        world.pass(SECOND * last);
        assert_eq!(world.exchange(head(), &fails()), passed(&token), "{stale_if_error}");
        world.pass(SECOND);
        assert_eq!(world.exchange(head(), &fails()), Fate::Answered(503), "{stale_if_error}");
    }
}

#[test]
fn auth_service_that_answers_is_believed_before_a_stale_token() {
    let (mut world, _) = known(&minimal());
    world.pass(SECOND * 61);
    assert_eq!(ask(&mut world), Fate::Waiting, "max_ttl is the bound while the auth service is well");
    world.answer(&Reply::json(401, &json!({})));
    assert_eq!(ask(&mut world), Fate::Answered(401));

    let (mut world, _) = known(&minimal());
    world.pass(SECOND * 61);
    let mut wrong = claims("ada", world.now);
    wrong["iss"] = json!("somebody-else");
    assert_eq!(world.exchange(head(), &Reply::token(&sign(&wrong))), Fate::Answered(503));
}

#[test]
fn known_session_waits_again_once_the_last_failure_is_long_past() {
    let (mut world, old) = known(&minimal());
    world.pass(SECOND * 61);
    assert_eq!(world.exchange(head(), &fails()), passed(&old));
    world.ticks(40);
    assert_eq!(ask(&mut world), Fate::Waiting);
}

#[test]
fn unknown_session_is_asked_about_whatever_failed_before() {
    let mut world = World::new();
    for _ in 0..5 {
        assert_eq!(world.exchange(head(), &fails()), Fate::Answered(503));
    }
    let token = token_at(&world);
    assert_eq!(world.exchange(head(), &Reply::token(&token)), passed(&token));
}

#[test]
fn back_off_grows_to_half_a_minute_differs_between_workers_and_ends_with_an_answer() {
    let waits = |random: u64| {
        let mut health = Health::new(random);
        let waits = (0..8).map(|_| {
            health.failed();
            let wait = (0..)
                .find(|_| {
                    health.take_refresh() || {
                        health.tick();
                        false
                    }
                })
                .unwrap();
            assert!(health.is_failing());
            wait
        });
        waits.collect::<Vec<u32>>()
    };
    for random in [0, 7, u64::MAX / 3, u64::MAX] {
        for (i, wait) in waits(random).into_iter().enumerate() {
            let longest = 30.min(1 << i);
            assert!((longest / 2..=longest).contains(&wait), "{wait} s after failure {i}");
        }
    }
    assert_ne!(waits(0), waits(u64::MAX / 3));
    let mut health = Health::new(0);
    health.failed();
    health.answered();
    assert!(health.take_refresh() && health.take_refresh() && !health.is_failing());
}

#[test]
fn auth_service_that_asks_to_be_left_alone_is() {
    let date = "Tue, 14 Nov 2023 22:13:29 GMT";
    for (status, field, value, seconds) in [
        (429, "retry-after", "7", 7),
        (503, "retry-after", "7", 7),
        (429, "x-retry-after", "7", 7),
        (429, "retry-after", date, 9),
        (429, "retry-after", "3600", 30),
        (429, "retry-after", "18446744073709551615", 30),
        (429, "retry-after", "999999999999999999999999999999", 30),
    ] {
        let (mut world, old) = known(&minimal());
        let paused = Reply::json(status, &json!({})).with(field, value);
        let unknown = world.request(get("/api/x").cookie("sid=unknown"));
        world.answer(&paused);
        assert_eq!(world.local_reply(unknown).status, 503);
        for ticks in [0, seconds - 1] {
            world.ticks(ticks);
            let stream = world.request(get("/api/x").cookie("sid=unknown"));
            let reply = world.local_reply(stream);
            let left = reply.headers.iter().find(|(name, _)| *name == "retry-after").unwrap().1.parse::<u32>().unwrap();
            assert!(reply.status == 503 && (1..=seconds).contains(&left), "{field}: {value}: {left}");
            let optional = world.request(get("/feed").cookie("sid=unknown"));
            assert_eq!(world.fate(optional), anonymous());
            assert_eq!(ask(&mut world), passed(&old));
        }
        assert_eq!(world.count(Counter::ExchangeCallouts), 2, "{field}: {value}");
        assert_eq!((world.count(Counter::ExchangeThrottled), world.count(Counter::DeniedPaused)), (1, 3));
        world.ticks(2);
        let unknown = world.request(get("/api/x").cookie("sid=unknown"));
        assert_eq!(world.fate(unknown), Fate::Waiting);
    }
}

#[test]
fn wish_to_be_left_alone_that_cannot_be_read_pauses_nothing() {
    for reply in [
        Reply::json(429, &json!({})),
        Reply::json(429, &json!({})).with("retry-after", "soon"),
        Reply::json(429, &json!({})).with("retry-after", "0"),
        Reply::json(429, &json!({})).with("retry-after", "-5"),
        Reply::json(429, &json!({})).with("retry-after", "+5"),
        Reply::json(429, &json!({})).with("retry-after", ""),
        Reply::json(429, &json!({})).with("retry-after", "Tue, 14 Nov 2000 22:13:29 GMT"),
        Reply::json(500, &json!({})).with("retry-after", "7"),
    ] {
        let mut world = World::with(&minimal_with("/exchange/retries", json!(0)));
        assert_eq!(world.exchange(head(), &reply), Fate::Answered(503));
        assert_eq!(ask(&mut world), Fate::Waiting, "{reply:?}");
    }
}

#[test]
fn pause_is_not_broken_by_a_retry_or_by_what_was_about_to_be_asked() {
    let mut world = World::new();
    let first = world.request(get("/api/x").cookie("sid=first"));
    let second = world.request(get("/api/x").cookie("sid=second"));
    world.answer(&Reply::json(429, &json!({})).with("retry-after", "7"));
    assert_eq!(world.fate(first), Fate::Answered(503));
    world.answer(&Reply::json(500, &json!({})));
    assert_eq!((world.fate(second), world.callouts().len()), (Fate::Answered(503), 0));
}

#[test]
fn definite_no_is_remembered_for_negative_ttl_and_not_longer() {
    for (ttl, asked) in [("5s", [1, 1, 2]), ("0s", [1, 2, 3])] {
        let mut world = World::with(&minimal_with("/cache/negative_ttl", json!(ttl)));
        for (i, asked) in asked.into_iter().enumerate() {
            assert_eq!(world.exchange(head(), &Reply::json(401, &json!({}))), Fate::Answered(401));
            assert_eq!(world.count(Counter::ExchangeCallouts), asked, "{ttl}, request {i}");
            world.pass(SECOND * if i == 0 { 4 } else { 1 });
        }
        assert_eq!(world.count(Counter::DeniedSessionRefused), 3);
    }
}

#[test]
fn last_quarter_of_all_flights_is_kept_for_requests_that_cannot_do_without() {
    let mut world = World::with(&minimal_with("/exchange/max_in_flight", json!(8)));
    let ask = |world: &mut World, path: &str, i: usize| {
        let stream = world.request(get(path).cookie(format!("sid={path}{i}")));
        world.fate(stream)
    };
    for i in 0..6 {
        assert_eq!(ask(&mut world, "/feed", i), Fate::Waiting);
    }
    assert_eq!(ask(&mut world, "/feed", 6), anonymous());
    for i in 0..2 {
        assert_eq!(ask(&mut world, "/api/x", i), Fate::Waiting);
    }
    assert_eq!(ask(&mut world, "/api/x", 2), Fate::Answered(503));
    assert_eq!(world.count(Counter::DeniedOverloaded), 1);
}

#[test]
fn no_more_than_so_many_requests_wait_for_one_flight() {
    let mut world = World::new();
    for _ in 0..MAX_WAITERS {
        assert_eq!(ask(&mut world), Fate::Waiting);
    }
    assert_eq!(ask(&mut world), Fate::Answered(503));
    assert_eq!(world.callouts().len(), 1);
}
