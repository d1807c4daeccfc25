//! The root context: what outlives a request on one worker.
//!
//! Callouts are made here and nowhere else. The host makes them for the root in any case, but the SDK
//! hands the answer to the context that was active, and silently drops it when that context is gone. A
//! request therefore rings a queue, the root makes the callout, and the answer finds the root alive
//! whatever became of the request.

use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;

use log::{debug, error, info, warn};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use super::metrics::Metrics;
use super::signatures::HostSignatures;
use super::stream::FilterStream;
use super::workers::HostData;
use super::{host, shared_keys, workers};
use crate::authenticator::{Authenticator, Failure, Outcome, Settled, Step};
use crate::config::{Config, TICK};
use crate::exchange::CalloutReply;
use crate::flight::FlightId;
use crate::keys::{Keys, Loaded, SharedDocument};
use crate::token::algorithm::Algorithm;

/// The filter on one worker.
pub struct FilterRoot {
    id: u32,
    worker: Option<Rc<Worker>>,
    metrics: Option<Metrics>,
    callouts: HashMap<u32, Asked>,
    failures: BTreeMap<Failure, u32>,
    ticks: u32,
}

/// What a callout was made for.
#[derive(Clone, Copy)]
enum Asked {
    Exchange(FlightId),
    Keys,
}

/// What the root shares with the requests of its worker.
pub struct Worker {
    /// The core.
    pub authenticator: RefCell<Authenticator>,
    /// What the core was configured with.
    pub config: Rc<Config>,
    queue: u32,
}

impl Worker {
    /// Wakes whom the core has something to do for.
    pub fn ring(&self) {
        let bell = self.authenticator.try_borrow_mut().map(|mut core| core.take_bell()).unwrap_or_default();
        if bell.root {
            host::ring(self.queue);
        }
        if bell.others {
            workers::ring_others(self.queue);
        }
    }
}

impl FilterRoot {
    /// A root that is not configured yet.
    pub fn new(id: u32) -> Self {
        Self { id, worker: None, metrics: None, callouts: HashMap::new(), failures: BTreeMap::new(), ticks: 0 }
    }

    /// Makes every callout that is due.
    fn make_callouts(&mut self, worker: &Worker) {
        self.fetch_keys(worker);
        while let Some(exchange) = &worker.config.exchange
            && worker.authenticator.borrow().has_callouts()
        {
            let now = host::now();
            let next = worker.authenticator.borrow_mut().next_callout(now);
            let Some((flight, callout)) = next else { break };
            match host::dispatch(&exchange.cluster, &callout, exchange.timeout) {
                Some(token) => {
                    self.callouts.insert(token, Asked::Exchange(flight));
                }
                None => {
                    let outcome = worker.authenticator.borrow_mut().on_not_sent(flight, now);
                    self.carry_out(outcome);
                }
            }
        }
        worker.ring();
        self.report(worker);
    }

    /// Fetches the keys if they are wanted, or takes over what another worker has just fetched.
    fn fetch_keys(&mut self, worker: &Worker) {
        let wanted = worker.authenticator.borrow().wants_keys();
        let Some(endpoint) = worker.config.keys.endpoint().filter(|_| wanted) else { return };
        let now = host::now();
        let shared = shared_keys::read(endpoint);
        let adopted = shared.and_then(|shared| worker.authenticator.borrow_mut().on_shared_keys(&shared, now));
        if let Some(outcome) = adopted {
            self.carry_out(outcome);
            // What was shared is no longer news, so this ends; but a token may find even it too old.
            return self.fetch_keys(worker);
        }
        let fetch = worker.authenticator.borrow_mut().next_fetch(now);
        let token = fetch.and_then(|callout| host::dispatch(&endpoint.cluster, &callout, endpoint.timeout));
        match token {
            Some(token) => {
                self.callouts.insert(token, Asked::Keys);
            }
            None => {
                let outcome = worker.authenticator.borrow_mut().on_keys_not_sent(now);
                self.carry_out(outcome);
            }
        }
    }

    /// The answer to a callout. One byte more than is read is asked for, so that a body that is too long
    /// shows.
    fn take_answer(&mut self, worker: &Worker, asked: Asked) {
        let fields = host::reply_fields();
        let exchange_limit = worker.config.exchange.as_ref().map_or(0, |exchange| exchange.max_body_bytes);
        let limit = match asked {
            Asked::Exchange(_) => exchange_limit,
            Asked::Keys => Keys::max_answer_len(),
        };
        let body = host::reply_body(limit.saturating_add(1));
        let (reply, now) = (CalloutReply { fields: &fields, body: &body }, host::now());
        let outcome = match asked {
            Asked::Exchange(flight) => worker.authenticator.borrow_mut().on_answer(flight, &reply, now),
            Asked::Keys => worker.authenticator.borrow_mut().on_fetched_keys(&reply, now),
        };
        if let Some(endpoint) = worker.config.keys.endpoint().filter(|_| outcome.loaded.is_some()) {
            let brought_forward = worker.authenticator.borrow().keys_brought_forward();
            shared_keys::write(endpoint, &SharedDocument { stamp: now, brought_forward, document: body });
        }
        self.carry_out(outcome);
    }

    /// Settles requests that waited, and tells what went wrong.
    fn carry_out(&mut self, outcome: Outcome) {
        for Settled { stream, step } in &outcome.settled {
            if !host::focus(*stream) {
                continue;
            }
            match step {
                Step::Continue(edits, state) => {
                    host::set_filter_state(state);
                    host::edit(edits);
                    host::resume();
                }
                Step::Reply(reply, state) => {
                    host::set_filter_state(state);
                    host::reply(reply);
                }
                Step::Wait => {}
            }
        }
        for stream in &outcome.close {
            if host::focus(*stream) {
                host::close();
            }
        }
        host::focus(self.id);
        if let (Some(latency), Some(metrics)) = (outcome.latency, &self.metrics) {
            metrics.report_latency(latency);
        }
        if let Some(failure) = outcome.failure {
            self.warn_of(failure);
        }
        if let Some(Loaded { used, skipped }) = outcome.loaded {
            debug!("{used} keys in use");
            for reason in skipped {
                warn!("a key of the fetched set is not used: {reason}");
            }
        }
    }

    /// Logs the first failure of a kind at once, and the others of the same second together: an outage
    /// must not be made worse by its log.
    fn warn_of(&mut self, failure: Failure) {
        let seen = self.failures.entry(failure).or_default();
        if *seen == 0 {
            warn!("{failure}");
        }
        *seen = seen.saturating_add(1);
    }

    fn sum_up_failures(&mut self) {
        for (failure, seen) in std::mem::take(&mut self.failures) {
            if seen > 1 {
                warn!("{seen} times within a second: {failure}");
            }
        }
    }

    fn report(&mut self, worker: &Worker) {
        let authenticator = worker.authenticator.borrow();
        if let Some(metrics) = &mut self.metrics {
            metrics.report(authenticator.stats(), authenticator.in_flight(), authenticator.remembered());
        }
    }
}

impl Context for FilterRoot {
    fn on_http_call_response(&mut self, token: u32, _: usize, _: usize, _: usize) {
        let (Some(worker), Some(asked)) = (self.worker.clone(), self.callouts.remove(&token)) else { return };
        self.take_answer(&worker, asked);
        self.make_callouts(&worker);
    }
}

impl RootContext for FilterRoot {
    /// `false` makes Envoy refuse the configuration: it does not start, or keeps the one it has.
    fn on_configure(&mut self, _: usize) -> bool {
        host::adopt_log_level();
        let config = match Config::read(&host::configuration(), &host::environment) {
            Ok(config) => Rc::new(config),
            Err(problems) => {
                for problem in problems {
                    error!("configuration refused: {problem}");
                }
                return false;
            }
        };
        for warning in &config.warnings {
            warn!("configuration: {warning}");
        }
        let random = RandomState::new().build_hasher().finish();
        // The name is this root's alone: registering one again would take the queue from its owner.
        let Some(queue) = host::register_queue(&format!("session-bearer-{random:016x}")) else {
            error!("the host gave no queue; is proxy_register_shared_queue among the allowed capabilities?");
            return false;
        };
        host::tick_every(TICK);
        let metrics = self.metrics.get_or_insert_with(Metrics::define);
        let signatures = HostSignatures::probe();
        metrics.report_host_algorithms(signatures.algorithms().len());
        info!("configured; verified by the host: {}", list(signatures.algorithms()));
        let core = Authenticator::new(Rc::clone(&config), Rc::new(signatures), Rc::new(HostData), random);
        self.worker = Some(Rc::new(Worker { authenticator: RefCell::new(core), queue, config }));
        workers::announce(queue, host::now());
        // Keys that have to be fetched are fetched before anybody asks.
        host::ring(queue);
        true
    }

    fn on_queue_ready(&mut self, queue: u32) {
        // A VM that was restarted can be told of a queue of the one before it.
        let Some(worker) = self.worker.clone().filter(|worker| worker.queue == queue) else { return };
        host::drain(queue);
        worker.authenticator.borrow_mut().on_ring();
        self.make_callouts(&worker);
    }

    fn on_tick(&mut self) {
        host::adopt_log_level();
        self.sum_up_failures();
        let Some(worker) = self.worker.clone() else { return };
        let now = host::now();
        self.ticks = self.ticks.wrapping_add(1);
        if self.ticks.is_multiple_of(workers::ANNOUNCE_EVERY) {
            workers::announce(worker.queue, now);
        }
        for (denial, count) in worker.authenticator.borrow_mut().take_waived() {
            info!("report_only: let through {count} times: {denial}");
        }
        let outcome = worker.authenticator.borrow_mut().on_tick(now);
        self.carry_out(outcome);
        self.make_callouts(&worker);
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(FilterStream::new(id, self.worker.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

fn list(algorithms: &[Algorithm]) -> String {
    let names: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
