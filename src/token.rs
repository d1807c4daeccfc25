//! Tokens: from untrusted bytes to a [`VerifiedToken`], and no other way.
//!
//! `jsonwebtoken` checks the signature. Everything around it is stricter than that library on its own
//! and stands here: the compact form ([`compact`]), the JOSE header and the choice of key
//! ([`verify`]), the claims ([`claims`]), and the time, which is handed in.

pub mod claims;
pub mod compact;
pub mod verify;

use std::rc::Rc;
use std::time::Duration;

use crate::secret::Secret;
use crate::time::UnixTime;

/// A token whose signature and claims held when it was checked.
///
/// Only [`verify::Verifier::verify`] makes one, so owning it is the proof. It does not stay true for
/// ever: ask [`VerifiedToken::is_acceptable`] before each use.
#[derive(Clone)]
pub struct VerifiedToken(Rc<Verified>);

struct Verified {
    bearer: Secret<Box<[u8]>>,
    expires: UnixTime,
    leeway: Duration,
}

impl VerifiedToken {
    fn new(compact: &str, expires: UnixTime, leeway: Duration) -> Self {
        let bearer = format!("Bearer {compact}").into_bytes().into_boxed_slice();
        Self(Rc::new(Verified { bearer: Secret::new(bearer), expires, leeway }))
    }

    /// The value of the `Authorization` field (RFC 6750 §2.1).
    pub fn bearer(&self) -> &[u8] {
        self.0.bearer.expose()
    }

    /// The token's own `exp`.
    pub fn expires(&self) -> UnixTime {
        self.0.expires
    }

    /// Until when the token may be served from a cache: its `exp` less the leeway it was verified with,
    /// so that it reaches no backend, with whatever clock, after its end.
    pub fn cacheable_until(&self) -> UnixTime {
        self.0.expires.minus(self.0.leeway)
    }

    /// Whether the token may still be used at all: `exp` and the leeway on top of it lie ahead.
    ///
    /// That is the rule for a token that has just arrived (RFC 7519 §4.1.4); what comes out of a cache
    /// is held to the stricter [`VerifiedToken::cacheable_until`].
    pub fn is_acceptable(&self, now: UnixTime) -> bool {
        now < self.0.expires.plus(self.0.leeway)
    }
}

/// Why a token is not accepted. For logs and metrics; no client ever learns it (threats F19).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not three base64url parts of a sane size.
    #[error("not a compact JWS")]
    Form,
    /// The header is not a JSON object, or asks for what is never honoured (`crit`, `b64`, `zip`).
    #[error("unacceptable JOSE header")]
    Header,
    /// `alg` is not allowed, or not the key's.
    #[error("algorithm not allowed")]
    Algorithm,
    /// `typ` names another kind of token.
    #[error("token type not accepted")]
    Type,
    /// The signature does not fit the configured key.
    #[error("signature does not match the configured key")]
    Signature,
    /// The payload is not a JSON object, or a registered claim has the wrong type.
    #[error("unreadable claims")]
    Claims,
    /// `exp` is missing.
    #[error("claim exp is missing")]
    NoExpiry,
    /// `exp` has passed, leeway included.
    #[error("expired")]
    Expired,
    /// `nbf` or `iat` lies ahead, leeway included.
    #[error("not valid yet")]
    Premature,
    /// `iss` is not the configured issuer.
    #[error("wrong issuer")]
    Issuer,
    /// `aud` names none of the configured audiences.
    #[error("wrong audience")]
    Audience,
    /// A required claim is missing or null.
    #[error("required claim missing")]
    RequiredClaim,
}
