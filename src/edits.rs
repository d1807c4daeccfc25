//! What becomes of a request's header fields before the backend sees them.
//!
//! Everything the client could have put where we speak is taken out first; only then may a token be
//! put in. Letting a request through takes a [`VerifiedToken`] or an [`AnonymousPermit`]; without one
//! of them there is no [`HeaderEdits`] and so no way upstream.

use crate::cookie::Rest;
use crate::identity::Identity;
use crate::origin::METHOD_OVERRIDES;
use crate::request::{RequestHead, reads_as};
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
    claims: Vec<(String, String)>,
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
    /// What no client may tell the backend is taken out: who the user is, in the fields of `identity`.
    pub fn identity(head: &RequestHead<'_>, identity: &Identity) -> Self {
        Self { removed: named(head, |name| identity.strips(name)), cookie: Rest::Untouched }
    }

    /// The client's own `Authorization` is taken out too, in whatever spelling.
    pub fn and_authorization(mut self, head: &RequestHead<'_>) -> Self {
        self.removed.extend(named(head, |name| reads_as(name, AUTHORIZATION)));
        self
    }

    /// What would have the backend take the request for one of another method is taken out too.
    pub fn and_method_overrides(mut self, head: &RequestHead<'_>) -> Self {
        self.removed.extend(named(head, |name| METHOD_OVERRIDES.iter().any(|listed| reads_as(name, listed))));
        self
    }

    /// The cookies of ours are taken out too; `rest` is what stays.
    pub fn and_cookies(self, rest: Rest) -> Self {
        Self { cookie: rest, ..self }
    }

    /// Lets the request pass with `token`, and with what it says of the user.
    ///
    /// # Errors
    /// [`Expired`] when the token's life has ended by `now`, however it was obtained.
    pub fn with_token(self, token: VerifiedToken, identity: &Identity, now: UnixTime) -> Result<HeaderEdits, Expired> {
        if !token.is_acceptable(now) {
            return Err(Expired);
        }
        let claims = identity.values(&token).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(HeaderEdits { stripped: self, claims, token: Some(token) })
    }

    /// Lets the request pass without a credential, since a rule says so.
    pub fn anonymous(self, _rule: AnonymousPermit) -> HeaderEdits {
        HeaderEdits { stripped: self, claims: Vec::new(), token: None }
    }
}

fn named(head: &RequestHead<'_>, is_taken_out: impl Fn(&str) -> bool) -> Vec<String> {
    head.names().filter(|name| is_taken_out(name)).map(str::to_owned).collect()
}

impl HeaderEdits {
    /// The changes, in the order to make them.
    pub fn iter(&self) -> impl Iterator<Item = Edit<'_>> {
        let removals = self.stripped.removed.iter().filter(|name| !self.sets(name)).map(|name| Edit::Remove(name));
        let cookie = match &self.stripped.cookie {
            Rest::Untouched => None,
            Rest::Empty => Some(Edit::Remove("cookie")),
            Rest::Pairs(pairs) => Some(Edit::Replace("cookie", pairs)),
        };
        let claims = self.claims.iter().map(|(name, value)| Edit::Replace(name, value.as_bytes()));
        let bearer = self.token.as_ref().map(|token| Edit::Replace(AUTHORIZATION, token.bearer()));
        removals.chain(cookie).chain(claims).chain(bearer)
    }

    /// Whether the field is set, which takes every value of it out.
    fn sets(&self, name: &str) -> bool {
        (self.token.is_some() && name == AUTHORIZATION) || self.claims.iter().any(|(set, _)| set == name)
    }
}
