//! Finds the session cookie among a request's `Cookie` fields (RFC 6265 §4.2, §5.4).
//!
//! A cookie here is an opaque handle: its value is never decoded and never trusted. All `Cookie`
//! fields count, in the order they arrived, because a proxy that reads only the first can be shown
//! another session than the backend behind it. Pairs are separated by `;` alone; quotes, percent
//! signs and `$Version` mean nothing. Two different values for one name are refused instead of
//! choosing: servers disagree about which wins, and a sibling domain can add one.

/// The longest cookie value taken for a session, in bytes.
///
/// Browsers refuse a cookie of more than 4096 bytes, name included (RFC 6265 §6.1).
pub const MAX_VALUE_LEN: usize = 4096;

/// The most session cookies of one request that a sign-out ends.
const MAX_SESSIONS: usize = 8;

/// The cookies that mean something here. No name is in two of the lists.
#[derive(Debug, Default)]
pub struct CookieNames {
    /// Cookies that carry the session; the first one present decides.
    pub sessions: Vec<String>,
    /// Cookies that are sent to the auth service beside it.
    pub companions: Vec<String>,
    /// Cookies whose value is a token; the first one present decides.
    pub tokens: Vec<String>,
}

/// Those of a request's cookies that are ours.
pub struct Jar<'a> {
    sessions: Vec<Pair<'a>>,
    companions: Vec<Pair<'a>>,
    token: Option<Pair<'a>>,
}

/// A cookie as it was sent: its name and the bytes after the first `=`, both without surrounding
/// white space.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Pair<'a> {
    /// The name, byte for byte; names are case-sensitive.
    pub name: &'a [u8],
    /// The value, never decoded.
    pub value: &'a [u8],
}

/// What the upstream `Cookie` field has to become.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rest {
    /// Nothing of ours was in it: the fields stay as they are.
    Untouched,
    /// Only ours was in it: the field goes.
    Empty,
    /// The neighbours of ours, byte for byte.
    Pairs(Vec<u8>),
}

/// A listed cookie came with two different values.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a session cookie came with two different values")]
pub struct Conflict;

impl CookieNames {
    /// Reads all `Cookie` fields of a request: the cookies that are ours, and the rest.
    ///
    /// # Errors
    /// [`Conflict`] when a listed name has two different values; an empty one counts as a value.
    ///
    /// # Security
    /// One pass, linear in the bytes sent, whatever they are. Names compare byte for byte, so no
    /// neighbour can pass for ours by case, by a prefix, or by a space that is not SP or HTAB
    /// (threats B3).
    pub fn read<'a>(&self, fields: impl Iterator<Item = &'a [u8]> + Clone) -> Result<(Jar<'a>, Rest), Conflict> {
        let mut found: Vec<Option<Pair<'a>>> = vec![None; self.all().count()];
        let mut ours = false;
        for pair in fields.clone().flat_map(segments).filter_map(Pair::parse) {
            let Some(slot) = self.position(pair.name).and_then(|i| found.get_mut(i)) else { continue };
            ours = true;
            if slot.replace(pair).is_some_and(|earlier| earlier.value != pair.value) {
                return Err(Conflict);
            }
        }
        let mut found = found.into_iter();
        let sessions = found.by_ref().take(self.sessions.len()).flatten().collect();
        let companions = found.by_ref().take(self.companions.len()).flatten().collect();
        let token = found.fold(None, Option::or);
        let rest = if ours { self.without_ours(fields) } else { Rest::Untouched };
        Ok((Jar { sessions, companions, token }, rest))
    }

    /// The session cookies of a request that can be ones, each value once, also where they contradict each other.
    pub fn sessions_in<'a>(&self, fields: impl Iterator<Item = &'a [u8]>) -> Vec<Pair<'a>> {
        let mut sessions: Vec<Pair<'a>> = Vec::new();
        for pair in fields
            .flat_map(segments)
            .filter_map(Pair::parse)
            .filter(|pair| self.is_session(pair.name) && pair.is_plausible())
        {
            if sessions.len() < MAX_SESSIONS && !sessions.contains(&pair) {
                sessions.push(pair);
            }
        }
        sessions
    }

    /// The fields without our pairs, joined to one field as HTTP/2 crumbs are (RFC 9113 §8.2.3).
    pub fn without_ours<'a>(&self, fields: impl Iterator<Item = &'a [u8]>) -> Rest {
        let is_ours = |segment: &[u8]| Pair::parse(segment).is_some_and(|pair| self.position(pair.name).is_some());
        let mut kept = Vec::new();
        for field in fields {
            let mut neighbours =
                segments(field).filter(|segment| !is_ours(segment)).skip_while(|segment| trim(segment).is_empty());
            let Some(first) = neighbours.next() else { continue };
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(trim_start(first));
            for segment in neighbours {
                kept.push(b';');
                kept.extend_from_slice(segment);
            }
        }
        if kept.is_empty() { Rest::Empty } else { Rest::Pairs(kept) }
    }

    /// Whether the cookie carries the session.
    pub fn is_session(&self, name: &[u8]) -> bool {
        self.sessions.iter().any(|listed| listed.as_bytes() == name)
    }

    /// Whether the auth service may set the cookie through here: a session cookie or a companion.
    pub fn is_relayed(&self, name: &[u8]) -> bool {
        self.is_session(name) || self.companions.iter().any(|listed| listed.as_bytes() == name)
    }

    /// Sessions first, then companions, then tokens.
    fn all(&self) -> impl Iterator<Item = &String> {
        self.sessions.iter().chain(&self.companions).chain(&self.tokens)
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        self.all().position(|listed| listed.as_bytes() == name)
    }
}

impl<'a> Jar<'a> {
    /// The cookie that carries the session: the first listed name that is present.
    pub fn session(&self) -> Option<Pair<'a>> {
        self.sessions.first().copied()
    }

    /// All cookies that carry a session, the deciding one first.
    pub fn sessions(&self) -> &[Pair<'a>] {
        &self.sessions
    }

    /// The cookie that is a token: the first listed name that is present.
    pub const fn token(&self) -> Option<Pair<'a>> {
        self.token
    }

    /// The companions that are present, in the order they are configured.
    pub fn companions(&self) -> &[Pair<'a>] {
        &self.companions
    }
}

impl<'a> Pair<'a> {
    /// Reads `name=value`; `None` when there is no `=`, for a cookie without a name is nobody's.
    pub fn parse(segment: &'a [u8]) -> Option<Self> {
        let equals = segment.iter().position(|&b| b == b'=')?;
        let (name, value) = segment.split_at_checked(equals)?;
        Some(Self { name: trim(name), value: trim(value.get(1..)?) })
    }

    /// Whether the value can be a cookie value at all: not empty, not too long, cookie-octets only
    /// (RFC 6265 §4.1.1).
    ///
    /// # Security
    /// A value that passes has no `;`, quote, space, control or non-ASCII byte, so it cannot smuggle
    /// a second cookie or a header into the callout.
    pub fn is_plausible(&self) -> bool {
        !self.value.is_empty() && self.value.len() <= MAX_VALUE_LEN && self.value.iter().all(|&b| is_cookie_octet(b))
    }
}

fn segments(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|&b| b == b';')
}

/// Removes SP and HTAB from both ends; no other byte is white space in a header field.
fn trim(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !is_blank(byte)).map_or(0, |last| last.saturating_add(1));
    trim_start(bytes.get(..end).unwrap_or_default())
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len());
    bytes.get(start..).unwrap_or_default()
}

const fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

const fn is_cookie_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2B | 0x2D..=0x3A | 0x3C..=0x5B | 0x5D..=0x7E)
}
