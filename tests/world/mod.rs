//! A simulated worker: the real core between scripted clients, a scripted auth service and a clock that
//! moves when it is told to.
//!
//! It does what the adapter does, and checks on the way that every request is settled exactly once.

#![allow(dead_code, reason = "each test file uses the part it needs")]

pub mod session;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use session_bearer::authenticator::{Authenticator, Bell, Failure, Outcome, ResponseEdits, Step};
use session_bearer::edits::{Edit, HeaderEdits};
use session_bearer::exchange::{Callout, CalloutReply};
use session_bearer::filter_state::FilterState;
use session_bearer::flight::{FlightId, StreamId};
use session_bearer::keys::SharedDocument;
use session_bearer::reply::LocalReply;
use session_bearer::request::Field;
use session_bearer::stats::Counter;
use session_bearer::time::UnixTime;
use session_bearer::token::signature::InModule;

use crate::common::shared::SharedMemory;
use crate::common::{self, Head, START};

/// The address every client comes from.
pub const CLIENT: &str = "203.0.113.7";

/// One worker and everything around it.
pub struct World {
    pub authenticator: Authenticator,
    pub now: UnixTime,
    pub failures: Vec<Failure>,
    /// Streams that were closed because their token had ended.
    pub closed: Vec<StreamId>,
    /// Whether the other workers of the process were rung for since this was looked at last.
    pub rang_others: bool,
    requests: BTreeMap<StreamId, Request>,
    /// The callouts under way, and for how many ticks.
    callouts: VecDeque<(FlightId, Rc<Callout>, u32)>,
    fetches: VecDeque<Callout>,
    next_stream: StreamId,
}

struct Request {
    fields: Vec<Field>,
    state: State,
    filter_state: Option<FilterState>,
}

enum State {
    Waiting,
    Passed(Vec<Field>),
    Answered(LocalReply),
    Gone,
}

/// What became of a request.
#[derive(Debug, Eq, PartialEq)]
pub enum Fate {
    /// It reached the backend with this `Authorization` and this `Cookie`.
    Passed { authorization: Vec<String>, cookie: Option<String> },
    /// It was answered with this status.
    Answered(u16),
    /// It is still held.
    Waiting,
    /// Its client hung up.
    Gone,
}

/// An answer of the auth service.
#[derive(Clone, Debug)]
pub struct Reply {
    pub fields: Vec<Field>,
    pub body: Vec<u8>,
}

impl Reply {
    /// This status and this JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// A token, where the minimal configuration expects it.
    pub fn token(token: &str) -> Self {
        Self::json(200, &json!({ "token": token }))
    }

    /// This status, content type and body.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let fields = vec![
            (":status".to_owned(), status.to_string().into_bytes()),
            ("content-type".to_owned(), content_type.as_bytes().to_vec()),
        ];
        Self { fields, body: body.into() }
    }

    /// What the host says when the connection was reset: nothing at all.
    pub fn reset() -> Self {
        Self { fields: Vec::new(), body: Vec::new() }
    }

    /// One response field more.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }
}

impl World {
    /// A world with the minimal configuration.
    pub fn new() -> Self {
        Self::with(&common::minimal())
    }

    /// A world with this configuration.
    pub fn with(config: &Value) -> Self {
        Self::beside(&Rc::default(), config, 0)
    }

    /// One of several workers of a process, with randomness of its own.
    pub fn beside(shared: &Rc<SharedMemory>, config: &Value, random: u64) -> Self {
        let config = common::read(config).unwrap_or_else(|problems| panic!("{problems:?}"));
        let shared: Rc<SharedMemory> = Rc::clone(shared);
        let mut world = Self {
            authenticator: Authenticator::new(Rc::new(config), Rc::new(InModule), shared, random),
            now: START,
            failures: Vec::new(),
            closed: Vec::new(),
            rang_others: false,
            requests: BTreeMap::new(),
            callouts: VecDeque::new(),
            fetches: VecDeque::new(),
            next_stream: 1,
        };
        world.make_callouts();
        world
    }

    /// A client sends a request.
    pub fn request(&mut self, head: Head) -> StreamId {
        let stream = self.next_stream;
        self.next_stream += 1;
        let step = self.authenticator.on_request(&head.0, stream, || Some(CLIENT.to_owned()), self.now);
        let (state, filter_state) = settled(step, &head.0);
        self.requests.insert(stream, Request { fields: head.0, state, filter_state });
        self.heed_bell();
        stream
    }

    /// The response to a request that passed comes back; answers what is done to it.
    pub fn respond(&mut self, stream: StreamId, reply: &Reply) -> ResponseEdits {
        let edits = self.authenticator.on_response(stream, || reply.fields.clone(), || self.now);
        self.heed_bell();
        edits
    }

    /// The worker learns what others have rung for.
    pub fn catch_up(&mut self) {
        self.authenticator.catch_up();
        self.make_callouts();
    }

    /// What became of a request.
    pub fn fate(&self, stream: StreamId) -> Fate {
        match &self.requests[&stream].state {
            State::Waiting => Fate::Waiting,
            State::Gone => Fate::Gone,
            State::Answered(reply) => Fate::Answered(reply.status),
            State::Passed(fields) => {
                Fate::Passed { authorization: values(fields, "authorization"), cookie: values(fields, "cookie").pop() }
            }
        }
    }

    /// The answer a request was given here.
    pub fn local_reply(&self, stream: StreamId) -> &LocalReply {
        match &self.requests[&stream].state {
            State::Answered(reply) => reply,
            _ => panic!("the request was not answered here"),
        }
    }

    /// What Envoy is told of a request: its outcome, its credential, its subject.
    pub fn told(&self, stream: StreamId) -> Vec<&str> {
        let state = self.requests[&stream].filter_state.as_ref();
        state.into_iter().flat_map(FilterState::entries).map(|(_, value)| value).collect()
    }

    /// The fields with which a request reached the backend.
    pub fn upstream(&self, stream: StreamId) -> &[Field] {
        match &self.requests[&stream].state {
            State::Passed(fields) => fields,
            _ => panic!("the request did not pass"),
        }
    }

    /// A request that is made and whose exchange, if any, is answered at once.
    pub fn exchange(&mut self, head: Head, reply: &Reply) -> Fate {
        let stream = self.request(head);
        while !self.callouts.is_empty() {
            self.answer(reply);
        }
        self.fate(stream)
    }

    /// The callouts under way, oldest first.
    pub fn callouts(&self) -> Vec<Vec<(String, String)>> {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        self.callouts.iter().map(|(_, callout, _)| callout.headers().into_iter().map(owned).collect()).collect()
    }

    /// The auth service answers the oldest callout.
    pub fn answer(&mut self, reply: &Reply) {
        self.answer_nth(0, reply);
    }

    /// The auth service answers one of the callouts.
    pub fn answer_nth(&mut self, n: usize, reply: &Reply) {
        let (flight, ..) = self.callouts.remove(n).expect("a callout is under way");
        let reply = CalloutReply { fields: &reply.fields, body: &reply.body };
        let outcome = self.authenticator.on_answer(flight, &reply, self.now);
        self.carry_out(outcome);
        self.make_callouts();
    }

    /// A callout that is under way for longer than so many ticks.
    pub fn callout_older_than(&self, limit: u32) -> Option<usize> {
        self.callouts.iter().position(|(.., ticks)| *ticks > limit)
    }

    /// How many fetches of keys are under way: one at most.
    pub fn fetches(&self) -> usize {
        self.fetches.len()
    }

    /// The key endpoint answers.
    pub fn answer_fetch(&mut self, reply: &Reply) {
        self.fetches.pop_front().expect("a fetch is under way");
        let reply = CalloutReply { fields: &reply.fields, body: &reply.body };
        let outcome = self.authenticator.on_fetched_keys(&reply, self.now);
        self.carry_out(outcome);
        self.make_callouts();
    }

    /// Another worker has fetched a document and shares it; answers whether it was of use.
    pub fn share_keys(&mut self, shared: &SharedDocument) -> bool {
        let outcome = self.authenticator.on_shared_keys(shared, self.now);
        let adopted = outcome.is_some();
        self.carry_out(outcome.unwrap_or_default());
        adopted
    }

    /// The host refuses the oldest callout instead of making it.
    pub fn refuse_callout(&mut self) {
        let (flight, ..) = self.callouts.pop_front().expect("a callout is under way");
        let outcome = self.authenticator.on_not_sent(flight, self.now);
        self.carry_out(outcome);
    }

    /// The host forgets a callout: no answer will ever come.
    pub fn lose_callout(&mut self) {
        self.callouts.pop_front().expect("a callout is under way");
    }

    /// The client of a request hangs up.
    pub fn hang_up(&mut self, stream: StreamId) {
        let request = self.requests.get_mut(&stream).unwrap();
        request.state = State::Gone;
        self.authenticator.on_end(stream);
        self.heed_bell();
    }

    /// A tick of the worker's timer.
    pub fn tick(&mut self) {
        self.callouts.iter_mut().for_each(|(.., ticks)| *ticks += 1);
        let outcome = self.authenticator.on_tick(self.now);
        self.carry_out(outcome);
        self.make_callouts();
    }

    /// So many seconds pass, with a tick each.
    pub fn ticks(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.now = self.now.plus(Duration::from_secs(1));
            self.tick();
        }
    }

    /// Time passes.
    pub fn pass(&mut self, span: Duration) {
        self.now = self.now.plus(span);
    }

    /// How often something was counted.
    pub fn count(&self, counter: Counter) -> u64 {
        self.authenticator.stats().get(counter)
    }

    /// Forgets settled requests but these, so that a long run does not remember them all.
    pub fn forget_settled_but(&mut self, kept: &BTreeSet<StreamId>) {
        self.requests.retain(|stream, request| matches!(request.state, State::Waiting) || kept.contains(stream));
    }

    /// Does what the one who was rung for does.
    fn heed_bell(&mut self) {
        let Bell { root, others } = self.authenticator.take_bell();
        self.rang_others |= others;
        if root {
            self.make_callouts();
        }
    }

    fn make_callouts(&mut self) {
        if let Some(callout) = self.authenticator.next_fetch(self.now) {
            self.fetches.push_back(callout);
        }
        while let Some((flight, callout)) = self.authenticator.next_callout(self.now) {
            self.callouts.push_back((flight, callout, 0));
        }
    }

    fn carry_out(&mut self, outcome: Outcome) {
        self.failures.extend(outcome.failure);
        self.closed.extend(outcome.close);
        self.rang_others |= self.authenticator.take_bell().others;
        for settled_request in outcome.settled {
            let request = self.requests.get_mut(&settled_request.stream).expect("only known requests are settled");
            assert!(matches!(request.state, State::Waiting), "a request was settled twice, or after its client left");
            (request.state, request.filter_state) = settled(settled_request.step, &request.fields);
            assert!(!matches!(request.state, State::Waiting), "a settled request must not wait");
        }
    }
}

fn settled(step: Step, fields: &[Field]) -> (State, Option<FilterState>) {
    match step {
        Step::Continue(edits, state) => (State::Passed(applied(&edits, fields)), Some(state)),
        Step::Reply(reply, state) => (State::Answered(reply), Some(state)),
        Step::Wait => (State::Waiting, None),
    }
}

/// The fields after the edits, as the host makes them.
pub fn applied(edits: &HeaderEdits, fields: &[Field]) -> Vec<Field> {
    let mut fields = fields.to_vec();
    for edit in edits.iter() {
        let (Edit::Remove(name) | Edit::Replace(name, _)) = edit;
        fields.retain(|(n, _)| n != name);
        if let Edit::Replace(name, value) = edit {
            fields.push((name.to_owned(), value.to_vec()));
        }
    }
    fields
}

/// All values of a field.
pub fn values(fields: &[Field], name: &str) -> Vec<String> {
    let named = fields.iter().filter(|(n, _)| n == name);
    named.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
}
