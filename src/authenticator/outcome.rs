//! What the core answers with: steps for requests, and outcomes of what was asked.

use std::time::Duration;

use crate::edits::HeaderEdits;
use crate::exchange::ExchangeError;
use crate::flight::{Joined, StreamId};
use crate::keys::{KeysError, Loaded};
use crate::reply::LocalReply;
use crate::session::SessionKey;
use crate::stats::Counter;
use crate::token::TokenError;

/// What to do with a request.
pub enum Step {
    /// Let it through with these edits.
    Continue(HeaderEdits),
    /// Answer it here.
    Reply(LocalReply),
    /// Hold it until what it waits for has ended.
    Wait(SessionKey, Joined),
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
    /// What went wrong, for the log.
    pub failure: Option<Failure>,
    /// Keys that came into use, for the log.
    pub loaded: Option<Loaded>,
    /// How long the exchange's callout took, when one was answered.
    pub latency: Option<Duration>,
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
            Self::Exchange(ExchangeError::ServerError) => Counter::ExchangeServerError,
            Self::Exchange(ExchangeError::Status) => Counter::ExchangeUnexpectedStatus,
            Self::Exchange(ExchangeError::Unreadable) => Counter::ExchangeUnreadable,
        }
    }
}
