//! The request that is explained, as Envoy would hand it over.

use session_bearer::credential::Kind;
use session_bearer::request::Field;

/// The head of a request.
pub struct Request {
    fields: Vec<Field>,
}

impl Request {
    /// The request with this method, URL and header fields.
    ///
    /// # Errors
    /// What is wrong with them; the values are not repeated.
    pub fn new(method: &str, url: &str, written: &[String]) -> Result<Self, String> {
        let (scheme, authority, target) = parts(url)?;
        let mut fields = vec![field(":method", method), field(":path", target)];
        fields.push(field(":authority", authority));
        fields.push(field(":scheme", scheme));
        let mut request = Self { fields };
        for (number, line) in (1_u32..).zip(written) {
            request
                .add(line)
                .ok_or_else(|| format!(r#"the header field number {number} is not written like "name: value""#))?;
        }
        Ok(request)
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let (name, value) = line.split_once(':').filter(|(name, _)| !name.trim().is_empty())?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let is_name =
            name.bytes().all(|byte| byte.is_ascii_graphic()) && !name.contains(['"', '(', ')', ',', '/', '@']);
        match name.as_str() {
            "host" => self
                .fields
                .iter_mut()
                .filter(|(name, _)| name == ":authority")
                .for_each(|(_, authority)| *authority = value.into()),
            _ if is_name => self.fields.push((name, value.into())),
            _ => return None,
        }
        Some(())
    }

    /// The pseudo-headers and the header fields.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The method and the target.
    pub fn line(&self) -> String {
        let value = |wanted: &str| {
            self.fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| String::from_utf8_lossy(value))
        };
        let [method, target] = [":method", ":path"].map(|name| value(name).unwrap_or_default());
        format!("{method} {target}")
    }

    /// Puts another token in place of the one the client sent as a credential of this kind.
    pub fn replace_token(&mut self, kind: Kind, cookies: &[String], token: &[u8], other: &str) {
        for (name, value) in &mut self.fields {
            match (kind, name.as_str()) {
                (Kind::Bearer, "authorization") => *value = format!("Bearer {other}").into_bytes(),
                (Kind::TokenCookie, "cookie") => {
                    let pairs: Vec<_> =
                        value.split(|byte| *byte == b';').map(|pair| replaced(pair, cookies, token, other)).collect();
                    *value = pairs.join(&b';');
                }
                _ => {}
            }
        }
    }
}

fn replaced(pair: &[u8], cookies: &[String], token: &[u8], other: &str) -> Vec<u8> {
    // As the filter reads it: blanks around the name and the value belong to neither.
    let mut parts = pair.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
    let (written, value) = (parts.next(), parts.next());
    let named =
        cookies.iter().find(|name| value == Some(token) && written.is_some_and(|written| written == name.as_bytes()));
    named.map_or_else(|| pair.to_vec(), |name| format!(" {name}={other}").into_bytes())
}

fn field(name: &str, value: &str) -> Field {
    (name.to_owned(), value.as_bytes().to_vec())
}

/// The scheme, the authority and the target of a URL. The target is left as it is written.
fn parts(url: &str) -> Result<(&str, &str, &str), String> {
    let url = url.split('#').next().unwrap_or_default();
    if url.starts_with('/') {
        return Ok(("https", "localhost", url));
    }
    if let Some((scheme @ ("http" | "https"), rest)) = url.split_once("://") {
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if !target.starts_with('?') {
            return Ok((scheme, authority, if target.is_empty() { "/" } else { target }));
        }
    }
    Err(r#"the URL is neither a path, as in "/api/orders", nor like "https://app.example.com/api/orders""#.to_owned())
}
