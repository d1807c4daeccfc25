//! The way of a request, from its head to its answer.
//!
//! Read [`Authenticator::decide`] from top to bottom: head → route → credential → cache → flight. What
//! follows a flight stands in [`landing`]: callout → answer → verification → cache → every request that
//! waited. Nothing here does anything; each function says what is to be done, and
//! the adapter does it.

mod fetching;
mod landing;
mod outcome;

use std::rc::Rc;

pub use self::outcome::{Failure, Outcome, Settled, Step};
use crate::cache::TokenCache;
use crate::config::Config;
use crate::cookie::Pair;
use crate::credential::Credential;
use crate::edits::{Expired, Stripped};
use crate::exchange::{Callout, Exchange};
use crate::flight::{Flights, Origin, StreamId, Waiter};
use crate::keys::Keys;
use crate::reply::Denial;
use crate::request::{Field, NotARequest, RequestHead};
use crate::routes::{Auth, Policy};
use crate::session::SessionKeys;
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
