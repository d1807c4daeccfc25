//! One worker: the core between a clock that stands still, a scripted auth service and its one request.

use std::rc::Rc;

use serde_json::{Value, json};
use session_bearer::authenticator::{Authenticator, Failure, Outcome, Step};
use session_bearer::config::Config;
use session_bearer::edits::{Edit, HeaderEdits};
use session_bearer::exchange::{CalloutReply, TokenSource};
use session_bearer::filter_state::FilterState;
use session_bearer::flight::StreamId;
use session_bearer::reply::LocalReply;
use session_bearer::request::Field;
use session_bearer::shared::{SharedData, Version};
use session_bearer::time::UnixTime;

use super::Session;
use super::minted::Minted;
use super::request::Request;

/// A worker with one request.
pub struct Worker {
    config: Rc<Config>,
    authenticator: Authenticator,
    minted: Rc<Minted>,
    session: Session,
    /// Whether the key endpoint answers.
    has_keys: bool,
    now: UnixTime,
}

/// What became of the request.
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// What Envoy is told of it.
    pub state: FilterState,
    /// The fields of the callouts that were made for it; their values stay here.
    pub callouts: Vec<Vec<String>>,
    /// What the log says of the exchange.
    pub failure: Option<Failure>,
}

/// How a request ends.
pub enum End {
    /// It goes on, without some fields and with others.
    Upstream {
        /// Fields that are taken out.
        removed: Vec<String>,
        /// Fields that are set.
        set: Vec<String>,
    },
    /// It is answered.
    Reply(LocalReply),
}

/// Nothing is shared, since there is one worker.
struct NothingShared;

const FIRST: StreamId = 1;
const SECOND: StreamId = 2;

/// A documentation address (RFC 5737); it is not printed.
const CLIENT: &str = "203.0.113.7";

/// More rounds than any request waits: each second that passes is one.
const MAX_ROUNDS: usize = 1000;

impl Worker {
    /// A worker that knows nothing yet.
    pub fn new(config: Rc<Config>, minted: Rc<Minted>, session: Session, has_keys: bool, now: UnixTime) -> Self {
        let signatures = Rc::clone(&minted);
        let authenticator = Authenticator::new(Rc::clone(&config), signatures, Rc::new(NothingShared), 0);
        Self { config, authenticator, minted, session, has_keys, now }
    }

    /// Runs the request to its end, which the core gives each; `None` would be a mistake of the core's.
    pub fn run(mut self, request: &Request) -> Option<Ran> {
        self.fetch_keys();
        if self.session == Session::Known {
            // Another request of the session came before.
            let _ = self.ask(request, FIRST);
            self.authenticator.on_end(FIRST);
        }
        self.ask(request, SECOND)
    }

    fn ask(&mut self, request: &Request, stream: StreamId) -> Option<Ran> {
        let step = self.authenticator.on_request(request.fields(), stream, || Some(CLIENT.to_owned()), self.now);
        let (mut callouts, mut failure) = (Vec::new(), None);
        let mut settled = Some(step);
        for _ in 0..MAX_ROUNDS {
            match settled.take() {
                Some(Step::Continue(edits, state)) => {
                    return Some(Ran { end: upstream(&edits), state, callouts, failure });
                }
                Some(Step::Reply(reply, state)) => {
                    return Some(Ran { end: End::Reply(reply), state, callouts, failure });
                }
                Some(Step::Wait) | None => {}
            }
            let mut outcome = self.fetch_keys();
            if let Some((flight, callout)) = self.authenticator.next_callout(self.now) {
                callouts.push(callout.headers().into_iter().map(|(name, _)| name.to_owned()).collect());
                let (fields, body) = self.answer();
                let reply = CalloutReply { fields: &fields, body: &body };
                outcome.absorb(self.authenticator.on_answer(flight, &reply, self.now));
            } else {
                outcome.absorb(self.authenticator.on_tick(self.now));
            }
            failure = failure.or(outcome.failure);
            settled = outcome.settled.into_iter().next().map(|settled| settled.step);
        }
        None
    }

    /// The key endpoint answers whatever is asked of it.
    fn fetch_keys(&mut self) -> Outcome {
        let Some(_fetch) = self.authenticator.next_fetch(self.now) else { return Outcome::default() };
        let fields = answer_fields(if self.has_keys { 200 } else { 503 });
        let reply = CalloutReply { fields: &fields, body: self.minted.jwks().as_bytes() };
        self.authenticator.on_fetched_keys(&reply, self.now)
    }

    /// The auth service's answer.
    fn answer(&self) -> (Vec<Field>, Vec<u8>) {
        let token = match self.session {
            Session::New | Session::Known => self.minted.token(),
            Session::Unverified => "not.a.token",
            Session::Refused => {
                let statuses = self.config.exchange.as_ref().and_then(|exchange| exchange.no_session_statuses.first());
                // Where no status means it, a 200 with `null` does.
                return (answer_fields(statuses.copied().unwrap_or(200)), b"null".to_vec());
            }
            Session::Failing => return (answer_fields(500), Vec::new()),
        };
        let mut fields = answer_fields(200);
        match self.config.exchange.as_ref().map(|exchange| &exchange.token) {
            Some(TokenSource::Header(name)) => {
                fields.push((name.clone(), token.as_bytes().to_vec()));
                (fields, b"{}".to_vec())
            }
            Some(TokenSource::JsonPointer(pointer)) => (fields, at(pointer, token).to_string().into_bytes()),
            None => (fields, b"null".to_vec()),
        }
    }
}

fn answer_fields(status: u16) -> Vec<Field> {
    let fields = [(":status", status.to_string()), ("content-type", "application/json".to_owned())];
    fields.map(|(name, value)| (name.to_owned(), value.into_bytes())).to_vec()
}

/// A document with the token at this pointer.
fn at(pointer: &str, token: &str) -> Value {
    let names: Vec<&str> = pointer.split('/').skip(1).collect();
    names.into_iter().rev().fold(json!(token), |inner, name| match name.parse::<u8>() {
        Ok(index) => Value::Array(vec![inner; usize::from(index).saturating_add(1)]),
        Err(_) => json!({ name.replace("~1", "/").replace("~0", "~"): inner }),
    })
}

fn upstream(edits: &HeaderEdits) -> End {
    let (mut removed, mut set) = (Vec::new(), Vec::new());
    for edit in edits.iter() {
        match edit {
            Edit::Remove(name) => removed.push(name.to_owned()),
            Edit::Replace(name, _) => set.push(name.to_owned()),
        }
    }
    removed.sort();
    removed.dedup();
    End::Upstream { removed, set }
}

impl SharedData for NothingShared {
    fn read(&self, _name: &str) -> Option<(Vec<u8>, Version)> {
        None
    }

    fn write(&self, _name: &str, _data: &[u8], _seen: Option<Version>) -> bool {
        true
    }
}
