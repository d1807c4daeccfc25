//! Requests between their head and their end: those that wait, and those whose response is still to come.
//!
//! A response can say that a session has ended, and the auth service may have a cookie to set with it. What
//! it takes to know that lies here; a request of which nothing is to be known has no entry.

use std::collections::{BTreeSet, HashMap};

use crate::flight::StreamId;
use crate::session::SessionKey;
use crate::shared::sign_outs::Number;
use crate::time::UnixTime;

/// What the response to a request may tell about its session.
#[derive(Clone)]
pub struct Watch {
    /// The session.
    pub session: SessionKey,
    /// Further sessions the request carried, which end with it.
    pub others: Vec<SessionKey>,
    /// Whether it went to a path that signs out.
    pub signs_out: bool,
    /// Whether it was let through with that session's token.
    pub authorised: bool,
    /// The last sign-out that was known then.
    pub known: Number,
}

impl Watch {
    /// All sessions the request carried.
    pub fn sessions(&self) -> impl Iterator<Item = SessionKey> {
        std::iter::once(self.session).chain(self.others.iter().copied())
    }
}

/// The requests of one worker.
#[derive(Default)]
pub struct Streams {
    waiting: HashMap<StreamId, SessionKey>,
    passed: HashMap<StreamId, Entry>,
    ends: BTreeSet<(UnixTime, StreamId)>,
}

/// A request that was let through, and whose response is still to come.
#[derive(Default)]
pub struct Passed {
    /// What its response may tell of a session.
    pub watch: Option<Watch>,
    /// Whether it was let through with a token, so that its response is for one user only.
    pub with_token: bool,
    /// The cookies to set with its response.
    pub set_cookies: Vec<String>,
}

struct Entry {
    /// `None` once the response has passed.
    passed: Option<Passed>,
    /// When the stream has to end.
    end: Option<UnixTime>,
}

/// What the end of a request means.
pub enum Ended {
    /// Its client left while it waited for this session.
    Abandoned(SessionKey),
    /// It passed, and no response came.
    Unanswered(Watch),
    /// Nothing.
    Done,
}

impl Streams {
    /// A request waits.
    pub fn wait(&mut self, stream: StreamId, session: SessionKey) {
        self.waiting.insert(stream, session);
    }

    /// A request passes with a token, and may go on until `end`.
    pub fn pass_with_token(&mut self, stream: StreamId, watch: Option<Watch>, end: Option<UnixTime>) {
        self.waiting.remove(&stream);
        let passed = Passed { watch, with_token: true, set_cookies: Vec::new() };
        self.passed.insert(stream, Entry { passed: Some(passed), end });
        self.ends.extend(end.map(|end| (end, stream)));
    }

    /// A request passes without one.
    pub fn pass(&mut self, stream: StreamId, watch: Option<Watch>) {
        self.waiting.remove(&stream);
        if watch.is_some() {
            let passed = Passed { watch, ..Passed::default() };
            self.passed.insert(stream, Entry { passed: Some(passed), end: None });
        }
    }

    /// A request was answered here.
    pub fn answer(&mut self, stream: StreamId) {
        self.waiting.remove(&stream);
    }

    /// Has cookies set with the response to a request, unless that has passed already.
    pub fn set_cookies(&mut self, stream: StreamId, lines: Vec<String>) {
        if let Some(passed) = self.passed.get_mut(&stream).and_then(|entry| entry.passed.as_mut()) {
            passed.set_cookies = lines;
        }
    }

    /// The response to a request is here; `None` when there is nothing to know about it.
    pub fn respond(&mut self, stream: StreamId) -> Option<Passed> {
        self.passed.get_mut(&stream)?.passed.take()
    }

    /// A request has ended, in whatever way.
    pub fn end(&mut self, stream: StreamId) -> Ended {
        if let Some(session) = self.waiting.remove(&stream) {
            return Ended::Abandoned(session);
        }
        let Some(Entry { passed, end }) = self.passed.remove(&stream) else { return Ended::Done };
        if let Some(end) = end {
            self.ends.remove(&(end, stream));
        }
        passed.and_then(|passed| passed.watch).map_or(Ended::Done, Ended::Unanswered)
    }

    /// The requests whose time is over; each is named once.
    pub fn overdue(&mut self, now: UnixTime) -> Vec<StreamId> {
        let mut overdue = Vec::new();
        while let Some(&(end, stream)) = self.ends.first().filter(|(end, _)| *end <= now) {
            self.ends.remove(&(end, stream));
            overdue.push(stream);
        }
        overdue
    }

    /// How many requests there are entries of.
    pub fn len(&self) -> usize {
        self.waiting.len().saturating_add(self.passed.len())
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.passed.is_empty()
    }
}
