//! What resources of Kubernetes say around a configuration.

use super::{Findings, secrets};
use crate::command::document::Node;

const OPEN: &str = "lets every request through, unauthenticated, when the filter fails";

/// Istio's `WasmPlugin`.
pub fn check_istio(spec: &Node, configuration: &Node, findings: &mut Findings) {
    if spec.get("failStrategy").and_then(Node::text) == Some("FAIL_OPEN") {
        findings.error(
            spec.place_of("failStrategy"),
            "spec.failStrategy",
            format!("FAIL_OPEN {OPEN}; write FAIL_CLOSE"),
        );
    }
    secrets::check_istio(spec, configuration, findings);
}

/// Envoy Gateway's `EnvoyExtensionPolicy`.
pub fn check_gateway(entry: &Node, configuration: &Node, findings: &mut Findings) {
    if entry.get("failOpen").is_some_and(Node::is_true) {
        findings.error(entry.place_of("failOpen"), "failOpen", format!("true {OPEN}; leave it out"));
    }
    secrets::check_gateway(entry, configuration, findings);
}
