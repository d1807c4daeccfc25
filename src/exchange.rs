//! The conversation with the auth service: what is asked, and how an answer is read.
//!
//! Two outcomes are kept apart with care. "This session is not valid" is a fact about the user and
//! comes only from a definite answer; everything else is "could not be asked", a fact about the
//! deployment, and never logs anybody out.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::cookie::Pair;
use crate::json;
use crate::request::{Field, RequestHead};
use crate::secret::Secret;
use crate::session::SessionKeys;
use crate::set_cookie::http_date;
use crate::time::UnixTime;

/// How a session cookie is exchanged for a token.
#[derive(Debug)]
pub struct Exchange {
    /// The Envoy cluster of the auth service.
    pub cluster: String,
    /// The `:authority` of the callout.
    pub authority: String,
    /// The `:path` of the callout, query included.
    pub path: String,
    /// `GET` or `POST`.
    pub method: Method,
    /// How long each attempt may take.
    pub timeout: Duration,
    /// How many further attempts follow a connect failure, a reset or a 5xx.
    pub retries: u32,
    /// Where the answer holds the token.
    pub token: TokenSource,
    /// The statuses that mean "no session".
    pub no_session_statuses: BTreeSet<u16>,
    /// Fields of the client's request that are passed on, in lower case.
    pub forward_headers: Vec<String>,
    /// Fields added to every callout. They may hold an API key.
    pub headers: StaticHeaders,
    /// The longest answer body that is read, in bytes.
    pub max_body_bytes: usize,
    /// Whether the answer's `Set-Cookie` lines for the listed cookies go on to the browser.
    pub relay_set_cookie: bool,
}

/// The method of the callout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`, with an empty body.
    Post,
}

/// Where an answer holds the token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TokenSource {
    /// At this JSON pointer of the body (RFC 6901).
    JsonPointer(String),
    /// In this response field, in lower case.
    Header(String),
}

/// Configured fields; their values are not printed.
pub struct StaticHeaders(Secret<Vec<(String, String)>>);

/// One request to the auth service.
///
/// # Security
/// It holds the session cookie, so it cannot be printed.
pub struct Callout {
    headers: Secret<Vec<(String, String)>>,
}

/// What came back.
pub struct CalloutReply<'a> {
    /// The response fields, `:status` among them.
    pub fields: &'a [Field],
    /// The body, cut off one byte after `max_body_bytes`.
    pub body: &'a [u8],
}

/// A definite answer.
pub enum Answer {
    /// A token, not verified yet.
    Token(Secret<Vec<u8>>),
    /// The session is not valid.
    NoSession,
}

/// Why there is no definite answer. The fault lies with the auth service or the way to it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
pub enum ExchangeError {
    /// Envoy would not make the callout: unknown cluster, no healthy host, circuit breaker open.
    #[error(
        "the callout was not made: exchange.cluster is unknown, without a healthy host, or its circuit breaker is open"
    )]
    NotSent,
    /// The connection was reset.
    #[error("the connection was reset before a whole answer")]
    Reset,
    /// No answer within `exchange.timeout`.
    #[error("no answer within exchange.timeout")]
    Timeout,
    /// A 429, or a 503 that says when to come back: the auth service wants to be left alone.
    #[error("the auth service asked to be left alone for a while (429 or 503)")]
    Throttled,
    /// A 5xx answer; Envoy makes one for a failed connect too.
    #[error("the auth service failed or could not be connected to (5xx)")]
    ServerError,
    /// A status that is neither 200 nor listed in `no_session_statuses`.
    #[error("an unexpected status")]
    Status,
    /// A 200 that is not the JSON it should be.
    #[error("an unreadable answer: not JSON, too long, encoded, or without a usable token")]
    Unreadable,
}

impl ExchangeError {
    /// Whether asking again can help and does no harm.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Reset | Self::ServerError)
    }
}

impl Exchange {
    /// Keys that tell apart the sessions asked for in this way.
    pub fn session_keys(&self) -> SessionKeys {
        let (source, place) = match &self.token {
            TokenSource::JsonPointer(pointer) => ("json_pointer", pointer),
            TokenSource::Header(name) => ("header", name),
        };
        let parts: [&str; 6] = [&self.cluster, &self.authority, self.method.as_str(), &self.path, source, place];
        SessionKeys::new(parts.map(str::as_bytes))
    }

    /// The callout for `session`, asked on behalf of the client at
    /// `client_address`.
    ///
    /// # Security
    /// It is a function of the configuration, the one cookie that was hashed, its companions, the
    /// listed fields and the address Envoy trusts. No other byte of the client's is in it (threats E5).
    pub fn callout(
        &self,
        head: &RequestHead<'_>,
        session: Pair<'_>,
        companions: &[Pair<'_>],
        client_address: Option<&str>,
    ) -> Callout {
        let mut headers = vec![
            (":method".to_owned(), self.method.as_str().to_owned()),
            (":path".to_owned(), self.path.clone()),
            (":authority".to_owned(), self.authority.clone()),
            ("accept".to_owned(), "application/json".to_owned()),
            ("cache-control".to_owned(), "no-store".to_owned()),
            ("cookie".to_owned(), cookie_field(session, companions)),
        ];
        for name in &self.forward_headers {
            headers.extend(head.values(name).filter_map(printable).map(|value| (name.clone(), value)));
        }
        headers.extend(client_address.map(|address| ("x-forwarded-for".to_owned(), address.to_owned())));
        // What the operator wrote replaces what stands there by default or was forwarded.
        let configured = self.headers.0.expose();
        headers.retain(|(name, _)| !configured.iter().any(|(ours, _)| ours == name));
        headers.extend(configured.iter().cloned());
        Callout { headers: Secret::new(headers) }
    }

    /// Reads what came back after `elapsed`.
    ///
    /// # Errors
    /// [`ExchangeError`] for everything that is not a definite answer.
    ///
    /// # Security
    /// The answer may come from a compromised route. It is a token only if it is a 200, JSON, within
    /// bounds and unambiguous; a login page, a redirect or a truncated body is none of these (threats
    /// E1, E7).
    pub fn read(&self, reply: &CalloutReply<'_>, elapsed: Duration) -> Result<Answer, ExchangeError> {
        let Some(status) = reply.status() else {
            // Envoy says nothing at all, be it that the connection broke or that the time ran out in the
            // middle of the body.
            return Err(if self.is_timeout(elapsed) { ExchangeError::Timeout } else { ExchangeError::Reset });
        };
        if self.no_session_statuses.contains(&status) {
            return Ok(Answer::NoSession);
        }
        match status {
            200 => self.read_token(reply),
            429 => Err(ExchangeError::Throttled),
            503 if reply.has("retry-after") || reply.has("x-retry-after") => Err(ExchangeError::Throttled),
            504 if self.is_timeout(elapsed) => Err(ExchangeError::Timeout),
            500..=599 => Err(ExchangeError::ServerError),
            _ => Err(ExchangeError::Status),
        }
    }

    /// Envoy answers 504 itself when the callout's time is up before the response has begun. The auth
    /// service can answer 504 too; the time that has passed tells them apart, give or take the timer's
    /// coarseness.
    fn is_timeout(&self, elapsed: Duration) -> bool {
        elapsed.saturating_mul(10) >= self.timeout.saturating_mul(9)
    }

    fn read_token(&self, reply: &CalloutReply<'_>) -> Result<Answer, ExchangeError> {
        if !reply.is_json() || reply.body.len() > self.max_body_bytes {
            return Err(ExchangeError::Unreadable);
        }
        let body = json::parse(reply.body).map_err(|_| ExchangeError::Unreadable)?;
        let token = match &self.token {
            TokenSource::JsonPointer(pointer) => token_at(&body, pointer)?,
            TokenSource::Header(name) => reply.only(name)?,
        };
        match token {
            None => Ok(Answer::NoSession),
            Some([]) => Err(ExchangeError::Unreadable),
            Some(token) => Ok(Answer::Token(Secret::new(token.to_vec()))),
        }
    }
}

/// The token at `pointer`; `None` where the document says there is no session: `null`, or an object
/// without that member.
fn token_at<'a>(body: &'a Value, pointer: &str) -> Result<Option<&'a [u8]>, ExchangeError> {
    match (body, body.pointer(pointer)) {
        (Value::Null, _) | (Value::Object(_), None | Some(Value::Null)) => Ok(None),
        (Value::Object(_), Some(Value::String(token))) => Ok(Some(token.as_bytes())),
        _ => Err(ExchangeError::Unreadable),
    }
}

impl CalloutReply<'_> {
    /// The status; `None` when the host has no answer to show.
    pub fn status(&self) -> Option<u16> {
        let value = self.fields.iter().find(|(name, _)| name == ":status").map(|(_, value)| value)?;
        std::str::from_utf8(value).ok()?.parse().ok()
    }

    /// For how many seconds the auth service asks to be left alone (RFC 9110 §10.2.3): the longer of
    /// `Retry-After`, in seconds or as a date, and better-auth's `X-Retry-After`.
    pub fn retry_after(&self, now: UnixTime) -> Option<u32> {
        let named = |name: &'static str| self.fields.iter().filter(move |(n, _)| n == name);
        let values = named("retry-after").chain(named("x-retry-after"));
        values.filter_map(|(_, value)| seconds_until(std::str::from_utf8(value).ok()?.trim(), now)).max()
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(n, _)| n == name)
    }

    /// Whether the body says that it is JSON, not compressed.
    pub fn is_json(&self) -> bool {
        let Ok(Some(content_type)) = self.only("content-type") else { return false };
        let media_type =
            content_type.split(|&b| b == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        let identity = !matches!(self.only("content-encoding"), Err(_) | Ok(Some(_)));
        identity
            && (media_type == b"application/json"
                || (media_type.starts_with(b"application/") && media_type.ends_with(b"+json")))
    }

    /// The one value of a field; two values are one too many to choose from.
    fn only(&self, name: &str) -> Result<Option<&[u8]>, ExchangeError> {
        let mut values = self.fields.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_slice());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(ExchangeError::Unreadable),
        }
    }
}

impl Callout {
    /// A plain `GET` that carries nothing of anybody's.
    pub fn get(authority: &str, path: &str) -> Self {
        let headers = [(":method", "GET"), (":path", path), (":authority", authority), ("accept", "application/json")];
        Self { headers: Secret::new(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()) }
    }

    /// The pseudo-headers and fields to send.
    pub fn headers(&self) -> Vec<(&str, &str)> {
        self.headers.expose().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

impl StaticHeaders {
    /// These fields.
    pub const fn new(headers: Vec<(String, String)>) -> Self {
        Self(Secret::new(headers))
    }
}

impl std::fmt::Debug for StaticHeaders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.expose().iter().map(|(name, _)| name)).finish()
    }
}

impl Method {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A number of seconds, or a date; what has passed is no time at all.
fn seconds_until(text: &str, now: UnixTime) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = if is_number {
        // What is too large to be read is as good as for ever.
        text.parse().unwrap_or(u32::MAX)
    } else {
        u32::try_from(http_date(text)?.since(now).as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
    };
    Some(seconds).filter(|&seconds| seconds > 0)
}

/// The one session cookie and its companions. A companion that could not be a cookie is left out.
fn cookie_field(session: Pair<'_>, companions: &[Pair<'_>]) -> String {
    let companions = companions.iter().filter(|pair| pair.is_plausible());
    let pairs = std::iter::once(&session).chain(companions);
    let written = pairs.filter_map(|pair| Some(format!("{}={}", text(pair.name)?, text(pair.value)?)));
    written.collect::<Vec<_>>().join("; ")
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A field value made of visible ASCII, spaces and tabs; the others do not travel.
fn printable(value: &[u8]) -> Option<String> {
    let visible = value.iter().all(|&b| matches!(b, b'\t' | b' '..=b'~'));
    if visible { text(value).map(str::to_owned) } else { None }
}
