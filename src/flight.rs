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
use crate::secret::Secret;
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

/// What is under way: exchanges, and tokens that wait for the keys to judge them by.
pub struct Flights {
    under_way: HashMap<FlightId, Flight>,
    by_session: HashMap<SessionKey, FlightId>,
    to_dispatch: VecDeque<FlightId>,
    parked: Vec<FlightId>,
    next_id: u64,
    max: usize,
    max_ticks: u32,
}

/// One of them.
pub struct Flight {
    /// The session, or the token, it is about.
    pub session: SessionKey,
    /// Who waits for it.
    pub waiters: Vec<Waiter>,
    /// Where its token comes from.
    pub origin: Origin,
    work: Work,
    dispatched: Option<UnixTime>,
    attempts: u32,
    ticks: u32,
}

/// Where a token comes from, and so whose fault it is when it does not verify.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// The auth service handed it out.
    AuthService,
    /// The client sent it.
    Client,
}

/// What is still to be done for a flight.
enum Work {
    /// Make this callout, or wait for its answer.
    Exchange(Rc<Callout>),
    /// Judge this token once there are keys for it.
    Judge(Token),
}

/// A token that is not verified.
pub type Token = Rc<Secret<Vec<u8>>>;

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
        let (to_dispatch, parked) = (VecDeque::new(), Vec::new());
        Self { under_way, by_session, to_dispatch, parked, next_id: 0, max, max_ticks }
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
        self.join_with(session, waiter, Origin::AuthService, || Work::Exchange(Rc::new(callout())))
    }

    /// Lets `waiter` wait until the token it sent can be judged.
    ///
    /// # Errors
    /// The waiter itself, when a new flight would be one too many.
    pub fn join_for_keys(&mut self, session: SessionKey, waiter: Waiter, token: &[u8]) -> Result<Joined, Waiter> {
        let judge = || Work::Judge(Rc::new(Secret::new(token.to_vec())));
        self.join_with(session, waiter, Origin::Client, judge)
    }

    fn join_with(
        &mut self,
        session: SessionKey,
        waiter: Waiter,
        origin: Origin,
        work: impl FnOnce() -> Work,
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
        let work = work();
        match work {
            Work::Exchange(_) => self.to_dispatch.push_back(id),
            Work::Judge(_) => self.parked.push(id),
        }
        let flight = Flight { session, waiters: vec![waiter], origin, work, dispatched: None, attempts: 0, ticks: 0 };
        self.under_way.insert(id, flight);
        self.by_session.insert(session, id);
        Ok(Joined::New)
    }

    /// An exchange has brought a token that cannot be judged yet: its flight goes on until it can.
    pub fn park(&mut self, id: FlightId, token: Token) {
        if let Some(flight) = self.under_way.get_mut(&id) {
            flight.work = Work::Judge(token);
            self.parked.push(id);
        }
    }

    /// The tokens that waited for keys; they wait no longer.
    pub fn unpark(&mut self) -> Vec<(FlightId, Token)> {
        let parked = std::mem::take(&mut self.parked);
        let token = |id: FlightId| match &self.under_way.get(&id)?.work {
            Work::Judge(token) => Some((id, Rc::clone(token))),
            Work::Exchange(_) => None,
        };
        parked.into_iter().filter_map(token).collect()
    }

    /// The next callout to make, if any, counted as made at `now`.
    pub fn dispatch(&mut self, now: UnixTime) -> Option<(FlightId, Rc<Callout>)> {
        while let Some(id) = self.to_dispatch.pop_front() {
            let Some(flight) = self.under_way.get_mut(&id) else { continue };
            if let Work::Exchange(callout) = &flight.work {
                flight.dispatched = Some(now);
                flight.attempts = flight.attempts.saturating_add(1);
                return Some((id, Rc::clone(callout)));
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

    /// Whether what a flight lacks is keys.
    pub fn waits_for_keys(&self, id: FlightId) -> bool {
        self.under_way.get(&id).is_some_and(|flight| matches!(flight.work, Work::Judge(_)))
    }

    /// What a flight is about, and where its token comes from.
    pub fn about(&self, id: FlightId) -> Option<(SessionKey, Origin)> {
        self.under_way.get(&id).map(|flight| (flight.session, flight.origin))
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
