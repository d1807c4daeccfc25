//! What a response tells about its session, what it is given along, and how a session is forgotten by all
//! workers of the process.

use super::{Authenticator, ResponseEdits};
use crate::flight::StreamId;
use crate::request::Field;
use crate::session::SessionKey;
use crate::set_cookie::{SetCookie, lines};
use crate::shared::sign_outs::{News, Number};
use crate::shared::tokens::SharedTokens;
use crate::stats::Counter;
use crate::streams::{Ended, Passed, Watch};
use crate::time::UnixTime;

/// What caches are told where the backend says nothing. They hold responses to requests with an
/// `Authorization` back by themselves (RFC 9111 §3.5), but these requests had none when they came by.
const FOR_ONE_USER: &str = "private, no-store";

/// The most `Set-Cookie` lines of a response that are looked at.
const MAX_LINES: usize = 64;

impl Authenticator {
    /// Decides what to do with the response to a request that was let through. Its `fields` are asked for only
    /// when it is of interest, and the time only when it tells something of a session.
    pub fn on_response(
        &mut self,
        stream: StreamId,
        fields: impl FnOnce() -> Vec<Field>,
        now: impl Fn() -> UnixTime,
    ) -> ResponseEdits {
        let Some(Passed { watch, with_token, set_cookies }) = self.streams.respond(stream) else {
            return ResponseEdits::default();
        };
        let fields = fields();
        if let Some(watch) = watch {
            self.heed(&watch, &fields, &now);
        }
        let cache_control = (with_token && !says_how_to_cache(&fields)).then_some(FOR_ONE_USER);
        // What the backend says about a cookie is newer than what the auth service said before it.
        let is_set = |line: &String| lines(&fields).any(|other| sets_same_cookie(line.as_bytes(), other));
        let set_cookies: Vec<String> = set_cookies.into_iter().filter(|line| !is_set(line)).collect();
        self.stats.add(Counter::SetCookiesRelayed, set_cookies.len());
        ResponseEdits { set_cookies, cache_control }
    }

    /// What a response tells of its session.
    fn heed(&mut self, watch: &Watch, fields: &[Field], now: &impl Fn() -> UnixTime) {
        let ended = self.sessions_ended_by(watch, fields, now);
        if !ended.is_empty() {
            self.stats.count(Counter::ForgottenSignedOut);
            self.forget(&ended);
        } else if watch.authorised && status(fields) == Some(401) {
            self.dispute(watch.session, watch.known, now());
        }
    }

    /// The sessions that are not what they were: all of the request's, when a cookie was cleared or replaced or
    /// its path signs out; and the one a new cookie names, which may have been known to be none.
    fn sessions_ended_by(&mut self, watch: &Watch, fields: &[Field], now: &impl Fn() -> UnixTime) -> Vec<SessionKey> {
        let mut ends = watch.signs_out && status(fields).is_some_and(|status| (200..400).contains(&status));
        ends |= clears_cookies(fields);
        let mut ended = Vec::new();
        for set in lines(fields).take(MAX_LINES).filter_map(SetCookie::parse) {
            if !self.config.credentials.cookies.is_session(set.pair.name) {
                continue;
            }
            let named = self.session_keys.key(set.pair);
            if set.clears(now()) {
                ends = true;
            } else if !watch.sessions().any(|session| session == named) {
                ends = true;
                ended.push(named);
            } else if self.refusals.contains(&named, now()) {
                ended.push(named);
            }
        }
        ended.extend(watch.sessions().filter(|_| ends));
        ended
    }

    /// The backend does not accept a session's token. It may accept a new one, so the session is asked for
    /// again; but once only, or a backend that accepts none would have it asked for without end. Where another worker
    /// had the same answer since the `known` sign-out, it has seen to that; and there is no new one while the auth service
    /// cannot be asked.
    fn dispute(&mut self, session: SessionKey, known: Number, now: UnixTime) {
        if self.disputed.contains(&session, now) || self.health.is_failing() {
            return;
        }
        self.disputed.insert(session, now);
        self.catch_up();
        if !self.sign_outs.ended_since(&session, known) {
            self.stats.count(Counter::ForgottenUpstream401);
            self.forget(&[session]);
        }
    }

    /// A request has ended, in whatever way.
    pub fn on_end(&mut self, stream: StreamId) {
        match self.streams.end(stream) {
            Ended::Abandoned(session) => self.abandon(&session, stream),
            // Its client left before the response came, which is how some pages sign out.
            Ended::Unanswered(watch) if watch.signs_out => {
                self.stats.count(Counter::ForgottenSignedOut);
                let sessions: Vec<SessionKey> = watch.sessions().collect();
                self.forget(&sessions);
                self.repeats.under_way(&sessions);
            }
            Ended::Unanswered(_) | Ended::Done => {}
        }
    }

    /// Forgets sessions here and now, and has the other workers forget them.
    pub(super) fn forget(&mut self, sessions: &[SessionKey]) {
        if !self.tell(sessions) {
            self.stats.count(Counter::ForgottenHereOnly);
            for session in sessions {
                self.forget_here(session);
                self.unshare(session, |_| true);
            }
            self.repeats.untold(sessions);
        }
    }

    /// Writes sessions into the log, and forgets what is in it; answers whether the others will.
    fn tell(&mut self, sessions: &[SessionKey]) -> bool {
        let is_told = self.sign_outs.tell(sessions);
        if is_told {
            self.bell.others = true;
            self.catch_up();
        }
        is_told
    }

    /// A tick has passed: forgets what was learned anew of sessions whose sign-out was still under way, and tells the
    /// others what they could not be told before. A session that nobody knows is not told of, or whoever makes cookies
    /// up could fill the log.
    pub(super) fn repeat_sign_outs(&mut self, now: UnixTime) {
        let mut again = self.repeats.tick();
        again.under_way.retain(|session| self.shared.is_none() || self.is_known(session, now));
        let again = [again.under_way, again.untold].concat();
        if !again.is_empty() && self.tell(&again) {
            self.repeats.told();
        }
    }

    /// Whether a session is known here or in the shared level.
    pub(super) fn is_known(&self, session: &SessionKey, now: UnixTime) -> bool {
        let is_shared = |shared: &SharedTokens| shared.find(session, &self.fingerprint, now).is_some();
        self.cache.fresh_until(session).is_some() || self.shared.as_ref().is_some_and(is_shared)
    }

    /// Somebody rang: a session may have ended on another worker. Where a callout is to be made, that is looked at next
    /// in any case.
    pub fn on_ring(&mut self) {
        if !self.has_callouts() {
            self.catch_up();
        }
    }

    /// Forgets what other workers have learned to have ended.
    pub fn catch_up(&mut self) {
        match self.sign_outs.news() {
            News::Sessions(ended) => {
                for session in &ended {
                    self.forget_here(session);
                    self.unshare(session, |asked_after| self.sign_outs.ended_since(session, asked_after));
                }
            }
            News::Any => {
                self.cache.clear();
                self.refusals.clear();
                self.flights.outdate_all();
                for session in self.sign_outs.recent() {
                    self.unshare(session, |asked_after| self.sign_outs.ended_since(session, asked_after));
                }
            }
        }
    }

    /// Forgets one session, and outdates what is being asked about it.
    fn forget_here(&mut self, session: &SessionKey) {
        self.cache.remove(session);
        self.refusals.remove(session);
        self.flights.outdate(session);
    }

    /// Takes a session out of the shared level, unless it was asked for since it ended. Every worker does so: one of
    /// them may have put the session there while another took it out.
    fn unshare(&self, session: &SessionKey, ended_since: impl Fn(Number) -> bool) {
        if let Some(shared) = &self.shared {
            shared.forget(session, ended_since);
        }
    }
}

fn says_how_to_cache(fields: &[Field]) -> bool {
    fields.iter().any(|(name, value)| name == "cache-control" && !value.trim_ascii().is_empty())
}

/// Whether `Clear-Site-Data` has the browser remove its cookies (W3C Clear Site Data §3.1).
fn clears_cookies(fields: &[Field]) -> bool {
    let directives =
        fields.iter().filter(|(name, _)| name == "clear-site-data").flat_map(|(_, v)| v.split(|&b| b == b','));
    directives.map(<[u8]>::trim_ascii).any(|directive| matches!(directive, b"\"cookies\"" | b"\"*\""))
}

fn status(fields: &[Field]) -> Option<u16> {
    let (_, value) = fields.iter().find(|(name, _)| name == ":status")?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn sets_same_cookie(line: &[u8], other: &[u8]) -> bool {
    let name = |line| SetCookie::parse(line).map(|set| set.pair.name);
    name(line) == name(other)
}
