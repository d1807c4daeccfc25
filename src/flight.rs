//! Single flight: one exchange per session at a time, however many requests wait for it.
//!
//! A flight belongs to no request. It is dispatched by the root context, so a client that hangs up
//! takes nobody else's answer with it, and each waiting request leaves the table exactly once: with
//! its flight's outcome, or because its client has gone.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::credential::Kind;
use crate::edits::Stripped;
use crate::exchange::Callout;
use crate::routes::{Auth, Policy};
use crate::secret::Secret;
use crate::session::SessionKey;
use crate::shared::sign_outs::Number;
use crate::streams::Watch;
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
    /// The kind of credential it carries.
    pub credential: Option<Kind>,
    /// What was already decided to take out of it.
    pub stripped: Stripped,
    /// What its response may tell about its session.
    pub watch: Option<Watch>,
    /// Where its browser is sent to sign in, if it is a navigation and there is such a place.
    pub sign_in: Option<String>,
}

/// What is under way: exchanges, and tokens that wait for the keys to judge them by.
pub struct Flights {
    under_way: HashMap<FlightId, Flight>,
    by_session: HashMap<SessionKey, FlightId>,
    to_dispatch: VecDeque<FlightId>,
    parked: Vec<FlightId>,
    started: bool,
    next_id: u64,
    max: usize,
    max_ticks: u32,
}

/// The most requests that wait for one flight. One session has not nearly as many at a time, unless
/// somebody means to fill the memory with requests that wait.
pub const MAX_WAITERS: usize = 1024;

/// One of them.
pub struct Flight {
    /// The session, or the token, it is about.
    pub session: SessionKey,
    /// Who waits for it.
    pub waiters: Vec<Waiter>,
    /// Where its token comes from.
    pub origin: Origin,
    /// The request that started it, which has passed already when the flight is a refresh.
    pub cause: StreamId,
    /// The last sign-out that was known when its callout was made.
    pub asked_after: Number,
    /// The `Set-Cookie` lines of its answer that go on to a browser.
    pub set_cookies: Vec<String>,
    callout: Option<Rc<Callout>>,
    /// A token that cannot be judged before there are other keys.
    unjudged: Option<Token>,
    dispatched: Option<UnixTime>,
    attempts: u32,
    ticks: u32,
    outdated: bool,
}

/// Where a token comes from, and so whose fault it is when it does not verify.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// The auth service handed it out.
    AuthService,
    /// The client sent it.
    Client,
}

/// What a flight is started for.
enum Work {
    /// Make this callout.
    Exchange(Rc<Callout>),
    /// Judge this token once there are keys for it.
    Judge(Token),
}

/// A token that is not verified.
pub type Token = Rc<Secret<Vec<u8>>>;

impl Flights {
    /// No flights, of which there may be `max`, each for at most `max_ticks` ticks.
    pub fn new(max: usize, max_ticks: u32) -> Self {
        let (under_way, by_session) = (HashMap::new(), HashMap::new());
        let (to_dispatch, parked) = (VecDeque::new(), Vec::new());
        Self { under_way, by_session, to_dispatch, parked, started: false, next_id: 0, max, max_ticks }
    }

    /// Whether a request can wait for the flight of `session`: fewer than [`MAX_WAITERS`] do, or a new
    /// flight would not be one too many. The last quarter of all flights is kept for requests that cannot do
    /// without.
    pub fn has_room(&self, session: &SessionKey, auth: Auth) -> bool {
        let kept = if auth == Auth::Required { 0 } else { self.max / 4 };
        match self.by_session.get(session).and_then(|id| self.under_way.get(id)) {
            Some(flight) => flight.waiters.len() < MAX_WAITERS,
            None => self.under_way.len() < self.max.saturating_sub(kept),
        }
    }

    /// Lets `waiter` wait for the exchange of `session`; `callout` is asked for when a new flight
    /// starts.
    pub fn join(&mut self, session: SessionKey, waiter: Waiter, callout: impl FnOnce() -> Callout) {
        self.join_with(session, waiter, || Work::Exchange(Rc::new(callout())));
    }

    /// Starts an exchange of `session` nobody waits for, unless there is one, or would be one too many.
    /// Answers whether it was started.
    pub fn refresh(&mut self, session: SessionKey, cause: StreamId, callout: impl FnOnce() -> Callout) -> bool {
        let starts = !self.is_under_way(&session) && self.under_way.len() < self.max;
        if starts {
            self.start(session, cause, Vec::new(), Work::Exchange(Rc::new(callout())));
        }
        starts
    }

    /// Whether there is a flight for `session`.
    pub fn is_under_way(&self, session: &SessionKey) -> bool {
        self.by_session.contains_key(session)
    }

    /// Lets `waiter` wait until the token it sent can be judged.
    pub fn join_for_keys(&mut self, session: SessionKey, waiter: Waiter, token: &[u8]) {
        self.join_with(session, waiter, || Work::Judge(Rc::new(Secret::new(token.to_vec()))));
    }

    fn join_with(&mut self, session: SessionKey, waiter: Waiter, work: impl FnOnce() -> Work) {
        match self.by_session.get(&session).and_then(|id| self.under_way.get_mut(id)) {
            Some(flight) => flight.waiters.push(waiter),
            None => self.start(session, waiter.stream, vec![waiter], work()),
        }
    }

    fn start(&mut self, session: SessionKey, cause: StreamId, waiters: Vec<Waiter>, work: Work) {
        let id = FlightId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        let (origin, callout, unjudged) = match work {
            Work::Exchange(callout) => (Origin::AuthService, Some(callout), None),
            Work::Judge(token) => (Origin::Client, None, Some(token)),
        };
        match origin {
            Origin::AuthService => self.to_dispatch.push_back(id),
            Origin::Client => self.parked.push(id),
        }
        let flight = Flight {
            session,
            waiters,
            origin,
            cause,
            asked_after: 0,
            set_cookies: Vec::new(),
            callout,
            unjudged,
            dispatched: None,
            attempts: 0,
            ticks: 0,
            outdated: false,
        };
        self.under_way.insert(id, flight);
        self.by_session.insert(session, id);
        self.started = true;
    }

    /// Whether a callout waits to be made.
    pub fn has_work(&self) -> bool {
        !self.to_dispatch.is_empty()
    }

    /// Whether a flight was started since the last time this was asked.
    pub const fn take_started(&mut self) -> bool {
        std::mem::replace(&mut self.started, false)
    }

    /// The flights whose callout was not made yet; none of them will be dispatched any more.
    pub fn take_undispatched(&mut self) -> impl Iterator<Item = FlightId> + use<> {
        std::mem::take(&mut self.to_dispatch).into_iter()
    }

    /// The session of a flight has ended: what is being asked may be answered with what was true before.
    pub fn outdate(&mut self, session: &SessionKey) {
        if let Some(flight) = self.by_session.get(session).and_then(|id| self.under_way.get_mut(id)) {
            flight.outdated = flight.dispatched.is_some();
        }
    }

    /// Any session may have ended.
    pub fn outdate_all(&mut self) {
        for flight in self.under_way.values_mut() {
            flight.outdated = flight.dispatched.is_some();
        }
    }

    /// Puts a flight up for another callout if its answer is outdated and somebody waits for a better one.
    /// Answers whether the answer is outdated.
    pub fn ask_again(&mut self, id: FlightId) -> bool {
        let Some(flight) = self.under_way.get_mut(&id).filter(|flight| flight.outdated) else { return false };
        flight.unjudged = None;
        if flight.waiters.is_empty() {
            self.land(id);
        } else {
            self.to_dispatch.push_back(id);
        }
        true
    }

    /// Keeps what the answer of a flight wants a browser to be told.
    pub fn keep_set_cookies(&mut self, id: FlightId, set_cookies: Vec<String>) {
        if let Some(flight) = self.under_way.get_mut(&id) {
            flight.set_cookies = set_cookies;
        }
    }

    /// An exchange has brought a token that cannot be judged yet: its flight goes on until it can.
    pub fn park(&mut self, id: FlightId, token: Token) {
        if let Some(flight) = self.under_way.get_mut(&id) {
            flight.unjudged = Some(token);
            self.parked.push(id);
        }
    }

    /// The tokens that waited for keys; they wait no longer.
    pub fn unpark(&mut self) -> Vec<(FlightId, Token)> {
        let parked = std::mem::take(&mut self.parked);
        let token = |id: FlightId| Some((id, self.under_way.get_mut(&id)?.unjudged.take()?));
        parked.into_iter().filter_map(token).collect()
    }

    /// The next callout to make, if any, counted as made at `now`, when `asked_after` was the last sign-out
    /// known.
    pub fn dispatch(&mut self, now: UnixTime, asked_after: Number) -> Option<(FlightId, Rc<Callout>)> {
        while let Some(id) = self.to_dispatch.pop_front() {
            let Some(flight) = self.under_way.get_mut(&id) else { continue };
            if let Some(callout) = &flight.callout {
                flight.dispatched = Some(now);
                flight.asked_after = asked_after;
                flight.outdated = false;
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
        self.under_way.get(&id).is_some_and(|flight| flight.unjudged.is_some())
    }

    /// A flight under way.
    pub fn get(&self, id: FlightId) -> Option<&Flight> {
        self.under_way.get(&id)
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
