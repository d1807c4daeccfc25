//! The one place that turns bytes into a [`VerifiedToken`].
//!
//! Order matters: what is cheap and decides by itself comes before the signature, and no claim is
//! believed before the signature holds.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde_json::{Map, Value};

use super::claims::ClaimRules;
use super::compact::Compact;
use super::{TokenError, VerifiedToken};
use crate::json;
use crate::secret::Secret;
use crate::time::UnixTime;

/// The least length of an HS256 secret in bytes: that of the hash (RFC 7518 §3.2).
pub const MIN_HS256_SECRET: usize = 32;

/// Verifies tokens against one secret and one set of rules.
pub struct Verifier {
    key: Secret<DecodingKey>,
    types: Vec<String>,
    rules: ClaimRules,
}

impl Verifier {
    /// A verifier of HS256 tokens signed with `secret`, whose `typ` is one of `types` or absent.
    ///
    /// `None` when the secret is shorter than [`MIN_HS256_SECRET`].
    pub fn hs256(secret: &Secret<Vec<u8>>, types: Vec<String>, rules: ClaimRules) -> Option<Self> {
        let long_enough = secret.expose().len() >= MIN_HS256_SECRET;
        long_enough.then(|| Self { key: Secret::new(DecodingKey::from_secret(secret.expose())), types, rules })
    }

    /// Verifies `token` at the moment `now`.
    ///
    /// # Errors
    /// The first thing wrong with it, as a [`TokenError`].
    ///
    /// # Security
    /// `token` is the attacker's choice, or that of a compromised route to the auth service. The
    /// algorithm is the key's; the token only gets to agree with it (RFC 8725 §3.1). Keys and key
    /// locations inside the token (`jwk`, `jku`, `x5c`, …) are never looked at.
    pub fn verify(&self, token: &[u8], now: UnixTime) -> Result<VerifiedToken, TokenError> {
        let compact = Compact::parse(token)?;
        self.check_header(&object(compact.header).ok_or(TokenError::Header)?)?;
        let signature =
            crypto::verify(compact.signature, compact.signed.as_bytes(), self.key.expose(), Algorithm::HS256);
        if !matches!(signature, Ok(true)) {
            return Err(TokenError::Signature);
        }
        let claims = object(compact.payload).ok_or(TokenError::Claims)?;
        let expires = self.rules.check(&claims, now)?;
        Ok(VerifiedToken::new(compact.token, expires, self.rules.leeway))
    }

    fn check_header(&self, header: &Map<String, Value>) -> Result<(), TokenError> {
        // RFC 7515 §4.1.11: what `crit` lists must be understood, and nothing it could list is.
        if ["crit", "b64", "zip", "enc"].iter().any(|name| header.contains_key(*name)) {
            return Err(TokenError::Header);
        }
        if header.get("alg").and_then(Value::as_str) != Some("HS256") {
            return Err(TokenError::Algorithm);
        }
        match header.get("typ") {
            None => Ok(()),
            Some(Value::String(typ)) if self.types.iter().any(|t| t.eq_ignore_ascii_case(media_type(typ))) => Ok(()),
            Some(_) => Err(TokenError::Type),
        }
    }
}

/// `typ` is a media type that may leave out `application/` (RFC 7515 §4.1.9).
fn media_type(typ: &str) -> &str {
    match typ.split_at_checked("application/".len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
        _ => typ,
    }
}

/// Decodes a part that has to be a JSON object.
fn object(part: &str) -> Option<Map<String, Value>> {
    // Padding and non-zero trailing bits are refused by this engine, so a token has one spelling.
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    match json::parse(&bytes) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}
