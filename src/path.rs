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

/// One way in which a server might read a path that is not plain.
type Reader = fn(&[u8]) -> Vec<u8>;

impl RequestPath<'_> {
    /// The paths that servers might take this one for: escapes decoded any number of times, `\` for `/`,
    /// parameters after `;` dropped, a query or fragment cut off, slashes merged, dot segments resolved.
    ///
    /// Not every server does all of it; each combination that matters is among them. `None` when there
    /// would be too many to look at: such a path can be taken for any.
    pub fn readings(&self) -> Option<Vec<Vec<u8>>> {
        const READERS: [Reader; 6] =
            [unescape, forward_slashes, without_parameters, merge_slashes, resolve_dots, resolve_dots_to_folder];
        if self.raw.len() > MAX_READABLE_LEN {
            return None;
        }
        let mut readings = vec![self.raw.to_vec()];
        // Each round applies every reader to what the rounds before have found; three rounds undo what was
        // done to a path three times over.
        for reader in READERS.iter().cycle().take(READERS.len().saturating_mul(3)) {
            for i in 0..readings.len() {
                let read = reader(readings.get(i)?);
                if readings.len() >= MAX_READINGS {
                    return None;
                }
                if !readings.contains(&read) {
                    readings.push(read);
                }
            }
        }
        Some(readings)
    }
}

/// The bounds within which readings are looked for, so that a made-up path costs little time.
const MAX_READABLE_LEN: usize = 1024;
const MAX_READINGS: usize = 64;

fn unescape(path: &[u8]) -> Vec<u8> {
    let mut read = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.split_at_checked(2).filter(|_| byte == b'%');
        let escaped = digits.and_then(|(digits, tail)| match digits {
            [high, low] => Some((hex(*high)?.checked_shl(4)? | hex(*low)?, tail)),
            _ => None,
        });
        let (decoded, tail) = escaped.unwrap_or((byte, after));
        read.push(decoded);
        rest = tail;
    }
    read
}

fn forward_slashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect()
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    let path = path.split(|&byte| matches!(byte, b'?' | b'#' | 0)).next().unwrap_or_default();
    let segments = path.split(|&byte| byte == b'/').map(|s| s.split(|&byte| byte == b';').next().unwrap_or_default());
    segments.collect::<Vec<_>>().join(&b'/')
}

fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let mut read = path.to_vec();
    read.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
    read
}

/// As file systems have it: `/a/b/..` is `/a`.
fn resolve_dots(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.split(|&byte| byte == b'/').skip(1) {
        match segment {
            b"." => {}
            b".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    [b"/".as_slice(), &kept.join(&b'/')].concat()
}

/// As URLs have it: `/a/b/..` is `/a/` (RFC 3986 §5.2.4).
fn resolve_dots_to_folder(path: &[u8]) -> Vec<u8> {
    let mut read = resolve_dots(path);
    if matches!(path.rsplit(|&byte| byte == b'/').next(), Some(b"." | b"..")) && !read.ends_with(b"/") {
        read.push(b'/');
    }
    read
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
