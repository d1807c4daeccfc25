//! Which credential a request carries.
//!
//! The configuration lists the kinds in order, and the first one present decides. One that is present
//! and wrong never falls through to the next: whoever shows a forged pass is not asked for another
//! (Envoy CVE-2022-29226).

use crate::cookie::{Conflict, CookieNames, Jar, Pair, Rest};
use crate::reply::Denial;
use crate::request::RequestHead;

/// A kind of credential.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `Authorization: Bearer`, sent by the client.
    Bearer,
    /// A cookie whose value is exchanged for a token.
    SessionCookie,
    /// A cookie whose value is a token.
    TokenCookie,
}

/// The kinds that are accepted, in order, and the cookies among them.
#[derive(Debug)]
pub struct Credentials {
    /// Each kind once.
    pub order: Vec<Kind>,
    /// The names of the cookies.
    pub cookies: CookieNames,
    /// Whether these cookies are taken out before the backend sees the request.
    pub remove_cookies: bool,
}

/// What a request was found to carry.
pub struct Carried<'a> {
    /// The credential that decides; a [`Denial`] where the request says two things at once.
    pub credential: Result<Credential<'a>, Denial>,
    /// The kind of that credential, where there is one.
    pub kind: Option<Kind>,
    /// The cookies that can be a session's, the first one first, also where another credential decides.
    pub sessions: Vec<Pair<'a>>,
    /// What remains of the cookies.
    pub rest: Rest,
}

/// What a request shows.
pub enum Credential<'a> {
    /// Nothing.
    None,
    /// A session, and the cookies that go along with it.
    Session(Pair<'a>, Vec<Pair<'a>>),
    /// A token, not verified.
    Token(&'a [u8]),
}

impl Credentials {
    /// Reads a request's credential, and its cookies.
    ///
    /// # Security
    /// All values of `Authorization` and `Cookie` are looked at. What is ambiguous is no credential, also where
    /// another kind would decide.
    pub fn read<'a>(&self, head: &RequestHead<'a>) -> Carried<'a> {
        let (jar, rest) = match self.cookies.read(head.values("cookie")) {
            Ok((jar, rest)) => (Ok(jar), rest),
            Err(Conflict) => (Err(Denial::ConflictingCookies), self.cookies.without_ours(head.values("cookie"))),
        };
        let rest = if self.remove_cookies { rest } else { Rest::Untouched };
        let jar = if head.repeats_authorization() { Err(Denial::RepeatedAuthorization) } else { jar };
        match jar {
            Ok(jar) => {
                let found = self.order.iter().find_map(|kind| Some((*kind, find(*kind, head, &jar)?)));
                let (kind, credential) = found.unzip();
                let credential = Ok(credential.unwrap_or(Credential::None));
                let sessions = jar.sessions().iter().copied().filter(|cookie| cookie.is_plausible()).collect();
                Carried { credential, kind, sessions, rest }
            }
            Err(denial) => {
                let sessions = self.cookies.sessions_in(head.values("cookie"));
                Carried { credential: Err(denial), kind: None, sessions, rest }
            }
        }
    }
}

impl Kind {
    /// The name it is configured by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::SessionCookie => "session_cookie",
            Self::TokenCookie => "token_cookie",
        }
    }

    /// Whether browsers send it by themselves, for whatever page asks.
    pub const fn is_cookie(self) -> bool {
        matches!(self, Self::SessionCookie | Self::TokenCookie)
    }
}

fn find<'a>(kind: Kind, head: &RequestHead<'a>, jar: &Jar<'a>) -> Option<Credential<'a>> {
    match kind {
        Kind::Bearer => head.values("authorization").find_map(bearer).map(Credential::Token),
        Kind::TokenCookie => jar.token().map(|pair| Credential::Token(pair.value)),
        Kind::SessionCookie => jar.session().map(|pair| Credential::Session(pair, jar.companions().to_vec())),
    }
}

/// The token of a `Bearer` value, perhaps an empty one; `None` for another scheme (RFC 9110 §11.1: schemes
/// are case-insensitive).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let (scheme, rest) = value.split_at_checked("bearer".len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer") && matches!(rest.first(), None | Some(b' '));
    is_bearer.then(|| rest.trim_ascii())
}
