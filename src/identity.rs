//! Header fields that tell the backend who the user is: taken from the token, never from the client.

use std::rc::Rc;

use serde_json::{Map, Value};

use crate::field_value;
use crate::request::canonical;

/// The identity fields of a configuration.
#[derive(Debug, Default)]
pub struct Identity {
    /// The fields made from claims.
    pub claims: Rc<[ClaimHeader]>,
    /// Further fields no client may send.
    pub removed: Vec<NamePattern>,
}

/// A field made from a claim.
#[derive(Debug)]
pub struct ClaimHeader {
    /// Its name, in lower case.
    pub name: Rc<str>,
    /// Where the claims hold its value (RFC 6901).
    pub pointer: String,
}

/// A field that is set for a token.
pub struct ClaimField {
    /// Its name, in lower case.
    pub name: Rc<str>,
    /// Its value, which nothing in it can end.
    pub value: Box<str>,
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
}

impl ClaimHeader {
    /// The field for these claims; one that is absent, `null` or empty sets none.
    pub fn field(&self, claims: &Map<String, Value>) -> Option<ClaimField> {
        let value = field_value::of(self.find(claims)?).filter(|value| !value.is_empty())?;
        Some(ClaimField { name: Rc::clone(&self.name), value: value.into() })
    }

    fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let steps = self.pointer.strip_prefix('/')?;
        let (first, rest) = steps.split_at_checked(steps.find('/').unwrap_or(steps.len()))?;
        claims.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(rest)
    }
}

fn begins_with(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len() && name.bytes().map(canonical).zip(prefix.bytes()).all(|(sent, listed)| sent == listed)
}
