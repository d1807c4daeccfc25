//! The section `routes`.

use std::rc::Rc;

use super::{Problems, numbered};
use crate::config::names::{is_authority, is_token};
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
    check_hosts(path, &raw.matched.hosts, problems);
    let require = raw.require.map(|require| requirement(path, raw.auth, require, problems));
    Some(Route {
        path: path_match(&format!("{path}.match"), &raw.matched, problems)?,
        methods: raw.matched.methods,
        hosts: raw.matched.hosts,
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
    let (key, pattern, matched) = match (&raw.path, &raw.prefix, &raw.template) {
        (Some(exact), None, None) => ("path", exact, PathMatch::Exact(exact.clone())),
        (None, Some(prefix), None) => ("prefix", prefix, PathMatch::Prefix(prefix.clone())),
        (None, None, Some(template)) => match template_of(template) {
            Some(segments) => ("template", template, PathMatch::Template(segments)),
            None => {
                let text = format!(
                    "{template:?} has a brace that is not around a whole segment, as in \"/users/{{id}}/posts\""
                );
                return problems.refuse(format!("{path}.template"), text);
            }
        },
        (None, None, None) => return problems.refuse(path, "needs a path, a prefix or a template"),
        _ => return problems.refuse(path, "has more than one of path, prefix and template; keep one"),
    };
    // Without its braces a template is a path that it matches.
    let example = if key == "template" { pattern.replace(['{', '}'], "") } else { pattern.clone() };
    if RequestPath::parse(example.as_bytes()).plain() != Some(example.as_str()) {
        let text = format!(
            "{pattern:?} can never match: write a path that starts with \"/\", decoded, without query, \"//\", \"..\" or \";\""
        );
        return problems.refuse(format!("{path}.{key}"), text);
    }
    Some(matched)
}

/// The segments of a template: a name in braces stands for any one that is not empty.
fn template_of(template: &str) -> Option<Vec<Option<String>>> {
    let segment = |segment: &str| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(name) => {
            (!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')).then_some(None)
        }
        None => (!segment.contains(['{', '}'])).then(|| Some(segment.to_owned())),
    };
    template.strip_prefix('/').unwrap_or(template).split('/').map(segment).collect()
}

/// Hosts are compared in lower case and without a port.
fn check_hosts(path: &str, hosts: &[String], problems: &mut Problems) {
    for (place, host) in numbered("hosts", hosts) {
        let is_address = host.starts_with('[') && host.ends_with(']');
        let is_plain = is_authority(host) && !host.ends_with('.') && (is_address || !host.contains([':', '[', ']']));
        if !is_plain || host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let text = format!("{host:?} is not a host in lower case without port, as in \"api.example.com\"");
            problems.add(format!("{path}.match.{place}"), text);
        }
    }
}
