//! A set of keys, and which of them a token may be verified with (RFC 7517 §5).

use serde_json::Value;

use super::TokenError;
use super::algorithm::Algorithm;
use super::key::{Key, KeyError, KeyId};
use crate::json;

/// The longest document read, in bytes.
pub const MAX_DOCUMENT_LEN: usize = 128 * 1024;

/// The most keys taken from a document.
const MAX_KEYS: usize = 64;

/// The most keys tried for a token that names none.
const MAX_TRIED: usize = 8;

/// The keys tokens are verified with.
#[derive(Clone)]
pub struct KeySet {
    keys: Vec<Key>,
    skipped: Vec<KeyError>,
}

/// Why a document gives no keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeySetError {
    /// It is not a JSON object with an array `keys`, or too long.
    #[error("not a JWK set")]
    Malformed,
    /// None of its keys can be used.
    #[error("no usable key in the set")]
    NoUsableKey,
}

impl KeySet {
    /// The set that is there before any was read. No token can be judged by it.
    pub const fn empty() -> Self {
        Self { keys: Vec::new(), skipped: Vec::new() }
    }

    /// The set of one secret.
    pub fn secret(key: Key) -> Self {
        Self { keys: vec![key], skipped: Vec::new() }
    }

    /// Reads a JWK set. Keys that cannot be used are skipped; they spoil nothing for the others.
    ///
    /// # Errors
    /// [`KeySetError`] when no key is left.
    ///
    /// # Security
    /// Bounded in length, in keys and in depth; total over any bytes. `oct` keys are not taken, so a key
    /// endpoint cannot introduce an HMAC secret.
    pub fn parse(document: &[u8]) -> Result<Self, KeySetError> {
        if document.len() > MAX_DOCUMENT_LEN {
            return Err(KeySetError::Malformed);
        }
        let document = json::parse(document).map_err(|_| KeySetError::Malformed)?;
        let listed = document.get("keys").and_then(Value::as_array).ok_or(KeySetError::Malformed)?;
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for jwk in listed.iter().take(MAX_KEYS) {
            match jwk.as_object().ok_or(KeyError::Malformed).and_then(Key::from_jwk) {
                Ok(key) => keys.push(key),
                Err(error) => skipped.push(error),
            }
        }
        skipped.extend((listed.len() > MAX_KEYS).then_some(KeyError::TooMany));
        let unique = |key: &Key| key.kid().is_none() || keys.iter().filter(|k| k.kid() == key.kid()).count() == 1;
        let (keys, twins): (Vec<_>, Vec<_>) = keys.iter().cloned().partition(unique);
        skipped.extend(twins.iter().map(|_| KeyError::DuplicateKid));
        if keys.is_empty() { Err(KeySetError::NoUsableKey) } else { Ok(Self { keys, skipped }) }
    }

    /// The keys a token with this header may be verified with, most of the time one.
    ///
    /// A secret has no name, so `kid` says nothing about it. In a key set `kid` is an exact name; a token
    /// without one is tried with every key that fits, as long as these are few.
    ///
    /// # Errors
    /// [`TokenError::NoKeys`] of the empty set, [`TokenError::UnknownKey`] when no key has that name,
    /// [`TokenError::Algorithm`] when the key is of another algorithm.
    pub fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Vec<&Key>, TokenError> {
        if self.is_empty() {
            return Err(TokenError::NoKeys);
        }
        let named: Vec<&Key> = match kid {
            Some(kid) if !algorithm.is_symmetric() => self.keys.iter().filter(|key| key.kid() == Some(kid)).collect(),
            _ => self.keys.iter().collect(),
        };
        if named.is_empty() {
            return Err(TokenError::UnknownKey);
        }
        let fitting: Vec<&Key> = named.into_iter().filter(|key| key.verifies(algorithm)).take(MAX_TRIED).collect();
        if fitting.is_empty() { Err(TokenError::Algorithm) } else { Ok(fitting) }
    }

    /// Whether a key is in the set.
    pub fn contains(&self, id: KeyId) -> bool {
        self.keys.iter().any(|key| key.id() == id)
    }

    /// What the set is made of, in its order.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().map(Key::id)
    }

    /// How many keys are used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none, which is never the case for a set that was read.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Why other keys of the document are not used.
    pub fn skipped(&self) -> &[KeyError] {
        &self.skipped
    }
}
