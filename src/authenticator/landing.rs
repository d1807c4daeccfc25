//! What follows a callout: its answer, the verdict on the token in it, and what becomes of everybody who
//! waited.

use std::rc::Rc;

use super::{Authenticator, Failure, Outcome, Settled, Step};
use crate::cache::Remembered;
use crate::exchange::{Answer, Callout, CalloutReply, ExchangeError};
use crate::flight::{Flight, FlightId, Origin, StreamId, Token, Waiter};
use crate::reply::Denial;
use crate::session::SessionKey;
use crate::set_cookie::relayable;
use crate::stats::Counter;
use crate::time::UnixTime;
use crate::token::{TokenError, VerifiedToken};

impl Authenticator {
    /// Whether there may be a callout to make for an exchange.
    pub fn has_callouts(&self) -> bool {
        self.flights.has_work()
    }

    /// The next callout to make for an exchange, if any. What it is asked after is read before, or its answer
    /// would count as older than it is.
    pub fn next_callout(&mut self, now: UnixTime) -> Option<(FlightId, Rc<Callout>)> {
        if self.flights.has_work() {
            self.catch_up();
        }
        let next = self.flights.dispatch(now, self.sign_outs.seen())?;
        self.stats.count(Counter::ExchangeCallouts);
        Some(next)
    }

    /// The host would not make the callout of `flight`.
    pub fn on_not_sent(&mut self, flight: FlightId, now: UnixTime) -> Outcome {
        self.conclude(flight, Err(ExchangeError::NotSent), now)
    }

    /// The host has an answer to the callout of `flight`, or at least the end of it.
    ///
    /// When the outcome settles nobody although requests wait, something else is to be asked first.
    pub fn on_answer(&mut self, flight: FlightId, reply: &CalloutReply<'_>, now: UnixTime) -> Outcome {
        let config = Rc::clone(&self.config);
        let (Some(dispatched), Some(exchange)) = (self.flights.dispatched(flight), &config.exchange) else {
            return Outcome::default();
        };
        let latency = now.since(dispatched);
        let answer = exchange.read(reply, latency);
        let mut all = Outcome::default();
        match &answer {
            Err(ExchangeError::Throttled) => all = self.pause(reply, now),
            Ok(_) if exchange.relay_set_cookie => {
                self.flights.keep_set_cookies(flight, relayable(reply.fields, &config.credentials.cookies));
            }
            _ => {}
        }
        all.absorb(match answer {
            Err(error) if self.may_retry(error) && self.flights.retry(flight, exchange.retries) => {
                Outcome::failed(error.into())
            }
            answer => self.conclude(flight, answer, now),
        });
        Outcome { latency: Some(latency), ..all }
    }

    fn may_retry(&self, error: ExchangeError) -> bool {
        error.is_retryable() && self.health.pause().is_none()
    }

    /// The auth service asks to be left alone. Who would have been asked about next learns that at once.
    fn pause(&mut self, reply: &CalloutReply<'_>, now: UnixTime) -> Outcome {
        let mut all = Outcome::default();
        if let Some(seconds) = reply.retry_after(now) {
            self.health.asked_for_pause(seconds);
            for flight in self.flights.take_undispatched() {
                all.absorb(self.land(flight, Err(ExchangeError::Throttled.into()), now));
            }
        }
        all
    }

    /// A tick has passed: keys age, sessions that ended elsewhere are forgotten, callouts the host has
    /// forgotten are given up, and streams end with their token.
    pub fn on_tick(&mut self, now: UnixTime) -> Outcome {
        if self.keys.tick() {
            self.cache.clear();
            self.note_keys();
        }
        self.health.tick();
        self.catch_up();
        self.repeat_sign_outs(now);
        let mut all = Outcome { close: self.streams.overdue(now), ..Outcome::default() };
        self.stats.add(Counter::StreamsClosed, all.close.len());
        for flight in self.flights.overdue() {
            let waits_for_keys = self.flights.waits_for_keys(flight);
            let failure = if waits_for_keys { TokenError::NoKeys.into() } else { ExchangeError::Timeout.into() };
            all.absorb(self.land(flight, Err(failure), now));
        }
        all
    }

    /// The client of a waiting request has gone.
    pub(super) fn abandon(&mut self, session: &SessionKey, stream: StreamId) {
        if self.flights.abandon(session, stream) {
            self.stats.count(Counter::Abandoned);
        }
    }

    /// What the answer to an exchange leads to.
    fn conclude(&mut self, flight: FlightId, answer: Result<Answer, ExchangeError>, now: UnixTime) -> Outcome {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.land(flight, Err(error.into()), now),
        };
        self.health.answered();
        match answer {
            _ if self.is_outdated(flight) => Outcome::default(),
            Answer::Token(token) => self.conclude_with(flight, Token::new(token), now),
            Answer::NoSession => self.land_refused(flight, now),
        }
    }

    /// Whether the session of a flight has ended since its callout was made. It is asked about again then,
    /// since the answer may tell of the time before; nobody is served that.
    pub(super) fn is_outdated(&mut self, flight: FlightId) -> bool {
        self.catch_up();
        self.flights.ask_again(flight)
    }

    /// Judges the token of a flight. One that cannot be judged before newer keys are there keeps its
    /// flight going; keys that were fetched too early for it may be fetched once more.
    pub(super) fn conclude_with(&mut self, flight: FlightId, token: Token, now: UnixTime) -> Outcome {
        match self.verify(token.expose(), now) {
            Err(error) if error.needs_keys() && self.keys.want_newer() => {
                self.flights.park(flight, token);
                Outcome::default()
            }
            verdict => self.land(flight, verdict.map_err(Failure::Token), now),
        }
    }

    /// Ends a flight with the auth service's "no".
    fn land_refused(&mut self, flight: FlightId, now: UnixTime) -> Outcome {
        self.stats.count(Counter::ExchangeNoSession);
        let Some(session) = self.flights.get(flight).map(|flight| flight.session) else { return Outcome::default() };
        if self.is_known(&session, now) {
            // Other workers may remember it still.
            self.forget(&[session]);
        }
        self.refusals.insert(session, now);
        self.settle(flight, &Err(Denial::SessionRefused), now)
    }

    /// Ends a flight: counts and remembers what it brought, and settles all who waited.
    fn land(&mut self, id: FlightId, verdict: Result<VerifiedToken, Failure>, now: UnixTime) -> Outcome {
        let Some(&Flight { session, origin, asked_after, .. }) = self.flights.get(id) else {
            return Outcome::default();
        };
        let from_exchange = origin == Origin::AuthService;
        match verdict {
            Ok(token) => {
                if from_exchange {
                    self.stats.count(Counter::ExchangeToken);
                    self.refusals.remove(&session);
                    if let Some(life) = self.remember(|cache| cache.insert(session, token.clone(), now)) {
                        self.share(session, &token, life, asked_after);
                    }
                } else {
                    self.remember(|cache| cache.insert_verdict(session, token.clone(), now));
                }
                self.settle(id, &Ok(token), now)
            }
            Err(failure) => {
                if from_exchange {
                    self.stats.count(failure.counter());
                }
                let is_known = self.cache.defer(&session, now);
                let denial = match failure {
                    Failure::Token(error) => self.denial_of(error, origin),
                    Failure::Exchange(_) | Failure::Keys(_) => {
                        if is_known {
                            self.health.failed();
                        }
                        self.health.pause().map_or(Denial::ExchangeFailed, Denial::Paused)
                    }
                };
                let told = from_exchange.then_some(failure);
                Outcome { failure: told, ..self.settle(id, &Err(denial), now) }
            }
        }
    }

    fn settle(&mut self, id: FlightId, verdict: &Result<VerifiedToken, Denial>, now: UnixTime) -> Outcome {
        let Some(flight) = self.flights.land(id) else { return Outcome::default() };
        let admitted = match flight.origin {
            Origin::AuthService => Counter::AllowedMiss,
            Origin::Client => Counter::AllowedVerified,
        };
        let stale = verdict.as_ref().err().filter(|denial| denial.is_outage());
        let stale = stale.and_then(|_| self.cache.get(&flight.session, now)).map(Remembered::token);
        let settle = |request: Waiter| {
            let stream = request.stream;
            let step = match (verdict, &stale) {
                (Ok(token), _) => self.admit(request, token.clone(), now, admitted),
                (Err(_), Some(token)) => self.admit(request, token.clone(), now, Counter::AllowedStale),
                (Err(denial), None) => self.deny(request, *denial),
            };
            Settled { stream, step }
        };
        let mut settled: Vec<_> = flight.waiters.into_iter().map(settle).collect();
        if matches!(verdict, Ok(_) | Err(Denial::SessionRefused)) {
            self.relay(flight.set_cookies, settled.first_mut(), flight.cause);
        }
        Outcome { settled, ..Outcome::default() }
    }

    /// Has one browser told what the auth service wants it to be told: that of the first request that still
    /// waited, or, after a refresh, of the one that caused it.
    ///
    /// # Security
    /// All of them sent the same session cookie. It is one of them and not all, so that a line never goes to
    /// anybody who did not ask (threats B7).
    fn relay(&mut self, set_cookies: Vec<String>, first: Option<&mut Settled>, cause: StreamId) {
        match first {
            Some(Settled { step: Step::Reply(reply, _), .. }) => {
                self.stats.add(Counter::SetCookiesRelayed, set_cookies.len());
                reply.set_cookies(set_cookies);
            }
            Some(Settled { stream, .. }) => self.streams.set_cookies(*stream, set_cookies),
            None => self.streams.set_cookies(cause, set_cookies),
        }
    }

    /// Whose fault a token that does not verify is: the client's who sent it, or the deployment's.
    pub(super) fn denial_of(&mut self, error: TokenError, origin: Origin) -> Denial {
        self.stats.count(error.into());
        match (error, origin) {
            (TokenError::NoKeys, _) => Denial::KeysUnavailable,
            (_, Origin::Client) => Denial::InvalidToken,
            (_, Origin::AuthService) => Denial::UnverifiedToken,
        }
    }
}
