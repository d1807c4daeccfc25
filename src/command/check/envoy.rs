//! What Envoy is told about the module: its VM, what it may call, what happens when it fails; and the clusters.

use std::collections::BTreeSet;

use super::{Findings, Surroundings, secrets};
use crate::command::document::{self, Node};
use crate::command::plugin::{self, Home};

/// The configuration that the tests run. It has every capability the module needs and no other.
const SHIPPED: &str = include_str!("../../../envoy/envoy.yaml");

/// What Envoy can do when a VM fails, by their numbers.
const POLICIES: [&str; 4] = ["UNSPECIFIED", "FAIL_RELOAD", "FAIL_CLOSED", "FAIL_OPEN"];

/// How like a name has to be to another to be taken for it, of 1.
const SIMILAR: f64 = 0.6;

/// The `PluginConfig`.
pub fn check(plugin: &Node, configuration: &Node, around: &Surroundings<'_>, findings: &mut Findings) {
    check_failure(plugin, findings);
    check_vm(plugin, around, findings);
    check_capabilities(plugin, findings);
    check_fractions(configuration, findings);
    secrets::check_envoy(plugin, configuration, findings);
}

fn check_failure(plugin: &Node, findings: &mut Findings) {
    let open = "lets every request through, unauthenticated, when the VM fails; write `failure_policy: FAIL_RELOAD`";
    if plugin.field("fail_open").is_some_and(Node::is_true) {
        return findings.error(plugin.place_of_field("fail_open"), "fail_open", format!("true {open}"));
    }
    let place = plugin.place_of_field("failure_policy");
    match plugin.field("failure_policy").and_then(|policy| policy.one_of(&POLICIES)) {
        Some("FAIL_OPEN") => findings.error(place, "failure_policy", format!("FAIL_OPEN {open}")),
        Some("FAIL_RELOAD") => {}
        _ => findings.warning(
            place,
            "failure_policy",
            "a VM that failed answers 503 until Envoy restarts; write FAIL_RELOAD",
        ),
    }
}

fn check_vm(plugin: &Node, around: &Surroundings<'_>, findings: &mut Findings) {
    let vm = plugin.field("vm_config");
    let Some(id) = vm.and_then(|vm| vm.field("vm_id")).and_then(Node::text).filter(|id| !id.is_empty()) else {
        let place = vm.map_or(plugin.place, |vm| vm.place);
        let text = "missing: other plugins without one share data with this one; write a name that nothing else has";
        return findings.warning(place, "vm_config.vm_id", text);
    };
    let mut others = Vec::new();
    around.documents.iter().for_each(|document| with_vm(document, &mut others));
    let is_other = |other: &&Node| other.place != plugin.place;
    let twin = others
        .into_iter()
        .filter(is_other)
        .find(|other| other.field_at(&["vm_config", "vm_id"]).and_then(Node::text) == Some(id));
    if let (Some(twin), Some(vm)) = (twin, vm) {
        let text = format!(
            "{id:?} is also that of the plugin at line {}, which can read and change the tokens that workers share; give it to nothing else",
            twin.place.line
        );
        findings.warning(vm.place_of_field("vm_id"), "vm_config.vm_id", text);
    }
}

fn with_vm<'a>(node: &'a Node, found: &mut Vec<&'a Node>) {
    if node.field("vm_config").is_some() {
        found.push(node);
    }
    node.children().for_each(|child| with_vm(child, found));
}

fn check_capabilities(plugin: &Node, findings: &mut Findings) {
    let path = "capability_restriction_config.allowed_capabilities";
    let restriction = plugin.field("capability_restriction_config");
    let restriction = restriction.or_else(|| plugin.field_at(&["vm_config", "capability_restriction_config"]));
    let allowed = restriction.and_then(|restriction| restriction.field("allowed_capabilities"));
    let Some(allowed) = allowed.filter(|allowed| !allowed.members().is_empty()) else {
        let place = restriction.map_or(plugin.place, |restriction| restriction.place);
        return findings.warning(
            place,
            path,
            "missing: the module may call everything; take the list of envoy/envoy.yaml",
        );
    };
    let needed = needed();
    let missing: Vec<&str> = needed.iter().map(String::as_str).filter(|name| allowed.get(name).is_none()).collect();
    if !missing.is_empty() {
        let text = format!("the module needs {} too; without it, it fails or does nothing", missing.join(", "));
        let place = restriction.map_or(allowed.place, |restriction| restriction.place_of_field("allowed_capabilities"));
        findings.error(place, path, text);
    }
    for member in allowed.members().iter().filter(|member| !needed.contains(&member.name)) {
        findings.warning(member.place, format!("{path}.{}", member.name), "the module does not need it; take it out");
    }
}

/// The capabilities of the shipped configuration.
fn needed() -> BTreeSet<String> {
    let shipped = document::read(SHIPPED).map(|documents| documents.roots).unwrap_or_default();
    let mut needed = BTreeSet::new();
    for found in plugin::find(&shipped) {
        if let Home::Envoy { plugin, .. } = found.home {
            let allowed = plugin.at(&["capability_restriction_config", "allowed_capabilities"]);
            needed.extend(allowed.map_or(&[][..], Node::members).iter().map(|member| member.name.clone()));
        }
    }
    needed
}

/// Envoy makes strings of such numbers, which no claim then equals.
fn check_fractions(configuration: &Node, findings: &mut Findings) {
    for (i, route) in configuration.get("routes").map_or(&[][..], Node::items).iter().enumerate() {
        for member in route.at(&["require", "claims"]).map_or(&[][..], Node::members) {
            if member.value.value().as_f64().is_some_and(|number| number.fract() != 0.0) {
                let text =
                    "Envoy makes a string of a number with a fraction; write the whole configuration as JSON text";
                findings.warning(member.place, format!("routes[{i}].require.claims.{}", member.name), text);
            }
        }
    }
}

/// Whether the clusters that are named exist, where that can be known.
pub fn check_clusters(configuration: &Node, around: &Surroundings<'_>, findings: &mut Findings) {
    let Some(known) = known_clusters(around) else { return };
    for path in ["exchange.cluster", "token.keys.jwks.cluster"] {
        let names: Vec<&str> = path.split('.').collect();
        let Some(cluster) = configuration.at(&names).and_then(Node::text) else { continue };
        if known.contains(&cluster) || cluster.trim().is_empty() || cluster.contains('|') {
            continue;
        }
        let likeness = |known: &&&str| strsim::normalized_damerau_levenshtein(cluster, known);
        let meant = known.iter().filter(|known| likeness(known) >= SIMILAR);
        let meant = meant.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let mend = meant.map_or_else(
            || "define it under static_resources.clusters, or name it with --cluster".to_owned(),
            |meant| format!("did you mean {meant:?}?"),
        );
        findings.error(configuration.find(path), path, format!("no cluster is called {cluster:?}; {mend}"));
    }
}

/// The names of all clusters; `None` where there may be others.
fn known_clusters<'a>(around: &Surroundings<'a>) -> Option<Vec<&'a str>> {
    let listed = |document: &'a Node| document.field_at(&["static_resources", "clusters"]);
    let is_dynamic = |document: &Node| document.field_at(&["dynamic_resources", "cds_config"]).is_some();
    let lists: Vec<_> = around.documents.iter().filter_map(listed).collect();
    if around.documents.iter().any(is_dynamic) || (lists.is_empty() && around.clusters.is_empty()) {
        return None;
    }
    let written = lists.into_iter().flat_map(Node::items).filter_map(|cluster| cluster.get("name")?.text());
    Some(written.chain(around.clusters.iter().map(String::as_str)).collect())
}

/// What a bootstrap says for the whole process.
pub fn check_bootstrap(documents: &[Node], findings: &mut Findings) {
    const LIMIT: &str = "http.async_response_buffer_limit";
    for document in documents.iter().filter(|document| document.field("static_resources").is_some()) {
        let runtime = document.field("layered_runtime");
        let layers = runtime.and_then(|runtime| runtime.get("layers")).map_or(&[][..], Node::items);
        let fixed: Vec<_> = layers.iter().filter_map(|layer| layer.field("static_layer")).collect();
        let has_limit =
            |layer: &&Node| layer.get(LIMIT).or_else(|| layer.at(&["http", "async_response_buffer_limit"])).is_some();
        // An admin_layer is empty when Envoy starts.
        let comes_from_elsewhere =
            |layer: &Node| ["rtds_layer", "disk_layer"].iter().any(|name| layer.field(name).is_some());
        if !fixed.iter().any(has_limit) && !layers.iter().any(comes_from_elsewhere) {
            let place = runtime.map_or(document.place, |_| document.place_of_field("layered_runtime"));
            let text = "not set: Envoy keeps answers of the auth service of up to 32 MiB in memory; set it to 65536 in a static_layer";
            findings.warning(place, format!("layered_runtime: {LIMIT}"), text);
        }
    }
}
