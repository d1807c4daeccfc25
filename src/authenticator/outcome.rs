//! What the core answers with: steps for requests, and outcomes of what was asked.

use std::time::Duration;

use crate::edits::HeaderEdits;
use crate::exchange::ExchangeError;
use crate::filter_state::FilterState;
use crate::flight::StreamId;
use crate::keys::{KeysError, Loaded};
use crate::reply::LocalReply;
use crate::stats::Counter;
use crate::token::TokenError;

/// What to do with a request.
pub enum Step {
    /// Let it through with these edits.
    Continue(HeaderEdits, FilterState),
    /// Answer it here.
    Reply(LocalReply, FilterState),
    /// Hold it until what it waits for has ended.
    Wait,
}

/// A request that waited, and what to do with it: never [`Step::Wait`].
pub struct Settled {
    /// The request.
    pub stream: StreamId,
    /// What to do with it.
    pub step: Step,
}

/// What an answer led to.
#[derive(Default)]
pub struct Outcome {
    /// The requests it settles.
    pub settled: Vec<Settled>,
    /// The streams to be closed, since their token has ended.
    pub close: Vec<StreamId>,
    /// What went wrong, for the log.
    pub failure: Option<Failure>,
    /// Keys that came into use, for the log.
    pub loaded: Option<Loaded>,
    /// How long the exchange's callout took, when one was answered.
    pub latency: Option<Duration>,
}

/// What is to be done to the response of a request.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct ResponseEdits {
    /// The lines to add, each as a `Set-Cookie` field of its own.
    pub set_cookies: Vec<String>,
    /// The `Cache-Control` to set.
    pub cache_control: Option<&'static str>,
}

/// Whom to wake, so that what was decided is done soon and not at the next tick.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Bell {
    /// The root of this worker, which has a callout to make.
    pub root: bool,
    /// The other workers of the process, which have a session to forget.
    pub others: bool,
}

/// What went wrong in the deployment.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
pub enum Failure {
    /// The auth service could not be asked.
    #[error("exchange failed: {0}")]
    Exchange(#[from] ExchangeError),
    /// What it handed out does not verify.
    #[error("exchange failed: the token it handed out does not verify: {0}")]
    Token(#[from] TokenError),
    /// Keys could not be fetched.
    #[error("fetch of keys failed: {0}; the keys that are there stay in use")]
    Keys(#[from] KeysError),
}

impl Outcome {
    /// Nothing is settled, and something went wrong.
    pub fn failed(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }

    /// Adds what else happened at the same time.
    pub fn absorb(&mut self, other: Self) {
        self.settled.extend(other.settled);
        self.close.extend(other.close);
        self.failure = self.failure.or(other.failure);
    }
}

impl Failure {
    /// The counter of exchanges that ended so.
    pub const fn counter(self) -> Counter {
        match self {
            Self::Token(_) | Self::Keys(_) => Counter::ExchangeUnverified,
            Self::Exchange(ExchangeError::NotSent) => Counter::ExchangeNotSent,
            Self::Exchange(ExchangeError::Reset) => Counter::ExchangeReset,
            Self::Exchange(ExchangeError::Timeout) => Counter::ExchangeTimeout,
            Self::Exchange(ExchangeError::Throttled) => Counter::ExchangeThrottled,
            Self::Exchange(ExchangeError::ServerError) => Counter::ExchangeServerError,
            Self::Exchange(ExchangeError::Status) => Counter::ExchangeUnexpectedStatus,
            Self::Exchange(ExchangeError::Unreadable) => Counter::ExchangeUnreadable,
        }
    }
}
