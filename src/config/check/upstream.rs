//! The section `upstream`.

use super::exchange::NOT_FORWARDED;
use super::{Problems, numbered};
use crate::config::names::is_lower_field_name;
use crate::config::raw::RawUpstream;
use crate::identity::{ClaimHeader, Identity, NamePattern};

/// The fields that tell the backend who the user is.
pub fn identity(raw: &RawUpstream, problems: &mut Problems) -> Identity {
    for (name, pointer) in &raw.claim_headers {
        let path = format!("upstream.claim_headers.{name}");
        check_name(&path, name, name, problems);
        if !pointer.starts_with('/') {
            problems.add(path, format!("{pointer:?} does not start with \"/\", as in \"/sub\""));
        }
    }
    for (place, written) in numbered("remove_headers", &raw.remove_headers) {
        let path = format!("upstream.{place}");
        match written.strip_suffix('*') {
            Some("") => problems.add(path, "\"*\" would take out every field; write a prefix, as in \"x-internal-*\""),
            Some(prefix) => check_name(&path, written, prefix, problems),
            None => check_name(&path, written, written, problems),
        }
    }
    let claims = raw.claim_headers.iter();
    let claims = claims.map(|(name, pointer)| ClaimHeader { name: name.as_str().into(), pointer: pointer.clone() });
    let pattern = |written: &String| match written.strip_suffix('*') {
        Some(prefix) => NamePattern::Prefix(prefix.to_owned()),
        None => NamePattern::Exact(written.clone()),
    };
    Identity { claims: claims.collect(), removed: raw.remove_headers.iter().map(pattern).collect() }
}

/// Names are written with `-`; a client's `_` is taken for one.
fn check_name(path: &str, written: &str, name: &str, problems: &mut Problems) {
    if !is_lower_field_name(name) || name.contains(['_', '*']) {
        problems.add(path, format!("{written:?} is not a header name in lower case, with \"-\" and without \"_\""));
    } else if NOT_FORWARDED.contains(&name) {
        problems.add(path, format!("{written:?} is not a field that tells who the user is; leave it out"));
    }
}
