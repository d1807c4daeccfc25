//! Sign-outs that are to be told once more.

use std::collections::VecDeque;

use crate::session::SessionKey;

/// What a worker has noticed of sign-outs, and is not done with.
#[derive(Default)]
pub struct Repeats {
    under_way: Ageing,
    untold: Ageing,
}

/// The sessions to tell the others of.
pub struct Again {
    /// Their sign-out may have taken effect since the last tick.
    pub under_way: Vec<SessionKey>,
    /// The others have never heard of theirs.
    pub untold: Vec<SessionKey>,
}

/// Sessions, the oldest first, and for how many ticks more they are repeated.
type Ageing = VecDeque<(SessionKey, u8)>;

/// For how many ticks, of a second each, a sign-out is repeated: as long as the shipped configuration has requests to the
/// auth service last.
const TICKS: u8 = 15;

/// The most sessions of either kind; the oldest give way. Both together fill the log once at most, so that whoever looks
/// at each tick misses none.
const CAPACITY: usize = 256;

impl Repeats {
    /// A client left before its sign-out was answered. The auth service may be about to work on it, and until it is
    /// done it says of the session what was true before.
    pub fn under_way(&mut self, sessions: &[SessionKey]) {
        add(&mut self.under_way, sessions);
    }

    /// The other workers could not be told of these.
    pub fn untold(&mut self, sessions: &[SessionKey]) {
        add(&mut self.untold, sessions);
    }

    /// Whether the others have still to be told of a session.
    pub fn is_untold(&self, session: &SessionKey) -> bool {
        self.untold.iter().any(|(untold, _)| untold == session)
    }

    /// The others have been told.
    pub fn told(&mut self) {
        self.untold.clear();
    }

    /// A tick has passed.
    pub fn tick(&mut self) -> Again {
        Again { under_way: age(&mut self.under_way), untold: age(&mut self.untold) }
    }
}

fn add(list: &mut Ageing, sessions: &[SessionKey]) {
    list.extend(sessions.iter().map(|session| (*session, TICKS)));
    list.drain(..list.len().saturating_sub(CAPACITY));
}

/// The sessions as they are, which are a tick older then.
fn age(list: &mut Ageing) -> Vec<SessionKey> {
    let sessions = list.iter().map(|(session, _)| *session).collect();
    list.iter_mut().for_each(|(_, left)| *left = left.saturating_sub(1));
    list.retain(|(_, left)| *left > 0);
    sessions
}
