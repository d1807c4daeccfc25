//! The two sides of the proxy-wasm ABI, version 0.2.1.

#![allow(improper_ctypes, improper_ctypes_definitions, reason = "the SDK declares its enums in these places")]

use std::io::Write as _;
use std::slice;

use proxy_wasm::types::{Action, BufferType, LogLevel, MapType, MetricType, Status, StreamType};
// Linked for the functions the module exports.
use session_bearer as _;
use session_bearer::request::Field;

use super::{Callout, HOST, Host, Metric, QUEUE, ROOT, StreamState};

mod exported {
    use proxy_wasm::types::Action;

    unsafe extern "C" {
        pub fn _initialize();
        pub fn proxy_on_context_create(context: u32, root: u32);
        pub fn proxy_on_vm_start(context: u32, size: usize) -> bool;
        pub fn proxy_on_configure(context: u32, size: usize) -> bool;
        pub fn proxy_on_tick(context: u32);
        pub fn proxy_on_queue_ready(context: u32, queue: u32);
        pub fn proxy_on_request_headers(context: u32, count: usize, end_of_stream: bool) -> Action;
        pub fn proxy_on_request_trailers(context: u32, count: usize) -> Action;
        pub fn proxy_on_response_headers(context: u32, count: usize, end_of_stream: bool) -> Action;
        pub fn proxy_on_http_call_response(context: u32, token: u32, headers: usize, body: usize, trailers: usize);
        pub fn proxy_on_done(context: u32) -> bool;
        pub fn proxy_on_delete(context: u32);
    }
}

/// Safe names for the exported functions. Each is called with the arguments Envoy would pass.
macro_rules! module_calls {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? = $call:expr;)*) => {
        $(pub fn $name($($argument: $type),*) $(-> $result)? {
            // SAFETY: the module's exports take plain numbers and answer any of them without a fault.
            unsafe { $call }
        })*
    };
}

module_calls! {
    initialize() = exported::_initialize();
    context_create(id: u32, root: u32) = exported::proxy_on_context_create(id, root);
    vm_start(id: u32) -> bool = exported::proxy_on_vm_start(id, 0);
    configure(id: u32, size: usize) -> bool = exported::proxy_on_configure(id, size);
    tick(id: u32) = exported::proxy_on_tick(id);
    queue_ready(id: u32, queue: u32) = exported::proxy_on_queue_ready(id, queue);
    request_headers(id: u32) -> Action = exported::proxy_on_request_headers(id, 0, true);
    request_trailers(id: u32) -> Action = exported::proxy_on_request_trailers(id, 0);
    response_headers(id: u32) -> Action = exported::proxy_on_response_headers(id, 0, true);
    http_call_response(id: u32, token: u32, headers: usize, body: usize) =
        exported::proxy_on_http_call_response(id, token, headers, body, 0);
    done(id: u32) -> bool = exported::proxy_on_done(id);
    delete(id: u32) = exported::proxy_on_delete(id);
}

/// Notes the call and answers it.
pub(super) fn called(name: &'static str, answer: impl FnOnce(&mut Host) -> Status) -> Status {
    HOST.with(|host| {
        let host = &mut host.borrow_mut();
        host.calls.push(name);
        answer(host)
    })
}

pub(super) fn bytes<'a>(data: *const u8, size: usize) -> &'a [u8] {
    // SAFETY: the SDK passes the address and length of a slice of its own.
    if data.is_null() { &[] } else { unsafe { slice::from_raw_parts(data, size) } }
}

pub(super) fn text(data: *const u8, size: usize) -> String {
    String::from_utf8(bytes(data, size).to_vec()).expect("UTF-8")
}

/// Hands bytes over as Envoy does: in memory the module frees.
pub(super) fn hand_over(value: Vec<u8>, data: *mut *mut u8, size: *mut usize) {
    let value = value.into_boxed_slice();
    // SAFETY: the SDK passes the addresses of two variables of its own.
    unsafe {
        *size = value.len();
        *data = if value.is_empty() { std::ptr::null_mut() } else { Box::into_raw(value).cast() };
    }
}

fn put<T>(value: T, place: *mut T) {
    // SAFETY: the SDK passes the address of a variable of its own.
    unsafe { *place = value };
}

fn serialize(fields: &[Field]) -> Vec<u8> {
    let mut out = (fields.len() as u32).to_le_bytes().to_vec();
    for (name, value) in fields {
        out.extend((name.len() as u32).to_le_bytes());
        out.extend((value.len() as u32).to_le_bytes());
    }
    for (name, value) in fields {
        out.extend([name.as_bytes(), &[0], value, &[0]].concat());
    }
    out
}

fn deserialize(map: &[u8]) -> Vec<(String, String)> {
    let number = |at: usize| u32::from_le_bytes(map[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 4 + number(0) * 8;
    let mut next = |size: usize| {
        let part = String::from_utf8(map[at..at + size].to_vec()).unwrap();
        at += size + 1;
        part
    };
    (0..number(0)).map(|n| (next(number(4 + n * 8)), next(number(8 + n * 8)))).collect()
}

/// The fields of the current request, which Envoy takes away when it lets the request go on.
fn current_fields(host: &mut Host) -> Option<&mut Vec<Field>> {
    let stream = host.streams.get_mut(&host.effective)?;
    matches!(stream.state, StreamState::New | StreamState::Paused).then_some(&mut stream.fields)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_log(level: LogLevel, data: *const u8, size: usize) -> Status {
    // The SDK has panics logged. That is how a test fails too, often in the middle of a call, which ends the
    // process: what is not written at once is lost.
    if std::thread::panicking() {
        let _ = writeln!(std::io::stderr(), "{}", text(data, size));
        return Status::Ok;
    }
    called("proxy_log", |host| {
        host.logs.push((level, text(data, size)));
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_log_level(level: *mut LogLevel) -> Status {
    called("proxy_get_log_level", |host| {
        put(host.log_level, level);
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_current_time_nanoseconds(time: *mut u64) -> Status {
    called("proxy_get_current_time_nanoseconds", |host| {
        put(host.now_nanos, time);
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_tick_period_milliseconds(period: u32) -> Status {
    called("proxy_set_tick_period_milliseconds", |host| {
        host.tick_period = Some(period);
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_buffer_bytes(
    kind: BufferType,
    start: usize,
    max: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> Status {
    called("proxy_get_buffer_bytes", |host| {
        let buffer = match kind {
            BufferType::PluginConfiguration => host.config.clone(),
            BufferType::HttpCallResponseBody => host.reply.as_ref().map(|(_, body)| body.clone()).unwrap_or_default(),
            _ => return Status::NotFound,
        };
        hand_over(buffer.into_iter().skip(start).take(max).collect(), data, size);
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_header_map_pairs(map: MapType, data: *mut *mut u8, size: *mut usize) -> Status {
    called("proxy_get_header_map_pairs", |host| {
        let fields = match map {
            MapType::HttpRequestHeaders => current_fields(host).cloned().unwrap_or_default(),
            MapType::HttpCallResponseHeaders => {
                host.reply.as_ref().map(|(fields, _)| fields.clone()).unwrap_or_default()
            }
            MapType::HttpResponseHeaders => {
                host.streams.get(&host.effective).and_then(|stream| stream.response.clone()).unwrap_or_default()
            }
            MapType::HttpRequestTrailers => {
                host.streams.get(&host.effective).and_then(|stream| stream.trailers.clone()).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        hand_over(serialize(&fields), data, size);
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_remove_header_map_value(map: MapType, key: *const u8, key_size: usize) -> Status {
    called("proxy_remove_header_map_value", |host| {
        let trailers = host.streams.get_mut(&host.effective).and_then(|stream| stream.trailers.as_mut());
        let fields = if map == MapType::HttpRequestTrailers { trailers } else { current_fields(host) };
        let Some(fields) = fields else { return Status::BadArgument };
        fields.retain(|(name, _)| *name != text(key, key_size));
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_replace_header_map_value(
    map: MapType,
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
) -> Status {
    called("proxy_replace_header_map_value", |host| {
        let response = host.streams.get_mut(&host.effective).and_then(|stream| stream.response.as_mut());
        let fields = if map == MapType::HttpResponseHeaders { response } else { current_fields(host) };
        let Some(fields) = fields else { return Status::BadArgument };
        let name = text(key, key_size);
        fields.retain(|(n, _)| *n != name);
        fields.push((name, bytes(value, value_size).to_vec()));
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> Status {
    called("proxy_get_property", |host| {
        if bytes(path, path_size) != b"source\0address" || !host.streams.contains_key(&host.effective) {
            return Status::NotFound;
        }
        hand_over(host.source_address.clone(), data, size);
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> Status {
    called("proxy_set_property", |host| {
        let Some(stream) = host.streams.get_mut(&host.effective) else { return Status::NotFound };
        stream.filter_state.insert(text(path, path_size), text(value, value_size));
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_register_shared_queue(_: *const u8, _: usize, id: *mut u32) -> Status {
    called("proxy_register_shared_queue", |_| {
        put(QUEUE, id);
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_enqueue_shared_queue(queue: u32, data: *const u8, size: usize) -> Status {
    called("proxy_enqueue_shared_queue", |host| {
        match queue {
            QUEUE => host.queue.push_back(bytes(data, size).to_vec()),
            _ if host.other_queues.contains(&queue) => host.rung.push(queue),
            _ => return Status::NotFound,
        }
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_dequeue_shared_queue(queue: u32, data: *mut *mut u8, size: *mut usize) -> Status {
    called("proxy_dequeue_shared_queue", |host| match host.queue.pop_front() {
        Some(message) if queue == QUEUE => {
            hand_over(message, data, size);
            Status::Ok
        }
        _ => Status::Empty,
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_continue_stream(kind: StreamType) -> Status {
    called("proxy_continue_stream", |host| move_on(host, kind, StreamState::Paused, StreamState::Passed))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_close_stream(kind: StreamType) -> Status {
    called("proxy_close_stream", |host| move_on(host, kind, StreamState::Passed, StreamState::Closed))
}

/// Only a request that is there is resumed or closed, and only from the state where that is right.
fn move_on(host: &mut Host, kind: StreamType, from: StreamState, to: StreamState) -> Status {
    assert_eq!(kind, StreamType::HttpRequest);
    let stream = host.streams.get_mut(&host.effective).expect("the request is there");
    assert_eq!(stream.state, from, "a request becomes {to:?} once, and only from here");
    stream.state = to;
    Status::Ok
}

#[unsafe(no_mangle)]
extern "C" fn proxy_add_header_map_value(
    map: MapType,
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
) -> Status {
    called("proxy_add_header_map_value", |host| {
        assert!(matches!(map, MapType::HttpResponseHeaders), "what is set in a request replaces");
        let response = host.streams.get_mut(&host.effective).and_then(|stream| stream.response.as_mut());
        response.expect("a response is passing").push((text(key, key_size), bytes(value, value_size).to_vec()));
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_send_local_response(
    status: u32,
    _: *const u8,
    _: usize,
    body: *const u8,
    body_size: usize,
    headers: *const u8,
    headers_size: usize,
    _: i32,
) -> Status {
    called("proxy_send_local_response", |host| {
        let stream = host.streams.get_mut(&host.effective).expect("only a request that is there is answered");
        assert!(matches!(stream.state, StreamState::New | StreamState::Paused), "answered twice, or after it went on");
        let headers = deserialize(bytes(headers, headers_size));
        stream.state = StreamState::Replied { status, headers, body: text(body, body_size) };
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_http_call(
    cluster: *const u8,
    cluster_size: usize,
    headers: *const u8,
    headers_size: usize,
    _: *const u8,
    _: usize,
    _: *const u8,
    _: usize,
    timeout_millis: u32,
    token: *mut u32,
) -> Status {
    called("proxy_http_call", |host| {
        if host.refuses_callouts {
            return Status::InternalFailure;
        }
        let callout = Callout {
            token: host.next_token,
            cluster: text(cluster, cluster_size),
            headers: deserialize(bytes(headers, headers_size)),
            timeout_millis,
        };
        put(callout.token, token);
        host.next_token += 1;
        host.callouts.push_back(callout);
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_effective_context(id: u32) -> Status {
    called("proxy_set_effective_context", |host| {
        if id != ROOT && !host.streams.contains_key(&id) {
            return Status::BadArgument;
        }
        host.effective = id;
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_define_metric(_: MetricType, name: *const u8, size: usize, id: *mut u32) -> Status {
    called("proxy_define_metric", |host| {
        put(host.metrics.len() as u32, id);
        host.metrics.push(Metric { name: text(name, size), value: 0, recorded: Vec::new() });
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_increment_metric(id: u32, offset: i64) -> Status {
    called("proxy_increment_metric", |host| {
        host.metrics[id as usize].value += offset;
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_record_metric(id: u32, value: u64) -> Status {
    called("proxy_record_metric", |host| {
        // A gauge is what was recorded last; a histogram is all of it.
        let metric = &mut host.metrics[id as usize];
        metric.value = i64::try_from(value).unwrap();
        metric.recorded.push(value);
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_get_shared_data(
    key: *const u8,
    key_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
    cas: *mut u32,
) -> Status {
    called("proxy_get_shared_data", |host| {
        let name = text(key, key_size);
        let Some(value) = host.shared.get(&name) else {
            host.shared.extend(host.overtaken_by.take_if(|(overtaken, _)| *overtaken == name));
            return Status::NotFound;
        };
        hand_over(value.clone(), data, size);
        put(host.version(&name), cas);
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_shared_data(
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
    cas: u32,
) -> Status {
    called("proxy_set_shared_data", |host| {
        let name = text(key, key_size);
        // As in Envoy, zero stands for any version, and where there is no data none is compared.
        if host.shared.contains_key(&name) && cas != 0 && cas != host.version(&name) {
            return Status::CasMismatch;
        }
        host.versions.insert(name.clone(), host.version(&name) + 1);
        host.shared.insert(name, bytes(value, value_size).to_vec());
        Status::Ok
    })
}

/// Host functions the SDK refers to and the filter has no business calling.
macro_rules! never_called {
    ($($name:ident($($type:ty),*);)*) => {
        $(#[unsafe(no_mangle)]
        extern "C" fn $name($(_: $type),*) -> Status {
            panic!("the filter called {}", stringify!($name));
        })*
    };
}

never_called! {
    proxy_set_buffer_bytes(BufferType, usize, usize, *const u8, usize);
    proxy_set_header_map_pairs(MapType, *const u8, usize);
    proxy_get_header_map_value(MapType, *const u8, usize, *mut *mut u8, *mut usize);
    proxy_resolve_shared_queue(*const u8, usize, *const u8, usize, *mut u32);
    proxy_grpc_call(*const u8, usize, *const u8, usize, *const u8, usize, *const u8, usize, *const u8, usize, u32, *mut u32);
    proxy_grpc_stream(*const u8, usize, *const u8, usize, *const u8, usize, *const u8, usize, *mut u32);
    proxy_grpc_send(u32, *const u8, usize, bool);
    proxy_grpc_cancel(u32);
    proxy_grpc_close(u32);
    proxy_get_status(*mut u32, *mut *mut u8, *mut usize);
    proxy_done();
    proxy_get_metric(u32, *mut u64);
}
