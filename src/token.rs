//! Tokens: from untrusted bytes to a [`VerifiedToken`], and no other way.
//!
//! `jsonwebtoken` and the crates behind it check signatures. Everything around that is stricter than
//! they are on their own and stands here: the compact form ([`compact`]), the keys and what each may
//! verify ([`key`], [`keyset`]), the JOSE header ([`verify`]), the claims ([`claims`]), and the time,
//! which is handed in.

pub mod algorithm;
pub mod claims;
pub mod compact;
pub mod key;
pub mod keyset;
pub mod requirement;
pub mod signature;
pub mod verify;

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::field_value;
use crate::identity::ClaimField;
use crate::secret::Secret;
use crate::time::UnixTime;
use key::KeyId;
use verify::TokenRules;

/// A token whose signature and claims held when it was checked.
///
/// Only [`verify::Verifier::verify`] makes one, so owning it is the proof. It does not stay true for
/// ever: ask [`VerifiedToken::is_acceptable`] before each use.
#[derive(Clone)]
pub struct VerifiedToken(Rc<Verified>);

struct Verified {
    bearer: Secret<Box<[u8]>>,
    ends: Ends,
    signed_by: KeyId,
    subject: Option<Rc<str>>,
    fields: Box<[ClaimField]>,
    claims: Option<Box<Map<String, Value>>>,
}

/// Until when a token is good for what.
#[derive(Clone, Copy)]
struct Ends {
    expires: UnixTime,
    acceptable_until: UnixTime,
    cacheable_until: UnixTime,
}

impl Ends {
    /// The ends of a token that was verified at `now`.
    fn new(expires: UnixTime, leeway: Duration, now: UnixTime) -> Self {
        let tenth = expires.since(now).checked_div(10).unwrap_or_default();
        let (acceptable_until, cacheable_until) = (expires.plus(leeway), expires.minus(leeway.min(tenth)));
        Self { expires, acceptable_until, cacheable_until }
    }
}

impl VerifiedToken {
    fn new(compact: &str, ends: Ends, signed_by: KeyId, mut claims: Map<String, Value>, rules: &TokenRules) -> Self {
        let bearer = format!("Bearer {compact}").into_bytes().into_boxed_slice();
        let subject = claims.get("sub").filter(|sub| sub.is_string()).and_then(field_value::of).map(Rc::from);
        let fields = rules.claim_headers.iter().filter_map(|header| header.field(&claims)).collect();
        claims.retain(|name, _| rules.kept_claims.contains(name));
        let claims = if claims.is_empty() { None } else { Some(Box::new(claims)) };
        Self(Rc::new(Verified { bearer: Secret::new(bearer), ends, signed_by, subject, fields, claims }))
    }

    /// The value of the `Authorization` field (RFC 6750 §2.1).
    pub fn bearer(&self) -> &[u8] {
        self.0.bearer.expose()
    }

    /// The token alone.
    pub fn compact(&self) -> &[u8] {
        let bearer = self.bearer();
        bearer.strip_prefix(b"Bearer ").unwrap_or(bearer)
    }

    /// The token's own `exp`.
    pub fn expires(&self) -> UnixTime {
        self.0.ends.expires
    }

    /// The key that signed it. When that key is withdrawn, the token is no longer believed.
    pub fn signed_by(&self) -> KeyId {
        self.0.signed_by
    }

    /// Whom it is about (RFC 7519 §4.1.2), in the form of a field value.
    pub fn subject(&self) -> Option<&Rc<str>> {
        self.0.subject.as_ref()
    }

    /// The fields that tell the backend who it is about.
    pub fn fields(&self) -> &[ClaimField] {
        &self.0.fields
    }

    /// A claim, as far as the configuration has a use for it; the others are not kept.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.0.claims.as_ref()?.get(name)
    }

    /// What the token weighs in memory besides its own text, in bytes, roughly.
    pub fn claims_weight(&self) -> usize {
        let claims = self.0.claims.iter().flat_map(|claims| claims.iter());
        let subject = self.0.subject.as_ref().map_or(0, |subject| subject.len());
        let claims: usize = claims.map(|(name, value)| weight(name, value)).sum();
        let fields: usize = self.0.fields.iter().map(|field| field.value.len().saturating_add(32)).sum();
        subject.saturating_add(claims).saturating_add(fields)
    }

    /// Until when the token may be served from a cache: its `exp` less the leeway it was verified with, so
    /// that it reaches no backend after its end, whose clock may be ahead. A short life is not cut by more
    /// than a tenth.
    pub fn cacheable_until(&self) -> UnixTime {
        self.0.ends.cacheable_until
    }

    /// Whether the token may still be used at all: `exp` and the leeway on top of it lie ahead.
    ///
    /// That is the rule for a token that has just arrived (RFC 7519 §4.1.4); what comes out of a cache
    /// is held to the stricter [`VerifiedToken::cacheable_until`].
    pub fn is_acceptable(&self, now: UnixTime) -> bool {
        now < self.0.ends.acceptable_until
    }
}

fn weight(name: &str, value: &Value) -> usize {
    let own = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| weight("", item)).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| weight(name, value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    name.len().saturating_add(own).saturating_add(64)
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
    /// No key has the name the token gives.
    #[error("no key of that name")]
    UnknownKey,
    /// There are no keys yet.
    #[error("no keys have been fetched yet")]
    NoKeys,
    /// The signature does not fit the key.
    #[error("signature does not match the key")]
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
    /// The token is made to last longer than `max_lifetime`, or does not say since when.
    #[error("made to last too long, or without iat")]
    Lifetime,
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

impl TokenError {
    /// Whether newer keys could change the verdict.
    pub const fn needs_keys(self) -> bool {
        matches!(self, Self::UnknownKey | Self::NoKeys)
    }
}
