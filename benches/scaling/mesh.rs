//! A mesh of processes with some workers each, in virtual time: the real core on every worker, the shared
//! level between the workers of a process, one auth service behind all of them.
//!
//! It does what the adapter does. Time passes from event to event: a request, an answer, a worker's tick.

use std::collections::{BinaryHeap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use session_bearer::authenticator::{Authenticator, Bell, Outcome, Settled, Step};
use session_bearer::config::Config;
use session_bearer::exchange::CalloutReply;
use session_bearer::flight::{FlightId, StreamId};
use session_bearer::request::Field;
use session_bearer::stats::Counter;
use session_bearer::time::UnixTime;
use session_bearer::token::algorithm::Algorithm;
use session_bearer::token::key::Key;
use session_bearer::token::signature::Signatures;

use crate::common::shared::SharedMemory;
use crate::service::{Answer, EPOCH, Service};

/// How the filter is configured, as far as it matters here.
#[derive(Clone, Copy)]
pub struct Cache {
    pub max_ttl: u64,
    pub max_entries: usize,
    pub shared_slots: usize,
    pub max_in_flight: usize,
}

/// What happened in a stretch of time.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    pub requests: u64,
    pub callouts: u64,
    /// Served from the worker's own cache, from another worker's, and after an exchange.
    pub hits: u64,
    pub shared: u64,
    pub misses: u64,
    pub stale: u64,
    pub unavailable: u64,
    /// Answered 401.
    pub refused: u64,
    pub evicted: u64,
}

/// The processes, their workers, and what is under way between them.
pub struct Mesh {
    pub service: Service,
    /// Whether workers wake each other when a session ends. If not, they look at their next tick.
    pub rings: bool,
    /// The sessions that ended, with the moments at which they were served after that, in seconds.
    pub served_late: HashMap<u32, Vec<f64>>,
    /// The most exchanges under way at any moment.
    pub most_in_flight: usize,
    workers: Vec<Worker>,
    per_process: usize,
    answers: BinaryHeap<Pending>,
    next_stream: StreamId,
    next_tick: f64,
    ticking: usize,
    head: Vec<Field>,
    refused: u64,
}

struct Worker {
    core: Authenticator,
    waiting: HashMap<StreamId, u32>,
}

/// An answer on its way to the worker that asked; the earliest is the greatest.
struct Pending {
    answer: Answer,
    worker: usize,
    flight: FlightId,
}

/// Says yes. What a signature costs is no question of numbers of callouts, and a million of them would be all
/// that this simulation does.
struct SayYes;

impl Signatures for SayYes {
    fn verify(&self, _: &Key, _: Algorithm, _: &[u8], _: &[u8]) -> bool {
        true
    }
}

impl Mesh {
    /// So many processes with so many workers each, none of which remembers anything.
    pub fn new(processes: usize, per_process: usize, cache: Cache, random: &mut fastrand::Rng) -> Self {
        let (config, signatures) = (Rc::new(configuration(cache)), Rc::new(SayYes));
        let mut workers = Vec::with_capacity(processes * per_process);
        for _ in 0..processes {
            let shared = Rc::new(SharedMemory::default());
            for _ in 0..per_process {
                let (config, shared) = (Rc::clone(&config), Rc::clone(&shared));
                let core = Authenticator::new(config, Rc::clone(&signatures) as _, shared, random.u64(..));
                workers.push(Worker { core, waiting: HashMap::new() });
            }
        }
        let head = [(":method", "GET"), (":path", "/api/x"), (":authority", "app.example"), ("cookie", "")];
        Self {
            service: Service::default(),
            rings: true,
            served_late: HashMap::new(),
            most_in_flight: 0,
            workers,
            per_process,
            answers: BinaryHeap::new(),
            next_stream: 1,
            next_tick: 0.0,
            ticking: 0,
            head: head.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec(),
            refused: 0,
        }
    }

    /// Everything that is due by then happens: answers and ticks, in their order.
    pub fn advance(&mut self, until: f64) {
        loop {
            let answer = self.answers.peek().map_or(f64::INFINITY, |pending| pending.answer.at);
            if answer.min(self.next_tick) > until {
                return;
            }
            if answer <= self.next_tick {
                self.take_answer();
            } else {
                self.tick();
            }
        }
    }

    /// A request of a session arrives at a worker.
    pub fn request(&mut self, worker: usize, session: u32, now: f64) {
        self.address("GET", "/api/x", session);
        let stream = self.stream();
        let step = self.workers[worker].core.on_request(&self.head, stream, || None, moment(now));
        match step {
            Step::Wait => {
                self.workers[worker].waiting.insert(stream, session);
            }
            step => self.settle(worker, session, stream, &step, now),
        }
        self.heed_bell(worker, now);
    }

    /// A session signs out through a worker. The auth service knows first; the response passes right after it.
    pub fn sign_out(&mut self, worker: usize, session: u32, now: f64) {
        self.service.sign_out(session, now);
        self.served_late.insert(session, Vec::new());
        self.address("POST", "/api/auth/sign-out", session);
        let stream = self.stream();
        let core = &mut self.workers[worker].core;
        core.on_request(&self.head, stream, || None, moment(now));
        core.on_response(stream, || vec![(":status".to_owned(), b"200".to_vec())], || moment(now));
        core.on_end(stream);
        self.heed_bell(worker, now);
    }

    /// What happened on all workers since they started.
    pub fn tally(&self) -> Tally {
        let mut all = Tally { refused: self.refused, ..Tally::default() };
        for Worker { core, .. } in &self.workers {
            let count = |counter| core.stats().get(counter);
            all.callouts += count(Counter::ExchangeCallouts);
            all.hits += count(Counter::AllowedHit);
            all.shared += count(Counter::AllowedShared);
            all.misses += count(Counter::AllowedMiss);
            all.stale += count(Counter::AllowedStale);
            all.unavailable += count(Counter::DeniedExchangeFailed) + count(Counter::DeniedOverloaded);
            all.evicted += count(Counter::CacheEvicted);
        }
        all.requests = all.hits + all.shared + all.misses + all.stale + all.unavailable + all.refused;
        all
    }

    fn address(&mut self, method: &str, path: &str, session: u32) {
        for (value, new) in self.head.iter_mut().zip([method, path, "app.example", &format!("sid=session-{session}")]) {
            value.1.clear();
            value.1.extend_from_slice(new.as_bytes());
        }
    }

    fn stream(&mut self) -> StreamId {
        self.next_stream = self.next_stream.wrapping_add(1);
        self.next_stream
    }

    /// Each worker ticks once a second, one after the other.
    fn tick(&mut self) {
        let (worker, now) = (self.ticking, self.next_tick);
        self.ticking = (worker + 1) % self.workers.len();
        self.next_tick += 1.0 / self.workers.len() as f64;
        let outcome = self.workers[worker].core.on_tick(moment(now));
        self.carry_out(worker, outcome, now);
    }

    fn take_answer(&mut self) {
        let Some(Pending { answer, worker, flight }) = self.answers.pop() else { return };
        let reply = CalloutReply { fields: &answer.fields, body: &answer.body };
        let outcome = self.workers[worker].core.on_answer(flight, &reply, moment(answer.at));
        self.carry_out(worker, outcome, answer.at);
    }

    fn carry_out(&mut self, worker: usize, outcome: Outcome, now: f64) {
        for Settled { stream, step } in outcome.settled {
            if let Some(session) = self.workers[worker].waiting.remove(&stream) {
                self.settle(worker, session, stream, &step, now);
            }
        }
        self.make_callouts(worker, now);
        self.heed_bell(worker, now);
    }

    /// A request is over as soon as it is decided.
    fn settle(&mut self, worker: usize, session: u32, stream: StreamId, step: &Step, now: f64) {
        match step {
            Step::Continue(..) => {
                if let Some(late) = self.served_late.get_mut(&session) {
                    late.push(now - self.service.ended(session).unwrap_or(now));
                }
            }
            Step::Reply(reply, _) => self.refused += u64::from(reply.status == 401),
            Step::Wait => {}
        }
        self.workers[worker].core.on_end(stream);
    }

    fn heed_bell(&mut self, worker: usize, now: f64) {
        let Bell { root, others } = self.workers[worker].core.take_bell();
        if others && self.rings {
            let first = worker - worker % self.per_process;
            for other in (first..first + self.per_process).filter(|other| *other != worker) {
                self.workers[other].core.catch_up();
                self.make_callouts(other, now);
            }
        }
        if root {
            self.make_callouts(worker, now);
        }
    }

    fn make_callouts(&mut self, worker: usize, now: f64) {
        while let Some((flight, callout)) = self.workers[worker].core.next_callout(moment(now)) {
            let headers = callout.headers();
            let cookie = headers.iter().find(|(name, _)| *name == "cookie").map(|(_, value)| *value);
            let session = cookie.and_then(|cookie| cookie.strip_prefix("sid=session-")?.parse().ok());
            let answer = self.service.ask(session.expect("a callout names its session"), now);
            self.answers.push(Pending { answer, worker, flight });
        }
        self.most_in_flight = self.most_in_flight.max(self.answers.len());
    }
}

impl std::ops::Sub for Tally {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            requests: self.requests - before.requests,
            callouts: self.callouts - before.callouts,
            hits: self.hits - before.hits,
            shared: self.shared - before.shared,
            misses: self.misses - before.misses,
            stale: self.stale - before.stale,
            unavailable: self.unavailable - before.unavailable,
            refused: self.refused - before.refused,
            evicted: self.evicted - before.evicted,
        }
    }
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.answer.at.total_cmp(&self.answer.at)
    }
}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Pending {}

fn moment(now: f64) -> UnixTime {
    UnixTime::from_secs(EPOCH).plus(Duration::from_secs_f64(now))
}

fn configuration(cache: Cache) -> Config {
    let max_bytes = (cache.max_entries * 1024).clamp(16_384, 1 << 30);
    let config = json!({
        "credentials": [{"session_cookie": {"names": ["sid"]}}],
        "exchange": {
            "cluster": "auth_service", "authority": "auth.internal", "path": "/api/auth/jwt",
            "max_in_flight": cache.max_in_flight,
        },
        "cache": {
            "max_ttl": format!("{}s", cache.max_ttl), "max_entries": cache.max_entries, "max_bytes": max_bytes,
            "shared_slots": cache.shared_slots,
        },
        "token": {"keys": {"secret_env": "SECRET"}},
        "routes": [{"match": {"prefix": "/api/auth"}, "auth": "off"}],
    });
    let secret = |_: &str| Some("0123456789abcdef0123456789abcdef".to_owned());
    Config::read(config.to_string().as_bytes(), &secret).unwrap_or_else(|problems| panic!("{problems:?}"))
}
