//! The sessions that ended, as the workers of a process tell each other.
//!
//! A log of fixed length. Each entry has a number, one more than the one before it; a worker knows the
//! number it has read up to, and so whether it has missed any. On the wire: the number of the last entry as
//! eight bytes, and the session keys, the last one last.

use std::rc::Rc;

use super::{SharedData, update};
use crate::session::SessionKey;

/// One worker's place in the log.
pub struct SignOuts {
    data: Rc<dyn SharedData>,
    seen: Number,
    /// The end of the log as it was read last.
    recent: Vec<SessionKey>,
}

/// The number of an entry; the first is 1.
pub type Number = u64;

/// What a worker has to forget.
#[derive(Eq, PartialEq)]
pub enum News {
    /// These sessions, none most of the time.
    Sessions(Vec<SessionKey>),
    /// Any session may be among those that ended: more of them did than the log holds, or it was lost.
    Any,
}

const NAME: &str = "session-bearer sign-outs";

/// How many entries the log holds. A worker that misses more between two looks forgets everything, which
/// costs it exchanges and nobody a session.
pub const CAPACITY: usize = 512;

const KEY_LEN: usize = 32;

impl SignOuts {
    /// The log from now on: a worker that remembers nothing has nothing to forget.
    pub fn new(data: Rc<dyn SharedData>) -> Self {
        let (seen, recent) = read(&data.read(NAME).map(|(log, _)| log).unwrap_or_default());
        Self { data, seen, recent }
    }

    /// The number of the last entry that was read.
    pub const fn seen(&self) -> Number {
        self.seen
    }

    /// The end of the log as it was read last.
    pub fn recent(&self) -> &[SessionKey] {
        &self.recent
    }

    /// Adds sessions that ended; they are among one's own news next. Answers whether the others will learn
    /// of them.
    pub fn tell(&self, sessions: &[SessionKey]) -> bool {
        update(&*self.data, NAME, |log| {
            let (last, mut keys) = read(log);
            keys.extend_from_slice(sessions);
            let kept = keys.split_at_checked(keys.len().saturating_sub(CAPACITY)).map_or(&keys[..], |(_, kept)| kept);
            Some(write(last.saturating_add(sessions.len() as Number), kept))
        })
    }

    /// What was added since the last time.
    pub fn news(&mut self) -> News {
        let (last, recent) = read(&self.data.read(NAME).map(|(log, _)| log).unwrap_or_default());
        let missed = last.checked_sub(self.seen).and_then(|missed| usize::try_from(missed).ok());
        let first = missed.and_then(|missed| recent.len().checked_sub(missed));
        let news = first.and_then(|first| recent.get(first..)).map_or(News::Any, |new| News::Sessions(new.to_vec()));
        (self.seen, self.recent) = (last, recent);
        news
    }

    /// Whether a session ended after the entry `number`, as far as the log goes back. A number that is yet to come
    /// is of a log that was lost, and any session may have ended since.
    pub fn ended_since(&self, session: &SessionKey, number: Number) -> bool {
        if number > self.seen {
            return true;
        }
        let newer = usize::try_from(self.seen.saturating_sub(number)).unwrap_or(usize::MAX);
        self.recent.iter().rev().take(newer).any(|ended| ended == session)
    }
}

/// What is not a log is read as an empty one.
fn read(log: &[u8]) -> (Number, Vec<SessionKey>) {
    let Some((last, keys)) = log.split_first_chunk() else { return (0, Vec::new()) };
    let (keys, rest) = keys.as_chunks::<KEY_LEN>();
    let last = Number::from_be_bytes(*last);
    let whole = rest.is_empty() && keys.len() <= CAPACITY && keys.len() as Number <= last;
    if whole { (last, keys.iter().map(|key| SessionKey::from_bytes(*key)).collect()) } else { (0, Vec::new()) }
}

fn write(last: Number, keys: &[SessionKey]) -> Vec<u8> {
    let keys = keys.iter().flat_map(|key| *key.as_bytes());
    last.to_be_bytes().into_iter().chain(keys).collect()
}
