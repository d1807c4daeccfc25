//! Whether what was written can work, and what it amounts to.
//!
//! Each function checks one section and turns it into the value the core uses. It goes on after a
//! problem, so that an operator sees all of them at once; no value made from a wrong key leaves this
//! module, because one problem is enough for none to.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use super::names::{is_authority, is_field_value, is_lower_field_name, is_request_target, is_token};
use super::raw::{
    RawCache, RawConfig, RawCredential, RawExchange, RawMatch, RawRequire, RawRoute, RawSessionCookie, RawToken,
    RawTokenCookie, RawTokenSource,
};
use super::span::Span;
use super::{Config, Environment, Problem};
use crate::cache::Limits;
use crate::cookie::CookieNames;
use crate::credential::{Credentials, Kind};
use crate::exchange::{Exchange, Method, StaticHeaders, TokenSource};
use crate::keys::KeySource;
use crate::path::RequestPath;
use crate::routes::{Auth, PathMatch, Policy, Route, RouteTable};
use crate::token::claims::ClaimRules;
use crate::token::requirement::Requirement;
use crate::token::verify::TokenRules;

/// What holds where there is no exchange to say so.
const DEFAULT_MAX_IN_FLIGHT: usize = 256;

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
pub struct Problems(pub Vec<Problem>);

/// Turns raw keys into a configuration.
pub fn check(raw: RawConfig, environment: Environment<'_>) -> Result<Config, Vec<Problem>> {
    let mut problems = Problems::default();
    let warnings = warnings(&raw.token);
    let credentials = credentials(raw.credentials, raw.upstream.remove_session_cookie, &mut problems);
    let takes_sessions = credentials.as_ref().is_some_and(|c| c.order.contains(&Kind::SessionCookie));
    let max_in_flight = raw.exchange.as_ref().map_or(DEFAULT_MAX_IN_FLIGHT, |exchange| exchange.max_in_flight);
    problems.range("exchange.max_in_flight", max_in_flight, 1..=100_000);
    if raw.exchange.is_none() && takes_sessions {
        problems.add("exchange", "missing; a session_cookie needs cluster, authority and path of the auth service");
    }
    let exchange = raw.exchange.and_then(|exchange| exchange_of(exchange, &mut problems));
    let cache = limits(&raw.cache, &mut problems);
    let routes = raw.routes.into_iter().enumerate();
    let routes = routes.map(|(i, route)| route_of(&format!("routes[{i}]"), route, &mut problems)).collect::<Vec<_>>();
    let routes: Option<Vec<Route>> = routes.into_iter().collect();
    let kept_claims = routes.iter().flatten().flat_map(|route| &route.policy.require).flat_map(|r| r.looks_at());
    let kept_claims = kept_claims.map(str::to_owned).collect();
    let token = token_rules(raw.token, kept_claims, environment, &mut problems);
    match (credentials, cache, token, routes) {
        (Some(credentials), Some(cache), Some((keys, rules)), Some(routes)) if problems.0.is_empty() => {
            let (token_rules, routes) = (Rc::new(rules), RouteTable::new(routes));
            Ok(Config { credentials, exchange, max_in_flight, cache, keys, token_rules, routes, warnings })
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

fn credentials(raw: Vec<RawCredential>, remove_cookies: bool, problems: &mut Problems) -> Option<Credentials> {
    if raw.is_empty() {
        return problems.refuse("credentials", r#"missing; list at least one, for example [{"session_cookie": {}}]"#);
    }
    let (mut order, mut cookies) = (Vec::new(), CookieNames::default());
    for (i, credential) in raw.into_iter().enumerate() {
        let (kind, name) = match &credential {
            RawCredential::Bearer(_) => (Kind::Bearer, "bearer"),
            RawCredential::SessionCookie(_) => (Kind::SessionCookie, "session_cookie"),
            RawCredential::TokenCookie(_) => (Kind::TokenCookie, "token_cookie"),
        };
        let path = format!("credentials[{i}].{name}");
        if order.contains(&kind) {
            problems.add(&path, "listed before; list each kind once, with all its cookie names");
        }
        order.push(kind);
        match credential {
            RawCredential::Bearer(_) => {}
            RawCredential::SessionCookie(RawSessionCookie { names, companions }) => {
                cookie_names(&path, "names", &names, &cookies, problems);
                cookies.sessions.extend(names);
                for (place, name) in numbered("companions", &companions) {
                    cookie_name(&format!("{path}.{place}"), name, &cookies, problems);
                }
                cookies.companions.extend(companions);
            }
            RawCredential::TokenCookie(RawTokenCookie { names }) => {
                cookie_names(&path, "names", &names, &cookies, problems);
                cookies.tokens.extend(names);
            }
        }
    }
    Some(Credentials { order, cookies, remove_cookies })
}

fn cookie_names(path: &str, list: &str, names: &[String], listed: &CookieNames, problems: &mut Problems) {
    if names.is_empty() {
        problems.add(format!("{path}.{list}"), "empty; name the cookie");
    }
    for (i, (place, name)) in numbered(list, names).enumerate() {
        if names.iter().take(i).any(|earlier| earlier == name) {
            problems.add(format!("{path}.{place}"), format!("{name:?} is listed before; list each cookie once"));
        } else {
            cookie_name(&format!("{path}.{place}"), name, listed, problems);
        }
    }
}

fn cookie_name(path: &str, name: &String, listed: &CookieNames, problems: &mut Problems) {
    let CookieNames { sessions, companions, tokens } = listed;
    if !is_token(name) {
        problems.add(path, format!("{name:?} is not a cookie name"));
    } else if [sessions, companions, tokens].iter().any(|list| list.contains(name)) {
        problems.add(path, format!("{name:?} is listed before; list each cookie once"));
    }
}

fn exchange_of(raw: RawExchange, problems: &mut Problems) -> Option<Exchange> {
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

fn token_rules(
    raw: RawToken,
    kept_claims: BTreeSet<String>,
    environment: Environment<'_>,
    problems: &mut Problems,
) -> Option<(KeySource, TokenRules)> {
    problems.span("token.leeway", raw.leeway, Duration::ZERO..=Duration::from_secs(300), r#""0s" to "5m""#);
    if let Some(max) = raw.max_lifetime {
        let (second, year) = (Duration::from_secs(1), Duration::from_secs(366 * 86_400));
        problems.span("token.max_lifetime", max, second..=year, r#""1s" to "8784h", or null,"#);
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
    let (keys, algorithms) = super::keys::check(raw.keys, raw.algorithms, environment, problems)?;
    let claims = ClaimRules {
        issuer: raw.issuer,
        audiences: raw.audiences,
        required: raw.required_claims,
        leeway: raw.leeway.0,
        max_lifetime: raw.max_lifetime.map(|span| span.0),
    };
    Some((keys, TokenRules { algorithms, types: raw.types, claims, kept_claims }))
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
    let require = raw.require.map(|require| requirement(path, raw.auth, require, problems));
    Some(Route {
        path: path_match(&format!("{path}.match"), &raw.matched, problems)?,
        methods: raw.matched.methods,
        policy: Policy {
            auth: raw.auth,
            pass_authorization: raw.pass_authorization,
            require: require.into_iter().collect(),
        },
    })
}

fn requirement(path: &str, auth: Auth, raw: RawRequire, problems: &mut Problems) -> Rc<Requirement> {
    if auth == Auth::Off {
        problems.add(format!("{path}.require"), "a route with auth \"off\" looks at no claims; make it \"required\"");
    }
    if raw.claims.is_empty() && raw.scopes.is_empty() {
        problems.add(format!("{path}.require"), "empty; name claims or scopes, or leave the key out");
    }
    for (claim, value) in raw.claims.iter().filter(|(_, value)| value.is_null()) {
        problems.add(format!("{path}.require.claims.{claim}"), format!("{value} is what no claim is required to be"));
    }
    for (place, scope) in numbered("scopes", &raw.scopes).filter(|(_, s)| s.is_empty() || s.contains(' ')) {
        problems.add(format!("{path}.require.{place}"), format!("{scope:?} is not one scope; write each by itself"));
    }
    Rc::new(Requirement::new(raw.claims.into_iter().collect(), raw.scopes))
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
    /// Adds a problem.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.0.push(Problem::new(path, text));
    }

    /// Adds a problem where there can be no value; answers the absence of one.
    pub fn refuse<T>(&mut self, path: impl Into<String>, text: impl Into<String>) -> Option<T> {
        self.add(path, text);
        None
    }

    /// Adds a problem unless the value is within the range.
    pub fn range(&mut self, path: &str, value: usize, allowed: RangeInclusive<usize>) {
        if !allowed.contains(&value) {
            self.add(path, format!("{value} is out of range; {} to {} works", allowed.start(), allowed.end()));
        }
    }

    /// Adds a problem unless the time is within the range, which `works` tells in words.
    pub fn span(&mut self, path: &str, value: Span, allowed: RangeInclusive<Duration>, works: &str) {
        if !allowed.contains(&value.0) {
            self.add(path, format!("{:?} is out of range; {works} works", value.0));
        }
    }
}
