//! What a `Set-Cookie` line does to a cookie (RFC 6265 §5.2), as far as it matters here.

use std::time::UNIX_EPOCH;

use crate::cookie::{CookieNames, Pair};
use crate::request::Field;
use crate::time::UnixTime;

/// The name of the field.
pub const SET_COOKIE: &str = "set-cookie";

/// The most lines of one answer that are relayed.
const MAX_LINES: usize = 16;

/// A line that sets a cookie.
pub struct SetCookie<'a> {
    /// The cookie and its new value.
    pub pair: Pair<'a>,
    attributes: &'a [u8],
}

impl<'a> SetCookie<'a> {
    /// Reads a line; `None` when it names no cookie.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let end = line.iter().position(|&byte| byte == b';').unwrap_or(line.len());
        let (pair, attributes) = line.split_at_checked(end)?;
        Some(Self { pair: Pair::parse(pair)?, attributes })
    }

    /// Whether it takes the cookie away: by an empty value, or by an end that has passed.
    pub fn clears(&self, now: UnixTime) -> bool {
        let mut attributes = self.attributes.split(|&byte| byte == b';').filter_map(Pair::parse);
        self.pair.value.is_empty() || attributes.any(|attribute| has_ended(attribute, now))
    }
}

/// `Max-Age` of zero or less, or `Expires` in the past. An attribute that cannot be read says nothing.
fn has_ended(attribute: Pair<'_>, now: UnixTime) -> bool {
    let Ok(value) = std::str::from_utf8(attribute.value) else { return false };
    if attribute.name.eq_ignore_ascii_case(b"max-age") {
        let (sign, digits) = value.strip_prefix('-').map_or(("", value), |digits| ("-", digits));
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        return is_number && (sign == "-" || digits.bytes().all(|byte| byte == b'0'));
    }
    attribute.name.eq_ignore_ascii_case(b"expires") && http_date(value).is_some_and(|end| end <= now)
}

/// A moment as HTTP writes it (RFC 9110 §5.6.7), also with the dashes that cookies often have.
pub fn http_date(text: &str) -> Option<UnixTime> {
    let read = |text: &str| httpdate::parse_http_date(text).ok();
    let date = read(text).or_else(|| read(&text.replace('-', " ")))?;
    Some(UnixTime::from_secs(date.duration_since(UNIX_EPOCH).ok()?.as_secs()))
}

/// The lines of a response that set a cookie.
pub fn lines(fields: &[Field]) -> impl Iterator<Item = &[u8]> {
    fields.iter().filter(|(name, _)| name == SET_COOKIE).map(|(_, line)| line.as_slice())
}

/// The lines of the auth service's answer that may go on to the browser: those that set a session cookie
/// or a companion.
///
/// # Security
/// The answer may come from a compromised route: no other cookie of the site can be set by it, and a line
/// that is not printable ASCII does not travel.
pub fn relayable(fields: &[Field], names: &CookieNames) -> Vec<String> {
    let is_ours = |line: &&[u8]| SetCookie::parse(line).is_some_and(|set| names.is_relayed(set.pair.name));
    let visible = |line: &[u8]| line.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let text = |line: &[u8]| std::str::from_utf8(line).ok().filter(|_| visible(line)).map(str::to_owned);
    lines(fields).filter(is_ours).filter_map(text).take(MAX_LINES).collect()
}
