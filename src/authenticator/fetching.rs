//! Keys that have to be fetched, and the tokens that wait for them.

use super::{Authenticator, Outcome};
use crate::exchange::{Callout, CalloutReply};
use crate::keys::{KeysError, Loaded, SharedDocument};
use crate::stats::Counter;
use crate::time::UnixTime;

impl Authenticator {
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
                self.note_keys();
                Outcome { loaded: Some(loaded), ..Outcome::default() }
            }
            Err(error) => {
                self.stats.count(Counter::KeysFailed);
                Outcome::failed(error.into())
            }
        };
        for (flight, token) in self.flights.unpark() {
            if !self.is_outdated(flight) {
                all.absorb(self.conclude_with(flight, token, now));
            }
        }
        all
    }
}
