//! What follows a callout: its answer, the verdict on the token in it, and what becomes of everybody who
//! waited.

use std::rc::Rc;

use super::{Authenticator, Failure, Outcome, Settled};
use crate::exchange::{Answer, Callout, CalloutReply, ExchangeError};
use crate::flight::{FlightId, Origin, StreamId, Token, Waiter};
use crate::reply::Denial;
use crate::session::SessionKey;
use crate::stats::Counter;
use crate::time::UnixTime;
use crate::token::{TokenError, VerifiedToken};

impl Authenticator {
    /// The next callout to make for an exchange, if any.
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
    /// When the outcome settles nobody although requests wait, something else is to be asked first.
    pub fn on_answer(&mut self, flight: FlightId, reply: &CalloutReply<'_>, now: UnixTime) -> Outcome {
        let config = Rc::clone(&self.config);
        let (Some(dispatched), Some(exchange)) = (self.flights.dispatched(flight), &config.exchange) else {
            return Outcome::default();
        };
        let latency = now.since(dispatched);
        let outcome = match exchange.read(reply, latency) {
            Err(error) if error.is_retryable() && self.flights.retry(flight, exchange.retries) => {
                Outcome::failed(error.into())
            }
            answer => self.conclude(flight, answer, now),
        };
        Outcome { latency: Some(latency), ..outcome }
    }

    /// A tick has passed: keys age, and callouts the host has forgotten are given up.
    pub fn on_tick(&mut self, now: UnixTime) -> Outcome {
        if self.keys.tick() {
            self.cache.retain(|_| false);
        }
        let mut all = Outcome::default();
        for flight in self.flights.overdue() {
            let waits_for_keys = self.flights.waits_for_keys(flight);
            let failure = if waits_for_keys { TokenError::NoKeys.into() } else { ExchangeError::Timeout.into() };
            all.absorb(self.land(flight, Err(failure), now));
        }
        all
    }

    /// The client of a waiting request has gone.
    pub fn on_abandon(&mut self, session: &SessionKey, stream: StreamId) {
        if self.flights.abandon(session, stream) {
            self.stats.count(Counter::Abandoned);
        }
    }

    /// What the answer to an exchange leads to.
    fn conclude(&mut self, flight: FlightId, answer: Result<Answer, ExchangeError>, now: UnixTime) -> Outcome {
        let token = match answer {
            Ok(Answer::Token(token)) => token,
            Ok(Answer::NoSession) => return self.land_refused(flight, now),
            Err(error) => return self.land(flight, Err(error.into()), now),
        };
        self.conclude_with(flight, Token::new(token), now)
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
        self.settle(flight, &Err(Denial::SessionRefused), now)
    }

    /// Ends a flight: counts and remembers what it brought, and settles all who waited.
    fn land(&mut self, id: FlightId, verdict: Result<VerifiedToken, Failure>, now: UnixTime) -> Outcome {
        let Some((session, origin)) = self.flights.about(id) else { return Outcome::default() };
        let from_exchange = origin == Origin::AuthService;
        match verdict {
            Ok(token) => {
                if from_exchange {
                    self.stats.count(Counter::ExchangeToken);
                    self.cache.insert(session, token.clone(), now);
                } else {
                    self.cache.insert_verdict(session, token.clone(), now);
                }
                self.settle(id, &Ok(token), now)
            }
            Err(failure) => {
                if from_exchange {
                    self.stats.count(failure.counter());
                }
                let denial = match failure {
                    Failure::Token(error) => self.denial_of(error, origin),
                    Failure::Exchange(_) | Failure::Keys(_) => Denial::ExchangeFailed,
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
        let settle = |request: Waiter| {
            let stream = request.stream;
            let step = match verdict {
                Ok(token) => self.admit(request, token.clone(), now, admitted),
                Err(denial) => self.deny(request, *denial),
            };
            Settled { stream, step }
        };
        Outcome { settled: flight.waiters.into_iter().map(settle).collect(), ..Outcome::default() }
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
