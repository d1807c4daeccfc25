//! The head of a request, seen whole.
//!
//! Every value of a repeated field counts. Envoy's own getter shows the first one only, and a filter
//! that decides on it while the backend reads another has decided nothing (Envoy CVE-2021-32777).

use crate::path::RequestPath;

/// A header field: its name in lower case, and the bytes of its value.
pub type Field = (String, Vec<u8>);

/// A request's pseudo-headers and header fields.
pub struct RequestHead<'a> {
    fields: &'a [Field],
    method: &'a [u8],
    target: &'a [u8],
    path: RequestPath<'a>,
}

/// The request has no method or no path, or is a `CONNECT`: there is nothing to apply a rule to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the request has no method or path")]
pub struct NotARequest;

/// A field came more than once.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the field came more than once")]
pub struct Repeated;

impl<'a> RequestHead<'a> {
    /// Reads the fields Envoy hands over.
    ///
    /// # Errors
    /// [`NotARequest`] for a request that no rule can be about (Envoy CVE-2021-43824,
    /// CVE-2026-73547 are what happens to filters that assume a path).
    pub fn new(fields: &'a [Field]) -> Result<Self, NotARequest> {
        let first = |name| fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice());
        let method = first(":method").filter(|m| !m.is_empty() && *m != b"CONNECT").ok_or(NotARequest)?;
        let target = first(":path").filter(|p| !p.is_empty()).ok_or(NotARequest)?;
        Ok(Self { fields, method, target, path: RequestPath::parse(target) })
    }

    /// The request method, case-sensitive (RFC 9110 §9.1).
    pub const fn method(&self) -> &'a [u8] {
        self.method
    }

    /// The request target: path and query.
    pub const fn target(&self) -> &'a [u8] {
        self.target
    }

    /// The path of the target.
    pub const fn path(&self) -> &RequestPath<'a> {
        &self.path
    }

    /// The host the request is for, in lower case, without port and without the dot at the end that DNS
    /// allows; `None` when there is none, or more than one.
    ///
    /// # Security
    /// The client chooses it. Spellings that reach the same virtual host are the same here (Istio
    /// CVE-2021-39155).
    pub fn host(&self) -> Option<String> {
        let authority = std::str::from_utf8(self.only(":authority").ok()??).ok()?.to_ascii_lowercase();
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => authority.as_str(),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        (!host.is_empty()).then(|| host.to_owned())
    }

    /// All values of the field called `name`, in order.
    pub fn values(&self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.fields.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_slice())
    }

    /// The one value of the field called `name`, if any.
    ///
    /// # Errors
    /// [`Repeated`] when there are several: whoever chose one of them would have decided nothing.
    pub fn only(&self, name: &'a str) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Repeated),
        }
    }

    /// Whether `Authorization` has more than one value.
    ///
    /// Envoy joins repeated lines with a comma, which `Authorization` does not allow, but which can also
    /// stand within the parameters of one (RFC 9110 §11.4). It separates two values when a scheme follows
    /// it, and always after `Bearer`, whose token has no comma (RFC 6750 §2.1).
    pub fn repeats_authorization(&self) -> bool {
        let mut values = self.values("authorization");
        values.next().is_some_and(joins_credentials) || values.next().is_some()
    }

    /// The names of all fields, as they were sent.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// Whether this is a true CORS preflight, which browsers send without credentials (Fetch §3.2.2):
    /// `OPTIONS` with an `Origin` and an `Access-Control-Request-Method`.
    pub fn is_preflight(&self) -> bool {
        self.method == b"OPTIONS"
            && self.values("origin").next().is_some()
            && self.values("access-control-request-method").next().is_some()
    }
}

fn joins_credentials(value: &[u8]) -> bool {
    let is_bearer = value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"));
    let mut quoted = false;
    let mut parts = value.split(|&byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    });
    parts.next();
    let mut rest = parts.map(<[u8]>::trim_ascii_start);
    if is_bearer { value.contains(&b',') } else { rest.any(begins_with_scheme) }
}

/// Whether a token and a space come first; a parameter has `=` there.
fn begins_with_scheme(part: &[u8]) -> bool {
    let scheme = part.split(|&byte| byte == b' ').next().unwrap_or_default();
    scheme.len() < part.len() && scheme.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A byte of a field name as a backend may read it.
pub const fn canonical(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

/// Whether a field of the name `sent` may be read as one of the name `name`.
pub fn reads_as(sent: &str, name: &str) -> bool {
    sent.len() == name.len() && sent.bytes().map(canonical).eq(name.bytes())
}
