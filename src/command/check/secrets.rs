//! Secrets: that the module gets them, and that nobody else does.

use session_bearer::config::is_variable;

use super::Findings;
use crate::command::document::Node;

const READABLE: &str = "whoever can read this file or /config_dump has it";

/// Words in the name of a field whose value is a credential.
const TELLING: [&str; 7] = ["apikey", "authorization", "cookie", "key", "password", "secret", "token"];

/// The environment variable the secret is in, where there is one.
pub fn variable(configuration: &Node) -> Option<&str> {
    configuration.at(&["token", "keys", "secret_env"]).and_then(Node::text).filter(|name| is_variable(name))
}

/// What of the configuration itself is a secret.
pub fn check_configuration(configuration: &Node, findings: &mut Findings) {
    for member in configuration.at(&["exchange", "headers"]).map_or(&[][..], Node::members) {
        let name = member.name.to_ascii_lowercase();
        let tells = name.split(['-', '_']).any(|word| TELLING.contains(&word));
        if tells && member.value.text().is_some_and(|value| !value.is_empty()) {
            let text = format!(
                "looks like a credential, and {READABLE}; have credential_injector among the cluster's own http_filters add it, or ask for none"
            );
            findings.warning(member.place, format!("exchange.headers.{}", member.name), text);
        }
    }
}

/// Whether Envoy hands the module the secret, and keeps it.
pub fn check_envoy(plugin: &Node, configuration: &Node, findings: &mut Findings) {
    let Some(variable) = variable(configuration) else { return };
    let path = "vm_config.environment_variables";
    let environment = plugin.field_at(&["vm_config", "environment_variables"]);
    let listed = environment.and_then(|environment| environment.field("host_env_keys"));
    if let Some(written) =
        environment.and_then(|e| e.field("key_values")).and_then(|values| values.get(variable).map(|_| values))
    {
        let text = format!("{READABLE}; take it out and list {variable} under host_env_keys");
        return findings.error(written.place_of(variable), format!("{path}.key_values.{variable}"), text);
    }
    if !listed.is_some_and(|listed| listed.items().iter().any(|item| item.text() == Some(variable))) {
        let place = listed.map_or_else(|| plugin.place_of_field("vm_config"), |listed| listed.place);
        let text = format!(
            "{variable}, which token.keys.secret_env names, is not listed; write `host_env_keys: [{variable}]`"
        );
        findings.error(place, format!("{path}.host_env_keys"), text);
    }
}

/// Whether Istio does.
pub fn check_istio(spec: &Node, configuration: &Node, findings: &mut Findings) {
    let Some(variable) = variable(configuration) else { return };
    let path = "spec.vmConfig.env";
    let entries = spec.at(&["vmConfig", "env"]);
    let named = |entry: &&Node| entry.get("name").and_then(Node::text) == Some(variable);
    match entries.map_or(&[][..], Node::items).iter().enumerate().find(|(_, entry)| named(entry)) {
        Some((i, entry)) if entry.get("value").is_some() => {
            let text = format!("{READABLE}; write `valueFrom: HOST` and set {variable} in the proxy's environment");
            findings.error(entry.place_of("value"), format!("{path}[{i}].value"), text);
        }
        Some((_, entry)) if entry.get("valueFrom").and_then(Node::text) == Some("HOST") => {}
        Some((i, entry)) => {
            findings.error(
                entry.place,
                format!("{path}[{i}]"),
                "has no `valueFrom: HOST`, so the module gets nothing from the proxy's environment",
            );
        }
        None => {
            let place = entries.map_or_else(|| spec.place_of("vmConfig"), |entries| entries.place);
            let text = format!(
                "{variable}, which token.keys.secret_env names, is not listed; write `- {{name: {variable}, valueFrom: HOST}}`"
            );
            findings.error(place, path, text);
        }
    }
}

/// Whether Envoy Gateway does.
pub fn check_gateway(entry: &Node, configuration: &Node, findings: &mut Findings) {
    let Some(variable) = variable(configuration) else { return };
    let listed = entry.at(&["env", "hostKeys"]);
    if !listed.is_some_and(|listed| listed.items().iter().any(|item| item.text() == Some(variable))) {
        let place = listed.map_or_else(|| entry.place_of("env"), |listed| listed.place);
        let text =
            format!("{variable}, which token.keys.secret_env names, is not listed; write `hostKeys: [{variable}]`");
        findings.error(place, "env.hostKeys", text);
    }
}
