//! What is counted.
//!
//! The core counts in plain memory; the adapter hands the differences to Envoy now and then, so that
//! counting costs the request nothing.

use crate::token::TokenError;

/// Declares the counters with their metric names in one list.
macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Something that is counted.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Counter { $($(#[$doc])* $variant,)* }

        impl Counter {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The metric's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => concat!("session_bearer_", $name),)* }
            }

            /// What sets the name apart from the others'.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

counters! {
    /// Let through with a token from the cache.
    AllowedHit = "allowed_hit",
    /// Let through with a token another worker of the process had exchanged for.
    AllowedShared = "allowed_shared",
    /// Let through with a token that had to be exchanged for.
    AllowedMiss = "allowed_miss",
    /// Let through with a token past `cache.max_ttl`, since the auth service could not be asked.
    AllowedStale = "allowed_stale",
    /// Let through with a token the client sent, verified for this request.
    AllowedVerified = "allowed_verified",
    /// Let through without a credential on an `optional` route.
    AllowedAnonymous = "allowed_anonymous",
    /// Let through on an `off` route or as a CORS preflight.
    AllowedOff = "allowed_off",
    /// Let through without a credential although refused, since `report_only` is set; each is counted by the
    /// reason of the refusal too.
    AllowedReportOnly = "allowed_report_only",
    /// Refused with 400: no method or path.
    DeniedMalformedRequest = "denied_malformed_request",
    /// Refused with 400: more than one `Authorization` value.
    DeniedRepeatedAuthorization = "denied_repeated_authorization",
    /// Refused with 400: one session cookie with two values.
    DeniedConflictingCookies = "denied_conflicting_cookies",
    /// Refused with 401: no credential.
    DeniedNoCredential = "denied_no_credential",
    /// Refused with 401: a session cookie of impossible form.
    DeniedMalformedSession = "denied_malformed_session",
    /// Refused with 401: the auth service knows no such session.
    DeniedSessionRefused = "denied_session_refused",
    /// Refused with 401: the client's token is not accepted.
    DeniedInvalidToken = "denied_invalid_token",
    /// Refused with 403: a request with a cookie that another site may have sent.
    DeniedCrossOrigin = "denied_cross_origin",
    /// Refused with 403: claims or scopes are missing.
    DeniedInsufficientScope = "denied_insufficient_scope",
    /// Refused with 503: the keys have not been fetched yet.
    DeniedKeysUnavailable = "denied_keys_unavailable",
    /// Refused with 503: the auth service could not be asked.
    DeniedExchangeFailed = "denied_exchange_failed",
    /// Refused with 503: too many exchanges under way.
    DeniedOverloaded = "denied_overloaded",
    /// Refused with 503: the auth service asked to be left alone.
    DeniedPaused = "denied_paused",
    /// Refused with 503: the token from the auth service does not verify.
    DeniedUnverifiedToken = "denied_unverified_token",
    /// Navigations without a session that were sent to sign in; each is counted by its reason too.
    SentToSignIn = "sent_to_sign_in",
    /// Clients that went away while their request waited.
    Abandoned = "abandoned",
    /// Callouts made, retries included.
    ExchangeCallouts = "exchange_callouts",
    /// Exchanges started in the background, for a session whose token nears its end.
    ExchangeRefreshes = "exchange_refreshes",
    /// Exchanges that gave a token that verifies.
    ExchangeToken = "exchange_token",
    /// Exchanges answered with a definite "no session".
    ExchangeNoSession = "exchange_no_session",
    /// Exchanges that gave a token that does not verify.
    ExchangeUnverified = "exchange_unverified_token",
    /// Exchanges Envoy would not send: cluster unknown, unhealthy or over its circuit breaker.
    ExchangeNotSent = "exchange_not_sent",
    /// Exchanges that ended with a reset.
    ExchangeReset = "exchange_reset",
    /// Exchanges that took longer than `exchange.timeout`, or that were never answered.
    ExchangeTimeout = "exchange_timeout",
    /// Exchanges answered with 429, or with a 503 that says when to come back.
    ExchangeThrottled = "exchange_throttled",
    /// Exchanges answered with 5xx, a failed connect among them.
    ExchangeServerError = "exchange_server_error",
    /// Exchanges answered with an unexpected status.
    ExchangeUnexpectedStatus = "exchange_unexpected_status",
    /// Exchanges answered with a 200 that could not be read.
    ExchangeUnreadable = "exchange_unreadable",
    /// Tokens pushed out of the cache by its bounds.
    CacheEvicted = "cache_evicted",
    /// Sessions forgotten because a response ended them.
    ForgottenSignedOut = "forgotten_signed_out",
    /// Sessions forgotten because the backend answered 401 to their token.
    ForgottenUpstream401 = "forgotten_upstream_401",
    /// Sessions that ended, and the other workers could not be told of it.
    ForgottenHereOnly = "forgotten_here_only",
    /// `Set-Cookie` lines of the auth service handed to a browser.
    SetCookiesRelayed = "set_cookies_relayed",
    /// Streams closed because their token had ended.
    StreamsClosed = "streams_closed",
    /// Fetches of the key set.
    KeysFetches = "keys_fetches",
    /// Key sets that came into use, from a fetch or from another worker's.
    KeysLoaded = "keys_loaded",
    /// Fetches that brought no keys.
    KeysFailed = "keys_failed",
    /// Tokens refused: not a compact JWS.
    TokenForm = "token_refused_form",
    /// Tokens refused: JOSE header.
    TokenHeader = "token_refused_header",
    /// Tokens refused: algorithm.
    TokenAlgorithm = "token_refused_algorithm",
    /// Tokens refused: `typ`.
    TokenType = "token_refused_type",
    /// Tokens refused: no such key, or no keys at all.
    TokenUnknownKey = "token_refused_unknown_key",
    /// Tokens refused: signature.
    TokenSignature = "token_refused_signature",
    /// Tokens refused: unreadable claims.
    TokenClaims = "token_refused_claims",
    /// Tokens refused: expired, not valid yet, or made to last too long.
    TokenTime = "token_refused_time",
    /// Tokens refused: issuer.
    TokenIssuer = "token_refused_issuer",
    /// Tokens refused: audience.
    TokenAudience = "token_refused_audience",
    /// Tokens refused: a required claim is missing.
    TokenRequiredClaim = "token_refused_required_claim",
}

/// The gauge of exchanges under way, over all workers.
pub const IN_FLIGHT: &str = "session_bearer_exchange_in_flight";

/// The gauge of sessions remembered, over all workers.
pub const CACHE_ENTRIES: &str = "session_bearer_cache_entries";

/// The gauge of how many algorithms the host verifies.
pub const HOST_ALGORITHMS: &str = "session_bearer_host_algorithms";

/// The histogram of how long callouts took, in milliseconds.
pub const LATENCY: &str = "session_bearer_exchange_latency_ms";

/// The counts of one worker since it started.
#[derive(Debug)]
pub struct Stats([u64; Counter::ALL.len()]);

impl Default for Stats {
    fn default() -> Self {
        Self([0; Counter::ALL.len()])
    }
}

impl Stats {
    /// Counts one.
    pub fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts so many.
    pub fn add(&mut self, counter: Counter, count: usize) {
        if let Some(so_far) = self.0.get_mut(counter as usize) {
            *so_far = so_far.saturating_add(count as u64);
        }
    }

    /// How often `counter` was counted.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).copied().unwrap_or_default()
    }
}

impl From<TokenError> for Counter {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Form => Self::TokenForm,
            TokenError::Header => Self::TokenHeader,
            TokenError::Algorithm => Self::TokenAlgorithm,
            TokenError::Type => Self::TokenType,
            TokenError::UnknownKey | TokenError::NoKeys => Self::TokenUnknownKey,
            TokenError::Signature => Self::TokenSignature,
            TokenError::Claims | TokenError::NoExpiry => Self::TokenClaims,
            TokenError::Expired | TokenError::Premature | TokenError::Lifetime => Self::TokenTime,
            TokenError::Issuer => Self::TokenIssuer,
            TokenError::Audience => Self::TokenAudience,
            TokenError::RequiredClaim => Self::TokenRequiredClaim,
        }
    }
}
