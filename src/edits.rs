//! What becomes of a request's header fields before the backend sees them.
//!
//! Everything the client could have put where we speak is taken out first; only then may a token be
//! put in. Letting a request through takes a [`VerifiedToken`] or an [`AnonymousPermit`]; without one
//! of them there is no [`HeaderEdits`] and so no way upstream.

use crate::cookie::Rest;
use crate::identity::{ClaimField, Identity};
use crate::origin::overrides_method;
use crate::request::{Field, RequestHead, reads_as};
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

/// The token's life has ended since it was verified; what was taken out of the request is handed back.
pub struct Expired(pub Stripped);

const AUTHORIZATION: &str = "authorization";
const COOKIE: &str = "cookie";

impl Stripped {
    /// Takes out what no client may tell the backend: who the user is, in the fields of `identity`; the other
    /// fields that `also` names; and the cookies of ours, of which `cookie` is what stays.
    pub fn new(head: &RequestHead<'_>, identity: &Identity, also: impl Fn(&str) -> bool, cookie: Rest) -> Self {
        let removed = head.names().filter(|name| identity.strips(name) || also(name)).map(str::to_owned);
        Self { removed: removed.collect(), cookie }
    }

    /// Lets the request pass with `token`, and with what it says of the user.
    ///
    /// # Errors
    /// [`Expired`] when the token's life has ended by `now`, however it was obtained.
    pub fn with_token(self, token: VerifiedToken, now: UnixTime) -> Result<HeaderEdits, Expired> {
        if !token.is_acceptable(now) {
            return Err(Expired(self));
        }
        Ok(HeaderEdits { stripped: self, token: Some(token) })
    }

    /// Lets the request pass without a credential, since a rule says so.
    pub fn anonymous(self, _rule: AnonymousPermit) -> HeaderEdits {
        HeaderEdits { stripped: self, token: None }
    }
}

impl HeaderEdits {
    /// The changes, in the order to make them.
    pub fn iter(&self) -> impl Iterator<Item = Edit<'_>> {
        let removals = self.stripped.removed.iter().filter(|name| !self.sets(name)).map(|name| Edit::Remove(name));
        let cookie = match &self.stripped.cookie {
            Rest::Untouched => None,
            Rest::Empty => Some(Edit::Remove(COOKIE)),
            Rest::Pairs(pairs) => Some(Edit::Replace(COOKIE, pairs)),
        };
        let claims = self.claims().iter().map(|field| Edit::Replace(&field.name, field.value.as_bytes()));
        let bearer = self.token.as_ref().map(|token| Edit::Replace(AUTHORIZATION, token.bearer()));
        removals.chain(cookie).chain(claims).chain(bearer)
    }

    /// Whether the field is set, which takes every value of it out.
    fn sets(&self, name: &str) -> bool {
        (self.token.is_some() && name == AUTHORIZATION) || self.claims().iter().any(|field| *field.name == *name)
    }

    fn claims(&self) -> &[ClaimField] {
        self.token.as_ref().map_or(&[], VerifiedToken::fields)
    }
}

/// The fields of a trailer section that say who a request is from, or what it is.
///
/// # Security
/// RFC 9110 §6.5.1 forbids them there, and a backend that merges trailers into the head all the same would take
/// them for ours, after everything has been decided.
pub fn forbidden_trailers<'a>(trailers: &'a [Field], identity: &Identity) -> impl Iterator<Item = &'a str> {
    let is_forbidden = |name: &&str| {
        identity.strips(name) || is_authorization(name) || reads_as(name, COOKIE) || overrides_method(name)
    };
    trailers.iter().map(|(name, _)| name.as_str()).filter(is_forbidden)
}

/// Whether a backend may take a field of this name for `Authorization`.
pub fn is_authorization(name: &str) -> bool {
    reads_as(name, AUTHORIZATION)
}
