//! Denials, and the one place where a denial becomes an answer to the client.
//!
//! The answer says what to do next and nothing else: it repeats no input and does not tell why a token
//! or a session was refused (threats F19, G6). The reason goes to metrics and logs.

use std::borrow::Cow;

use crate::credential::Kind;
use crate::set_cookie::SET_COOKIE;
use crate::stats::Counter;

/// Why a request is not let through.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Denial {
    /// There is no method or path to apply a rule to.
    #[error("the request has no method or path")]
    MalformedRequest,
    /// More than one `Authorization` value.
    #[error("more than one Authorization value")]
    RepeatedAuthorization,
    /// One session cookie with two values.
    #[error("one session cookie with two different values")]
    ConflictingCookies,
    /// No credential was sent.
    #[error("no credential")]
    NoCredential,
    /// The session cookie cannot be one.
    #[error("a session cookie of impossible form")]
    MalformedSession,
    /// The auth service knows no such session.
    #[error("session refused by the auth service")]
    SessionRefused,
    /// The token the client sent is not accepted.
    #[error("the client's token is not accepted")]
    InvalidToken,
    /// A page of another site may have sent the request.
    #[error("the request may come from another site")]
    CrossOrigin,
    /// The credential is valid, and lacks what the route requires.
    #[error("claims or scopes that the route requires are missing")]
    InsufficientScope,
    /// The keys to judge a token by are not there yet.
    #[error("the keys have not been fetched yet")]
    KeysUnavailable,
    /// The auth service could not be asked.
    #[error("the auth service could not be asked")]
    ExchangeFailed,
    /// Too many exchanges are under way.
    #[error("too many exchanges under way")]
    Overloaded,
    /// The auth service asked to be left alone for so many seconds more.
    #[error("the auth service asked to be left alone for {0} s")]
    Paused(u32),
    /// The token the auth service handed out does not verify.
    #[error("the token from the auth service does not verify")]
    UnverifiedToken,
}

/// An answer made here, in RFC 9457 form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalReply {
    /// The status code.
    pub status: u16,
    /// The response fields.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body.
    pub body: String,
}

/// How long a client should wait before it tries again, in seconds, where nobody said. Short, because the
/// way back is noticed by the next request.
const RETRY_AFTER: u32 = 1;

impl Denial {
    /// Whether an `optional` route lets the request pass without a credential instead.
    ///
    /// Not where the request is ambiguous, which is the client's fault, and not where the deployment
    /// hands out tokens that do not verify, which would hide it.
    pub const fn may_be_anonymous(self) -> bool {
        match self {
            Self::NoCredential
            | Self::MalformedSession
            | Self::SessionRefused
            | Self::ExchangeFailed
            | Self::Overloaded
            | Self::Paused(_) => true,
            Self::MalformedRequest
            | Self::RepeatedAuthorization
            | Self::ConflictingCookies
            | Self::CrossOrigin
            | Self::InvalidToken
            | Self::InsufficientScope
            | Self::KeysUnavailable
            | Self::UnverifiedToken => false,
        }
    }

    /// Whether signing in would help whoever sent this kind of credential. It replaces a cookie that has expired; a
    /// bearer is a program's.
    pub const fn asks_to_sign_in(self, credential: Option<Kind>) -> bool {
        match self {
            Self::NoCredential | Self::MalformedSession | Self::SessionRefused => true,
            Self::InvalidToken => matches!(credential, Some(Kind::TokenCookie)),
            _ => false,
        }
    }

    /// Whether it says nothing about the user: the auth service could not be asked.
    pub const fn is_outage(self) -> bool {
        matches!(self, Self::ExchangeFailed | Self::Overloaded | Self::Paused(_))
    }

    /// The counter of this reason.
    pub const fn counter(self) -> Counter {
        match self {
            Self::MalformedRequest => Counter::DeniedMalformedRequest,
            Self::RepeatedAuthorization => Counter::DeniedRepeatedAuthorization,
            Self::ConflictingCookies => Counter::DeniedConflictingCookies,
            Self::NoCredential => Counter::DeniedNoCredential,
            Self::MalformedSession => Counter::DeniedMalformedSession,
            Self::SessionRefused => Counter::DeniedSessionRefused,
            Self::InvalidToken => Counter::DeniedInvalidToken,
            Self::CrossOrigin => Counter::DeniedCrossOrigin,
            Self::InsufficientScope => Counter::DeniedInsufficientScope,
            Self::KeysUnavailable => Counter::DeniedKeysUnavailable,
            Self::ExchangeFailed => Counter::DeniedExchangeFailed,
            Self::Overloaded => Counter::DeniedOverloaded,
            Self::Paused(_) => Counter::DeniedPaused,
            Self::UnverifiedToken => Counter::DeniedUnverifiedToken,
        }
    }

    /// The challenge (RFC 6750 §3), without an error code where the client sent no token.
    const fn challenge(self) -> Option<&'static str> {
        match self {
            Self::NoCredential | Self::MalformedSession | Self::SessionRefused => Some("Bearer"),
            Self::InvalidToken => Some(r#"Bearer error="invalid_token""#),
            Self::InsufficientScope => Some(r#"Bearer error="insufficient_scope""#),
            _ => None,
        }
    }

    const fn retry_after(self) -> u32 {
        match self {
            Self::Paused(seconds) => seconds,
            _ => RETRY_AFTER,
        }
    }

    const fn answer(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::MalformedRequest => (400, "Bad Request", "The request has no method or path."),
            Self::RepeatedAuthorization => (400, "Bad Request", "The request has more than one Authorization value."),
            Self::ConflictingCookies => (
                400,
                "Bad Request",
                "The session cookie was sent with two different values; clear this site's cookies.",
            ),
            Self::NoCredential | Self::MalformedSession | Self::SessionRefused | Self::InvalidToken => {
                (401, "Unauthorized", "Not authenticated")
            }
            Self::CrossOrigin => (
                403,
                "Forbidden",
                "The request may come from another site. If it is this site's own, list its origin under csrf.trusted_origins.",
            ),
            Self::InsufficientScope => (403, "Forbidden", "Not permitted"),
            Self::KeysUnavailable
            | Self::ExchangeFailed
            | Self::Overloaded
            | Self::Paused(_)
            | Self::UnverifiedToken => {
                (503, "Service Unavailable", "Authentication is unavailable at the moment; try again.")
            }
        }
    }
}

impl LocalReply {
    /// Sends a browser to the page to sign in.
    pub fn redirect(location: String) -> Self {
        let headers = vec![("location", location.into()), ("cache-control", "no-store".into())];
        Self { status: 302, headers, body: String::new() }
    }

    /// Sets cookies along with the answer, each on a line of its own.
    pub fn set_cookies(&mut self, lines: Vec<String>) {
        self.headers.extend(lines.into_iter().map(|line| (SET_COOKIE, line.into())));
    }
}

impl From<Denial> for LocalReply {
    fn from(denial: Denial) -> Self {
        let (status, title, detail) = denial.answer();
        let mut headers = vec![
            ("content-type", "application/problem+json".into()),
            ("cache-control", "no-store".into()),
            ("x-content-type-options", "nosniff".into()),
        ];
        headers.extend(denial.challenge().map(|challenge| ("www-authenticate", challenge.into())));
        headers.extend((status == 503).then(|| ("retry-after", denial.retry_after().to_string().into())));
        let problem = serde_json::json!({ "type": "about:blank", "title": title, "status": status, "detail": detail });
        Self { status, headers, body: problem.to_string() }
    }
}
