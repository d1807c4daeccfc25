//! The section `exchange`.

use std::time::Duration;

use super::{Problems, numbered};
use crate::config::names::{is_authority, is_field_value, is_lower_field_name, is_request_target};
use crate::config::raw::{RawExchange, RawTokenSource};
use crate::exchange::{Exchange, Method, StaticHeaders, TokenSource};

/// Fields the exchange sets itself, or that must not leave this request.
pub const NOT_FORWARDED: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
];

pub fn exchange_of(raw: RawExchange, problems: &mut Problems) -> Option<Exchange> {
    if raw.cluster.trim().is_empty() {
        problems.add("exchange.cluster", "empty; name the Envoy cluster of the auth service");
    }
    if !is_authority(&raw.authority) {
        problems.add("exchange.authority", format!("{:?} is not a host, or a host and a port", raw.authority));
    }
    if !is_request_target(&raw.path) {
        problems.add("exchange.path", format!("{:?} is not a path; write it like \"/api/auth/jwt\"", raw.path));
    }
    problems.span(
        "exchange.timeout",
        raw.timeout,
        Duration::from_millis(1)..=Duration::from_secs(30),
        r#""1ms" to "30s""#,
    );
    problems.range("exchange.retries", raw.retries as usize, 0..=5);
    problems.range("exchange.max_body_bytes", raw.max_body_bytes, 64..=1024 * 1024);
    for status in &raw.no_session_statuses {
        if !(201..=499).contains(status) || *status == 429 {
            let text = format!(
                "{status} cannot mean \"no session\": 200 is the answer with a token, 429 and 5xx are failures"
            );
            problems.add("exchange.no_session_statuses", text);
        }
    }
    for (place, name) in numbered("forward_headers", &raw.forward_headers) {
        sendable(&format!("exchange.{place}"), name, problems);
    }
    for (name, value) in &raw.headers {
        let path = format!("exchange.headers.{name}");
        sendable(&path, name, problems);
        if !is_field_value(&value.0) {
            problems.add(path, "the value has a byte that a header field cannot have");
        }
    }
    let method = match raw.method.as_str() {
        "GET" => Some(Method::Get),
        "POST" => Some(Method::Post),
        other => problems.refuse("exchange.method", format!("{other:?} is not one of \"GET\" and \"POST\"")),
    };
    let token = token_source(raw.token, problems);
    Some(Exchange {
        method: method?,
        token: token?,
        cluster: raw.cluster,
        authority: raw.authority,
        path: raw.path,
        timeout: raw.timeout.0,
        retries: raw.retries,
        no_session_statuses: raw.no_session_statuses,
        forward_headers: raw.forward_headers,
        headers: StaticHeaders::new(raw.headers.into_iter().map(|(name, value)| (name, value.0)).collect()),
        max_body_bytes: raw.max_body_bytes,
        relay_set_cookie: raw.relay_set_cookie,
    })
}

/// Whether a field may go into the callout.
fn sendable(path: &str, name: &str, problems: &mut Problems) {
    if !is_lower_field_name(name) {
        problems.add(path, format!("{name:?} is not a header name in lower case"));
    } else if NOT_FORWARDED.contains(&name) {
        problems.add(path, format!("{name:?} is never sent to the auth service from here; leave it out"));
    }
}

fn token_source(raw: RawTokenSource, problems: &mut Problems) -> Option<TokenSource> {
    match (raw.json_pointer, raw.header) {
        (None, None) => Some(TokenSource::JsonPointer("/token".to_owned())),
        (Some(pointer), None) if pointer.starts_with('/') => Some(TokenSource::JsonPointer(pointer)),
        (Some(pointer), None) => problems
            .refuse("exchange.token.json_pointer", format!("{pointer:?} does not start with \"/\", as in \"/token\"")),
        (None, Some(name)) if is_lower_field_name(&name) => Some(TokenSource::Header(name)),
        (None, Some(name)) => {
            problems.refuse("exchange.token.header", format!("{name:?} is not a header name in lower case"))
        }
        (Some(_), Some(_)) => problems.refuse("exchange.token", "has both json_pointer and header; keep one"),
    }
}
