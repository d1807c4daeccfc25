//! What holds where a key is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{RawCache, RawUpstream};
use crate::config::span::Span;

impl Default for RawCache {
    fn default() -> Self {
        Self {
            max_ttl: Span(Duration::from_secs(60)),
            max_entries: 10_000,
            max_bytes: 16 * 1024 * 1024,
            negative_ttl: Span(Duration::from_secs(5)),
            refresh_ahead: None,
            stale_if_error: Span(Duration::from_secs(300)),
            shared_slots: 4096,
            sign_out_paths: strings(&["/api/auth/sign-out"]),
        }
    }
}

impl Default for RawUpstream {
    fn default() -> Self {
        Self {
            remove_session_cookie: true,
            claim_headers: BTreeMap::new(),
            remove_headers: Vec::new(),
            max_stream_age: None,
        }
    }
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

pub fn default_cookie_names() -> Vec<String> {
    strings(&["__Host-better-auth.session_token", "__Secure-better-auth.session_token", "better-auth.session_token"])
}

pub fn default_companions() -> Vec<String> {
    strings(&["better-auth.dont_remember", "__Secure-better-auth.dont_remember"])
}

pub fn default_method() -> String {
    "GET".to_owned()
}

pub const fn default_timeout() -> Span {
    Span(Duration::from_secs(2))
}

pub const fn default_retries() -> u32 {
    1
}

pub fn default_no_session_statuses() -> BTreeSet<u16> {
    BTreeSet::from([401, 403])
}

pub fn default_forward_headers() -> Vec<String> {
    strings(&["user-agent", "x-request-id", "traceparent", "tracestate", "b3"])
}

pub fn default_return_to_param() -> String {
    "return_to".to_owned()
}

pub const fn default_max_in_flight() -> usize {
    256
}

pub const fn default_max_body_bytes() -> usize {
    65_536
}

pub const fn default_relay_set_cookie() -> bool {
    true
}

pub const fn default_refresh() -> Span {
    Span(Duration::from_secs(600))
}

pub const fn default_leeway() -> Span {
    Span(Duration::from_secs(30))
}

pub fn default_required_claims() -> Vec<String> {
    strings(&["sub"])
}

pub fn default_types() -> Vec<String> {
    strings(&["JWT", "at+jwt"])
}
