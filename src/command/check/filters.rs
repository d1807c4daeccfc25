//! The order of the HTTP filters.

use super::Findings;
use crate::command::document::Node;

const CORS: &str = "envoy.filters.http.cors";
const ROUTER: &str = "envoy.filters.http.router";
const RATE_LIMIT: &str = "envoy.filters.http.ratelimit";
const RBAC: &str = "envoy.filters.http.rbac";
const JWT: &str = "envoy.filters.http.jwt_authn";
const CACHES: [&str; 2] = ["envoy.filters.http.cache", "envoy.filters.http.cache_v2"];

/// Looks at the filters before and after the one of this number.
pub fn check(manager: &Node, number: usize, configuration: &Node, findings: &mut Findings) {
    let filters = manager.field("http_filters").map_or(&[][..], Node::items);
    for (i, filter) in filters.iter().enumerate() {
        let (name, path) = (kind(filter), format!("http_filters[{i}]"));
        let is_before = i < number;
        let user = told_by(configuration);
        if name == CORS && !is_before && i != number {
            let text = "cors stands after the filter: the page cannot read a 401; put it first";
            findings.warning(filter.place, path, text);
        } else if name == ROUTER && is_before {
            findings.error(filter.place, path, "router stands before the filter, which is never asked; put it last");
        } else if name == JWT && is_before {
            findings.warning(
                filter.place,
                path,
                "jwt_authn stands before the filter and sees no bearer token yet; put it after",
            );
        } else if name == RBAC && is_before && mentions(filter, &user) {
            findings.warning(
                filter.place,
                path,
                "rbac asks for the user before the filter has found out; put it after",
            );
        } else if name == RATE_LIMIT
            && is_before
            && manager.field("route_config").is_some_and(|routes| limits(routes, &user))
        {
            findings.warning(
                filter.place,
                path,
                "ratelimit goes by the user before the filter has found out; put it after",
            );
        } else if CACHES.contains(&name) && i > number {
            let text = "a cache after the filter answers one user with what is another's; put it before";
            findings.error(filter.place, path, text);
        }
    }
}

/// What kind of filter it is: by its type where that is known, since its name may be any.
fn kind(filter: &Node) -> &str {
    let type_url = filter.field_at(&["typed_config", "@type"]).and_then(Node::text).unwrap_or_default();
    let known = [CORS, ROUTER, RATE_LIMIT, RBAC, JWT, CACHES[0], CACHES[1]];
    let is_of_type = |name: &&&str| {
        let package = name.replace("envoy.filters.http.", "envoy.extensions.filters.http.");
        type_url.contains(&format!("{package}.v"))
    };
    let of_type = known.iter().find(is_of_type).copied();
    of_type.unwrap_or_else(|| filter.get("name").and_then(Node::text).unwrap_or_default())
}

/// The names by which other filters are told who the user is.
fn told_by(configuration: &Node) -> Vec<String> {
    let claims = configuration.at(&["upstream", "claim_headers"]).map_or(&[][..], Node::members);
    let fixed = ["authorization", "session_bearer", "jwt_payload", JWT].map(str::to_owned);
    fixed.into_iter().chain(claims.iter().map(|member| member.name.clone())).collect()
}

/// Whether one of the names is among the strings of a node.
fn mentions(node: &Node, names: &[String]) -> bool {
    let text = node.text().map(str::to_ascii_lowercase);
    let is_named = |text: String| names.iter().any(|name| text.contains(name.as_str()));
    text.is_some_and(is_named) || node.children().any(|child| mentions(child, names))
}

/// Whether a rate limit goes by the user.
fn limits(node: &Node, names: &[String]) -> bool {
    node.field("rate_limits").is_some_and(|limits| mentions(limits, names))
        || node.children().any(|child| limits(child, names))
}
