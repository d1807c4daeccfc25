//! The section `routes`.

use std::rc::Rc;

use super::{Problems, numbered};
use crate::config::names::is_token;
use crate::config::raw::{RawMatch, RawRequire, RawRoute};
use crate::path::RequestPath;
use crate::routes::{Auth, PathMatch, Policy, Route};
use crate::token::requirement::Requirement;

pub fn route_of(path: &str, raw: RawRoute, problems: &mut Problems) -> Option<Route> {
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
