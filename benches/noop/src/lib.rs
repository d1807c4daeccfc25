//! A filter that does nothing: what any filter of this SDK costs.
//!
//! Configured with any text, it makes the host calls that session-bearer makes for a known session and its response,
//! and decides nothing: what the job costs before a filter has thought about it.

use std::hint::black_box;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MapType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root { calls: false }));
}}

struct Root {
    calls: bool,
}

struct Stream {
    calls: bool,
}

const STATE: [(&str, &[u8]); 3] = [
    ("session_bearer.outcome", b"allowed_hit"),
    ("session_bearer.credential", b"session_cookie"),
    ("session_bearer.subject", b"user-1"),
];

/// As long as the token of the benchmark, with `Bearer ` before it.
const AUTHORIZATION: &[u8] = &[b'x'; 246];

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        self.calls = size > 0;
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { calls: self.calls }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if self.calls {
            let _ = black_box(hostcalls::get_map_bytes(MapType::HttpRequestHeaders));
            let _ = black_box(hostcalls::get_current_time());
            for (name, value) in STATE {
                let _ = hostcalls::set_property(vec![name], Some(value));
            }
            replace(MapType::HttpRequestHeaders, "cookie", b"_ga=GA1.1.1432874190.1763721300; theme=dark");
            replace(MapType::HttpRequestHeaders, "authorization", AUTHORIZATION);
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if self.calls {
            let _ = black_box(hostcalls::get_map_bytes(MapType::HttpResponseHeaders));
            replace(MapType::HttpResponseHeaders, "cache-control", b"private, no-store");
        }
        Action::Continue
    }
}

fn replace(map: MapType, name: &str, value: &[u8]) {
    let _ = hostcalls::set_map_value_bytes(map, name, Some(value));
}
