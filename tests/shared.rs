//! What the workers of a process share: the second level of the cache, and the log of sign-outs.

mod common;
mod world;

use std::rc::Rc;
use std::time::Duration;

use common::shared::SharedMemory;
use common::{START, claims, get, minimal, minimal_with, sign};
use serde_json::{Value, json};
use session_bearer::cache::Life;
use session_bearer::secret::Secret;
use session_bearer::session::SessionKey;
use session_bearer::shared::SharedData;
use session_bearer::shared::sign_outs::{CAPACITY, News, SignOuts};
use session_bearer::shared::tokens::{SharedToken, SharedTokens};
use session_bearer::stats::Counter;
use session_bearer::time::UnixTime;
use world::session::{ask, head, passed};
use world::{Fate, Reply, World};

const SECOND: Duration = Duration::from_secs(1);

fn token() -> String {
    sign(&claims("ada", START))
}

fn workers<const N: usize>(shared: &Rc<SharedMemory>, config: &Value) -> [World; N] {
    std::array::from_fn(|i| World::beside(shared, config, i as u64))
}

#[test]
fn one_exchange_serves_all_workers() {
    let [mut first, mut second, mut third] = workers(&Rc::default(), &minimal());
    first.exchange(head(), &Reply::token(&token()));
    for world in [&mut second, &mut third] {
        assert_eq!(ask(world), passed(&token()));
        assert_eq!(ask(world), passed(&token()));
        assert_eq!((world.count(Counter::AllowedShared), world.count(Counter::AllowedHit)), (1, 1));
        assert_eq!(world.count(Counter::ExchangeCallouts), 0);
    }
}

#[test]
fn shared_level_can_be_turned_off() {
    let [mut first, mut second] = workers(&Rc::default(), &minimal_with("/cache/shared_slots", json!(0)));
    first.exchange(head(), &Reply::token(&token()));
    assert_eq!(ask(&mut second), Fate::Waiting);
}

#[test]
fn life_of_a_token_is_that_of_its_exchange_on_every_worker() {
    let [mut first, mut second] = workers(&Rc::default(), &minimal_with("/cache/refresh_ahead", json!("0s")));
    first.exchange(head(), &Reply::token(&token()));
    second.pass(SECOND * 59);
    assert_eq!(ask(&mut second), passed(&token()));
    second.pass(SECOND);
    assert_eq!(ask(&mut second), Fate::Waiting);
}

#[test]
fn worker_that_never_knew_a_session_serves_it_too_while_the_auth_service_cannot_be_asked() {
    let shared = Rc::default();
    let [mut first, mut second] = workers(&shared, &minimal());
    first.exchange(head(), &Reply::token(&token()));
    second.pass(SECOND * 61);
    assert_eq!(ask(&mut second), Fate::Waiting, "an auth service that is well is asked");
    second.answer(&Reply::json(404, &json!({})));
    assert_eq!(second.fate(1), passed(&token()));
    let [mut restarted] = workers(&shared, &minimal());
    restarted.pass(SECOND * 359);
    assert_eq!(restarted.exchange(head(), &Reply::json(404, &json!({}))), passed(&token()));
    restarted.pass(SECOND);
    assert_eq!(restarted.exchange(head(), &Reply::json(404, &json!({}))), Fate::Answered(503));
}

#[test]
fn refresh_of_one_worker_saves_the_others_theirs() {
    let [mut first, mut second] = workers(&Rc::default(), &minimal());
    first.exchange(head(), &Reply::token(&token()));
    ask(&mut second);
    for world in [&mut first, &mut second] {
        world.pass(SECOND * 55);
    }
    ask(&mut first);
    let new = sign(&claims("ada", first.now));
    first.answer(&Reply::token(&new));
    ask(&mut second);
    assert_eq!(ask(&mut second), passed(&new));
    assert_eq!(second.count(Counter::ExchangeCallouts), 0);
}

#[test]
fn worker_that_starts_anew_refills_from_what_is_shared() {
    let shared = Rc::default();
    let [mut first] = workers(&shared, &minimal());
    first.exchange(head(), &Reply::token(&token()));
    drop(first);
    let [mut restarted] = workers(&shared, &minimal());
    assert_eq!(ask(&mut restarted), passed(&token()));
}

#[test]
fn entry_of_another_configuration_is_never_used() {
    for other in [
        minimal_with("/token/required_claims", json!(["sub", "iat"])),
        minimal_with("/cache/max_ttl", json!("61s")),
        minimal_with("/exchange/authority", json!("another")),
    ] {
        let shared = Rc::default();
        let [mut first] = workers(&shared, &minimal());
        first.exchange(head(), &Reply::token(&token()));
        let [mut updated] = workers(&shared, &other);
        assert_eq!(ask(&mut updated), Fate::Waiting, "{other}");
        assert_eq!(ask(&mut first), passed(&token()), "the old one goes on until it is taken away");
    }
}

fn sign_out(world: &mut World, cookie: &str) {
    let stream = world.request(common::request("POST", "/api/auth/sign-out").cookie(cookie));
    world.respond(stream, &Reply::json(200, &json!({})));
}

#[test]
fn session_that_ended_long_ago_is_not_in_what_is_shared() {
    let shared = Rc::default();
    let [mut first] = workers(&shared, &minimal());
    first.exchange(head(), &Reply::token(&token()));
    sign_out(&mut first, "sid=abc");
    (0..=CAPACITY).for_each(|i| sign_out(&mut first, &format!("sid=other-{i}")));
    let [mut late] = workers(&shared, &minimal());
    assert_eq!(ask(&mut late), Fate::Waiting, "although the log does not go back so far");
}

#[test]
fn token_that_was_put_there_while_another_worker_took_its_session_out_is_not_used() {
    let shared: Rc<SharedMemory> = Rc::default();
    let [mut first, mut second] = workers(&shared, &minimal());
    first.exchange(head(), &Reply::token(&token()));
    let (name, slots) = shared.all().into_iter().find(|(name, _)| name.contains("tokens")).unwrap();
    sign_out(&mut first, "sid=abc");
    shared.overwrite(&name, &slots);
    assert_eq!(ask(&mut second), Fate::Waiting);
    let [mut third] = workers(&shared, &minimal());
    assert_eq!(ask(&mut third), Fate::Waiting);
}

#[test]
fn exchange_made_after_a_sign_out_counts_as_such_although_its_worker_was_not_rung_for() {
    let [mut first, mut second, mut third] = workers(&Rc::default(), &minimal());
    first.exchange(head(), &Reply::token(&token()));
    sign_out(&mut first, "sid=abc");
    let stream = second.request(head());
    second.answer(&Reply::token(&token()));
    assert_eq!(second.fate(stream), passed(&token()), "it is not made again");
    assert_eq!(ask(&mut third), passed(&token()), "and it serves the others");
}

#[test]
fn worker_that_learns_of_a_sign_out_late_leaves_the_token_that_was_asked_for_after_it() {
    let [mut first, mut second, mut late] = workers(&Rc::default(), &minimal());
    first.exchange(head(), &Reply::token(&token()));
    assert_eq!(ask(&mut late), passed(&token()));
    sign_out(&mut first, "sid=abc");
    assert_eq!(second.exchange(head(), &Reply::token(&token())), passed(&token()));
    late.catch_up();
    for world in [&mut first, &mut late] {
        assert_eq!(ask(world), passed(&token()));
    }
}

#[test]
fn token_of_a_log_that_was_lost_is_neither_used_nor_kept() {
    let shared: Rc<SharedMemory> = Rc::default();
    let [mut first, mut second] = workers(&shared, &minimal());
    (0..3).for_each(|i| sign_out(&mut first, &format!("sid=other-{i}")));
    first.exchange(head(), &Reply::token(&token()));
    let (name, slots) = shared.all().into_iter().find(|(name, _)| name.contains("tokens")).unwrap();
    shared.overwrite("session-bearer sign-outs", b"");
    sign_out(&mut second, "sid=abc");
    assert!(!shared.all()[&name].windows(token().len()).any(|part| part == token().as_bytes()));
    shared.overwrite(&name, &slots);
    assert_eq!(ask(&mut second), Fate::Waiting);
}

#[test]
fn session_that_ended_on_a_worker_whose_log_was_lost_does_not_come_back() {
    let shared: Rc<SharedMemory> = Rc::default();
    let [mut first, mut second] = workers(&shared, &minimal());
    (0..3).for_each(|i| sign_out(&mut first, &format!("sid=other-{i}")));
    second.catch_up();
    first.exchange(head(), &Reply::token(&token()));
    shared.overwrite("session-bearer sign-outs", b"");
    sign_out(&mut first, "sid=abc");
    second.catch_up();
    (0..3).for_each(|i| sign_out(&mut second, &format!("sid=more-{i}")));
    assert_eq!([ask(&mut first), ask(&mut second)], [Fate::Waiting, Fate::Waiting]);
}

#[test]
fn session_that_ended_among_more_than_the_log_holds_does_not_come_back() {
    let [mut first, mut second] = workers(&Rc::default(), &minimal());
    first.exchange(head(), &Reply::token(&token()));
    (0..=CAPACITY).for_each(|i| sign_out(&mut second, &format!("sid=before-{i}")));
    sign_out(&mut first, "sid=abc");
    (0..=CAPACITY).for_each(|i| sign_out(&mut first, &format!("sid=after-{i}")));
    second.ticks(2);
    assert_eq!([ask(&mut first), ask(&mut second)], [Fate::Waiting, Fate::Waiting]);
}

#[test]
fn no_of_the_auth_service_reaches_workers_whose_exchange_was_under_way_as_well() {
    let [mut first, mut second] = workers(&Rc::default(), &minimal());
    first.request(head());
    let asked_later = second.request(head());
    first.answer(&Reply::token(&token()));
    second.answer(&Reply::json(401, &json!({})));
    assert_eq!(second.fate(asked_later), Fate::Answered(401));
    first.ticks(6);
    second.ticks(6);
    assert_eq!([ask(&mut first), ask(&mut second)], [Fate::Waiting, Fate::Waiting]);
}

#[test]
fn session_the_auth_service_ended_is_taken_from_the_other_workers() {
    let [mut first, mut second] = workers(&Rc::default(), &minimal());
    first.exchange(head(), &Reply::token(&token()));
    ask(&mut second);
    first.pass(SECOND * 61);
    assert_eq!(first.exchange(head(), &Reply::json(401, &json!({}))), Fate::Answered(401));
    second.catch_up();
    assert_eq!(ask(&mut second), Fate::Waiting);
}

#[test]
fn whatever_lies_in_the_shared_data_lets_nobody_in_and_breaks_nothing() {
    let shared: Rc<SharedMemory> = Rc::default();
    let [mut first] = workers(&shared, &minimal());
    first.exchange(head(), &Reply::token(&token()));
    let (name, good) = shared.all().into_iter().find(|(name, _)| name.contains("tokens")).unwrap();
    let forged = sign(&claims("eve", START)).replace('.', "-");
    let with_token = |token: &str| {
        let at = good.len() - self::token().len();
        let len = u16::try_from(token.len()).unwrap().to_be_bytes();
        [&good[..at - 2], &len, token.as_bytes()].concat()
    };
    let mut damaged = vec![vec![], vec![0], vec![1], vec![2; 300], with_token(&forged), with_token("")];
    damaged.push(with_token(&common::sign_with(&json!({"alg": "HS256"}), &claims("eve", START), &"x".repeat(32))));
    damaged.push([&good[..], b"x"].concat());
    damaged.extend((0..good.len()).map(|end| good[..end].to_vec()));
    damaged.extend((0..33).map(|i| {
        let mut other = good.clone();
        other[i] ^= 1;
        other
    }));
    for data in damaged {
        shared.overwrite(&name, &data);
        let [mut world] = workers(&shared, &minimal());
        assert_eq!(ask(&mut world), Fate::Waiting, "{data:?}");
        world.answer(&Reply::token(&token()));
        let [mut next] = workers(&shared, &minimal());
        assert_eq!(ask(&mut next), passed(&token()), "what was malformed is overwritten");
    }
    for data in [vec![0xff; 7], vec![0xff; 8], vec![0; 41], vec![0; 8 + 32 * (CAPACITY + 1)]] {
        shared.overwrite("session-bearer sign-outs", &data);
        let mut world = World::beside(&shared, &minimal(), 0);
        world.ticks(1);
        assert_eq!(world.exchange(get("/api/x").cookie("sid=x"), &Reply::token(&token())), passed(&token()));
    }
}

fn key(i: u64) -> SessionKey {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&i.to_be_bytes());
    SessionKey::from_bytes(digest)
}

fn shared_token(session: SessionKey, fresh_until: u64) -> SharedToken {
    let fresh_until = START.plus(SECOND * u32::try_from(fresh_until).unwrap());
    let life = Life { stored: START, fresh_until, usable_until: fresh_until.plus(SECOND * 60) };
    let token = Secret::new(format!("token-{}", session.number()).into_bytes());
    SharedToken { session, fingerprint: [7; 16], asked_after: 3, life, token }
}

fn found(level: &SharedTokens, session: SessionKey, now: UnixTime) -> Option<(Vec<u8>, u64, Life)> {
    level.find(&session, &[7; 16], now).map(|found| (found.token.expose().clone(), found.asked_after, found.life))
}

#[test]
fn level_holds_at_most_its_slots_and_gives_each_session_its_own_token() {
    let memory: Rc<SharedMemory> = Rc::default();
    let level = SharedTokens::new(Rc::<SharedMemory>::clone(&memory), 16).unwrap();
    for i in 0..1000 {
        level.store(&shared_token(key(i), 60 + i));
        let expected = (format!("token-{i}").into_bytes(), 3, shared_token(key(i), 60 + i).life);
        assert_eq!(found(&level, key(i), START), Some(expected));
    }
    let present = (0..1000).filter(|&i| found(&level, key(i), START).is_some()).count();
    assert_eq!((memory.all().len(), present), (4, 16));
    assert!((984..1000).all(|i| found(&level, key(i), START).is_some()), "what ends first has to go first");
}

#[test]
fn entry_is_found_by_its_session_its_fingerprint_and_while_it_is_of_use_only() {
    let level = SharedTokens::new(Rc::<SharedMemory>::default(), 1).unwrap();
    level.store(&shared_token(key(0), 60));
    assert!(found(&level, key(4), START).is_none(), "another session of the same set");
    assert!(level.find(&key(0), &[8; 16], START).is_none(), "another fingerprint");
    assert!(found(&level, key(0), START.minus(SECOND)).is_none(), "the clock stepped back");
    assert!(found(&level, key(0), START.plus(SECOND * 119)).is_some(), "it may serve while nobody can be asked");
    assert!(found(&level, key(0), START.plus(SECOND * 120)).is_none());
    level.forget(&key(4), |_| true);
    level.forget(&key(0), |asked_after| asked_after != 3);
    assert!(found(&level, key(0), START).is_some());
    level.forget(&key(0), |asked_after| asked_after == 3);
    assert!(found(&level, key(0), START).is_none());
}

#[test]
fn each_worker_reads_every_sign_out_once() {
    let memory: Rc<SharedMemory> = Rc::default();
    let worker = || SignOuts::new(Rc::<SharedMemory>::clone(&memory));
    let (mut first, mut second) = (worker(), worker());
    assert!(first.tell(&[key(1), key(2)]) && second.tell(&[key(3)]));
    for log in [&mut first, &mut second] {
        assert!(log.news() == News::Sessions(vec![key(1), key(2), key(3)]));
        assert!(log.news() == News::Sessions(vec![]));
        assert!(log.ended_since(&key(2), 1) && log.ended_since(&key(3), 2));
        assert!(!log.ended_since(&key(2), 2) && !log.ended_since(&key(4), 0));
    }
    assert!(worker().news() == News::Sessions(vec![]), "who remembers nothing has nothing to forget");
}

#[test]
fn log_is_bounded_and_who_missed_too_much_knows_it() {
    let memory: Rc<SharedMemory> = Rc::default();
    let [mut attentive, mut late] = [(); 2].map(|()| SignOuts::new(Rc::<SharedMemory>::clone(&memory)));
    for i in 0..CAPACITY as u64 {
        assert!(attentive.tell(&[key(i)]));
        assert!(attentive.news() == News::Sessions(vec![key(i)]));
    }
    let mut just_in_time = (0..CAPACITY as u64).map(key).collect::<Vec<_>>();
    assert!(late.news() == News::Sessions(just_in_time.clone()));
    just_in_time.push(key(9999));
    assert!(attentive.tell(&just_in_time));
    assert!(late.news() == News::Any && late.news() == News::Sessions(vec![]));
    assert_eq!(memory.all()["session-bearer sign-outs"].len(), 8 + 32 * CAPACITY);
    memory.overwrite("session-bearer sign-outs", b"");
    assert!(late.news() == News::Any, "the log was lost");
}

/// Somebody else writes between every reading and writing of ours, so many times.
struct Contended(SharedMemory, std::cell::Cell<u32>);

impl SharedData for Contended {
    fn read(&self, name: &str) -> Option<(Vec<u8>, u32)> {
        let read = self.0.read(name);
        if self.1.get() > 0 {
            self.1.set(self.1.get() - 1);
            self.0.overwrite(name, &[&1_u64.to_be_bytes()[..], &[7; 32]].concat());
        }
        read
    }

    fn write(&self, name: &str, data: &[u8], seen: Option<u32>) -> bool {
        self.0.write(name, data, seen)
    }
}

#[test]
fn sign_out_is_told_although_others_write_at_the_same_time() {
    for (disturbances, told) in [(0, true), (5, true), (1000, false)] {
        let data = Rc::new(Contended(SharedMemory::default(), std::cell::Cell::new(0)));
        let log = SignOuts::new(Rc::<Contended>::clone(&data));
        data.1.set(disturbances);
        assert_eq!(log.tell(&[key(1)]), told, "{disturbances}");
        data.1.set(0);
        let written = data.0.all().remove("session-bearer sign-outs").unwrap();
        assert_eq!(written.ends_with(key(1).as_bytes()), told);
        assert_eq!(written.len(), 8 + 32 * (usize::from(told) + usize::from(disturbances > 0)));
    }
}
