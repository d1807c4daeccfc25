//! The name under which a session's token is remembered.

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};

use crate::cookie::Pair;

/// A digest of everything that decides the auth service's answer.
///
/// # Security
/// Keys are compared whole, and they are digests: neither the cookie nor anything that could be turned
/// back into it lies in a table, and comparing keys tells nothing about cookies (threats D1, G9).
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// The digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key as it was written down by [`SessionKey::as_bytes`].
    pub const fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// A number that is as good as random, the same for the same session.
    pub fn number(&self) -> u64 {
        self.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}

/// Makes keys for one way of asking one auth service.
pub struct SessionKeys {
    asked: [u8; 32],
}

/// BLAKE2b of 256 bits (RFC 7693): as hard to find two texts of one digest for as with SHA-256, and in Wasm, which has no
/// instructions for either, in a third of the time.
type Hash = Blake2b<U32>;

impl SessionKeys {
    /// Keys for what is asked of `parts`: the cluster, authority, method, path and token source.
    pub fn new<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut asked = Hash::new();
        absorb(&mut asked, b"session-bearer/2");
        for part in parts {
            absorb(&mut asked, part);
        }
        Self { asked: asked.finalize().into() }
    }

    /// The key of a token that a client showed.
    pub fn of_token(token: &[u8]) -> SessionKey {
        let mut digest = Hash::new();
        absorb(&mut digest, b"session-bearer/2 token");
        absorb(&mut digest, token);
        SessionKey(digest.finalize().into())
    }

    /// The key of the session that `cookie` names; the same value under another name is another session.
    pub fn key(&self, cookie: Pair<'_>) -> SessionKey {
        let mut digest = Hash::new();
        absorb(&mut digest, &self.asked);
        absorb(&mut digest, cookie.name);
        absorb(&mut digest, cookie.value);
        SessionKey(digest.finalize().into())
    }
}

/// Length first, so that no two lists of parts give the same bytes (Envoy CVE-2023-35941, Traefik
/// CVE-2026-71326).
fn absorb(digest: &mut Hash, part: &[u8]) {
    digest.update((part.len() as u64).to_be_bytes());
    digest.update(part);
}
