//! A host for the real adapter, natively: it defines the `proxy_*` functions the SDK imports, and calls
//! the `proxy_on_*` functions the module exports, with Envoy's manners.
//!
//! The SDK keeps its contexts per thread, and so does this host: each test is a VM of its own. What
//! Envoy would punish with a trap panics here, so that a test sees it.

#![allow(dead_code, reason = "each test file uses the part it needs")]

pub mod abi;
mod crypto;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, Once};
use std::time::Duration;

use proxy_wasm::types::{Action, LogLevel};
use serde_json::Value;
use session_bearer::request::Field;

use crate::common::{Head, SECRET, START};

/// The root context's id.
pub const ROOT: u32 = 1;

/// The queue the filter registers.
pub const QUEUE: u32 = 77;

thread_local! {
    static HOST: RefCell<Host> = RefCell::new(Host::default());
}

/// Everything the module can see or change.
pub struct Host {
    pub now_nanos: u64,
    pub config: Vec<u8>,
    pub source_address: Vec<u8>,
    pub log_level: LogLevel,
    pub refuses_callouts: bool,
    /// Whether the host has the foreign function `verify_signature`.
    pub verifies_signatures: bool,
    /// What that function answers whatever it is asked; the truth when `None`.
    pub fixed_verdict: Option<Vec<u8>>,
    /// Every host call, in order.
    pub calls: Vec<&'static str>,
    pub logs: Vec<(LogLevel, String)>,
    pub metrics: Vec<Metric>,
    pub callouts: VecDeque<Callout>,
    pub tick_period: Option<u32>,
    /// What the workers of a process share; it outlives the module.
    pub shared: BTreeMap<String, Vec<u8>>,
    versions: BTreeMap<String, u32>,
    /// What another worker shares just after this one has looked for it and found nothing.
    pub overtaken_by: Option<(String, Vec<u8>)>,
    /// The queues of other workers, and which of them were rung for.
    pub other_queues: Vec<u32>,
    pub rung: Vec<u32>,
    streams: BTreeMap<u32, Stream>,
    effective: u32,
    queue: VecDeque<Vec<u8>>,
    reply: Option<(Vec<Field>, Vec<u8>)>,
    next_token: u32,
    is_loaded: bool,
}

pub struct Metric {
    pub name: String,
    pub value: i64,
    pub recorded: Vec<u64>,
}

/// A callout the module made.
#[derive(Clone, Debug)]
pub struct Callout {
    pub token: u32,
    pub cluster: String,
    pub headers: Vec<(String, String)>,
    pub timeout_millis: u32,
}

/// A request as the host sees it.
#[derive(Clone, Debug)]
pub struct Stream {
    pub fields: Vec<Field>,
    pub trailers: Option<Vec<Field>>,
    pub response: Option<Vec<Field>>,
    pub filter_state: BTreeMap<String, String>,
    pub state: StreamState,
}

/// What became of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StreamState {
    New,
    Paused,
    Passed,
    Closed,
    Replied { status: u32, headers: Vec<(String, String)>, body: String },
}

impl Default for Host {
    fn default() -> Self {
        Self {
            now_nanos: START.as_millis() * 1_000_000,
            config: Vec::new(),
            source_address: b"203.0.113.7:40123".to_vec(),
            log_level: LogLevel::Trace,
            refuses_callouts: false,
            verifies_signatures: true,
            fixed_verdict: None,
            calls: Vec::new(),
            logs: Vec::new(),
            metrics: Vec::new(),
            callouts: VecDeque::new(),
            tick_period: None,
            shared: BTreeMap::new(),
            versions: BTreeMap::new(),
            overtaken_by: None,
            other_queues: Vec::new(),
            rung: Vec::new(),
            streams: BTreeMap::new(),
            effective: 0,
            queue: VecDeque::new(),
            reply: None,
            next_token: 1,
            is_loaded: false,
        }
    }
}

impl Host {
    fn version(&self, name: &str) -> u32 {
        self.versions.get(name).copied().unwrap_or(1)
    }
}

/// Looks at the host, or changes it.
pub fn host<R>(look: impl FnOnce(&mut Host) -> R) -> R {
    HOST.with(|host| look(&mut host.borrow_mut()))
}

/// Loads the module and configures it; answers whether it accepted the configuration.
pub fn start(config: &Value) -> bool {
    start_on(Host::default(), config)
}

/// The same on a host that is not as usual.
pub fn start_on(unusual: Host, config: &Value) -> bool {
    static ENVIRONMENT: Once = Once::new();
    // SAFETY: the variable is set once, before any test reads the environment through the module.
    ENVIRONMENT.call_once(|| unsafe { std::env::set_var("JWT_SECRET", SECRET) });
    static LOADING: Mutex<()> = Mutex::new(());
    stop();
    host(|host| {
        *host = unusual;
        host.config = config.to_string().into_bytes();
        host.is_loaded = true;
    });
    {
        // The SDK installs its logger here, and a second thread that does so at the same moment panics. A
        // real VM has one thread.
        let _alone = LOADING.lock();
        abi::initialize();
    }
    abi::context_create(ROOT, 0);
    abi::vm_start(ROOT);
    let size = host(|host| host.config.len());
    enter(ROOT, || abi::configure(ROOT, size))
}

/// Ends what an earlier start has left, so that one thread can see several VMs, one after the other.
fn stop() {
    if host(|host| host.is_loaded) {
        host(|host| host.streams.keys().copied().collect::<Vec<_>>()).into_iter().for_each(end);
        enter(ROOT, || abi::delete(ROOT));
    }
}

/// A client sends a request; answers its id. The host's loop has not turned yet.
pub fn request(head: Head) -> u32 {
    let id = host(|host| {
        let id = host.streams.keys().last().copied().unwrap_or(ROOT) + 1;
        host.streams.insert(
            id,
            Stream {
                fields: head.0,
                trailers: None,
                response: None,
                filter_state: BTreeMap::new(),
                state: StreamState::New,
            },
        );
        id
    });
    abi::context_create(id, ROOT);
    let action = enter(id, || abi::request_headers(id));
    host(|host| {
        let stream = host.streams.get_mut(&id).unwrap();
        match (action, &stream.state) {
            (Action::Continue, StreamState::New) => stream.state = StreamState::Passed,
            (Action::Pause, StreamState::New) => stream.state = StreamState::Paused,
            (Action::Pause, StreamState::Replied { .. }) => {}
            (action, state) => panic!("{action:?} after {state:?}"),
        }
    });
    id
}

/// The host's loop turns: queues that were rung call their root.
pub fn turn() {
    if host(|host| !host.queue.is_empty()) {
        enter(ROOT, || abi::queue_ready(ROOT, QUEUE));
    }
}

/// The oldest callout is answered; no fields at all mean that the connection was reset.
pub fn answer(fields: Vec<Field>, body: &[u8]) {
    let callout = host(|host| {
        host.reply = Some((fields, body.to_vec()));
        host.callouts.pop_front().expect("a callout is under way")
    });
    let (headers, size) = host(|host| host.reply.as_ref().map(|(fields, body)| (fields.len(), body.len())).unwrap());
    enter(ROOT, || abi::http_call_response(ROOT, callout.token, headers, size));
    host(|host| host.reply = None);
}

/// The response to a request comes back; answers it as the client gets it.
pub fn respond(id: u32, fields: Vec<Field>) -> Vec<Field> {
    host(|host| host.streams.get_mut(&id).unwrap().response = Some(fields));
    assert_eq!(enter(id, || abi::response_headers(id)), Action::Continue);
    host(|host| host.streams.get_mut(&id).unwrap().response.take().unwrap())
}

/// The trailers of a request come; answers them as the backend gets them.
pub fn trailers(id: u32, fields: Vec<Field>) -> Vec<Field> {
    host(|host| host.streams.get_mut(&id).unwrap().trailers = Some(fields));
    assert_eq!(enter(id, || abi::request_trailers(id)), Action::Continue);
    host(|host| host.streams.get_mut(&id).unwrap().trailers.take().unwrap())
}

/// The client hangs up, or its request has ended.
pub fn end(id: u32) {
    enter(id, || abi::done(id));
    enter(id, || abi::delete(id));
    host(|host| host.streams.remove(&id));
}

/// A second passes.
pub fn tick() {
    host(|host| host.now_nanos += Duration::from_secs(1).as_nanos() as u64);
    enter(ROOT, || abi::tick(ROOT));
}

/// A request as it stands.
pub fn stream(id: u32) -> Stream {
    host(|host| host.streams[&id].clone())
}

/// The value of a metric.
pub fn metric(name: &str) -> i64 {
    host(|host| {
        host.metrics.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("no metric {name}")).value
    })
}

/// Calls into the module with `context` as the one that calls are about.
fn enter<R>(context: u32, call: impl FnOnce() -> R) -> R {
    host(|host| host.effective = context);
    call()
}
