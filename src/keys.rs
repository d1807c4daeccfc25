//! The keys tokens are verified with, and when to fetch new ones.
//!
//! A key set from elsewhere is fetched before anybody needs it and again now and then. One fetch is
//! under way at a time. What was fetched last stays in use when a later fetch fails, for a day at most:
//! an endpoint that is down, or answers nonsense, takes nobody's session (PyJWT forgot its keys then).
//! A token that names a key nobody has heard of brings the next fetch forward, but only once in a while,
//! so that inventing names is no way to make the filter flood the endpoint.
//!
//! Time is counted in ticks of a second; nothing here looks at the clock, which may be set.

use std::time::Duration;

use crate::exchange::{Callout, CalloutReply};
use crate::time::UnixTime;
use crate::token::key::{KeyError, KeyId};
use crate::token::keyset::{KeySet, KeySetError, MAX_DOCUMENT_LEN};

/// Where a key set is fetched from.
#[derive(Clone, Debug)]
pub struct JwksEndpoint {
    /// The Envoy cluster.
    pub cluster: String,
    /// The `:authority` of the request.
    pub authority: String,
    /// The `:path` of the request.
    pub path: String,
    /// How long a fetch may take.
    pub timeout: Duration,
    /// How old a set may get before it is fetched again.
    pub refresh: Duration,
}

/// Where keys come from.
pub enum KeySource {
    /// They stand in the configuration, or in the environment.
    Fixed(KeySet),
    /// They are fetched.
    Endpoint(JwksEndpoint),
}

impl KeySource {
    /// Where keys are fetched from, if they are.
    pub const fn endpoint(&self) -> Option<&JwksEndpoint> {
        match self {
            Self::Fixed(_) => None,
            Self::Endpoint(endpoint) => Some(endpoint),
        }
    }
}

/// The keys of one worker.
pub struct Keys {
    set: KeySet,
    fetching: Option<Fetching>,
}

struct Fetching {
    endpoint: JwksEndpoint,
    state: State,
    /// Ticks until the next fetch.
    due_in: u32,
    /// Ticks since the set was fetched.
    age: u32,
    /// Ticks until a token may bring a fetch forward again.
    cool_down: u32,
    /// Whether a token wants the fetch that is wanted.
    brought_forward: bool,
    /// When a token last brought a fetch forward, on whichever worker.
    last_brought_forward: Option<UnixTime>,
    failures: u32,
    /// When the document in use was fetched, by whichever worker.
    stamp: Option<UnixTime>,
    /// Between 0 and 99: how this worker's fetches are spread, in thousandths of the interval.
    jitter: u32,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    Idle,
    Wanted,
    UnderWay,
}

/// Why a fetch brought no keys. The ones that are there stay in use.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
pub enum KeysError {
    /// Envoy would not make the callout.
    #[error(
        "the callout was not made: token.keys.jwks.cluster is unknown, without a healthy host, or its circuit breaker is open"
    )]
    NotSent,
    /// There was no answer.
    #[error("no answer")]
    NoAnswer,
    /// The answer was not a 200.
    #[error("the status was not 200")]
    Status,
    /// The answer was not JSON, or too long.
    #[error("the answer was not a JWK set")]
    Document,
    /// No key in it can be used.
    #[error("no key in the answer can be used")]
    NoUsableKey,
}

/// A key document that one worker fetched for all.
pub struct SharedDocument {
    /// When it was fetched.
    pub stamp: UnixTime,
    /// When a token last brought a fetch forward, as far as the worker that fetched it knows.
    pub brought_forward: Option<UnixTime>,
    /// Its bytes, which are read as carefully as those of a fetch.
    pub document: Vec<u8>,
}

/// What a document brought.
#[derive(Debug, Eq, PartialEq)]
pub struct Loaded {
    /// How many keys are in use now.
    pub used: usize,
    /// Why others are not.
    pub skipped: Vec<KeyError>,
}

/// How long after bringing a fetch forward no token can do so again, in ticks.
const COOL_DOWN: u32 = 30;

/// How long a set is used that cannot be fetched again, in ticks: a day.
const MAX_AGE: u32 = 86_400;

/// The longest pause after a failed fetch, in ticks.
const MAX_PAUSE: u32 = 30;

impl Keys {
    /// The keys of `source`; those that have to be fetched are wanted at once. `random` spreads the
    /// fetches of many workers.
    pub fn new(source: &KeySource, random: u64) -> Self {
        match source {
            KeySource::Fixed(set) => Self { set: set.clone(), fetching: None },
            KeySource::Endpoint(endpoint) => {
                let fetching = Fetching {
                    endpoint: endpoint.clone(),
                    state: State::Wanted,
                    due_in: 0,
                    age: 0,
                    cool_down: 0,
                    brought_forward: false,
                    last_brought_forward: None,
                    failures: 0,
                    stamp: None,
                    jitter: u32::try_from(random % 100).unwrap_or_default(),
                };
                Self { set: KeySet::empty(), fetching: Some(fetching) }
            }
        }
    }

    /// The keys that are there; none before the first were fetched.
    pub const fn set(&self) -> &KeySet {
        &self.set
    }

    /// Whether a key is still in use.
    pub fn contains(&self, id: KeyId) -> bool {
        self.set.contains(id)
    }

    /// A token cannot be judged with the keys that are there. Answers whether waiting for others is of
    /// any use: because a fetch is under way, or because one may be made now.
    pub fn want_newer(&mut self) -> bool {
        let Some(fetching) = &mut self.fetching else { return false };
        match fetching.state {
            State::Wanted | State::UnderWay => true,
            State::Idle if self.set.is_empty() => false,
            State::Idle if fetching.cool_down > 0 => false,
            State::Idle => {
                fetching.brought_forward = true;
                fetching.state = State::Wanted;
                true
            }
        }
    }

    /// Whether a fetch is to be made now.
    pub fn wants_fetch(&self) -> bool {
        self.fetching.as_ref().is_some_and(|fetching| fetching.state == State::Wanted)
    }

    /// The fetch to be made at `now`, if any.
    pub fn next_fetch(&mut self, now: UnixTime) -> Option<Callout> {
        let fetching = self.fetching.as_mut().filter(|fetching| fetching.state == State::Wanted)?;
        fetching.state = State::UnderWay;
        if std::mem::take(&mut fetching.brought_forward) {
            fetching.cool_down = COOL_DOWN;
            fetching.last_brought_forward = Some(now);
        }
        Some(Callout::get(&fetching.endpoint.authority, &fetching.endpoint.path))
    }

    /// Takes over a document another worker fetched, when that saves a fetch that is wanted here: it has to
    /// be readable, news, and so young that fetching again could hardly bring more. `None` when it is not;
    /// nothing has changed then, and the fetch is still wanted.
    ///
    /// If a token brought the other fetch forward, tokens here have to wait as long as those there: the
    /// workers cool down together.
    pub fn adopt(&mut self, shared: &SharedDocument, now: UnixTime) -> Option<Loaded> {
        let fetching = self.fetching.as_mut().filter(|fetching| fetching.has_use_for(shared.stamp, now))?;
        let set = KeySet::parse(&shared.document).ok()?;
        fetching.brought_forward = false;
        let passed = shared.brought_forward.map(|moment| now.since(moment).as_secs());
        let left = passed.map_or(0, |secs| COOL_DOWN.saturating_sub(u32::try_from(secs).unwrap_or(u32::MAX)));
        fetching.cool_down = fetching.cool_down.max(left);
        fetching.last_brought_forward = fetching.last_brought_forward.max(shared.brought_forward);
        Some(self.replace(set, shared.stamp))
    }

    /// When a token last brought a fetch forward, to be shared along with what was fetched.
    pub fn last_brought_forward(&self) -> Option<UnixTime> {
        self.fetching.as_ref()?.last_brought_forward
    }

    /// The answer to a fetch.
    ///
    /// # Errors
    /// [`KeysError`] when it brings no keys; those that are there stay.
    pub fn on_answer(&mut self, reply: &CalloutReply<'_>, now: UnixTime) -> Result<Loaded, KeysError> {
        match reply.status() {
            None => self.on_failure(KeysError::NoAnswer),
            Some(200) if reply.is_json() => self.on_document(reply.body, now),
            Some(200) => self.on_failure(KeysError::Document),
            Some(_) => self.on_failure(KeysError::Status),
        }
    }

    fn on_document(&mut self, document: &[u8], now: UnixTime) -> Result<Loaded, KeysError> {
        match KeySet::parse(document) {
            Ok(set) => Ok(self.replace(set, now)),
            Err(KeySetError::Malformed) => self.on_failure(KeysError::Document),
            Err(KeySetError::NoUsableKey) => self.on_failure(KeysError::NoUsableKey),
        }
    }

    fn replace(&mut self, set: KeySet, stamp: UnixTime) -> Loaded {
        let loaded = Loaded { used: set.len(), skipped: set.skipped().to_vec() };
        self.set = set;
        if let Some(fetching) = &mut self.fetching {
            fetching.succeeded(stamp);
        }
        loaded
    }

    /// The fetch that was under way failed.
    ///
    /// # Errors
    /// Always: `error`, handed on.
    pub fn on_failure(&mut self, error: KeysError) -> Result<Loaded, KeysError> {
        if let Some(fetching) = &mut self.fetching {
            fetching.failed();
        }
        Err(error)
    }

    /// A tick has passed. Answers whether the keys have become too old and were given up.
    pub fn tick(&mut self) -> bool {
        let Some(fetching) = &mut self.fetching else { return false };
        fetching.cool_down = fetching.cool_down.saturating_sub(1);
        fetching.due_in = fetching.due_in.saturating_sub(1);
        fetching.age = fetching.age.saturating_add(1);
        if fetching.state == State::Idle && fetching.due_in == 0 {
            fetching.state = State::Wanted;
        }
        let given_up = fetching.age > MAX_AGE && !self.set.is_empty();
        if given_up {
            self.set = KeySet::empty();
        }
        given_up
    }

    /// The longest answer that is read, in bytes.
    pub const fn max_answer_len() -> usize {
        MAX_DOCUMENT_LEN
    }
}

impl Fetching {
    fn has_use_for(&self, stamp: UnixTime, now: UnixTime) -> bool {
        let young = self.endpoint.refresh.checked_div(10).unwrap_or_default();
        self.state == State::Wanted
            && self.stamp.is_none_or(|ours| ours < stamp)
            && stamp <= now
            && now.since(stamp) <= young
    }

    fn succeeded(&mut self, stamp: UnixTime) {
        self.state = State::Idle;
        self.failures = 0;
        self.age = 0;
        self.stamp = Some(stamp);
        // Up to a tenth earlier, never later: a set is not used for longer than was asked for.
        let refresh = u32::try_from(self.endpoint.refresh.as_secs()).unwrap_or(u32::MAX).max(1);
        let earlier = u64::from(refresh).saturating_mul(u64::from(self.jitter)).checked_div(1000).unwrap_or_default();
        self.due_in = refresh.saturating_sub(u32::try_from(earlier).unwrap_or_default()).max(1);
    }

    /// 1 s, 2 s, 4 s … and so on, or sooner if that is the configured pace.
    fn failed(&mut self) {
        self.state = State::Idle;
        let pause = 1_u32.checked_shl(self.failures).unwrap_or(MAX_PAUSE).min(MAX_PAUSE);
        self.failures = self.failures.saturating_add(1);
        let refresh = u32::try_from(self.endpoint.refresh.as_secs()).unwrap_or(u32::MAX).max(1);
        self.due_in = pause.min(refresh);
    }
}
