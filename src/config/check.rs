//! Whether what was written can work, and what it amounts to.
//!
//! Each function checks one section and turns it into the value the core uses. It goes on after a
//! problem, so that an operator sees all of them at once; no value made from a wrong key leaves this
//! module, because one problem is enough for none to.

mod cache;
mod csrf;
mod exchange;
mod routes;
mod sign_in;
mod upstream;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use self::cache::{limits, sign_out_paths};
use self::csrf::origin_rules;
use self::exchange::exchange_of;
use self::routes::route_of;
use self::sign_in::sign_in;
use self::upstream::identity;
use super::names::is_token;
use super::raw::{RawConfig, RawCredential, RawSessionCookie, RawToken, RawTokenCookie};
use super::span::Span;
use super::{Config, Environment, Problem};
use crate::cookie::CookieNames;
use crate::credential::{Credentials, Kind};
use crate::identity::ClaimHeader;
use crate::keys::KeySource;
use crate::routes::{Enforcement, Route, RouteTable};
use crate::token::claims::ClaimRules;
use crate::token::verify::TokenRules;

/// What holds where there is no exchange to say so.
const DEFAULT_MAX_IN_FLIGHT: usize = 256;

const REPORT_ONLY: &str =
    "report_only is set: nothing is refused, and what would be reaches the backend without Authorization";

/// The problems found so far.
#[derive(Default)]
pub struct Problems(pub Vec<Problem>);

/// Turns raw keys into a configuration.
pub fn check(raw: RawConfig, fingerprint: [u8; 32], environment: Environment<'_>) -> Result<Config, Vec<Problem>> {
    let mut problems = Problems::default();
    let mut warnings = warnings(&raw.token);
    let origins = origin_rules(raw.csrf, &mut problems, &mut warnings);
    let credentials = credentials(raw.credentials, raw.upstream.remove_session_cookie, &mut problems);
    let takes_sessions = credentials.as_ref().is_some_and(|c| c.order.contains(&Kind::SessionCookie));
    let max_in_flight = raw.exchange.as_ref().map_or(DEFAULT_MAX_IN_FLIGHT, |exchange| exchange.max_in_flight);
    problems.range("exchange.max_in_flight", max_in_flight, 1..=100_000);
    if raw.exchange.is_none() && takes_sessions {
        problems.add("exchange", "missing; a session_cookie needs cluster, authority and path of the auth service");
    }
    let exchange = raw.exchange.and_then(|exchange| exchange_of(exchange, &mut problems));
    let sign_in = sign_in(raw.unauthenticated.sign_in, &mut problems);
    let cache = limits(&raw.cache, &mut problems);
    sign_out_paths(&raw.cache.sign_out_paths, &mut problems);
    let routes = raw.routes.into_iter().enumerate();
    let routes = routes.map(|(i, route)| route_of(&format!("routes[{i}]"), route, &mut problems)).collect::<Vec<_>>();
    let routes: Option<Vec<Route>> = routes.into_iter().collect();
    let kept_claims = routes.iter().flatten().flat_map(|route| &route.policy.require).flat_map(|r| r.looks_at());
    let identity = identity(&raw.upstream, &mut problems);
    let kept_claims = kept_claims.map(str::to_owned).collect();
    let token = token_rules(raw.token, kept_claims, Rc::clone(&identity.claims), environment, &mut problems);
    match (credentials, cache, token, routes) {
        (Some(credentials), Some(cache), Some((keys, rules)), Some(routes)) if problems.0.is_empty() => {
            let (token_rules, routes) = (Rc::new(rules), RouteTable::new(routes));
            if raw.report_only {
                warnings.push(REPORT_ONLY.to_owned());
            }
            warnings.extend(sign_in.as_ref().and_then(|sign_in| sign_in::warning(sign_in, &routes, &credentials)));
            Ok(Config {
                credentials,
                exchange,
                max_in_flight,
                cache,
                negative_ttl: raw.cache.negative_ttl.0,
                shared_slots: raw.cache.shared_slots,
                sign_out_paths: raw.cache.sign_out_paths,
                ends_with_token: raw.upstream.max_stream_age.is_some(),
                keys,
                token_rules,
                sign_in,
                identity,
                origins,
                routes,
                enforcement: if raw.report_only { Enforcement::ReportOnly } else { Enforcement::Enforced },
                warnings,
                fingerprint,
            })
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
        let kind = match &credential {
            RawCredential::Bearer(_) => Kind::Bearer,
            RawCredential::SessionCookie(_) => Kind::SessionCookie,
            RawCredential::TokenCookie(_) => Kind::TokenCookie,
        };
        let path = format!("credentials[{i}].{}", kind.name());
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

fn token_rules(
    raw: RawToken,
    kept_claims: BTreeSet<String>,
    claim_headers: Rc<[ClaimHeader]>,
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
    Some((keys, TokenRules { algorithms, types: raw.types, claims, kept_claims, claim_headers }))
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
