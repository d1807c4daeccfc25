//! A request's path, and whether all parsers would read it alike.
//!
//! Envoy routes on the raw path; uvicorn hands the backend a percent-decoded one. Wherever the two can
//! differ, somebody has walked round an access rule (CVE-2021-29492, CVE-2021-32779, CVE-2026-33494
//! and the rest of threats C1). So a path is *plain* or it is not, and what lowers protection applies
//! to plain paths only.

use std::borrow::Cow;

/// The path of a request: `:path` without its query.
#[derive(Debug)]
pub struct RequestPath<'a> {
    raw: &'a [u8],
    plain: Option<Cow<'a, str>>,
}

impl<'a> RequestPath<'a> {
    /// Reads the value of `:path`.
    ///
    /// # Security
    /// Total over any bytes; an attacker chooses all of them.
    pub fn parse(target: &'a [u8]) -> Self {
        let raw = target.split(|&b| b == b'?').next().unwrap_or_default();
        let plain = decode(raw).filter(|decoded| is_plain(raw) && is_plain(decoded.as_bytes()));
        Self { raw, plain }
    }

    /// The path as it was sent.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The percent-decoded path, when nobody can read it otherwise.
    ///
    /// `None` for everything with `//`, a dot segment, `\`, `;`, `#`, a control or non-ASCII byte,
    /// the escapes of these and of `/ % ?`, malformed escapes, and escapes that are not UTF-8.
    pub fn plain(&self) -> Option<&str> {
        self.plain.as_deref()
    }
}

/// Whether `path`, as it stands, is in normal form.
fn is_plain(path: &[u8]) -> bool {
    path.starts_with(b"/")
        && path.iter().all(|&b| !b.is_ascii_control() && !matches!(b, b'\\' | b';' | b'#' | b'?'))
        && !path.windows(2).any(|pair| pair == b"//")
        && !path.split(|&b| b == b'/').any(|segment| matches!(segment, b"." | b".."))
}

/// Decodes percent escapes once.
///
/// `None` when an escape is malformed, when it stands for `/` or `%` (whose decoding would change what
/// the next reader sees), when a byte is not ASCII, or when the escapes do not make UTF-8.
fn decode(raw: &[u8]) -> Option<Cow<'_, str>> {
    if !raw.is_ascii() {
        return None;
    }
    if !raw.contains(&b'%') {
        return std::str::from_utf8(raw).ok().map(Cow::Borrowed);
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let escaped = hex(*bytes.next()?)?.checked_shl(4)? | hex(*bytes.next()?)?;
        if matches!(escaped, b'/' | b'%' | b'.') {
            return None;
        }
        decoded.push(escaped);
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
