//! Remembers the verified token of each session, within fixed bounds.
//!
//! One cache per worker, so there is nothing to lock. Eviction is `quick_cache`'s scan-resistant
//! CLOCK: sessions that are used stay, a flood of others passes through.

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
    /// sign-out elsewhere goes unnoticed.
    pub max_ttl: Duration,
    /// The most sessions remembered.
    pub max_entries: NonZeroUsize,
    /// The most memory used for them, in bytes.
    pub max_bytes: NonZeroUsize,
}

/// Session keys to tokens, bounded in entries and in bytes.
pub struct TokenCache {
    entries: Cache<SessionKey, Entry, Weight, RandomState, DefaultLifecycle<SessionKey, Entry>>,
    max_ttl: Duration,
}

#[derive(Clone)]
struct Entry {
    token: VerifiedToken,
    stored: UnixTime,
    fresh_until: UnixTime,
}

/// What an entry weighs: its bytes, and at least an equal share of all bytes, so that the bound on
/// weight bounds the entries too.
#[derive(Clone)]
struct Weight {
    least: u64,
}

/// What an entry takes besides its token: key, times, reference count and the cache's own links.
const ENTRY_OVERHEAD: u64 = 192;

impl TokenCache {
    /// An empty cache.
    pub fn new(limits: Limits) -> Self {
        let bytes = limits.max_bytes.get();
        let weight = Weight { least: bytes.div_ceil(limits.max_entries.get()) as u64 };
        let hasher = RandomState::new();
        let entries = Cache::with(limits.max_entries.get(), bytes as u64, weight, hasher, DefaultLifecycle::default());
        Self { entries, max_ttl: limits.max_ttl }
    }

    /// The token of a session, when it is still fresh.
    ///
    /// # Security
    /// A clock that stepped back makes an entry look younger than it is; one stored "in the future" is
    /// therefore not served (threats D7).
    pub fn get(&mut self, key: &SessionKey, now: UnixTime) -> Option<VerifiedToken> {
        let entry = self.entries.get(key)?;
        if (entry.stored..entry.fresh_until).contains(&now) {
            return Some(entry.token.clone());
        }
        self.entries.remove(key);
        None
    }

    /// Remembers the token a session was exchanged for, for `max_ttl`, and never past
    /// [`VerifiedToken::cacheable_until`].
    pub fn insert(&mut self, key: SessionKey, token: VerifiedToken, now: UnixTime) {
        let until = now.plus(self.max_ttl);
        self.insert_until(key, token, now, until);
    }

    /// Remembers that a token a client showed was verified, until [`VerifiedToken::cacheable_until`]:
    /// nobody could take it back earlier.
    pub fn insert_verdict(&mut self, key: SessionKey, token: VerifiedToken, now: UnixTime) {
        let until = token.cacheable_until();
        self.insert_until(key, token, now, until);
    }

    /// Forgets the tokens for which `keep` says no.
    pub fn retain(&mut self, keep: impl Fn(&VerifiedToken) -> bool) {
        self.entries.retain(|_, entry| keep(&entry.token));
    }

    fn insert_until(&mut self, key: SessionKey, token: VerifiedToken, now: UnixTime, until: UnixTime) {
        let fresh_until = until.min(token.cacheable_until());
        if now < fresh_until {
            self.entries.insert(key, Entry { token, stored: now, fresh_until });
        }
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

impl Weighter<SessionKey, Entry> for Weight {
    fn weight(&self, _: &SessionKey, entry: &Entry) -> u64 {
        let token = entry.token.bearer().len().saturating_add(entry.token.claims_weight());
        ENTRY_OVERHEAD.saturating_add(token as u64).max(self.least)
    }
}
