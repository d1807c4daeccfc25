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

use log::{error, info, warn};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use super::host;
use super::metrics::Metrics;
use super::stream::FilterStream;
use crate::authenticator::{Authenticator, Failure, Outcome, Settled, Step};
use crate::config::{Config, TICK};
use crate::exchange::CalloutReply;
use crate::flight::FlightId;

/// The filter on one worker.
pub struct FilterRoot {
    id: u32,
    worker: Option<Rc<Worker>>,
    metrics: Option<Metrics>,
    callouts: HashMap<u32, FlightId>,
    failures: BTreeMap<Failure, u32>,
}

/// What the root shares with the requests of its worker.
pub struct Worker {
    /// The core.
    pub authenticator: RefCell<Authenticator>,
    /// The queue to ring when a callout is to be made.
    pub queue: u32,
    config: Rc<Config>,
}

impl FilterRoot {
    /// A root that is not configured yet.
    pub fn new(id: u32) -> Self {
        Self { id, worker: None, metrics: None, callouts: HashMap::new(), failures: BTreeMap::new() }
    }

    /// Makes every callout that is due.
    fn make_callouts(&mut self, worker: &Worker) {
        loop {
            let now = host::now();
            let next = worker.authenticator.borrow_mut().next_callout(now);
            let Some((flight, callout)) = next else { break };
            match host::dispatch(&worker.config.exchange.cluster, &callout, worker.config.exchange.timeout) {
                Some(token) => {
                    self.callouts.insert(token, flight);
                }
                None => {
                    let outcome = worker.authenticator.borrow_mut().on_not_sent(flight, now);
                    self.carry_out(outcome);
                }
            }
        }
        self.report(worker);
    }

    /// Settles requests that waited, and tells what went wrong.
    fn carry_out(&mut self, outcome: Outcome) {
        for Settled { stream, step } in &outcome.settled {
            if !host::focus(*stream) {
                continue;
            }
            match step {
                Step::Continue(edits) => {
                    host::edit(edits);
                    host::resume();
                }
                Step::Reply(reply) => host::reply(reply),
                Step::Wait(..) => {}
            }
        }
        host::focus(self.id);
        if let (Some(latency), Some(metrics)) = (outcome.latency, &self.metrics) {
            metrics.report_latency(latency);
        }
        if let Some(failure) = outcome.failure {
            self.warn_of(failure);
        }
    }

    /// Logs the first failure of a kind at once, and the others of the same second together: an outage
    /// must not be made worse by its log.
    fn warn_of(&mut self, failure: Failure) {
        let seen = self.failures.entry(failure).or_default();
        if *seen == 0 {
            warn!("exchange failed: {failure}");
        }
        *seen = seen.saturating_add(1);
    }

    fn sum_up_failures(&mut self) {
        for (failure, seen) in std::mem::take(&mut self.failures) {
            if seen > 1 {
                warn!("exchange failed {seen} times within a second: {failure}");
            }
        }
    }

    fn report(&mut self, worker: &Worker) {
        let authenticator = worker.authenticator.borrow();
        if let Some(metrics) = &mut self.metrics {
            metrics.report(authenticator.stats(), authenticator.in_flight());
        }
    }
}

impl Context for FilterRoot {
    fn on_http_call_response(&mut self, token: u32, _: usize, _: usize, _: usize) {
        let (Some(worker), Some(flight)) = (self.worker.clone(), self.callouts.remove(&token)) else { return };
        let fields = host::reply_fields();
        // One byte more than is read, so that a body that is too long shows.
        let body = host::reply_body(worker.config.exchange.max_body_bytes.saturating_add(1));
        let reply = CalloutReply { fields: &fields, body: &body };
        let outcome = worker.authenticator.borrow_mut().on_answer(flight, &reply, host::now());
        self.carry_out(outcome);
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
        // The name is this root's alone: registering one again would take the queue from its owner.
        let name = format!("session-bearer-{:016x}", RandomState::new().build_hasher().finish());
        let Some(queue) = host::register_queue(&name) else {
            error!("the host gave no queue; is proxy_register_shared_queue among the allowed capabilities?");
            return false;
        };
        host::tick_every(TICK);
        let authenticator = RefCell::new(Authenticator::new(Rc::clone(&config)));
        self.metrics.get_or_insert_with(Metrics::define);
        self.worker = Some(Rc::new(Worker { authenticator, queue, config }));
        info!("configured");
        true
    }

    fn on_queue_ready(&mut self, queue: u32) {
        // A VM that was restarted can be told of a queue of the one before it.
        let Some(worker) = self.worker.clone().filter(|worker| worker.queue == queue) else { return };
        host::drain(queue);
        self.make_callouts(&worker);
    }

    fn on_tick(&mut self) {
        host::adopt_log_level();
        self.sum_up_failures();
        let Some(worker) = self.worker.clone() else { return };
        let outcome = worker.authenticator.borrow_mut().on_tick(host::now());
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
