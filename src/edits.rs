//! What becomes of a request's header fields before the backend sees them.
//!
//! Everything the client could have put where we speak is taken out first; only then may a token be
//! put in. Letting a request through takes a [`VerifiedToken`] or an [`AnonymousPermit`]; without one
//! of them there is no [`HeaderEdits`] and so no way upstream.

use crate::cookie::Rest;
use crate::origin::METHOD_OVERRIDES;
use crate::request::RequestHead;
use crate::routes::AnonymousPermit;
use crate::time::UnixTime;
use crate::token::VerifiedToken;

/// What is taken out of a request, before it is known whether it may pass.
pub struct Stripped {
    removed: Vec<String>,
    cookie: Rest,
}

/// The edits of a request that may pass.
pub struct HeaderEdits {
    stripped: Stripped,
    token: Option<VerifiedToken>,
}

/// One change to a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Edit<'a> {
    /// Take out every value of the field.
    Remove(&'a str),
    /// Take out every value of the field, and put this one in.
    Replace(&'a str, &'a [u8]),
}

/// The token's `exp` has passed since it was verified.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the token has expired")]
pub struct Expired;

const AUTHORIZATION: &str = "authorization";

impl Stripped {
    /// Nothing is taken out.
    pub const fn nothing() -> Self {
        Self { removed: Vec::new(), cookie: Rest::Untouched }
    }

    /// The client's own `Authorization` is taken out, in whatever spelling.
    pub fn authorization(head: &RequestHead<'_>) -> Self {
        let removed = head.spellings(AUTHORIZATION).map(str::to_owned).collect();
        Self { removed, cookie: Rest::Untouched }
    }

    /// What would have the backend take the request for one of another method is taken out too.
    pub fn and_method_overrides(mut self, head: &RequestHead<'_>) -> Self {
        let found = METHOD_OVERRIDES.iter().flat_map(|name| head.spellings(name)).map(str::to_owned);
        self.removed.extend(found);
        self
    }

    /// The cookies of ours are taken out too; `rest` is what stays.
    pub fn and_cookies(self, rest: Rest) -> Self {
        Self { cookie: rest, ..self }
    }

    /// Lets the request pass with `token`.
    ///
    /// # Errors
    /// [`Expired`] when the token's life has ended by `now`, however it was obtained.
    pub fn with_token(self, token: VerifiedToken, now: UnixTime) -> Result<HeaderEdits, Expired> {
        if token.is_acceptable(now) { Ok(HeaderEdits { stripped: self, token: Some(token) }) } else { Err(Expired) }
    }

    /// Lets the request pass without a credential, since a rule says so.
    pub fn anonymous(self, _rule: AnonymousPermit) -> HeaderEdits {
        HeaderEdits { stripped: self, token: None }
    }
}

impl HeaderEdits {
    /// The changes, in the order to make them.
    pub fn iter(&self) -> impl Iterator<Item = Edit<'_>> {
        let replaced = |name: &&String| self.token.is_none() || name.as_str() != AUTHORIZATION;
        let removals = self.stripped.removed.iter().filter(replaced).map(|name| Edit::Remove(name));
        let cookie = match &self.stripped.cookie {
            Rest::Untouched => None,
            Rest::Empty => Some(Edit::Remove("cookie")),
            Rest::Pairs(pairs) => Some(Edit::Replace("cookie", pairs)),
        };
        let bearer = self.token.as_ref().map(|token| Edit::Replace(AUTHORIZATION, token.bearer()));
        removals.chain(cookie).chain(bearer)
    }
}
