//! The configuration: from the bytes the operator wrote to values that can only be right.
//!
//! Two steps and no third: [`raw`] says which keys there are and of which shape, [`check`] turns that
//! into a [`Config`] or into the list of everything that is wrong. A `Config` has no setters and no
//! half-valid state. What could never work is refused, not ignored.

mod check;
mod document;
mod keys;
mod names;
mod raw;
mod span;

pub use self::keys::is_variable;

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::cache;
use crate::credential::Credentials;
use crate::exchange::Exchange;
use crate::identity::Identity;
use crate::keys::KeySource;
use crate::origin::OriginRules;
use crate::request::RequestHead;
use crate::routes::{Enforcement, RouteTable};
use crate::session::SessionKeys;
use crate::sign_in::SignIn;
use crate::token::verify::TokenRules;

/// Everything the filter was told, checked.
pub struct Config {
    /// Which credentials are accepted.
    pub credentials: Credentials,
    /// How a session is exchanged for a token, where sessions are accepted.
    pub exchange: Option<Exchange>,
    /// The most that is waited for at a time, per worker: exchanges, and tokens without a key.
    pub max_in_flight: usize,
    /// The bounds of the token cache.
    pub cache: cache::Limits,
    /// How long a definite "no session" is remembered.
    pub negative_ttl: Duration,
    /// How many tokens the workers of a process share; none when zero.
    pub shared_slots: usize,
    /// The paths that sign out: a successful request to one of them ends its session.
    pub sign_out_paths: Vec<String>,
    /// Whether a stream is closed when the token ends that it was let through with.
    pub ends_with_token: bool,
    /// Where the keys come from.
    pub keys: KeySource,
    /// What tokens have to be like.
    pub token_rules: Rc<TokenRules>,
    /// Where a browser without a session is sent.
    pub sign_in: Option<SignIn>,
    /// The fields that tell the backend who the user is.
    pub identity: Identity,
    /// Which requests with a cookie are taken for the site's own.
    pub origins: OriginRules,
    /// Which requests need a credential.
    pub routes: RouteTable,
    /// Whether denials are carried out.
    pub enforcement: Enforcement,
    /// What is allowed, but probably not meant.
    pub warnings: Vec<String>,
    /// A digest of everything that was written.
    pub fingerprint: [u8; 32],
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
        // Members are in the order of their names, so two spellings of one configuration are the same.
        let fingerprint = Sha256::digest(document.to_string()).into();
        let raw = raw::read(document).map_err(|problem| vec![problem])?;
        check::check(raw, fingerprint, environment)
    }

    /// The first thing wrong with which keys there are and of which shape, whatever their values mean.
    #[cfg(feature = "cli")]
    pub fn misshapen(bytes: &[u8]) -> Option<Problem> {
        document::read(bytes).and_then(raw::read).err()
    }

    /// The JSON Schema of what [`Config::read`] takes.
    #[cfg(feature = "cli")]
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(raw::RawConfig)
    }

    /// Whether a request goes to a path that signs out.
    pub fn signs_out(&self, head: &RequestHead<'_>) -> bool {
        head.path().plain().is_some_and(|path| self.sign_out_paths.iter().any(|listed| listed == path))
    }

    /// The keys of sessions, made of all that decides what the auth service answers.
    pub fn session_keys(&self) -> SessionKeys {
        self.exchange.as_ref().map_or_else(|| SessionKeys::new([]), Exchange::session_keys)
    }

    /// How many ticks a request may wait before it is given up: all attempts at full length, and as much
    /// again, since the host is the one to end them.
    pub fn max_flight_ticks(&self) -> u32 {
        let exchange = self
            .exchange
            .as_ref()
            .map_or(Duration::ZERO, |exchange| exchange.timeout.saturating_mul(exchange.retries.saturating_add(1)));
        let keys = self.keys.endpoint().map_or(Duration::ZERO, |endpoint| endpoint.timeout);
        let longest = exchange.saturating_add(keys).saturating_mul(2);
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
