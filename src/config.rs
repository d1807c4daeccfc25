//! The configuration: from the bytes the operator wrote to values that can only be right.
//!
//! Two steps and no third: [`raw`] says which keys there are and of which shape, [`check`] turns that
//! into a [`Config`] or into the list of everything that is wrong. A `Config` has no setters and no
//! half-valid state. What could never work is refused, not ignored.

mod check;
mod document;
mod names;
mod raw;

use std::fmt;
use std::time::Duration;

use crate::cache;
use crate::cookie::SessionCookies;
use crate::exchange::Exchange;
use crate::routes::RouteTable;
use crate::token::verify::Verifier;

/// Everything the filter was told, checked.
pub struct Config {
    /// The cookies that carry a session.
    pub cookies: SessionCookies,
    /// How a session is exchanged for a token.
    pub exchange: Exchange,
    /// The most exchanges under way at a time, per worker.
    pub max_in_flight: usize,
    /// The bounds of the token cache.
    pub cache: cache::Limits,
    /// What verifies the tokens.
    pub verifier: Verifier,
    /// Which requests need a credential.
    pub routes: RouteTable,
    /// Whether the session cookies are taken out before the backend sees the request.
    pub remove_session_cookie: bool,
    /// What is allowed, but probably not meant.
    pub warnings: Vec<String>,
}

/// One thing wrong with a configuration: where, what was written, and what would work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The field's path, such as `exchange.timeout` or `routes[2].match.path`; empty for the whole.
    pub path: String,
    /// What is wrong and what would be right. It never holds a secret.
    pub text: String,
}

/// How the environment is asked for a variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// Reads a configuration: JSON text, or the wire bytes of a `google.protobuf.Struct`, which is what
    /// Envoy makes of a `Struct` written into its YAML.
    ///
    /// # Errors
    /// Every [`Problem`] that could be found, at least one.
    pub fn read(bytes: &[u8], environment: Environment<'_>) -> Result<Self, Vec<Problem>> {
        let document = document::read(bytes).map_err(|problem| vec![problem])?;
        let raw = raw::read(document).map_err(|problem| vec![problem])?;
        check::check(raw, environment)
    }

    /// How many ticks an exchange may take before it is given up: all its attempts at full length, and
    /// as much again, since the host is the one to end them.
    pub fn max_flight_ticks(&self) -> u32 {
        let attempts = self.exchange.retries.saturating_add(1).saturating_mul(2);
        let longest = self.exchange.timeout.saturating_mul(attempts);
        u32::try_from(longest.as_secs()).unwrap_or(u32::MAX).saturating_add(2)
    }
}

/// How often the adapter ticks.
pub const TICK: Duration = Duration::from_secs(1);

impl Problem {
    fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.text) } else { write!(f, "{}: {}", self.path, self.text) }
    }
}
