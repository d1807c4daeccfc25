//! Remembers the verified token of each session, within fixed bounds.
//!
//! One cache per worker, so there is nothing to lock. Eviction is `quick_cache`'s scan-resistant
//! CLOCK: sessions that are used stay, a flood of others passes through.

pub mod recent;

use std::collections::hash_map::RandomState;
use std::num::NonZeroUsize;
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::unsync::{Cache, DefaultLifecycle};

use crate::session::SessionKey;
use crate::time::UnixTime;
use crate::token::VerifiedToken;

/// The bounds of a [`TokenCache`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest a token is served without asking the auth service again: the bound on how long a
    /// revocation elsewhere goes unnoticed.
    pub max_ttl: Duration,
    /// How long before that a token that is in use is exchanged anew in the background.
    pub refresh_ahead: Duration,
    /// How much longer a token may be served while the auth service cannot be asked.
    pub stale_if_error: Duration,
    /// The most sessions remembered.
    pub max_entries: NonZeroUsize,
    /// The most memory used for them, in bytes.
    pub max_bytes: NonZeroUsize,
}

/// Session keys to tokens, bounded in entries and in bytes.
pub struct TokenCache {
    entries: Cache<SessionKey, Entry, Weight, RandomState, DefaultLifecycle<SessionKey, Entry>>,
    limits: Limits,
    /// Which part of `refresh_ahead` is waited before a refresh, in 512ths; the other half of the window
    /// is always left.
    spread: u32,
    evicted: usize,
}

/// What is remembered of a session.
pub enum Remembered {
    /// A token to serve.
    Fresh(VerifiedToken),
    /// A token to serve, and to exchange anew meanwhile.
    Ageing(VerifiedToken),
    /// A token to serve only while the auth service cannot be asked.
    Stale(VerifiedToken),
}

/// How long a token is served without asking again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Life {
    /// When it was stored.
    pub stored: UnixTime,
    /// Until when it is served without asking again.
    pub fresh_until: UnixTime,
    /// Until when it is served while nobody can be asked.
    pub usable_until: UnixTime,
}

#[derive(Clone)]
struct Entry {
    token: VerifiedToken,
    life: Life,
    refresh_from: UnixTime,
    failures: u32,
    deferred_until: UnixTime,
}

/// What an entry weighs: its bytes, and at least an equal share of all bytes, so that the bound on
/// weight bounds the entries too.
#[derive(Clone)]
struct Weight {
    least: u64,
}

/// What an entry takes besides its token: key, times, reference count and the cache's own links.
const ENTRY_OVERHEAD: u64 = 224;

/// The longest a session is left alone after its exchange has failed.
const MAX_DEFERRAL: Duration = Duration::from_secs(30);

impl TokenCache {
    /// An empty cache. `random` spreads the refreshes of the workers of a process over the window, so that
    /// the first one can serve the others too.
    pub fn new(limits: Limits, random: u64) -> Self {
        let bytes = limits.max_bytes.get();
        let weight = Weight { least: bytes.div_ceil(limits.max_entries.get()) as u64 };
        let hasher = RandomState::new();
        let entries = Cache::with(limits.max_entries.get(), bytes as u64, weight, hasher, DefaultLifecycle::default());
        Self { entries, limits, spread: u32::try_from(random % 256).unwrap_or_default(), evicted: 0 }
    }

    /// What is remembered of a session, as far as it can be used now.
    ///
    /// # Security
    /// A clock that stepped back makes an entry look younger than it is; one stored "in the future" is
    /// therefore not served (threats D7).
    pub fn get(&mut self, key: &SessionKey, now: UnixTime) -> Option<Remembered> {
        let entry = self.entries.get(key)?;
        let token = || entry.token.clone();
        match () {
            () if now < entry.life.stored => {}
            () if now < entry.refresh_from => return Some(Remembered::Fresh(token())),
            () if now < entry.life.fresh_until => return Some(Remembered::Ageing(token())),
            () if now < entry.life.usable_until => return Some(Remembered::Stale(token())),
            () => {}
        }
        self.entries.remove(key);
        None
    }

    /// Remembers the token a session was exchanged for, for `max_ttl`, and never past
    /// [`VerifiedToken::cacheable_until`]. Answers the life it was given, if it is worth remembering.
    pub fn insert(&mut self, key: SessionKey, token: VerifiedToken, now: UnixTime) -> Option<Life> {
        let fresh_until = now.plus(self.limits.max_ttl).min(token.cacheable_until());
        let usable_until = fresh_until.plus(self.limits.stale_if_error);
        self.insert_with_life(key, token, Life { stored: now, fresh_until, usable_until }, now)
    }

    /// Remembers a token with the life another worker gave it.
    pub fn insert_with_life(
        &mut self,
        key: SessionKey,
        token: VerifiedToken,
        life: Life,
        now: UnixTime,
    ) -> Option<Life> {
        let end = token.cacheable_until();
        let (fresh_until, usable_until) = (life.fresh_until.min(end), life.usable_until.min(end));
        let life = Life { fresh_until, usable_until, ..life };
        let refresh_from = self.refresh_from(life);
        let worth_it = (life.stored..life.usable_until).contains(&now);
        worth_it.then(|| {
            self.put(key, Entry::new(token, life, refresh_from));
            life
        })
    }

    /// Remembers that a token a client showed was verified, until [`VerifiedToken::cacheable_until`]:
    /// nobody could take it back earlier.
    pub fn insert_verdict(&mut self, key: SessionKey, token: VerifiedToken, now: UnixTime) {
        let end = token.cacheable_until();
        if now < end {
            let life = Life { stored: now, fresh_until: end, usable_until: end };
            self.put(key, Entry::new(token, life, end));
        }
    }

    fn put(&mut self, key: SessionKey, entry: Entry) {
        let new = usize::from(!self.entries.contains_key(&key));
        let expected = self.entries.len().saturating_add(new);
        self.entries.insert(key, entry);
        self.evicted = self.evicted.saturating_add(expected.saturating_sub(self.entries.len()));
    }

    /// How many tokens were pushed out by the bounds so far.
    pub const fn evicted(&self) -> usize {
        self.evicted
    }

    /// When refreshes of a token begin. The window of a token that lives shorter than `max_ttl` is shorter in
    /// proportion, or it would be refreshed all the time.
    fn refresh_from(&self, life: Life) -> UnixTime {
        let lives = life.fresh_until.since(life.stored).min(self.limits.max_ttl);
        let window = self.limits.refresh_ahead.mul_f64(lives.div_duration_f64(self.limits.max_ttl));
        let waited = window.saturating_mul(self.spread).checked_div(512).unwrap_or_default();
        life.fresh_until.minus(window.saturating_sub(waited))
    }

    /// Nothing new was to be had for a session: it is left alone for 1 s, 2 s, 4 s … and so on. Answers whether
    /// the session is known.
    pub fn defer(&mut self, key: &SessionKey, now: UnixTime) -> bool {
        let Some(mut entry) = self.entries.get_mut(key) else { return false };
        let pause = Duration::from_secs(1_u64.checked_shl(entry.failures).unwrap_or(u64::MAX)).min(MAX_DEFERRAL);
        entry.failures = entry.failures.saturating_add(1);
        entry.deferred_until = now.plus(pause);
        true
    }

    /// Whether a session is left alone at the moment.
    pub fn is_deferred(&self, key: &SessionKey, now: UnixTime) -> bool {
        self.entries.peek(key).is_some_and(|entry| now < entry.deferred_until)
    }

    /// Until when the token of a session is fresh.
    pub fn fresh_until(&self, key: &SessionKey) -> Option<UnixTime> {
        self.entries.peek(key).map(|entry| entry.life.fresh_until)
    }

    /// Forgets a session. Answers whether it was remembered.
    pub fn remove(&mut self, key: &SessionKey) -> bool {
        self.entries.remove(key).is_some()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Forgets the tokens for which `keep` says no.
    pub fn retain(&mut self, keep: impl Fn(&VerifiedToken) -> bool) {
        self.entries.retain(|_, entry| keep(&entry.token));
    }

    /// How many sessions are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no session is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Entry {
    const fn new(token: VerifiedToken, life: Life, refresh_from: UnixTime) -> Self {
        Self { token, life, refresh_from, failures: 0, deferred_until: UnixTime::from_millis(0) }
    }
}

impl Remembered {
    /// The token, however old.
    pub fn token(self) -> VerifiedToken {
        match self {
            Self::Fresh(token) | Self::Ageing(token) | Self::Stale(token) => token,
        }
    }
}

impl Weighter<SessionKey, Entry> for Weight {
    fn weight(&self, _: &SessionKey, entry: &Entry) -> u64 {
        let token = entry.token.bearer().len().saturating_add(entry.token.claims_weight());
        ENTRY_OVERHEAD.saturating_add(token as u64).max(self.least)
    }
}
