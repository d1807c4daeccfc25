//! Which credential a request carries.
//!
//! The configuration lists the kinds in order, and the first one present decides. One that is present
//! and wrong never falls through to the next: whoever shows a forged pass is not asked for another
//! (Envoy CVE-2022-29226).

use crate::cookie::{CookieNames, Pair, Rest};
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
    /// The credential that decides.
    pub credential: Credential<'a>,
    /// Whether the browser sends it by itself, for whatever page asks.
    pub is_cookie: bool,
    /// The session cookies, the first one first, also where another credential decides.
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
    /// # Errors
    /// A [`Denial`] where the request says two things at once.
    ///
    /// # Security
    /// All values of `Authorization` and `Cookie` are looked at. What is ambiguous is refused, also where
    /// another kind of credential would decide.
    pub fn read<'a>(&self, head: &RequestHead<'a>) -> Result<Carried<'a>, Denial> {
        if head.repeats_authorization() {
            return Err(Denial::RepeatedAuthorization);
        }
        let (jar, rest) = self.cookies.read(head.values("cookie")).map_err(|_| Denial::ConflictingCookies)?;
        let rest = if self.remove_cookies { rest } else { Rest::Untouched };
        let found = self.order.iter().find_map(|kind| {
            let credential = match kind {
                Kind::Bearer => head.values("authorization").find_map(bearer).map(Credential::Token),
                Kind::TokenCookie => jar.token().map(|pair| Credential::Token(pair.value)),
                Kind::SessionCookie => jar.session().map(|pair| Credential::Session(pair, jar.companions().to_vec())),
            };
            Some((credential?, *kind != Kind::Bearer))
        });
        let (credential, is_cookie) = found.unwrap_or((Credential::None, false));
        Ok(Carried { credential, is_cookie, sessions: jar.sessions().to_vec(), rest })
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
