//! Single flight: one exchange per session at a time, however many requests wait for it.
//!
//! A flight belongs to no request. It is dispatched by the root context, so a client that hangs up
//! takes nobody else's answer with it, and each waiting request leaves the table exactly once: with
//! its flight's outcome, or because its client has gone.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::edits::Stripped;
use crate::exchange::Callout;
use crate::routes::Policy;
use crate::session::SessionKey;
use crate::time::UnixTime;

/// Names a paused request: its context id in the host.
pub type StreamId = u32;

/// Names a flight; never used again within a worker.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FlightId(u64);

/// A request that waits, with everything needed to settle it.
pub struct Waiter {
    /// The request.
    pub stream: StreamId,
    /// What its route demands.
    pub policy: Policy,
    /// What was already decided to take out of it.
    pub stripped: Stripped,
}

/// The exchanges under way.
pub struct Flights {
    under_way: HashMap<FlightId, Flight>,
    by_session: HashMap<SessionKey, FlightId>,
    to_dispatch: VecDeque<FlightId>,
    next_id: u64,
    max: usize,
    max_ticks: u32,
}

/// One exchange.
pub struct Flight {
    /// The session it is about.
    pub session: SessionKey,
    /// Who waits for it.
    pub waiters: Vec<Waiter>,
    callout: Rc<Callout>,
    dispatched: Option<UnixTime>,
    attempts: u32,
    ticks: u32,
}

/// How a request came to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Joined {
    /// A new flight has to be dispatched.
    New,
    /// A flight was under way already.
    UnderWay,
}

impl Flights {
    /// No flights, of which there may be `max`, each for at most `max_ticks` ticks.
    pub fn new(max: usize, max_ticks: u32) -> Self {
        let (under_way, by_session) = (HashMap::new(), HashMap::new());
        Self { under_way, by_session, to_dispatch: VecDeque::new(), next_id: 0, max, max_ticks }
    }

    /// Lets `waiter` wait for the exchange of `session`; `callout` is asked for when a new flight
    /// starts.
    ///
    /// # Errors
    /// The waiter itself, when a new flight would be one too many.
    pub fn join(
        &mut self,
        session: SessionKey,
        waiter: Waiter,
        callout: impl FnOnce() -> Callout,
    ) -> Result<Joined, Waiter> {
        let joined = self.by_session.get(&session).and_then(|id| self.under_way.get_mut(id));
        if let Some(flight) = joined {
            flight.waiters.push(waiter);
            return Ok(Joined::UnderWay);
        }
        if self.under_way.len() >= self.max {
            return Err(waiter);
        }
        let id = FlightId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        let callout = Rc::new(callout());
        let flight = Flight { session, waiters: vec![waiter], callout, dispatched: None, attempts: 0, ticks: 0 };
        self.under_way.insert(id, flight);
        self.by_session.insert(session, id);
        self.to_dispatch.push_back(id);
        Ok(Joined::New)
    }

    /// The next callout to make, if any, counted as made at `now`.
    pub fn dispatch(&mut self, now: UnixTime) -> Option<(FlightId, Rc<Callout>)> {
        while let Some(id) = self.to_dispatch.pop_front() {
            if let Some(flight) = self.under_way.get_mut(&id) {
                flight.dispatched = Some(now);
                flight.attempts = flight.attempts.saturating_add(1);
                return Some((id, Rc::clone(&flight.callout)));
            }
        }
        None
    }

    /// When the last callout of a flight was made.
    pub fn dispatched(&self, id: FlightId) -> Option<UnixTime> {
        self.under_way.get(&id)?.dispatched
    }

    /// Puts a flight up for another attempt, if it had at most `retries` of them and somebody waits.
    pub fn retry(&mut self, id: FlightId, retries: u32) -> bool {
        let again = self.under_way.get(&id).is_some_and(|f| f.attempts <= retries && !f.waiters.is_empty());
        if again {
            self.to_dispatch.push_back(id);
        }
        again
    }

    /// Ends a flight and hands over who waited; `None` when it has ended before.
    pub fn land(&mut self, id: FlightId) -> Option<Flight> {
        let flight = self.under_way.remove(&id)?;
        self.by_session.remove(&flight.session);
        Some(flight)
    }

    /// Forgets a request whose client has gone. A flight nobody waits for any more is dropped if it was
    /// not dispatched; otherwise its answer is still worth remembering. Answers whether it waited.
    pub fn abandon(&mut self, session: &SessionKey, stream: StreamId) -> bool {
        let Some(&id) = self.by_session.get(session) else { return false };
        let Some(flight) = self.under_way.get_mut(&id) else { return false };
        let waiting = flight.waiters.len();
        flight.waiters.retain(|waiter| waiter.stream != stream);
        let waited = flight.waiters.len() < waiting;
        if flight.waiters.is_empty() && flight.dispatched.is_none() {
            self.land(id);
        }
        waited
    }

    /// Counts a tick for each flight and names those that have been under way for too long.
    ///
    /// The host owes an answer to every callout, so this ends only what the host has forgotten. Ticks
    /// are counted instead of comparing times, because the clock may be set while a flight is under way.
    pub fn overdue(&mut self) -> Vec<FlightId> {
        let mut overdue = Vec::new();
        for (id, flight) in &mut self.under_way {
            flight.ticks = flight.ticks.saturating_add(1);
            if flight.ticks > self.max_ticks {
                overdue.push(*id);
            }
        }
        overdue
    }

    /// How many exchanges are under way.
    pub fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Whether no exchange is under way.
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }
}
