//! Whether Envoy asks the filter at all: it can be switched off where it stands, and for routes.

use super::{Findings, Surroundings};
use crate::command::document::Node;
use crate::command::plugin;

const OFF: &str = "requests pass without the filter; take it out, or write an auth: \"off\" rule";

/// Looks at the HTTP filter that a `PluginConfig` belongs to, and at the routes that are known of it.
pub fn check(plugin: &Node, manager: Option<&Node>, around: &Surroundings<'_>, findings: &mut Findings) {
    let Some(filter) = around.documents.iter().find_map(|document| filter_of(plugin, document)) else { return };
    if filter.get("disabled").is_some_and(Node::is_true) {
        findings.error(filter.place_of("disabled"), "disabled", format!("true: {OFF}"));
    }
    let Some(name) = filter.get("name").and_then(Node::text) else { return };
    match manager.and_then(|manager| manager.field("route_config")) {
        Some(routes) => check_routes(routes, name, findings),
        None => around.documents.iter().for_each(|document| check_routes(document, name, findings)),
    }
}

/// The node whose typed configuration has this `PluginConfig`.
fn filter_of<'a>(plugin: &Node, node: &'a Node) -> Option<&'a Node> {
    let typed = node.field("typed_config").and_then(plugin::plugin_config);
    if typed.is_some_and(|typed| typed.place == plugin.place) {
        return Some(node);
    }
    node.children().find_map(|child| filter_of(plugin, child))
}

/// A route configuration, a virtual host, a route, and what is within them.
fn check_routes(node: &Node, filter: &str, findings: &mut Findings) {
    let name = "typed_per_filter_config";
    if let Some(own) = node.field(name).and_then(|configurations| configurations.get(filter)) {
        let type_url = own.get("@type").and_then(Node::text).unwrap_or_default();
        if type_url.ends_with("envoy.config.route.v3.FilterConfig") && own.get("disabled").is_some_and(Node::is_true) {
            let path = format!("{name}.{filter}.disabled");
            findings.error(own.place_of("disabled"), path, format!("true: {OFF}"));
        }
    }
    node.children().for_each(|child| check_routes(child, filter, findings));
}
