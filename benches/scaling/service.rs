//! The auth service of a simulated mesh: how long it takes, what it answers, what it can do in a second.

use std::collections::HashMap;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use session_bearer::request::Field;

/// When the world begins, in seconds since the epoch.
pub const EPOCH: u64 = 1_700_000_000;

/// How long an exchange takes where nothing is said about it, in seconds.
pub const LATENCY: f64 = 0.02;

/// What the host answers in the service's place, and after how long.
const TIMEOUT: f64 = 2.0;
const REFUSED_CONNECTION: f64 = 0.001;

/// The auth service.
#[derive(Default)]
pub struct Service {
    /// The most exchanges it makes in a second; it has no bound where this is `None`.
    pub capacity: Option<f64>,
    /// When it cannot be reached.
    pub down: Range<f64>,
    signed_out: HashMap<u32, f64>,
    idle_from: f64,
}

/// An answer, and when it arrives.
pub struct Answer {
    pub at: f64,
    pub fields: Vec<Field>,
    pub body: Vec<u8>,
}

impl Service {
    /// A session ends.
    pub fn sign_out(&mut self, session: u32, now: f64) {
        self.signed_out.insert(session, now);
    }

    /// When a session ended, if it did.
    pub fn ended(&self, session: u32) -> Option<f64> {
        self.signed_out.get(&session).copied()
    }

    /// Answers an exchange. What is too late is still worked on: the service does not see that nobody waits.
    pub fn ask(&mut self, session: u32, now: f64) -> Answer {
        if self.down.contains(&now) {
            return Answer::new(now + REFUSED_CONNECTION, 503, String::new());
        }
        let begin = self.idle_from.max(now);
        self.idle_from = begin + self.capacity.map_or(0.0, f64::recip);
        let at = self.idle_from + LATENCY;
        if at > now + TIMEOUT {
            return Answer::new(now + TIMEOUT, 504, String::new());
        }
        if self.signed_out.contains_key(&session) {
            return Answer::new(at, 401, String::new());
        }
        Answer::new(at, 200, format!(r#"{{"token":"{}"}}"#, token(session, at)))
    }
}

impl Answer {
    fn new(at: f64, status: u16, body: String) -> Self {
        let fields = [(":status", status.to_string()), ("content-type", "application/json".to_owned())];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.into_bytes())).to_vec();
        Self { at, fields, body: body.into_bytes() }
    }
}

/// A token for an hour, signed by nobody.
fn token(session: u32, now: f64) -> String {
    let issued = EPOCH + now as u64;
    let claims = format!(r#"{{"sub":"user-{session}","iat":{issued},"exp":{}}}"#, issued + 3600);
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(&claims), part("nobody-looks-at-this-signature--"))
}
