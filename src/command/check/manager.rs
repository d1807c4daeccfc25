//! What the connection manager lets through, and what its routes go by.

use super::Findings;
use crate::command::document::Node;
use crate::command::environment;

/// How a path has to be read before the filter sees it, and what is at stake.
const READ_ALIKE: &str = "the filter refuses to guess, but the backend behind it may read the path in another way";

/// What Envoy can do with a path that has %2F or %5C in it, and with a name that has a `_`, by their numbers.
const ESCAPED: [&str; 5] = [
    "IMPLEMENTATION_SPECIFIC_DEFAULT",
    "KEEP_UNCHANGED",
    "REJECT_REQUEST",
    "UNESCAPE_AND_REDIRECT",
    "UNESCAPE_AND_FORWARD",
];
const UNDERSCORES: [&str; 3] = ["ALLOW", "REJECT_REQUEST", "DROP_HEADER"];

/// Looks at what docs/security.md asks of the deployment.
pub fn check(manager: &Node, configuration: &Node, findings: &mut Findings) {
    for name in ["normalize_path", "merge_slashes"] {
        if !manager.field(name).is_some_and(Node::is_true) {
            findings.warning(
                manager.place_of_field(name),
                name,
                format!("not true: {READ_ALIKE}; write `{name}: true`"),
            );
        }
    }
    let name = "path_with_escaped_slashes_action";
    let action = manager.field(name).and_then(|action| action.one_of(&ESCAPED)).unwrap_or_default();
    if !["REJECT_REQUEST", "UNESCAPE_AND_REDIRECT", "UNESCAPE_AND_FORWARD"].contains(&action) {
        let text = format!("%2F and %5C are passed on: {READ_ALIKE}; write REJECT_REQUEST");
        findings.warning(manager.place_of_field(name), name, text);
    }
    check_underscores(manager, findings);
    if let Some(routes) = manager.field("route_config") {
        check_routes(routes, &deciding(configuration), &cookies(configuration), findings);
    }
}

fn check_underscores(manager: &Node, findings: &mut Findings) {
    let (options, name) = ("common_http_protocol_options", "headers_with_underscores_action");
    let within = manager.field(options);
    let action = within.and_then(|options| options.field(name)?.one_of(&UNDERSCORES));
    if !matches!(action, Some("REJECT_REQUEST" | "DROP_HEADER")) {
        let place = within.map_or(manager.place, |within| within.place_of_field(name));
        let text = "names with `_` are let in, which WSGI and CGI backends read as `-`; write REJECT_REQUEST";
        findings.warning(place, format!("{options}.{name}"), text);
    }
}

/// The fields that the filter changes.
fn deciding(configuration: &Node) -> Vec<String> {
    let claims = configuration.at(&["upstream", "claim_headers"]).map_or(&[][..], Node::members);
    ["authorization", "cookie"]
        .map(str::to_owned)
        .into_iter()
        .chain(claims.iter().map(|member| member.name.clone()))
        .collect()
}

/// The cookies that the filter takes out; none where the configuration cannot work, which is told.
fn cookies(configuration: &Node) -> Vec<String> {
    let config = environment::read(&configuration.value().to_string().into_bytes(), false);
    let listed = config.map(|config| config.credentials.cookies);
    listed.map(|listed| [listed.sessions, listed.companions, listed.tokens].concat()).unwrap_or_default()
}

/// Routes that are chosen by a field or a cookie that the filter changes.
fn check_routes(node: &Node, deciding: &[String], cookies: &[String], findings: &mut Findings) {
    let matched = node.get("match");
    for header in matched.and_then(|matched| matched.get("headers")).map_or(&[][..], Node::items) {
        let name = header.get("name").and_then(Node::text).unwrap_or_default().to_ascii_lowercase();
        if deciding.contains(&name) {
            let text = format!(
                "a route that goes by `{name}` is chosen again after the filter has changed it; choose by path, host or method"
            );
            findings.warning(header.place, "route_config: match.headers", text);
        }
    }
    for cookie in matched.and_then(|matched| matched.get("cookies")).map_or(&[][..], Node::items) {
        let name = cookie.get("name").and_then(Node::text).unwrap_or_default();
        if cookies.iter().any(|listed| listed == name) {
            let text = format!(
                "a route that goes by the cookie {name:?} is chosen again after the filter has taken it out; choose by path, host or method"
            );
            findings.warning(cookie.place, "route_config: match.cookies", text);
        }
    }
    node.children().for_each(|child| check_routes(child, deciding, cookies, findings));
}
