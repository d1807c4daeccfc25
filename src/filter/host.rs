//! Every host call the filter makes.
//!
//! The SDK's own conveniences panic: its `String` getters on bytes that are not UTF-8, its trait methods
//! on any status they do not expect, and a panic takes the whole worker down (proxy-wasm-rust-sdk#25,
//! envoy#26485). So the calls stand here, in their `bytes` form, each used only where the host allows
//! it.

use std::time::{Duration, UNIX_EPOCH};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType};

use crate::edits::{Edit, HeaderEdits};
use crate::exchange::Callout;
use crate::filter_state::FilterState;
use crate::flight::StreamId;
use crate::reply::LocalReply;
use crate::request::Field;
use crate::set_cookie::SET_COOKIE;
use crate::shared::Version;
use crate::time::UnixTime;

/// The present time.
pub fn now() -> UnixTime {
    let since_epoch = hostcalls::get_current_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    // Without a clock nothing is ever fresh and no token has begun to live: requests are denied.
    UnixTime::from_millis(since_epoch.and_then(|span| u64::try_from(span.as_millis()).ok()).unwrap_or_default())
}

/// An environment variable, as far as `host_env_keys` lets the module see it.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The plugin configuration; readable while the plugin is being configured.
pub fn configuration() -> Vec<u8> {
    hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX).ok().flatten().unwrap_or_default()
}

/// Lets the module log what the host would print, and format nothing else.
pub fn adopt_log_level() {
    proxy_wasm::set_log_level(hostcalls::get_log_level().unwrap_or(LogLevel::Info));
}

/// Has `on_tick` called on the root context from now on.
pub fn tick_every(period: Duration) {
    let _ = hostcalls::set_tick_period(period);
}

/// A queue that calls `on_queue_ready` on this root context.
pub fn register_queue(name: &str) -> Option<u32> {
    hostcalls::register_shared_queue(name).ok()
}

/// Has `on_queue_ready` called soon. When that fails the next tick does its work.
pub fn ring(queue: u32) {
    let _ = hostcalls::enqueue_shared_queue(queue, Some(b"!"));
}

/// Empties the queue.
pub fn drain(queue: u32) {
    while let Ok(Some(_)) = hostcalls::dequeue_shared_queue(queue) {}
}

/// The head of the current request.
pub fn request_fields() -> Vec<Field> {
    hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap_or_default()
}

/// The trailers of the current request; readable while they pass.
pub fn request_trailers() -> Vec<Field> {
    hostcalls::get_map_bytes(MapType::HttpRequestTrailers).unwrap_or_default()
}

/// Takes every value of a field out of the trailers that are passing.
pub fn remove_request_trailer(name: &str) {
    let _ = hostcalls::remove_map_value(MapType::HttpRequestTrailers, name);
}

/// The address of the client as Envoy trusts it, without its port.
pub fn client_address() -> Option<String> {
    let bytes = hostcalls::get_property(vec!["source", "address"]).ok().flatten()?;
    let address: std::net::SocketAddr = std::str::from_utf8(&bytes).ok()?.parse().ok()?;
    Some(address.ip().to_string())
}

/// Makes the calls that follow be about the request `stream`; `false` when it is gone.
pub fn focus(stream: StreamId) -> bool {
    hostcalls::set_effective_context(stream).is_ok()
}

/// Edits the head of the current request. To be done before it is resumed: the host takes the fields
/// away then.
pub fn edit(edits: &HeaderEdits) {
    for edit in edits.iter() {
        let _ = match edit {
            Edit::Remove(name) => hostcalls::remove_map_value(MapType::HttpRequestHeaders, name),
            Edit::Replace(name, value) => {
                hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, Some(value))
            }
        };
    }
}

/// Tells access logs and the filters after this one what was decided on the current request.
///
/// The SDK panics when the host refuses the call, which it does for a request that has ended, and where the
/// list of allowed capabilities lacks `proxy_set_property`.
pub fn set_filter_state(state: &FilterState) {
    for (name, value) in state.entries() {
        let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
    }
}

/// Lets the current request, which was paused, go on.
pub fn resume() {
    let _ = hostcalls::resume_http_request();
}

/// Answers the current request here. At most once per request, and the request stays paused.
pub fn reply(reply: &LocalReply) {
    let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    let _ = hostcalls::send_http_response(u32::from(reply.status), headers, Some(reply.body.as_bytes()));
}

/// Ends the current request and its response, wherever they are.
pub fn close() {
    let _ = hostcalls::reset_http_request();
}

/// The head of the response to the current request; readable while it passes.
pub fn response_fields() -> Vec<Field> {
    hostcalls::get_map_bytes(MapType::HttpResponseHeaders).unwrap_or_default()
}

/// Adds a `Set-Cookie` line to the response that is passing.
#[allow(clippy::disallowed_methods, reason = "each cookie is set by a field of its own (RFC 6265 §3)")]
pub fn set_cookie(line: &str) {
    let _ = hostcalls::add_map_value_bytes(MapType::HttpResponseHeaders, SET_COOKIE, line.as_bytes());
}

/// Sets the `Cache-Control` of the response that is passing.
pub fn set_cache_control(value: &str) {
    let _ = hostcalls::set_map_value_bytes(MapType::HttpResponseHeaders, "cache-control", Some(value.as_bytes()));
}

/// Makes a callout; `None` when the host will not.
pub fn dispatch(cluster: &str, callout: &Callout, timeout: Duration) -> Option<u32> {
    hostcalls::dispatch_http_call(cluster, callout.headers(), None, Vec::new(), timeout).ok()
}

/// The fields of the answer that has just arrived; none when there is no answer.
pub fn reply_fields() -> Vec<Field> {
    hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders).unwrap_or_default()
}

/// The first `limit` bytes of its body.
pub fn reply_body(limit: usize) -> Vec<u8> {
    hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, limit).ok().flatten().unwrap_or_default()
}

/// Whether the host's cryptography takes `signature` for one of the public key `spki` over `text`;
/// `false` too when it has no such function.
///
/// The message is `envoy.source.extensions.common.wasm.VerifySignatureArguments`.
pub fn verify_signature(hash: &str, spki: &[u8], signature: &[u8], text: &[u8]) -> bool {
    let mut arguments = Vec::new();
    prost::encoding::string::encode(1, &hash.to_owned(), &mut arguments);
    for (tag, value) in [(2, spki), (3, signature), (4, text)] {
        prost::encoding::bytes::encode(tag, &value.to_vec(), &mut arguments);
    }
    // The field `result`, number 1, is true.
    matches!(hostcalls::call_foreign_function("verify_signature", Some(&arguments)), Ok(Some(result)) if result == [8, 1])
}

/// Data that the workers of this process share under the module's `vm_id`, and its version.
pub fn shared(name: &str) -> Option<(Vec<u8>, Version)> {
    let (data, version) = hostcalls::get_shared_data(name).ok()?;
    // A name whose data was removed keeps a version.
    Some((data.unwrap_or_default(), version?))
}

/// Shares data with the other workers; the last writer wins.
pub fn share(name: &str, data: &[u8]) {
    let _ = hostcalls::set_shared_data(name, Some(data), None);
}

/// Shares data if what is there has still the version that was `seen`, or is still not there; answers
/// whether it is shared now.
pub fn share_if(name: &str, data: &[u8], seen: Option<Version>) -> bool {
    // The host looks at the version only where there is data, and takes zero for any version. One that no
    // data has makes it refuse to replace any.
    const NONE: Version = Version::MAX;
    hostcalls::set_shared_data(name, Some(data), Some(seen.unwrap_or(NONE))).is_ok()
}

/// Defines a metric; each call takes a new id, so once is enough.
pub fn define_metric(kind: MetricType, name: &str) -> Option<u32> {
    hostcalls::define_metric(kind, name).ok()
}

/// Adds to a counter or a gauge.
pub fn add_to_metric(id: u32, delta: i64) {
    if delta != 0 {
        let _ = hostcalls::increment_metric(id, delta);
    }
}

/// Records a value of a histogram, or sets a gauge.
pub fn record_metric(id: u32, value: u64) {
    let _ = hostcalls::record_metric(id, value);
}
