//! Where in a file the configurations of the filter are: the file itself is one, or Envoy's configuration has
//! some, or resources of Kubernetes do.

use std::fmt;

use session_bearer::json;

use super::document::{self, Content, Documents, Member, Node};
use super::place::Place;

/// A configuration of the filter, and what is around it.
pub struct Plugin<'a> {
    /// The configuration; what is wrong with it where there is none.
    pub configuration: Result<Node, Misplaced>,
    /// What it was found in.
    pub home: Home<'a>,
}

/// What a configuration was found in.
pub enum Home<'a> {
    /// It is the whole document.
    Document,
    /// Envoy's `PluginConfig`, and the connection manager with the place among its filters, where they are known.
    Envoy {
        /// The `PluginConfig`.
        plugin: &'a Node,
        /// The `HttpConnectionManager`, and the number of the filter.
        manager: Option<(&'a Node, usize)>,
    },
    /// The `spec` of Istio's `WasmPlugin`.
    Istio(&'a Node),
    /// One of `spec.wasm` of Envoy Gateway's `EnvoyExtensionPolicy`.
    Gateway(&'a Node),
}

/// A configuration that cannot be one.
#[derive(Clone, Debug)]
pub struct Misplaced {
    /// Where.
    pub place: Place,
    /// The field, seen from what it was found in.
    pub path: String,
    /// What is wrong and what would be right.
    pub text: String,
}

/// What Envoy calls the filter's configuration, and the type that wraps those Envoy does not know.
const WASM: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";

/// The names by which a document is known to be more than a plugin's configuration.
const ENVELOPES: [&str; 11] = [
    "@type",
    "apiVersion",
    "dynamic_resources",
    "filter_chains",
    "http_filters",
    "kind",
    "listeners",
    "name",
    "resources",
    "static_resources",
    "typed_config",
];

/// Sections of the filter's own; what has one of them is its configuration and not another plugin's.
const SECTIONS: [&str; 3] = ["credentials", "exchange", "token"];

/// All configurations of the filter in these documents.
pub fn find(documents: &[Node]) -> Vec<Plugin<'_>> {
    let mut found = Vec::new();
    for document in documents.iter().filter(|document| !document.is_null()) {
        if document.members().iter().any(|member| ENVELOPES.iter().any(|name| member.is_field(name))) {
            search(document, None, &mut found);
        } else {
            found.push(Plugin { configuration: Ok(document.clone()), home: Home::Document });
        }
    }
    found
}

fn search<'a>(node: &'a Node, manager: Option<(&'a Node, usize)>, found: &mut Vec<Plugin<'a>>) {
    if let Some(plugin) = plugin_config(node) {
        let configuration = configuration_of(plugin);
        if is_ours(plugin, &configuration) || is_written_like_ours(plugin) {
            found.push(Plugin { configuration, home: Home::Envoy { plugin, manager } });
        }
        return;
    }
    let spec = node.get("spec");
    match (node.get("kind").and_then(Node::text), spec) {
        (Some("WasmPlugin"), Some(spec)) => return found.extend(kubernetes(spec, "pluginConfig", Home::Istio(spec))),
        (Some("EnvoyExtensionPolicy"), Some(spec)) => {
            let entries = spec.get("wasm").map_or(&[][..], Node::items).iter();
            return found.extend(entries.filter_map(|entry| kubernetes(entry, "config", Home::Gateway(entry))));
        }
        _ => {}
    }
    for member in node.members() {
        if member.is_field("http_filters") {
            member.value.items().iter().enumerate().for_each(|(i, filter)| search(filter, Some((node, i)), found));
        } else {
            search(&member.value, manager, found);
        }
    }
    node.items().iter().for_each(|item| search(item, manager, found));
}

/// The `PluginConfig` of an HTTP filter, where the node is the typed configuration of one.
pub fn plugin_config(node: &Node) -> Option<&Node> {
    let is_wasm = |name| node.field(name).and_then(Node::text).is_some_and(|text| text.ends_with(WASM));
    if is_wasm("@type") {
        node.get("config")
    } else if is_wasm("type_url") {
        node.at(&["value", "config"])
    } else {
        None
    }
}

/// What Envoy hands to the module.
fn configuration_of(plugin: &Node) -> Result<Node, Misplaced> {
    let path = "configuration";
    let misplaced =
        |place, path: &str, text: &str| Err(Misplaced { place, path: path.to_owned(), text: text.to_owned() });
    let Some(any) = plugin.get(path) else {
        return misplaced(plugin.place, path, "missing; write it as a google.protobuf.Struct or a StringValue");
    };
    let place = plugin.place_of(path);
    let type_url = any.get("@type").and_then(Node::text).unwrap_or_default();
    let value = any.get("value");
    match (type_url.rsplit('/').next(), value) {
        (Some("google.protobuf.StringValue"), Some(value)) => text_of(value, any.place_of("value")),
        (Some("google.protobuf.Struct"), Some(value)) if value.is_object() => Ok(value.clone()),
        (Some("google.protobuf.StringValue" | "google.protobuf.Struct"), _) => misplaced(
            place,
            "configuration.value",
            "missing, or not an object; the plugin's configuration stands there",
        ),
        _ => misplaced(
            place,
            "configuration.@type",
            "has to be type.googleapis.com/google.protobuf.Struct or …StringValue, with the configuration as its value",
        ),
    }
}

/// A configuration that is written as the text of a JSON object.
fn text_of(node: &Node, place: Place) -> Result<Node, Misplaced> {
    let misplaced = |place, text| Misplaced { place, path: "configuration.value".to_owned(), text };
    let Content::Text(text, writing) = &node.content else {
        let text = "not a string; a StringValue has the configuration as JSON text, a Struct as an object".to_owned();
        return Err(misplaced(place, text));
    };
    // The core takes JSON here and no YAML; its reader has the last word.
    if let Err(error) = json::parse(text.as_bytes()) {
        let place = writing.place(Place { line: error.line().max(1), column: error.column().max(1) });
        return Err(misplaced(place, format!("not JSON: {error}")));
    }
    let Documents { roots, .. } =
        document::read(text).map_err(|error| misplaced(writing.place(error.place), error.text))?;
    let mut roots = roots.into_iter();
    let root = roots.next().ok_or_else(|| misplaced(place, "empty".to_owned()))?;
    Ok(moved(root, &|place| writing.place(place)))
}

fn moved(node: Node, to: &impl Fn(Place) -> Place) -> Node {
    let content = match node.content {
        Content::List(items) => Content::List(items.into_iter().map(|item| moved(item, to)).collect()),
        Content::Object(members) => {
            let member = |Member { name, place, value }| Member { name, place: to(place), value: moved(value, to) };
            Content::Object(members.into_iter().map(member).collect())
        }
        other => other,
    };
    Node { place: to(node.place), content }
}

fn kubernetes<'a>(entry: &'a Node, name: &str, home: Home<'a>) -> Option<Plugin<'a>> {
    let configuration = match entry.get(name) {
        Some(configuration) if configuration.is_object() => Ok(configuration.clone()),
        _ => Err(Misplaced {
            place: entry.place_of(name),
            path: name.to_owned(),
            text: "missing, or not an object; the plugin's configuration stands there".to_owned(),
        }),
    };
    is_ours(entry, &configuration).then_some(Plugin { configuration, home })
}

/// Whether a Wasm plugin is this filter and not another: by its configuration, or by what it is called.
fn is_ours(plugin: &Node, configuration: &Result<Node, Misplaced>) -> bool {
    let has_section = |node: &Node| SECTIONS.iter().any(|section| node.get(section).is_some());
    configuration.as_ref().is_ok_and(has_section) || is_called_so(plugin, 4)
}

/// Whether what is no configuration as it stands has a key of this filter's in it, as in JSON text with a comma too many.
fn is_written_like_ours(plugin: &Node) -> bool {
    let text = plugin.field_at(&["configuration", "value"]).and_then(Node::text).unwrap_or_default();
    let has_key = |key: &str| {
        text.split(key).zip(text.split(key).skip(1)).any(|(before, after)| {
            let is_whole = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            is_whole && after.trim_start_matches(['"', '\'']).trim_start().starts_with(':')
        })
    };
    ["credentials", "exchange"].into_iter().any(has_key)
}

fn is_called_so(node: &Node, depth: u8) -> bool {
    let names = ["name", "root_id", "rootId", "rootID", "pluginName", "filename", "url"];
    let is_name = |member: &Member| {
        let text = member.value.text().unwrap_or_default().replace('_', "-");
        names.contains(&member.name.as_str()) && text.contains("session-bearer")
    };
    let Some(depth) = depth.checked_sub(1) else { return false };
    let inner = node.members().iter().filter(|member| !matches!(member.name.as_str(), "configuration" | "config"));
    node.members().iter().any(is_name) || inner.into_iter().any(|member| is_called_so(&member.value, depth))
}

impl fmt::Display for Home<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Document => "a plugin configuration",
            Self::Envoy { .. } => "an Envoy filter",
            Self::Istio(_) => "a WasmPlugin",
            Self::Gateway(_) => "an EnvoyExtensionPolicy",
        })
    }
}
