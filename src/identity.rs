//! Header fields that tell the backend who the user is: taken from the token, never from the client.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

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

/// What does not stand in a value as it is. A `%` is written out so that the value can be decoded.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// Within an array the comma is what separates its items.
const ENCODED_ITEM: &AsciiSet = &ENCODED.add(b',');

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
        let value = |claim: &ClaimHeader| text(at(token, &claim.pointer)?).filter(|value| !value.is_empty());
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

/// A claim as the value of a field: text as it is, numbers and truth values as JSON writes them, the items of a
/// plain array with commas between them, everything else as JSON. What cannot stand in a field value, and `%`,
/// is percent-encoded as UTF-8 (RFC 3986 §2.1); a comma within an item too.
///
/// # Security
/// The auth service lets users choose parts of it. No value can end the field or begin another (threats A8).
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Array(items) if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
            let items = items.iter().filter_map(|item| Some(encoded(&plain(item)?, ENCODED_ITEM)));
            Some(items.collect::<Vec<_>>().join(","))
        }
        other => Some(encoded(&plain(other)?, ENCODED)),
    }
}

fn plain(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.into()),
        other => Some(other.to_string().into()),
    }
}

/// White space at the ends would be lost on the way, and is encoded too.
fn encoded(text: &str, set: &'static AsciiSet) -> String {
    let inner = text.trim_matches(' ');
    let spaces = |count: usize| "%20".repeat(count);
    let before = text.len().saturating_sub(text.trim_start_matches(' ').len());
    let after = text.len().saturating_sub(before).saturating_sub(inner.len());
    format!("{}{}{}", spaces(before), utf8_percent_encode(inner, set), spaces(after))
}

fn begins_with(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len() && name.bytes().map(canonical).zip(prefix.bytes()).all(|(sent, listed)| sent == listed)
}
