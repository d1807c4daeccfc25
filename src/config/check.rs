//! Whether what was written can work, and what it amounts to.
//!
//! Each function checks one section and turns it into the value the core uses. It goes on after a
//! problem, so that an operator sees all of them at once; no value made from a wrong key leaves this
//! module, because one problem is enough for none to.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::names::{is_field_value, is_lower_field_name, is_request_target, is_token};
use super::raw::{
    RawCache, RawConfig, RawCredential, RawExchange, RawMatch, RawRoute, RawSessionCookie, RawToken, RawTokenSource,
    Span,
};
use super::{Config, Environment, Problem};
use crate::cache::Limits;
use crate::cookie::SessionCookies;
use crate::exchange::{Exchange, Method, StaticHeaders, TokenSource};
use crate::path::RequestPath;
use crate::routes::{Auth, PathMatch, Policy, Route, RouteTable};
use crate::secret::Secret;
use crate::token::claims::ClaimRules;
use crate::token::verify::{MIN_HS256_SECRET, Verifier};

/// Fields the exchange sets itself, or that must not leave this request.
const NOT_FORWARDED: &[&str] = &[
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

/// The problems found so far.
#[derive(Default)]
struct Problems(Vec<Problem>);

/// Turns raw keys into a configuration.
pub fn check(raw: RawConfig, environment: Environment<'_>) -> Result<Config, Vec<Problem>> {
    let mut problems = Problems::default();
    let warnings = warnings(&raw.token);
    let cookies = cookies(raw.credentials, &mut problems);
    let max_in_flight = raw.exchange.as_ref().map_or(1, |exchange| exchange.max_in_flight);
    problems.range("exchange.max_in_flight", max_in_flight, 1..=100_000);
    let exchange = match raw.exchange {
        Some(exchange) => exchange_of(exchange, &mut problems),
        None => problems
            .refuse("exchange", "missing; a session_cookie needs cluster, authority and path of the auth service"),
    };
    let cache = limits(&raw.cache, &mut problems);
    let verifier = verifier(raw.token, environment, &mut problems);
    let routes =
        raw.routes.into_iter().enumerate().map(|(i, route)| route_of(&format!("routes[{i}]"), route, &mut problems));
    let routes: Option<Vec<_>> = routes.collect::<Vec<_>>().into_iter().collect();
    let remove_session_cookie = raw.upstream.remove_session_cookie;
    match (cookies, exchange, cache, verifier, routes) {
        (Some(cookies), Some(exchange), Some(cache), Some(verifier), Some(routes)) if problems.0.is_empty() => {
            let routes = RouteTable::new(routes);
            Ok(Config { cookies, exchange, max_in_flight, cache, verifier, routes, remove_session_cookie, warnings })
        }
        _ => Err(problems.0),
    }
}

fn warnings(token: &RawToken) -> Vec<String> {
    let mut warnings = Vec::new();
    if token.issuer.is_none() {
        warnings.push("token.issuer is not set: a token of any issuer that has the key is accepted".to_owned());
    }
    if token.audiences.is_empty() {
        warnings.push("token.audiences is not set: a token meant for another service is accepted".to_owned());
    }
    warnings
}

fn cookies(credentials: Vec<RawCredential>, problems: &mut Problems) -> Option<SessionCookies> {
    let mut listed = credentials.into_iter().filter_map(|credential| match credential {
        RawCredential::SessionCookie(cookie) => Some(cookie),
        RawCredential::Bearer(_) | RawCredential::TokenCookie(_) => None,
    });
    let Some(RawSessionCookie { names, companions }) = listed.next() else {
        return problems.refuse("credentials", r#"missing; list at least one, for example [{"session_cookie": {}}]"#);
    };
    if listed.next().is_some() {
        problems.add("credentials", "session_cookie is listed twice; list all cookie names in one");
    }
    if names.is_empty() {
        problems.add("credentials[0].session_cookie.names", "empty; leave the key out for better-auth's names");
    }
    let all: Vec<(String, &String)> = numbered("names", &names).chain(numbered("companions", &companions)).collect();
    for (i, (place, name)) in all.iter().enumerate() {
        let path = format!("credentials[0].session_cookie.{place}");
        if !is_token(name) {
            problems.add(path, format!("{name:?} is not a cookie name"));
        } else if all.iter().take(i).any(|(_, earlier)| earlier == name) {
            problems.add(path, format!("{name:?} is listed before; list each cookie once"));
        }
    }
    Some(SessionCookies::new(names, companions))
}

fn exchange_of(raw: RawExchange, problems: &mut Problems) -> Option<Exchange> {
    if raw.cluster.trim().is_empty() {
        problems.add("exchange.cluster", "empty; name the Envoy cluster of the auth service");
    }
    if raw.authority.is_empty() || !raw.authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:[]".contains(&b))
    {
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
    Some(Exchange {
        method: method?,
        token: token_source(raw.token, problems)?,
        cluster: raw.cluster,
        authority: raw.authority,
        path: raw.path,
        timeout: raw.timeout.0,
        retries: raw.retries,
        no_session_statuses: raw.no_session_statuses,
        forward_headers: raw.forward_headers,
        headers: StaticHeaders::new(raw.headers.into_iter().map(|(name, value)| (name, value.0)).collect()),
        max_body_bytes: raw.max_body_bytes,
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

fn limits(raw: &RawCache, problems: &mut Problems) -> Option<Limits> {
    let day = Duration::from_secs(86_400);
    problems.span("cache.max_ttl", raw.max_ttl, Duration::from_secs(1)..=day, r#""1s" to "24h""#);
    problems.range("cache.max_entries", raw.max_entries, 1..=10_000_000);
    problems.range("cache.max_bytes", raw.max_bytes, 16_384..=1024 * 1024 * 1024);
    Some(Limits {
        max_ttl: raw.max_ttl.0,
        max_entries: NonZeroUsize::new(raw.max_entries)?,
        max_bytes: NonZeroUsize::new(raw.max_bytes)?,
    })
}

fn verifier(raw: RawToken, environment: Environment<'_>, problems: &mut Problems) -> Option<Verifier> {
    problems.span("token.leeway", raw.leeway, Duration::ZERO..=Duration::from_secs(300), r#""0s" to "5m""#);
    if raw.algorithms.is_empty() {
        problems.add("token.algorithms", "empty; list the algorithms of your tokens, for example [\"HS256\"]");
    }
    for (place, algorithm) in numbered("algorithms", &raw.algorithms).filter(|(_, algorithm)| *algorithm != "HS256") {
        problems.add(format!("token.{place}"), format!("{algorithm:?} is not supported by this version; \"HS256\" is"));
    }
    for (list, values) in
        [("audiences", &raw.audiences), ("required_claims", &raw.required_claims), ("types", &raw.types)]
    {
        for (place, _) in numbered(list, values).filter(|(_, value)| value.is_empty()) {
            problems.add(format!("token.{place}"), "empty; leave it out");
        }
    }
    if raw.issuer.as_deref() == Some("") {
        problems.add("token.issuer", "empty; write the `iss` of your tokens, or leave the key out");
    }
    let secret = secret(raw.keys.secret_env, environment, problems)?;
    let rules = ClaimRules {
        issuer: raw.issuer,
        audiences: raw.audiences,
        required: raw.required_claims,
        leeway: raw.leeway.0,
    };
    let verifier = Verifier::hs256(&secret, raw.types, rules);
    if verifier.is_none() {
        let text = format!(
            "the secret in that variable is shorter than {MIN_HS256_SECRET} bytes, too short for HS256 (RFC 7518 §3.2)"
        );
        problems.add("token.keys.secret_env", text);
    }
    verifier
}

fn secret(variable: Option<String>, environment: Environment<'_>, problems: &mut Problems) -> Option<Secret<Vec<u8>>> {
    let Some(variable) = variable else {
        return problems.refuse("token.keys", "missing secret_env, the environment variable that holds the secret");
    };
    match environment(&variable) {
        Some(secret) => Some(Secret::new(secret.into_bytes())),
        None => {
            let text = format!(
                "the environment variable {variable:?} is not set for the module; export it and list it under \
                 vm_config.environment_variables.host_env_keys"
            );
            problems.refuse("token.keys.secret_env", text)
        }
    }
}

fn route_of(path: &str, raw: RawRoute, problems: &mut Problems) -> Option<Route> {
    if raw.pass_authorization && raw.auth != Auth::Off {
        problems.add(format!("{path}.pass_authorization"), "only a route with auth \"off\" can pass it on");
    }
    for (place, method) in numbered("methods", &raw.matched.methods) {
        if !is_token(method) || method.bytes().any(|b| b.is_ascii_lowercase()) {
            problems.add(
                format!("{path}.match.{place}"),
                format!("{method:?} is not a method; they are in upper case, as in \"GET\""),
            );
        }
    }
    Some(Route {
        path: path_match(&format!("{path}.match"), &raw.matched, problems)?,
        methods: raw.matched.methods,
        policy: Policy { auth: raw.auth, pass_authorization: raw.pass_authorization },
    })
}

fn path_match(path: &str, raw: &RawMatch, problems: &mut Problems) -> Option<PathMatch> {
    let (key, pattern, matched) = match (&raw.path, &raw.prefix) {
        (Some(exact), None) => ("path", exact, PathMatch::Exact(exact.clone())),
        (None, Some(prefix)) => ("prefix", prefix, PathMatch::Prefix(prefix.clone())),
        (None, None) => return problems.refuse(path, "needs a path or a prefix"),
        (Some(_), Some(_)) => return problems.refuse(path, "has both path and prefix; keep one"),
    };
    let can_match = RequestPath::parse(pattern.as_bytes()).plain() == Some(pattern.as_str());
    if !can_match {
        let text = format!(
            "{pattern:?} can never match: write a path that starts with \"/\", decoded, without query, \"//\", \"..\" or \";\""
        );
        return problems.refuse(format!("{path}.{key}"), text);
    }
    Some(matched)
}

fn numbered<'a>(list: &str, values: &'a [String]) -> impl Iterator<Item = (String, &'a String)> {
    values.iter().enumerate().map(move |(i, value)| (format!("{list}[{i}]"), value))
}

impl Problems {
    fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.0.push(Problem::new(path, text));
    }

    /// Adds a problem where there can be no value.
    fn refuse<T>(&mut self, path: impl Into<String>, text: impl Into<String>) -> Option<T> {
        self.add(path, text);
        None
    }

    fn range(&mut self, path: &str, value: usize, allowed: RangeInclusive<usize>) {
        if !allowed.contains(&value) {
            self.add(path, format!("{value} is out of range; {} to {} works", allowed.start(), allowed.end()));
        }
    }

    fn span(&mut self, path: &str, value: Span, allowed: RangeInclusive<Duration>, works: &str) {
        if !allowed.contains(&value.0) {
            self.add(path, format!("{:?} is out of range; {works} works", value.0));
        }
    }
}
