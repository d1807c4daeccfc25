//! The way of a request, from its head to its answer.
//!
//! Read [`Authenticator::decide`] from top to bottom: head → route → credential → cache → flight. What
//! follows a flight stands in [`Authenticator::conclude`]: callout → answer → verification → cache →
//! every request that waited. Nothing here does anything; each function says what is to be done, and
//! the adapter does it.

mod outcome;

use std::rc::Rc;

pub use self::outcome::{Failure, Outcome, Settled, Step};
use crate::cache::TokenCache;
use crate::config::Config;
use crate::cookie::Pair;
use crate::credential::Credential;
use crate::edits::{Expired, Stripped};
use crate::exchange::{Answer, Callout, CalloutReply, Exchange, ExchangeError};
use crate::flight::{FlightId, Flights, Origin, StreamId, Token, Waiter};
use crate::keys::{Keys, KeysError, Loaded, SharedDocument};
use crate::reply::Denial;
use crate::request::{Field, NotARequest, RequestHead};
use crate::routes::{Auth, Policy};
use crate::session::{SessionKey, SessionKeys};
use crate::stats::{Counter, Stats};
use crate::time::UnixTime;
use crate::token::signature::Signatures;
use crate::token::verify::Verifier;
use crate::token::{TokenError, VerifiedToken};

/// Decides for one worker. All its state is that worker's.
pub struct Authenticator {
    config: Rc<Config>,
    session_keys: SessionKeys,
    cache: TokenCache,
    flights: Flights,
    keys: Keys,
    verifier: Verifier,
    stats: Stats,
}

impl Authenticator {
    /// An authenticator that remembers nothing yet. `signatures` does the mathematics; `random` keeps many
    /// workers from doing the same at the same moment.
    pub fn new(config: Rc<Config>, signatures: Rc<dyn Signatures>, random: u64) -> Self {
        Self {
            session_keys: config.session_keys(),
            cache: TokenCache::new(config.cache),
            flights: Flights::new(config.max_in_flight, config.max_flight_ticks()),
            keys: Keys::new(&config.keys, random),
            verifier: Verifier::new(Rc::clone(&config.token_rules), signatures),
            stats: Stats::default(),
            config,
        }
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
            return self.pass_unchecked(head, &policy);
        }
        let (credential, rest) = match config.credentials.read(head) {
            Ok(read) => read,
            Err(denial) => return self.refuse(denial),
        };
        let request = Waiter { stream, policy, stripped: Stripped::authorization(head).and_cookies(rest) };
        match credential {
            Credential::None => self.deny(request, Denial::NoCredential),
            Credential::Token(token) => self.decide_on_token(request, token, now),
            Credential::Session(cookie, companions) => {
                let callout =
                    |exchange: &Exchange| exchange.callout(head, cookie, &companions, client_address().as_deref());
                self.decide_on_session(request, cookie, callout, now)
            }
        }
    }

    /// A session cookie: known, or to be exchanged.
    fn decide_on_session(
        &mut self,
        request: Waiter,
        cookie: Pair<'_>,
        callout: impl FnOnce(&Exchange) -> Callout,
        now: UnixTime,
    ) -> Step {
        let config = Rc::clone(&self.config);
        let Some(exchange) = config.exchange.as_ref().filter(|_| cookie.is_plausible()) else {
            return self.deny(request, Denial::MalformedSession);
        };
        let key = self.session_keys.key(cookie);
        if let Some(token) = self.cache.get(&key, now) {
            return self.admit(request, token, now, Counter::AllowedHit);
        }
        match self.flights.join(key, request, || callout(exchange)) {
            Ok(joined) => Step::Wait(key, joined),
            Err(request) => self.deny(request, Denial::Overloaded),
        }
    }

    /// A token the client sent: known to be good, or to be verified.
    fn decide_on_token(&mut self, request: Waiter, token: &[u8], now: UnixTime) -> Step {
        let key = SessionKeys::of_token(token);
        if let Some(token) = self.cache.get(&key, now) {
            return self.admit(request, token, now, Counter::AllowedHit);
        }
        match self.verify(token, now) {
            Ok(token) => {
                self.cache.insert_verdict(key, token.clone(), now);
                self.admit(request, token, now, Counter::AllowedVerified)
            }
            Err(error) if error.needs_keys() && self.keys.want_newer() => {
                match self.flights.join_for_keys(key, request, token) {
                    Ok(joined) => Step::Wait(key, joined),
                    Err(_) => self.refuse(Denial::KeysUnavailable),
                }
            }
            Err(error) => {
                let denial = self.denial_of(error, Origin::Client);
                self.deny(request, denial)
            }
        }
    }

    fn verify(&self, token: &[u8], now: UnixTime) -> Result<VerifiedToken, TokenError> {
        self.verifier.verify(token, self.keys.set(), now)
    }

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

    /// Whether keys are to be fetched.
    pub fn wants_keys(&self) -> bool {
        self.keys.wants_fetch()
    }

    /// The fetch of keys to make, if any.
    pub fn next_fetch(&mut self, now: UnixTime) -> Option<Callout> {
        let next = self.keys.next_fetch(now)?;
        self.stats.count(Counter::KeysFetches);
        Some(next)
    }

    /// A key document that another worker fetched; `None` when it is of no use here.
    pub fn on_shared_keys(&mut self, shared: &SharedDocument, now: UnixTime) -> Option<Outcome> {
        let loaded = self.keys.adopt(shared, now)?;
        Some(self.on_keys(Ok(loaded), now))
    }

    /// When a token last brought a fetch of keys forward.
    pub fn keys_brought_forward(&self) -> Option<UnixTime> {
        self.keys.last_brought_forward()
    }

    /// The answer to a fetch of keys.
    pub fn on_fetched_keys(&mut self, reply: &CalloutReply<'_>, now: UnixTime) -> Outcome {
        let loaded = self.keys.on_answer(reply, now);
        self.on_keys(loaded, now)
    }

    /// The host would not fetch the keys.
    pub fn on_keys_not_sent(&mut self, now: UnixTime) -> Outcome {
        let failed = self.keys.on_failure(KeysError::NotSent);
        self.on_keys(failed, now)
    }

    /// New keys, or none: forgets what withdrawn keys have signed, and judges the tokens that waited.
    fn on_keys(&mut self, loaded: Result<Loaded, KeysError>, now: UnixTime) -> Outcome {
        let mut all = match loaded {
            Ok(loaded) => {
                self.stats.count(Counter::KeysLoaded);
                let keys = &self.keys;
                self.cache.retain(|token| keys.contains(token.signed_by()));
                Outcome { loaded: Some(loaded), ..Outcome::default() }
            }
            Err(error) => {
                self.stats.count(Counter::KeysFailed);
                Outcome::failed(error.into())
            }
        };
        for (flight, token) in self.flights.unpark() {
            all.absorb(self.conclude_with(flight, token, now));
        }
        all
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
    fn conclude_with(&mut self, flight: FlightId, token: Token, now: UnixTime) -> Outcome {
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
    fn denial_of(&mut self, error: TokenError, origin: Origin) -> Denial {
        self.stats.count(error.into());
        match (error, origin) {
            (TokenError::NoKeys, _) => Denial::KeysUnavailable,
            (_, Origin::Client) => Denial::InvalidToken,
            (_, Origin::AuthService) => Denial::UnverifiedToken,
        }
    }

    /// Lets a request pass that proved who it is from, if that is enough for its route. What a route
    /// requires is looked at each time, also when the token was remembered (Oathkeeper CVE-2021-32701).
    fn admit(&mut self, request: Waiter, token: VerifiedToken, now: UnixTime, counter: Counter) -> Step {
        if !request.policy.admits(&token) {
            return self.refuse(Denial::InsufficientScope);
        }
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
    fn pass_unchecked(&mut self, head: &RequestHead<'_>, policy: &Policy) -> Step {
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
