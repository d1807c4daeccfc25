//! Sign-outs that are to be told once more.

use std::collections::VecDeque;

use crate::session::SessionKey;

/// What a worker has noticed of sign-outs, and is not done with.
#[derive(Default)]
pub struct Repeats {
    under_way: VecDeque<(SessionKey, u8)>,
    untold: VecDeque<SessionKey>,
}

/// For how many ticks, of a second each, a sign-out may be under way after its client has left: as long as the shipped
/// configuration has requests to the auth service last.
const TICKS: u8 = 15;

/// The most sessions of either kind; the oldest give way.
const CAPACITY: usize = 1024;

impl Repeats {
    /// A client left before its sign-out was answered. The auth service may be about to work on it, and until it is
    /// done it says of the session what was true before.
    pub fn under_way(&mut self, sessions: &[SessionKey]) {
        self.under_way.extend(sessions.iter().map(|session| (*session, TICKS)));
        keep_newest(&mut self.under_way);
    }

    /// The other workers could not be told of these.
    pub fn untold(&mut self, sessions: &[SessionKey]) {
        self.untold.extend(sessions);
        keep_newest(&mut self.untold);
    }

    /// Whether the others have still to be told of a session.
    pub fn is_untold(&self, session: &SessionKey) -> bool {
        self.untold.contains(session)
    }

    /// The sessions to tell the others of at last.
    pub fn take_untold(&mut self) -> Vec<SessionKey> {
        self.untold.drain(..).collect()
    }

    /// A tick has passed: the sessions whose sign-out may have taken effect since the last one.
    pub fn tick(&mut self) -> Vec<SessionKey> {
        let sessions = self.under_way.iter().map(|(session, _)| *session).collect();
        self.under_way.iter_mut().for_each(|(_, left)| *left = left.saturating_sub(1));
        self.under_way.retain(|(_, left)| *left > 0);
        sessions
    }
}

fn keep_newest<T>(list: &mut VecDeque<T>) {
    list.drain(..list.len().saturating_sub(CAPACITY));
}
