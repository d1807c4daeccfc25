//! The verb `schema`: what an editor needs to complete and check a configuration.

use serde_json::{Value, json};
use session_bearer::config::Config;

use super::{Ending, print};

/// Prints the JSON Schema of the plugin's configuration.
///
/// An editor reads it from a line such as `# yaml-language-server: $schema=session-bearer.schema.json`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The schema of an Envoy configuration, which looks at nothing but the plugin's within.
    #[arg(long)]
    envoy: bool,
}

/// Prints the schema.
pub fn run(arguments: &Arguments) -> Result<Ending, String> {
    let schema = if arguments.envoy { envoy() } else { Config::schema().to_value() };
    print(&format!("{schema:#}"));
    Ok(Ending::Clean)
}

/// The schema of any Envoy configuration: wherever a Wasm filter's is, it has to be a plugin's that works.
fn envoy() -> Value {
    let mut plugin = Config::schema().to_value();
    let shared = plugin.as_object_mut().and_then(|plugin| plugin.remove("$defs")).unwrap_or_default();
    let mut definitions = json!({
        "anything": {
            "if": { "type": "object", "properties": { "configuration": true, "vm_config": true }, "required": ["configuration", "vm_config"] },
            "then": { "$ref": "#/$defs/wasm" },
            "else": {
                "additionalProperties": { "$ref": "#/$defs/anything" },
                "items": { "$ref": "#/$defs/anything" },
            },
        },
        "wasm": {
            "properties": {
                "configuration": {
                    "if": {
                        "properties": {
                            "@type": { "const": "type.googleapis.com/google.protobuf.Struct" },
                            "value": { "anyOf": [{ "required": ["credentials"] }, { "required": ["exchange"] }, { "required": ["token"] }] },
                        },
                        "required": ["@type", "value"],
                    },
                    "then": { "properties": { "value": { "$ref": "#/$defs/plugin" } } },
                },
            },
        },
    });
    if let (Some(definitions), Value::Object(shared)) = (definitions.as_object_mut(), shared) {
        if let Some(plugin) = plugin.as_object_mut() {
            plugin.remove("$schema");
        }
        definitions.insert("plugin".to_owned(), plugin);
        definitions.extend(shared);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Envoy with session-bearer",
        "description": "Only the configuration of session-bearer is looked at.",
        "$ref": "#/$defs/anything",
        "$defs": definitions,
    })
}
