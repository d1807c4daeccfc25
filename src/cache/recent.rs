//! Sessions of which something is known for a short while.

use std::collections::hash_map::RandomState;
use std::time::Duration;

use quick_cache::UnitWeighter;
use quick_cache::unsync::{Cache, DefaultLifecycle};

use crate::session::SessionKey;
use crate::time::UnixTime;

/// A set of session keys, each in it for the same while, and bounded.
///
/// It is apart from the tokens, so that a flood of made-up cookies can push out nothing but itself
/// (threats D3).
pub struct Recent {
    entries: Cache<SessionKey, UnixTime, UnitWeighter, RandomState, DefaultLifecycle<SessionKey, UnixTime>>,
    ttl: Duration,
}

impl Recent {
    /// An empty set for up to `max` keys. With a `ttl` of zero it stays empty.
    pub fn new(max: usize, ttl: Duration) -> Self {
        let entries = Cache::with(max, max as u64, UnitWeighter, RandomState::new(), DefaultLifecycle::default());
        Self { entries, ttl }
    }

    /// Adds a key, for the set's while from now on.
    pub fn insert(&mut self, key: SessionKey, now: UnixTime) {
        if !self.ttl.is_zero() {
            self.entries.insert(key, now);
        }
    }

    /// Whether a key is in the set. One that was added "in the future" is not: the clock stepped back.
    pub fn contains(&mut self, key: &SessionKey, now: UnixTime) -> bool {
        let Some(&added) = self.entries.get(key) else { return false };
        let is_recent = (added..added.plus(self.ttl)).contains(&now);
        if !is_recent {
            self.entries.remove(key);
        }
        is_recent
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &SessionKey) {
        self.entries.remove(key);
    }

    /// Takes all keys out.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// How many keys are in the set, those included whose time is over and who were not asked for since.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key is in the set.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
