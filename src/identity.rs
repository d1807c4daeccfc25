//! Header fields that tell the backend who the user is: taken from the token, never from the client.

use serde_json::Value;

use crate::field_value;
use crate::request::canonical;
use crate::token::VerifiedToken;

/// The identity fields of a configuration.
#[derive(Debug, Default)]
pub struct Identity {
    /// The fields made from claims.
    pub claims: Vec<ClaimHeader>,
    /// Further fields no client may send.
    pub removed: Vec<NamePattern>,
}

/// A field made from a claim.
#[derive(Debug)]
pub struct ClaimHeader {
    /// Its name, in lower case.
    pub name: String,
    /// Where the claims hold its value (RFC 6901).
    pub pointer: String,
}

/// Names of fields, in lower case and with `-` for `_`.
#[derive(Debug, Eq, PartialEq)]
pub enum NamePattern {
    /// This name.
    Exact(String),
    /// Every name that begins so.
    Prefix(String),
}

impl Identity {
    /// Whether a client's field of this name is taken out, on every route.
    ///
    /// # Security
    /// Names compare as a backend may read them: without case, and with `_` for `-` (CVE-2025-64484).
    pub fn strips(&self, name: &str) -> bool {
        let is_named = |listed: &str| listed.len() == name.len() && begins_with(name, listed);
        self.claims.iter().any(|claim| is_named(&claim.name))
            || self.removed.iter().any(|pattern| match pattern {
                NamePattern::Exact(listed) => is_named(listed),
                NamePattern::Prefix(prefix) => begins_with(name, prefix),
            })
    }

    /// The fields that are set for a token; a claim that is absent, `null` or empty sets none.
    pub fn values<'a>(&'a self, token: &VerifiedToken) -> Vec<(&'a str, String)> {
        let value = |claim: &ClaimHeader| field_value::of(at(token, &claim.pointer)?).filter(|value| !value.is_empty());
        self.claims.iter().filter_map(|claim| Some((claim.name.as_str(), value(claim)?))).collect()
    }

    /// The claims that have to be kept with a token.
    pub fn looks_at(&self) -> impl Iterator<Item = String> {
        self.claims.iter().filter_map(|claim| Some(split(&claim.pointer)?.0))
    }
}

/// The first step of a pointer, unescaped, and the rest of it.
fn split(pointer: &str) -> Option<(String, &str)> {
    let steps = pointer.strip_prefix('/')?;
    let end = steps.find('/').unwrap_or(steps.len());
    let (first, rest) = steps.split_at_checked(end)?;
    Some((first.replace("~1", "/").replace("~0", "~"), rest))
}

fn at<'a>(token: &'a VerifiedToken, pointer: &str) -> Option<&'a Value> {
    let (claim, rest) = split(pointer)?;
    token.claim(&claim)?.pointer(rest)
}

fn begins_with(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len() && name.bytes().map(canonical).zip(prefix.bytes()).all(|(sent, listed)| sent == listed)
}
