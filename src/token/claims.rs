//! The claims of a token and what they have to satisfy (RFC 7519 §4.1).

use std::time::Duration;

use serde_json::{Map, Value};

use super::TokenError;
use crate::time::UnixTime;

/// What a token's claims must say. The default asks for an `exp` and nothing else.
#[derive(Debug, Default)]
pub struct ClaimRules {
    /// The one accepted `iss`; `None` accepts any.
    pub issuer: Option<String>,
    /// The accepted audiences, one of which `aud` has to name; empty accepts any.
    pub audiences: Vec<String>,
    /// Claims that must be present and not null.
    pub required: Vec<String>,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// The longest a token may be made to last, from `iat` to `exp`; `None` for any time.
    pub max_lifetime: Option<Duration>,
}

impl ClaimRules {
    /// Checks `claims` at the moment `now` and answers the token's `exp`.
    ///
    /// A claim that is present has to have its type, also where it is not required: "present but
    /// unreadable" is a refusal, never an absence (CVE-2026-25537).
    ///
    /// # Errors
    /// The first rule that does not hold, as a [`TokenError`].
    pub fn check(&self, claims: &Map<String, Value>, now: UnixTime) -> Result<UnixTime, TokenError> {
        let expires = numeric_date(claims, "exp")?.ok_or(TokenError::NoExpiry)?;
        if now >= expires.plus(self.leeway) {
            return Err(TokenError::Expired);
        }
        for name in ["nbf", "iat"] {
            if numeric_date(claims, name)?.is_some_and(|moment| moment > now.plus(self.leeway)) {
                return Err(TokenError::Premature);
            }
        }
        self.check_lifetime(claims, expires)?;
        self.check_issuer(claims)?;
        self.check_audience(claims)?;
        let present = |name: &String| claims.get(name).is_some_and(|value| !value.is_null());
        if self.required.iter().all(present) { Ok(expires) } else { Err(TokenError::RequiredClaim) }
    }

    /// A bound on the lifetime needs to know when it began.
    fn check_lifetime(&self, claims: &Map<String, Value>, expires: UnixTime) -> Result<(), TokenError> {
        let Some(max) = self.max_lifetime else { return Ok(()) };
        let issued = numeric_date(claims, "iat")?.ok_or(TokenError::Lifetime)?;
        if expires.since(issued) <= max { Ok(()) } else { Err(TokenError::Lifetime) }
    }

    /// Issuers compare whole; a substring is another issuer (CVE-2024-53861).
    fn check_issuer(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        let issuer = match claims.get("iss") {
            None => None,
            Some(Value::String(issuer)) => Some(issuer),
            Some(_) => return Err(TokenError::Claims),
        };
        if self.issuer.is_none() || self.issuer.as_ref() == issuer { Ok(()) } else { Err(TokenError::Issuer) }
    }

    /// `aud` is a string or an array of strings; an empty array names nobody (CVE-2020-26160).
    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        let named: Vec<&str> = match claims.get("aud") {
            None => Vec::new(),
            Some(Value::String(audience)) => vec![audience],
            Some(Value::Array(items)) => {
                items.iter().map(Value::as_str).collect::<Option<_>>().ok_or(TokenError::Claims)?
            }
            Some(_) => return Err(TokenError::Claims),
        };
        let accepted = self.audiences.is_empty() || self.audiences.iter().any(|ours| named.contains(&ours.as_str()));
        if accepted { Ok(()) } else { Err(TokenError::Audience) }
    }
}

/// Reads a *NumericDate*: a finite JSON number of seconds, from the epoch to 2^53.
fn numeric_date(claims: &Map<String, Value>, name: &str) -> Result<Option<UnixTime>, TokenError> {
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    let Some(value) = claims.get(name) else { return Ok(None) };
    if let Some(secs) = value.as_u64().filter(|&secs| secs <= LIMIT as u64) {
        return Ok(Some(UnixTime::from_secs(secs)));
    }
    match value.as_f64() {
        Some(secs) if (0.0..=LIMIT).contains(&secs) => Ok(Some(UnixTime::from_millis((secs * 1000.0) as u64))),
        _ => Err(TokenError::Claims),
    }
}
