//! The clock, and the environment of whoever runs the command, which is seldom that of Envoy.

use std::time::SystemTime;

use session_bearer::config::{Config, Problem};
use session_bearer::secret::Secret;
use session_bearer::time::UnixTime;
use session_bearer::token::key::Key;
use session_bearer::token::keyset::KeySet;

/// A secret that is long enough for every algorithm. It stands in for one that is not looked at.
const STAND_IN: &str = "a secret that stands in for the one in Envoy's environment, 64 bytes or more";

/// Reads a configuration, with the secret of this environment if that `is_asked_for`.
///
/// # Errors
/// What [`Config::read`] finds.
pub fn read(configuration: &[u8], is_asked_for: bool) -> Result<Config, Vec<Problem>> {
    if is_asked_for {
        Config::read(configuration, &variable)
    } else {
        Config::read(configuration, &|_| Some(STAND_IN.to_owned()))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is not the core, and the user asked for it")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether these keys are the secret that stands in for one that was not looked at.
pub fn stands_in(keys: &KeySet) -> bool {
    keys.contains(Key::secret(&Secret::new(STAND_IN.as_bytes().to_vec())).id())
}

/// The present.
#[expect(clippy::disallowed_methods, reason = "this is not the core; it hands the core the time")]
pub fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
