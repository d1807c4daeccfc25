//! The way of a request, from its head to its answer.
//!
//! Read [`Authenticator::decide`] from top to bottom: head → route → credential → origin → cache → flight. What
//! follows a flight stands in [`landing`]: callout → answer → verification → cache → every request that
//! waited; what a response tells, and how sessions are forgotten, in [`forgetting`]. Nothing here does
//! anything; each function says what is to be done, and the adapter does it.

mod fetching;
mod forgetting;
mod landing;
mod outcome;
mod repeats;
mod sharing;

use std::collections::BTreeMap;
use std::rc::Rc;

pub use self::outcome::{Bell, Failure, Outcome, ResponseEdits, Settled, Step};
use self::repeats::Repeats;
use self::sharing::fingerprint;
use crate::cache::recent::Recent;
use crate::cache::{Remembered, TokenCache};
use crate::config::Config;
use crate::cookie::{Pair, Rest};
use crate::credential::{Carried, Credential, Kind};
use crate::edits::{Expired, Stripped, is_authorization};
use crate::exchange::{Callout, Exchange};
use crate::filter_state::FilterState;
use crate::flight::{Flights, Origin, StreamId, Waiter};
use crate::health::Health;
use crate::keys::Keys;
use crate::origin::overrides_method;
use crate::reply::{Denial, LocalReply};
use crate::request::{Field, NotARequest, RequestHead};
use crate::routes::{AnonymousPermit, Auth, Policy};
use crate::session::{SessionKey, SessionKeys};
use crate::shared::SharedData;
use crate::shared::sign_outs::SignOuts;
use crate::shared::tokens::{Fingerprint, SharedTokens};
use crate::stats::{Counter, Stats};
use crate::streams::{Streams, Watch};
use crate::time::UnixTime;
use crate::token::signature::Signatures;
use crate::token::verify::Verifier;
use crate::token::{TokenError, VerifiedToken};

/// Decides for one worker. All its state is that worker's, but for what the workers share.
pub struct Authenticator {
    config: Rc<Config>,
    session_keys: SessionKeys,
    cache: TokenCache,
    refusals: Recent,
    disputed: Recent,
    flights: Flights,
    streams: Streams,
    health: Health,
    shared: Option<SharedTokens>,
    fingerprint: Fingerprint,
    sign_outs: SignOuts,
    repeats: Repeats,
    keys: Keys,
    verifier: Verifier,
    stats: Stats,
    waived: BTreeMap<&'static str, u32>,
    bell: Bell,
}

/// The most sessions known to be none, and the most whose token the backend has refused.
const MAX_RECENT: usize = 8192;

impl Authenticator {
    /// An authenticator that remembers nothing yet. `signatures` does the mathematics; `shared` is what it
    /// has in common with the other workers; `random` keeps many of them from doing the same at the same
    /// moment.
    pub fn new(config: Rc<Config>, signatures: Rc<dyn Signatures>, shared: Rc<dyn SharedData>, random: u64) -> Self {
        let keys = Keys::new(&config.keys, random);
        Self {
            session_keys: config.session_keys(),
            cache: TokenCache::new(config.cache, random),
            refusals: Recent::new(MAX_RECENT, config.negative_ttl),
            disputed: Recent::new(MAX_RECENT, config.cache.max_ttl),
            flights: Flights::new(config.max_in_flight, config.max_flight_ticks()),
            streams: Streams::default(),
            health: Health::new(random),
            shared: SharedTokens::new(Rc::clone(&shared), config.shared_slots),
            fingerprint: fingerprint(&config, keys.set()),
            sign_outs: SignOuts::new(shared),
            repeats: Repeats::default(),
            keys,
            verifier: Verifier::new(Rc::clone(&config.token_rules), signatures),
            stats: Stats::default(),
            waived: BTreeMap::new(),
            bell: Bell::default(),
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
            Err(NotARequest) => self.refuse(Denial::MalformedRequest, None, None),
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
            let request = self.unchecked(head, stream, policy);
            return self.deny(request, Denial::NoCredential);
        }
        let Carried { credential, kind, sessions, rest } = config.credentials.read(head);
        let is_cookie = kind.is_some_and(Kind::is_cookie);
        let also = |name: &str| is_authorization(name) || (is_cookie && overrides_method(name));
        let request = Waiter {
            stream,
            policy,
            credential: kind,
            stripped: Stripped::new(head, &config.identity, also, rest),
            watch: self.watch(head, &sessions),
            sign_in: config.sign_in.as_ref().and_then(|sign_in| sign_in.location_for(head)),
        };
        if is_cookie && !config.origins.admit(head) {
            return self.deny(request, Denial::CrossOrigin);
        }
        match credential {
            Err(denial) => self.deny(request, denial),
            Ok(Credential::None) => self.deny(request, Denial::NoCredential),
            Ok(Credential::Session(cookie, _)) if !sessions.contains(&cookie) => {
                self.deny(request, Denial::MalformedSession)
            }
            Ok(Credential::Token(token)) => self.decide_on_token(request, token, now),
            Ok(Credential::Session(cookie, companions)) => {
                let callout =
                    |exchange: &Exchange| exchange.callout(head, cookie, &companions, client_address().as_deref());
                self.decide_on_session(request, callout, now)
            }
        }
    }

    /// A request on a route that looks at no credential.
    fn unchecked(&self, head: &RequestHead<'_>, stream: StreamId, policy: Policy) -> Waiter {
        let also = |name: &str| !policy.pass_authorization && is_authorization(name);
        let stripped = Stripped::new(head, &self.config.identity, also, Rest::Untouched);
        let sessions = self.config.credentials.cookies.sessions_in(head.values("cookie"));
        Waiter { stream, policy, credential: None, stripped, watch: self.watch(head, &sessions), sign_in: None }
    }

    /// What the response to a request may tell; `None` where there is no session it could be about.
    fn watch(&self, head: &RequestHead<'_>, sessions: &[Pair<'_>]) -> Option<Watch> {
        self.config.exchange.as_ref()?;
        let mut keys = sessions.iter().map(|cookie| self.session_keys.key(*cookie));
        let (session, others) = (keys.next()?, keys.collect());
        Some(Watch { session, others, signs_out: self.config.signs_out(head), authorised: false, known: 0 })
    }

    /// A session cookie: known, or to be exchanged. A known session is never made to wait for an auth
    /// service that is known to be failing.
    fn decide_on_session(
        &mut self,
        mut request: Waiter,
        callout: impl FnOnce(&Exchange) -> Callout,
        now: UnixTime,
    ) -> Step {
        let config = Rc::clone(&self.config);
        let (Some(exchange), Some(watch)) = (&config.exchange, &mut request.watch) else {
            return self.deny(request, Denial::MalformedSession);
        };
        watch.authorised = true;
        let (key, callout) = (watch.session, || callout(exchange));
        let (remembered, hit) = self.recall(&key, now);
        match remembered {
            Some(Remembered::Fresh(token)) => return self.admit(request, token, now, hit),
            Some(Remembered::Ageing(token)) => {
                self.refresh(key, request.stream, callout, now);
                return self.admit(request, token, now, hit);
            }
            Some(Remembered::Stale(token)) if self.health.is_failing() => {
                self.refresh(key, request.stream, callout, now);
                return self.admit(request, token, now, Counter::AllowedStale);
            }
            Some(Remembered::Stale(_)) | None => {}
        }
        if self.refusals.contains(&key, now) {
            return self.deny(request, Denial::SessionRefused);
        }
        if let Some(seconds) = self.health.pause() {
            return self.deny(request, Denial::Paused(seconds));
        }
        if self.flights.has_room(&key, request.policy.auth) {
            self.streams.wait(request.stream, key);
            self.flights.join(key, request, callout);
            return Step::Wait;
        }
        match remembered {
            Some(Remembered::Stale(token)) => self.admit(request, token, now, Counter::AllowedStale),
            _ => self.deny(request, Denial::Overloaded),
        }
    }

    /// What is known of a session, here or, where that is not fresh, on the other workers.
    fn recall(&mut self, key: &SessionKey, now: UnixTime) -> (Option<Remembered>, Counter) {
        match self.cache.get(key, now) {
            known @ Some(Remembered::Fresh(_) | Remembered::Ageing(_)) => (known, Counter::AllowedHit),
            None if self.refusals.contains(key, now) => (None, Counter::AllowedHit),
            Some(Remembered::Stale(_)) | None => {
                let newer = self.take_over(key, now);
                (newer.or_else(|| self.cache.get(key, now)), Counter::AllowedShared)
            }
        }
    }

    /// Has a session exchanged in the background on account of the request `cause`, which passes meanwhile.
    fn refresh(&mut self, key: SessionKey, cause: StreamId, callout: impl FnOnce() -> Callout, now: UnixTime) {
        let is_due = !self.flights.is_under_way(&key) && !self.cache.is_deferred(&key, now);
        if !is_due || self.take_over(&key, now).is_some() || !self.health.take_refresh() {
            return;
        }
        if self.flights.refresh(key, cause, callout) {
            self.stats.count(Counter::ExchangeRefreshes);
        }
    }

    /// A token the client sent: known to be good, or to be verified.
    fn decide_on_token(&mut self, request: Waiter, token: &[u8], now: UnixTime) -> Step {
        let key = SessionKeys::of_token(token);
        if let Some(Remembered::Fresh(token)) = self.cache.get(&key, now) {
            return self.admit(request, token, now, Counter::AllowedHit);
        }
        match self.verify(token, now) {
            Ok(token) => {
                self.remember(|cache| cache.insert_verdict(key, token.clone(), now));
                self.admit(request, token, now, Counter::AllowedVerified)
            }
            Err(error) if error.needs_keys() && self.keys.want_newer() => {
                // Whoever makes keys up must not take the room that is kept for sessions.
                if !self.flights.has_room(&key, Auth::Optional) {
                    return self.deny(request, Denial::KeysUnavailable);
                }
                self.streams.wait(request.stream, key);
                self.flights.join_for_keys(key, request, token);
                Step::Wait
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

    /// Puts a token into the cache, and counts those that have to go for it.
    fn remember<T>(&mut self, insert: impl FnOnce(&mut TokenCache) -> T) -> T {
        let before = self.cache.evicted();
        let inserted = insert(&mut self.cache);
        self.stats.add(Counter::CacheEvicted, self.cache.evicted().saturating_sub(before));
        inserted
    }

    /// Lets a request pass that proved who it is from, if that is enough for its route. What a route
    /// requires is looked at each time, also when the token was remembered (Oathkeeper CVE-2021-32701).
    fn admit(&mut self, request: Waiter, token: VerifiedToken, now: UnixTime, counter: Counter) -> Step {
        if !request.policy.admits(&token) {
            return self.deny(request, Denial::InsufficientScope);
        }
        let Waiter { stream, credential, stripped, watch, .. } = request;
        let state = FilterState { outcome: counter, credential, subject: token.subject().cloned() };
        let end = self.config.ends_with_token.then(|| token.expires());
        let known = self.sign_outs.seen();
        let watch = watch.map(|watch| Watch { known, ..watch });
        match stripped.with_token(token, now) {
            Ok(edits) => {
                self.stats.count(counter);
                self.streams.pass_with_token(stream, watch, end);
                Step::Continue(edits, state)
            }
            Err(Expired(stripped)) => self.deny(Waiter { stripped, watch, ..request }, Denial::UnverifiedToken),
        }
    }

    /// Denies a request, unless its route lets it pass without a credential, or denials are only reported.
    fn deny(&mut self, request: Waiter, denial: Denial) -> Step {
        if let Some(permit) = request.policy.anonymous().filter(|_| denial.may_be_anonymous()) {
            let is_off = request.policy.auth == Auth::Off;
            let outcome = if is_off { Counter::AllowedOff } else { Counter::AllowedAnonymous };
            self.stats.count(outcome);
            return self.pass(request, permit, outcome);
        }
        if let Some(permit) = self.config.enforcement.waived() {
            self.stats.count(denial.counter());
            self.stats.count(Counter::AllowedReportOnly);
            let waived = self.waived.entry(denial.counter().label()).or_default();
            *waived = waived.saturating_add(1);
            return self.pass(request, permit, denial.counter());
        }
        self.streams.answer(request.stream);
        self.refuse(denial, request.credential, request.sign_in)
    }

    /// Lets a request pass without a credential.
    fn pass(&mut self, request: Waiter, permit: AnonymousPermit, outcome: Counter) -> Step {
        let Waiter { stream, credential, stripped, watch, .. } = request;
        self.streams.pass(stream, watch.map(|watch| Watch { authorised: false, ..watch }));
        Step::Continue(stripped.anonymous(permit), FilterState { outcome, credential, subject: None })
    }

    /// Answers a request here; a navigation is sent to sign in where that would help.
    fn refuse(&mut self, denial: Denial, credential: Option<Kind>, sign_in: Option<String>) -> Step {
        let outcome = denial.counter();
        self.stats.count(outcome);
        let reply = match sign_in.filter(|_| denial.asks_to_sign_in(credential)) {
            Some(location) => {
                self.stats.count(Counter::SentToSignIn);
                LocalReply::redirect(location)
            }
            None => LocalReply::from(denial),
        };
        Step::Reply(reply, FilterState { outcome, credential, subject: None })
    }

    /// Whom to wake after what was decided since the last time this was asked.
    pub fn take_bell(&mut self) -> Bell {
        let Bell { others, .. } = std::mem::take(&mut self.bell);
        Bell { root: self.flights.take_started(), others }
    }

    /// The denials that were not carried out since this was asked last: how many of each.
    pub fn take_waived(&mut self) -> BTreeMap<&'static str, u32> {
        std::mem::take(&mut self.waived)
    }

    /// What this worker has counted.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How many exchanges are under way.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// How many requests wait, or are still to be known about when their response comes.
    pub fn requests(&self) -> usize {
        self.streams.len()
    }

    /// How many sessions are remembered.
    pub fn remembered(&self) -> usize {
        self.cache.len()
    }
}
