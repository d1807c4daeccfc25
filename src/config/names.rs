//! What names and values may look like in HTTP.

/// Whether `name` is a token (RFC 9110 §5.6.2): the form of methods, field names and cookie names.
pub fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether `name` is a field name as Envoy spells them, in lower case.
pub fn is_lower_field_name(name: &str) -> bool {
    is_token(name) && !name.bytes().any(|b| b.is_ascii_uppercase())
}

/// Whether `value` can be a field value: visible ASCII and inner spaces.
pub fn is_field_value(value: &str) -> bool {
    value.trim() == value && value.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// Whether `target` can be the `:path` of a request: a path and perhaps a query.
pub fn is_request_target(target: &str) -> bool {
    target.starts_with('/') && target.bytes().all(|b| matches!(b, b'!'..=b'~') && b != b'#')
}

/// Whether `authority` can be an `:authority`: a host, or a host and a port.
pub fn is_authority(authority: &str) -> bool {
    !authority.is_empty() && authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:[]".contains(&b))
}
