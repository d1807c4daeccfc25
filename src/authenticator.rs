//! The way of a request, from its head to its answer.
//!
//! Read [`Authenticator::decide`] from top to bottom: head → route → credential → cache → flight. What
//! follows a flight stands in [`Authenticator::conclude`]: callout → answer → verification → cache →
//! every request that waited. Nothing here does anything; each function says what is to be done, and
//! the adapter does it.

use std::rc::Rc;
use std::time::Duration;

use crate::cache::TokenCache;
use crate::config::Config;
use crate::cookie::Rest;
use crate::edits::{Expired, HeaderEdits, Stripped};
use crate::exchange::{Answer, Callout, CalloutReply, ExchangeError};
use crate::flight::{FlightId, Flights, Joined, StreamId, Waiter};
use crate::reply::{Denial, LocalReply};
use crate::request::{Field, NotARequest, RequestHead};
use crate::routes::{Auth, Policy};
use crate::session::{SessionKey, SessionKeys};
use crate::stats::{Counter, Stats};
use crate::time::UnixTime;
use crate::token::{TokenError, VerifiedToken};

/// Decides for one worker. All its state is that worker's.
pub struct Authenticator {
    config: Rc<Config>,
    session_keys: SessionKeys,
    cache: TokenCache,
    flights: Flights,
    stats: Stats,
}

/// What to do with a request.
pub enum Step {
    /// Let it through with these edits.
    Continue(HeaderEdits),
    /// Answer it here.
    Reply(LocalReply),
    /// Hold it until its session's exchange has ended.
    Wait(SessionKey, Joined),
}

/// A request that waited, and what to do with it: never [`Step::Wait`].
pub struct Settled {
    /// The request.
    pub stream: StreamId,
    /// What to do with it.
    pub step: Step,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
pub enum Failure {
    /// The auth service could not be asked.
    #[error("{0}")]
    Exchange(#[from] ExchangeError),
    /// What it handed out does not verify.
    #[error("the token it handed out does not verify: {0}")]
    Token(#[from] TokenError),
}

/// What an answer of the auth service led to.
#[derive(Default)]
pub struct Outcome {
    /// The requests it settles.
    pub settled: Vec<Settled>,
    /// What went wrong, for the log.
    pub failure: Option<Failure>,
    /// How long the callout took, when one was answered.
    pub latency: Option<Duration>,
}

impl Authenticator {
    /// An authenticator that remembers nothing yet.
    pub fn new(config: Rc<Config>) -> Self {
        let session_keys = config.exchange.session_keys();
        let cache = TokenCache::new(config.cache);
        let flights = Flights::new(config.max_in_flight, config.max_flight_ticks());
        Self { config, session_keys, cache, flights, stats: Stats::default() }
    }

    /// Decides what to do with the request `fields` are the head of.
    ///
    /// `client_address` is asked for only when a callout is to be made.
    ///
    /// # Security
    /// Total over any fields. Each way out that lets the request pass needs a verified token or a
    /// route's permit; each error is a denial.
    pub fn on_request(
        &mut self,
        fields: &[Field],
        stream: StreamId,
        client_address: impl FnOnce() -> Option<String>,
        now: UnixTime,
    ) -> Step {
        match RequestHead::new(fields) {
            Ok(head) => self.decide(&head, stream, client_address, now),
            Err(NotARequest) => self.refuse(Denial::MalformedRequest),
        }
    }

    fn decide(
        &mut self,
        head: &RequestHead<'_>,
        stream: StreamId,
        client_address: impl FnOnce() -> Option<String>,
        now: UnixTime,
    ) -> Step {
        let config = Rc::clone(&self.config);
        let policy = config.routes.find(head);
        if policy.auth == Auth::Off {
            return self.pass_unchecked(head, policy);
        }

        if head.repeats_authorization() {
            return self.refuse(Denial::RepeatedAuthorization);
        }
        let Ok((jar, rest)) = config.cookies.read(head.values("cookie")) else {
            return self.refuse(Denial::ConflictingCookies);
        };
        let rest = if config.remove_session_cookie { rest } else { Rest::Untouched };
        let request = Waiter { stream, policy, stripped: Stripped::authorization(head).and_cookies(rest) };
        let Some(session) = jar.session() else {
            return self.deny(request, Denial::NoCredential);
        };
        if !session.is_plausible() {
            return self.deny(request, Denial::MalformedSession);
        }

        let key = self.session_keys.key(session);
        if let Some(token) = self.cache.get(&key, now) {
            return self.admit(request, token, now, Counter::AllowedHit);
        }

        let callout = || config.exchange.callout(head, session, &jar, client_address().as_deref());
        match self.flights.join(key, request, callout) {
            Ok(joined) => Step::Wait(key, joined),
            Err(request) => self.deny(request, Denial::Overloaded),
        }
    }

    /// The next callout to make, if any.
    pub fn next_callout(&mut self, now: UnixTime) -> Option<(FlightId, Rc<Callout>)> {
        let next = self.flights.dispatch(now)?;
        self.stats.count(Counter::ExchangeCallouts);
        Some(next)
    }

    /// The host would not make the callout of `flight`.
    pub fn on_not_sent(&mut self, flight: FlightId, now: UnixTime) -> Outcome {
        self.conclude(flight, Err(ExchangeError::NotSent), now)
    }

    /// The host has an answer to the callout of `flight`, or at least the end of it.
    ///
    /// When the outcome settles nobody although requests wait, another callout is to be made.
    pub fn on_answer(&mut self, flight: FlightId, reply: &CalloutReply<'_>, now: UnixTime) -> Outcome {
        let Some(dispatched) = self.flights.dispatched(flight) else { return Outcome::default() };
        let latency = now.since(dispatched);
        let outcome = match self.config.exchange.read(reply, latency) {
            Err(error) if error.is_retryable() && self.flights.retry(flight, self.config.exchange.retries) => {
                Outcome { failure: Some(error.into()), ..Outcome::default() }
            }
            answer => self.conclude(flight, answer, now),
        };
        Outcome { latency: Some(latency), ..outcome }
    }

    /// A tick has passed: gives up on callouts the host has forgotten.
    pub fn on_tick(&mut self, now: UnixTime) -> Outcome {
        let mut all = Outcome::default();
        for flight in self.flights.overdue() {
            let outcome = self.conclude(flight, Err(ExchangeError::Timeout), now);
            all.settled.extend(outcome.settled);
            all.failure = outcome.failure;
        }
        all
    }

    /// The client of a waiting request has gone.
    pub fn on_abandon(&mut self, session: &SessionKey, stream: StreamId) {
        if self.flights.abandon(session, stream) {
            self.stats.count(Counter::Abandoned);
        }
    }

    /// Ends a flight: verifies and remembers the token it brought, and settles all who waited.
    fn conclude(&mut self, flight: FlightId, answer: Result<Answer, ExchangeError>, now: UnixTime) -> Outcome {
        let Some(flight) = self.flights.land(flight) else { return Outcome::default() };
        let (verdict, failure) = self.judge(answer, now);
        if let Ok(token) = &verdict {
            self.cache.insert(flight.session, token.clone(), now);
        }
        let settle = |request: Waiter| {
            let stream = request.stream;
            let step = match &verdict {
                Ok(token) => self.admit(request, token.clone(), now, Counter::AllowedMiss),
                Err(denial) => self.deny(request, *denial),
            };
            Settled { stream, step }
        };
        Outcome { settled: flight.waiters.into_iter().map(settle).collect(), failure, latency: None }
    }

    /// What an answer means for those who waited for it, and what of it belongs into the log.
    fn judge(
        &mut self,
        answer: Result<Answer, ExchangeError>,
        now: UnixTime,
    ) -> (Result<VerifiedToken, Denial>, Option<Failure>) {
        let verified = match answer {
            Ok(Answer::Token(token)) => self.config.verifier.verify(token.expose(), now).map_err(Failure::Token),
            Err(error) => Err(Failure::Exchange(error)),
            Ok(Answer::NoSession) => {
                self.stats.count(Counter::ExchangeNoSession);
                return (Err(Denial::SessionRefused), None);
            }
        };
        match verified {
            Ok(token) => {
                self.stats.count(Counter::ExchangeToken);
                (Ok(token), None)
            }
            Err(failure) => {
                self.stats.count(failure.counter());
                (Err(failure.denial()), Some(failure))
            }
        }
    }

    /// Lets a request pass that proved who it is from.
    fn admit(&mut self, request: Waiter, token: VerifiedToken, now: UnixTime, counter: Counter) -> Step {
        match request.stripped.with_token(token, now) {
            Ok(edits) => {
                self.stats.count(counter);
                Step::Continue(edits)
            }
            Err(Expired) => self.refuse(Denial::UnverifiedToken),
        }
    }

    /// Denies a request, unless its route lets it pass without a credential.
    fn deny(&mut self, request: Waiter, denial: Denial) -> Step {
        match request.policy.anonymous().filter(|_| denial.may_be_anonymous()) {
            Some(permit) => {
                self.stats.count(Counter::AllowedAnonymous);
                Step::Continue(request.stripped.anonymous(permit))
            }
            None => self.refuse(denial),
        }
    }

    fn refuse(&mut self, denial: Denial) -> Step {
        self.stats.count(denial.counter());
        Step::Reply(denial.into())
    }

    /// Lets a request pass on a route that looks at nothing.
    fn pass_unchecked(&mut self, head: &RequestHead<'_>, policy: Policy) -> Step {
        let stripped = if policy.pass_authorization { Stripped::nothing() } else { Stripped::authorization(head) };
        match policy.anonymous() {
            Some(permit) => {
                self.stats.count(Counter::AllowedOff);
                Step::Continue(stripped.anonymous(permit))
            }
            None => self.refuse(Denial::NoCredential),
        }
    }

    /// What this worker has counted.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How many exchanges are under way.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }
}

impl Failure {
    const fn counter(self) -> Counter {
        match self {
            Self::Token(_) => Counter::ExchangeUnverified,
            Self::Exchange(ExchangeError::NotSent) => Counter::ExchangeNotSent,
            Self::Exchange(ExchangeError::Reset) => Counter::ExchangeReset,
            Self::Exchange(ExchangeError::Timeout) => Counter::ExchangeTimeout,
            Self::Exchange(ExchangeError::ServerError) => Counter::ExchangeServerError,
            Self::Exchange(ExchangeError::Status) => Counter::ExchangeUnexpectedStatus,
            Self::Exchange(ExchangeError::Unreadable) => Counter::ExchangeUnreadable,
        }
    }

    const fn denial(self) -> Denial {
        match self {
            Self::Exchange(_) => Denial::ExchangeFailed,
            Self::Token(_) => Denial::UnverifiedToken,
        }
    }
}
