//! What a route requires of a token's claims, beyond its being valid.

use std::collections::BTreeSet;

use serde_json::Value;

use super::VerifiedToken;

/// The claims that scopes are read from: a string of names between spaces (RFC 8693 §4.2), or arrays.
const SCOPE_CLAIMS: [&str; 3] = ["scope", "scp", "permissions"];

/// Claims and scopes, all of which a token has to have.
#[derive(Debug, Default)]
pub struct Requirement {
    claims: Vec<(String, Value)>,
    scopes: Vec<String>,
}

impl Requirement {
    /// Requires these claims to have these values, and these scopes to be granted.
    pub const fn new(claims: Vec<(String, Value)>, scopes: Vec<String>) -> Self {
        Self { claims, scopes }
    }

    /// Whether a token meets it.
    ///
    /// A claim meets a value by being equal to it as a whole, or by being an array that has it as a
    /// member. Strings are not numbers, and a prefix is not the whole.
    pub fn is_met_by(&self, token: &VerifiedToken) -> bool {
        self.claims.iter().all(|(name, required)| token.claim(name).is_some_and(|claim| has(claim, required)))
            && self.scopes.iter().all(|scope| SCOPE_CLAIMS.iter().any(|name| grants(token, name, scope)))
    }

    /// The claims it looks at, which therefore have to be kept with a token.
    pub fn looks_at(&self) -> BTreeSet<&str> {
        let scopes = if self.scopes.is_empty() { &[][..] } else { &SCOPE_CLAIMS };
        self.claims.iter().map(|(name, _)| name.as_str()).chain(scopes.iter().copied()).collect()
    }
}

fn has(claim: &Value, required: &Value) -> bool {
    claim == required || claim.as_array().is_some_and(|members| members.contains(required))
}

fn grants(token: &VerifiedToken, name: &str, scope: &str) -> bool {
    match token.claim(name) {
        Some(Value::String(names)) => names.split(' ').any(|granted| granted == scope),
        Some(Value::Array(names)) if name != "scope" => names.iter().any(|granted| granted == scope),
        _ => false,
    }
}
