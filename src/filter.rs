//! The adapter: turns the host's callbacks into calls of the core, and its answers into host calls.
//!
//! Nothing is decided here. [`root`] owns what outlives a request: the configuration, the callouts, the
//! metrics. [`stream`] is one request. [`signatures`] has the host verify what it can. [`workers`] is how the
//! workers of a process find each other. Only [`host`] makes host calls.

mod host;
mod metrics;
mod probes;
mod root;
mod shared_keys;
mod signatures;
mod stream;
mod workers;

use proxy_wasm::types::LogLevel;

// What the host calls when it has loaded the module.
proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|id| Box::new(root::FilterRoot::new(id)));
}}
