//! The cache that the workers of a process share: what is taken from it, and what is put into it.

use sha2::{Digest, Sha256};

use super::Authenticator;
use crate::cache::{Life, Remembered};
use crate::config::Config;
use crate::secret::Secret;
use crate::session::SessionKey;
use crate::shared::sign_outs::Number;
use crate::shared::tokens::{Fingerprint, SharedToken};
use crate::time::UnixTime;
use crate::token::VerifiedToken;
use crate::token::keyset::KeySet;

impl Authenticator {
    /// Takes over what another worker has exchanged a session for, when that is newer than what is known
    /// here. It may be stale already; when the auth service cannot be asked, that is better than nothing.
    ///
    /// # Security
    /// Others may write there too (threats D10). The token is verified as if it came from the auth service,
    /// and not believed if its session has ended since it was asked for.
    pub(super) fn take_over(&mut self, session: &SessionKey, now: UnixTime) -> Option<Remembered> {
        let found = self.shared.as_ref()?.find(session, &self.fingerprint, now)?;
        let is_older = |ours| found.life.fresh_until <= ours;
        if self.cache.fresh_until(session).is_some_and(is_older) {
            return None;
        }
        self.catch_up();
        if self.repeats.is_untold(session) || self.sign_outs.ended_since(session, found.asked_after) {
            return None;
        }
        let token = self.verify(found.token.expose(), now).ok()?;
        self.remember(|cache| cache.insert_with_life(*session, token, found.life, now))?;
        self.cache.get(session, now)
    }

    /// Lets the other workers use a token.
    pub(super) fn share(&self, session: SessionKey, token: &VerifiedToken, life: Life, asked_after: Number) {
        let Some(shared) = &self.shared else { return };
        let (fingerprint, token) = (self.fingerprint, Secret::new(token.compact().to_vec()));
        shared.store(&SharedToken { session, fingerprint, asked_after, life, token });
    }

    /// Other keys are in use: what was accepted under those before is not taken over any more.
    pub(super) fn note_keys(&mut self) {
        self.fingerprint = fingerprint(&self.config, self.keys.set());
    }
}

/// What a token was accepted under: this configuration, and these keys.
pub(super) fn fingerprint(config: &Config, keys: &KeySet) -> Fingerprint {
    let mut digest = Sha256::new_with_prefix(config.fingerprint);
    for id in keys.ids() {
        digest.update(id.as_bytes());
    }
    let mut fingerprint = Fingerprint::default();
    fingerprint.iter_mut().zip(digest.finalize()).for_each(|(place, byte)| *place = byte);
    fingerprint
}
