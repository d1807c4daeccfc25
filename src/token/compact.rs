//! The compact serialisation of a JWS, taken apart (RFC 7515 §7.1).

use super::TokenError;

/// The longest token accepted, in bytes. Envoy's default budget for all request headers is 60 KiB, and
/// a token much longer than this fails in some backend rather than here.
pub const MAX_TOKEN_LEN: usize = 8 * 1024;

/// The longest JOSE header accepted, base64url-encoded.
const MAX_HEADER_LEN: usize = 2 * 1024;

/// A token's parts, still encoded. Nothing is verified.
pub struct Compact<'a> {
    /// The whole token.
    pub token: &'a str,
    /// The base64url-encoded JOSE header.
    pub header: &'a str,
    /// The base64url-encoded claims.
    pub payload: &'a str,
    /// The base64url-encoded signature.
    pub signature: &'a str,
    /// What the signature is over: header, dot, payload.
    pub signed: &'a str,
}

impl<'a> Compact<'a> {
    /// Takes `token` apart.
    ///
    /// # Errors
    /// [`TokenError::Form`] unless it is exactly three non-empty parts of the base64url alphabet,
    /// within bounds. JWE (five parts), detached content, padding and white space all end here.
    ///
    /// # Security
    /// What passes is safe as a header value: it has no byte outside `A-Z a-z 0-9 - _ .` (threats A8).
    /// Dots are counted before anything is split (CVE-2025-30204).
    pub fn parse(token: &'a [u8]) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_LEN || !token.iter().all(|&b| is_base64url(b) || b == b'.') {
            return Err(TokenError::Form);
        }
        let token = std::str::from_utf8(token).map_err(|_| TokenError::Form)?;
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Form)?;
        let whole = !header.is_empty() && !payload.is_empty() && !signature.is_empty() && !payload.contains('.');
        if !whole || header.len() > MAX_HEADER_LEN {
            return Err(TokenError::Form);
        }
        Ok(Self { token, header, payload, signature, signed })
    }
}

const fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}
