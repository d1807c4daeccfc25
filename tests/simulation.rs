//! The whole core in a simulated world: many sessions, any order of requests, answers, failures,
//! hang-ups, ticks and clock steps, for as long as it takes.
//!
//! What must hold at every moment: a request only ever gets its own session's token, and only a live
//! one; each is settled once (the world checks that); a session has one exchange under way at most;
//! the tables keep within their bounds; and in the end nobody is left waiting.

mod common;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::{claims, get, minimal, set, sign};
use serde_json::{Value, json};
use session_bearer::flight::StreamId;
use session_bearer::time::UnixTime;
use world::{Fate, Reply, World, values};

const SESSIONS: usize = 40;
const STEPS_PER_WORLD: usize = 20_000;
const MAX_IN_FLIGHT: usize = 12;

struct Simulation {
    random: fastrand::Rng,
    world: World,
    waiting: BTreeMap<StreamId, (usize, bool)>,
    issued: BTreeMap<String, (usize, UnixTime)>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut config = minimal();
        set(&mut config, "/exchange/max_in_flight", json!(MAX_IN_FLIGHT));
        set(&mut config, "/cache/max_entries", json!(SESSIONS / 2));
        set(&mut config, "/token/leeway", json!("0s"));
        let random = fastrand::Rng::with_seed(seed);
        Self { random, world: World::with(&config), waiting: BTreeMap::new(), issued: BTreeMap::new() }
    }

    fn step(&mut self) {
        match self.random.u8(..100) {
            0..=54 => self.request(),
            55..=84 => self.answer(),
            85..=90 => self.hang_up(),
            91..=93 => self.world.tick(),
            94 if !self.world.callouts().is_empty() => self.world.refuse_callout(),
            95 if !self.world.callouts().is_empty() => self.world.lose_callout(),
            96 => self.step_clock(),
            _ => self.world.pass(Duration::from_millis(self.random.u64(..2_000))),
        }
        self.look();
    }

    fn request(&mut self) {
        let session = self.random.usize(..SESSIONS);
        let optional = self.random.bool();
        let head = get(if optional { "/feed" } else { "/api/x" }).cookie(format!("sid=session-{session}"));
        let stream = self.world.request(head);
        self.waiting.insert(stream, (session, optional));
    }

    fn answer(&mut self) {
        let callouts = self.world.callouts();
        if callouts.is_empty() {
            return;
        }
        let n = self.random.usize(..callouts.len());
        let cookie = callouts[n].iter().find(|(name, _)| name == "cookie").unwrap();
        let session: usize = cookie.1.strip_prefix("sid=session-").unwrap().parse().unwrap();
        let reply = self.reply_for(session);
        self.world.answer_nth(n, &reply);
    }

    fn reply_for(&mut self, session: usize) -> Reply {
        match self.random.u8(..10) {
            0 => Reply::json(401, &json!({})),
            1 => Reply::json(500, &json!({})),
            2 => Reply::reset(),
            3 => Reply::new(200, "text/html", "sign in"),
            4 => Reply::token("not.a.token"),
            _ => Reply::token(&self.token_for(session)),
        }
    }

    fn token_for(&mut self, session: usize) -> String {
        let mut claims: Value = claims(&format!("user-{session}"), self.world.now);
        let lifetime = self.random.u64(1..200);
        let exp = self.world.now.as_millis() / 1000 + lifetime;
        claims["exp"] = json!(exp);
        let token = sign(&claims);
        self.issued.insert(format!("Bearer {token}"), (session, UnixTime::from_secs(exp)));
        token
    }

    fn hang_up(&mut self) {
        let nth = self.random.usize(..self.waiting.len().max(1));
        if let Some(&stream) = self.waiting.keys().nth(nth) {
            self.world.hang_up(stream);
            self.waiting.remove(&stream);
        }
    }

    fn step_clock(&mut self) {
        let hour = Duration::from_secs(3600);
        self.world.now = if self.random.bool() { self.world.now.plus(hour) } else { self.world.now.minus(hour) };
    }

    /// Looks at everything that must hold.
    fn look(&mut self) {
        let callouts = self.world.callouts();
        let sessions: BTreeSet<_> =
            callouts.iter().map(|callout| callout.iter().find(|(n, _)| n == "cookie")).collect();
        assert_eq!(sessions.len(), callouts.len(), "two exchanges of one session at a time");
        assert!(self.world.authenticator.in_flight() <= MAX_IN_FLIGHT);

        let settled = |(stream, _): &(&StreamId, &(usize, bool))| self.world.fate(**stream) != Fate::Waiting;
        let settled: Vec<_> =
            self.waiting.iter().filter(settled).map(|(&stream, &request)| (stream, request)).collect();
        for (stream, (session, optional)) in settled {
            self.waiting.remove(&stream);
            match self.world.fate(stream) {
                Fate::Answered(status) => assert!(matches!(status, 401 | 503) && (!optional || status == 503)),
                Fate::Passed { authorization, cookie } => {
                    assert_eq!(cookie, None, "the session went upstream");
                    self.look_at_bearer(session, optional, &authorization);
                }
                fate => panic!("{fate:?}"),
            }
        }
        if self.random.u8(..) == 0 {
            self.world.forget_settled();
        }
    }

    fn look_at_bearer(&self, session: usize, optional: bool, authorization: &[String]) {
        match authorization {
            [] => assert!(optional, "a required route let an anonymous request pass"),
            [bearer] => {
                let (owner, exp) = self.issued[bearer];
                assert_eq!(owner, session, "a request got the token of another session");
                assert!(self.world.now < exp, "a token was used after its exp");
            }
            _ => panic!("more than one Authorization"),
        }
    }

    fn drain(&mut self) {
        while !self.world.callouts().is_empty() {
            self.answer();
        }
        for _ in 0..12 {
            self.world.tick();
            while !self.world.callouts().is_empty() {
                self.answer();
            }
        }
        self.look();
        assert!(self.waiting.is_empty(), "{} requests were left waiting", self.waiting.len());
        assert_eq!(self.world.authenticator.in_flight(), 0);
    }
}

#[test]
fn no_order_of_events_mixes_sessions_up_or_leaves_anyone_waiting() {
    #[allow(clippy::disallowed_methods, reason = "a test may be told which seed to run")]
    let first = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = first.map_or(0..10, |seed| seed..seed + 1);
    for seed in seeds {
        eprintln!("seed {seed} (SEED={seed} runs it alone)");
        let mut simulation = Simulation::new(seed);
        for _ in 0..STEPS_PER_WORLD {
            simulation.step();
        }
        simulation.drain();
    }
}

#[test]
fn upstream_never_sees_two_authorization_fields() {
    let mut world = World::new();
    let token = sign(&claims("ada", world.now));
    let head = get("/api/x").cookie("sid=a").with("authorization", "Bearer forged");
    let stream = world.request(head);
    world.answer(&Reply::token(&token));
    assert_eq!(values(world.upstream(stream), "authorization"), [format!("Bearer {token}")]);
}
