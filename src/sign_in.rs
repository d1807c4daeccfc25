//! Where a person without a session is sent: to sign in, and back to the page afterwards.
//!
//! A page the browser navigates to is for a person, who can do nothing with a 401. A script, a form's
//! answer and every other program get the 401.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use crate::request::RequestHead;

/// The page to sign in.
#[derive(Debug)]
pub struct SignIn {
    /// Its path, or its whole URL.
    pub location: String,
    /// The name of the query parameter that says where to go back to.
    pub return_to_param: String,
}

/// What a path and a query may hold unescaped within a query parameter (RFC 3986 §3.4).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The longest way back that is told.
const MAX_RETURN_TO: usize = 2048;

impl SignIn {
    /// Where the browser is sent instead of being answered 401; `None` when the request is no navigation.
    ///
    /// # Security
    /// The client chooses the way back, or whoever made its link. It is told only when it leads to this
    /// site however it is read; the redirect itself goes where the configuration says.
    pub fn location_for(&self, head: &RequestHead<'_>) -> Option<String> {
        if !is_navigation(head) {
            return None;
        }
        if !stays_here(head.target()) {
            return Some(self.location.clone());
        }
        let separator = if self.location.contains('?') { '&' } else { '?' };
        let back = percent_encode(head.target(), ENCODED);
        Some(format!("{}{separator}{}={back}", self.location, self.return_to_param))
    }
}

/// Whether a person is going to look at the answer. Browsers say so in `Sec-Fetch-Mode`; where they do not, over
/// plain http, a request that wants HTML and was not made by a script of the old kind counts as one.
fn is_navigation(head: &RequestHead<'_>) -> bool {
    let first = |name| head.values(name).next();
    let is_read = matches!(head.method(), b"GET" | b"HEAD") && first("upgrade").is_none();
    let wants_html = || {
        let accepts = |value: &[u8]| value.to_ascii_lowercase().windows(9).any(|part| part == b"text/html");
        head.values("accept").any(accepts) && first("x-requested-with").is_none()
    };
    is_read && first("sec-fetch-mode").map_or_else(wants_html, |mode| mode == b"navigate")
}

/// Whether a target leads to this site as it is, once decoded, and twice decoded.
fn stays_here(target: &[u8]) -> bool {
    let once: Vec<u8> = percent_decode(target).collect();
    let twice: Vec<u8> = percent_decode(&once).collect();
    target.len() <= MAX_RETURN_TO && [target, &once, &twice].into_iter().all(is_plain_way_back)
}

/// A path that starts with one slash and has no empty or dot segment, and perhaps a query; nothing in it that a
/// browser drops or takes for something else.
fn is_plain_way_back(target: &[u8]) -> bool {
    let Ok(target) = std::str::from_utf8(target) else { return false };
    let is_plain = |c: char| if c.is_ascii() { !c.is_ascii_control() && c != '\\' } else { c.is_alphanumeric() };
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let Some(segments) = path.strip_prefix('/') else { return false };
    let mut inner = segments.split('/').rev();
    let last = inner.next().unwrap_or_default();
    target.chars().all(is_plain)
        && !matches!(last, "." | "..")
        && inner.all(|segment| !matches!(segment, "" | "." | ".."))
}
