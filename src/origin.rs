//! Which site a request comes from: whether a page of another site may have made the browser send it.
//!
//! A bearer is sent by whoever has it, a cookie by the browser for whoever asks. A backend that accepts
//! bearers only has no protection against forged requests of its own; turning cookies into bearers takes
//! that duty over (CWE-352). The rule is that of threats §1: what a browser says in `Origin` and
//! `Sec-Fetch-Site`, which no page can choose, and never `Referer` (CVE-2025-24358).

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::request::{Repeated, RequestHead, reads_as};

/// Which requests are taken for the site's own.
#[derive(Debug, Default)]
pub struct OriginRules {
    /// Origins as browsers write them (RFC 6454 §6.2).
    pub trusted: Vec<String>,
    /// Whether a request that says nothing of where it comes from passes. Every browser says it.
    pub allow_missing: bool,
    /// Whether nothing is looked at.
    pub disabled: bool,
}

/// What is thought of where a request comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OriginVerdict {
    /// Nothing is looked at.
    NotChecked,
    /// The request can have no effect.
    Harmless,
    /// `Origin` or `Sec-Fetch-Site` came more than once.
    Repeated,
    /// The origin is opaque, as that of a sandboxed page.
    Opaque,
    /// The origin is listed.
    Trusted,
    /// The browser vouches that the page and the request have one origin.
    SameOrigin,
    /// The browser says that they have not, and the origin is not listed.
    OtherSite,
    /// The origin is not listed, and no browser vouches for it.
    NotListed,
    /// The request does not say where it comes from, and need not.
    MissingAllowed,
    /// The request does not say where it comes from.
    Missing,
}

/// Fields by which some backends take a request for one of another method. A page can have a form send a
/// `GET` that is a `DELETE` to them.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

impl OriginRules {
    /// Whether a request with a cookie for its credential may have an effect.
    pub fn admit(&self, head: &RequestHead<'_>) -> bool {
        self.judge(head).admits()
    }

    /// Whether a request with a cookie for its credential may have an effect, and why.
    ///
    /// # Security
    /// What cannot have one passes: `GET`, `HEAD` and `OPTIONS`, unless they open a WebSocket or another
    /// upgrade, which no browser asks a preflight for. Everything else has to come from a trusted origin,
    /// or from the origin it goes to as the browser vouches; an opaque origin never does
    /// (GHSA-mq59-m269-xvcx), and nor does whoever says it twice.
    pub fn judge(&self, head: &RequestHead<'_>) -> OriginVerdict {
        if self.disabled {
            return OriginVerdict::NotChecked;
        }
        if is_harmless(head) {
            return OriginVerdict::Harmless;
        }
        let (Ok(origin), Ok(site)) = (single(head, "origin"), single(head, "sec-fetch-site")) else {
            return OriginVerdict::Repeated;
        };
        match (origin, site) {
            (Some(b"null"), _) => OriginVerdict::Opaque,
            (Some(origin), _) if self.trusted.iter().any(|trusted| trusted.as_bytes() == origin) => {
                OriginVerdict::Trusted
            }
            (_, Some(b"same-origin")) => OriginVerdict::SameOrigin,
            (_, Some(_)) => OriginVerdict::OtherSite,
            (Some(_), None) => OriginVerdict::NotListed,
            (None, None) if self.allow_missing => OriginVerdict::MissingAllowed,
            (None, None) => OriginVerdict::Missing,
        }
    }
}

impl OriginVerdict {
    /// Whether the request may have an effect.
    pub const fn admits(self) -> bool {
        match self {
            Self::NotChecked | Self::Harmless | Self::Trusted | Self::SameOrigin | Self::MissingAllowed => true,
            Self::Repeated | Self::Opaque | Self::OtherSite | Self::NotListed | Self::Missing => false,
        }
    }
}

/// Whether a backend may take a request with a field of this name for one of another method.
pub fn overrides_method(name: &str) -> bool {
    METHOD_OVERRIDES.iter().any(|listed| reads_as(name, listed))
}

/// The one value of a field. Envoy joins lines of the same name with a comma, which neither field's value has
/// in itself.
fn single<'a>(head: &RequestHead<'a>, name: &'a str) -> Result<Option<&'a [u8]>, Repeated> {
    let value = head.only(name)?;
    if value.is_some_and(|value| value.contains(&b',')) { Err(Repeated) } else { Ok(value) }
}

/// Methods are case-sensitive: `get` is whatever the backend makes of it.
fn is_harmless(head: &RequestHead<'_>) -> bool {
    let is_upgrade = [":protocol", "upgrade"].iter().any(|name| head.values(name).next().is_some());
    matches!(head.method(), b"GET" | b"HEAD" | b"OPTIONS") && !is_upgrade
}

/// An origin as a browser would write it: lower case, without the port that goes without saying.
///
/// # Errors
/// What is wrong with it, in words for the operator.
pub fn normalised(written: &str) -> Result<String, &'static str> {
    let lower = written.to_ascii_lowercase();
    let (scheme, authority) =
        lower.split_once("://").ok_or("has no scheme; write it like \"https://app.example.com\"")?;
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
        return Err("has no scheme; write it like \"https://app.example.com\"");
    }
    if authority.contains(['/', '?', '#']) {
        return Err("has a path; an origin ends with its host or port, without a slash");
    }
    if authority.contains('*') {
        return Err("has a wildcard; list each origin by itself");
    }
    if authority.contains('@') {
        return Err("has user information; an origin is a scheme, a host and a port");
    }
    if !authority.is_ascii() {
        return Err("has a letter that is not ASCII; write the host in punycode, as browsers send it");
    }
    let (host, port) = host_and_port(authority).ok_or("has no host, or a port that is not a number")?;
    Ok(match (scheme, port) {
        (_, None) | ("https", Some(443)) | ("http", Some(80)) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    })
}

/// The host as browsers write it, and the port.
fn host_and_port(authority: &str) -> Option<(Cow<'_, str>, Option<u16>)> {
    let is_address = authority.starts_with('[');
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !is_address || host.ends_with(']') => (host, Some(number(port)?)),
        _ => (authority, None),
    };
    let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => format!("[{}]", address.parse::<Ipv6Addr>().ok()?).into(),
        None if is_name(host) || host.parse::<Ipv4Addr>().is_ok() => host.into(),
        None => return None,
    };
    Some((host, port))
}

/// Whether it is the name of a host. What ends in a number is an IPv4 address, or nothing (WHATWG URL §3.5).
fn is_name(host: &str) -> bool {
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(is_hex);
    !last.is_empty() && host.bytes().all(is_host) && !is_number
}

fn number(port: &str) -> Option<u16> {
    port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether an origin can be had by whoever sits on the way: `http`, and not this machine.
pub fn can_be_forged(origin: &str) -> bool {
    let Some(authority) = origin.strip_prefix("http://") else { return false };
    let host = host_and_port(authority).map_or(Cow::Borrowed(authority), |(host, _)| host);
    !matches!(&*host, "localhost" | "127.0.0.1" | "[::1]") && !host.ends_with(".localhost")
}
