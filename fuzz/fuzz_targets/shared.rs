//! Any bytes as what the workers share: nothing but what was put there for a session is found for it, and
//! what cannot be read is written over.

#![no_main]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use session_bearer::cache::Life;
use session_bearer::secret::Secret;
use session_bearer::session::SessionKey;
use session_bearer::shared::sign_outs::SignOuts;
use session_bearer::shared::tokens::{SharedToken, SharedTokens};
use session_bearer::shared::{SharedData, Version};
use session_bearer::time::UnixTime;

/// One piece of data under any name.
struct Piece(RefCell<Vec<u8>>);

impl SharedData for Piece {
    fn read(&self, _: &str) -> Option<(Vec<u8>, Version)> {
        Some((self.0.borrow().clone(), 1))
    }

    fn write(&self, _: &str, data: &[u8], _: Option<Version>) -> bool {
        *self.0.borrow_mut() = data.to_vec();
        true
    }
}

fuzz_target!(|data: &[u8]| {
    let piece = || Rc::new(Piece(RefCell::new(data.to_vec())));
    let (session, now) = (SessionKey::from_bytes([7; 32]), UnixTime::from_secs(1_700_000_000));

    let level = SharedTokens::new(piece(), 4).unwrap();
    if let Some(found) = level.find(&session, &[1; 16], now) {
        assert!(data.windows(32).any(|bytes| bytes == session.as_bytes()));
        assert!(found.life.stored <= now && now < found.life.usable_until);
    }
    let end = now.plus(Duration::from_secs(60));
    let life = Life { stored: now, fresh_until: end, usable_until: end };
    let token = Secret::new(b"token".to_vec());
    level.store(&SharedToken { session, fingerprint: [1; 16], asked_after: 0, life, token });
    assert!(level.find(&session, &[1; 16], now).is_some_and(|found| found.token.expose() == b"token"));
    level.forget(&session, |_| true);
    assert!(level.find(&session, &[1; 16], now).is_none());

    let mut log = SignOuts::new(piece());
    assert!(log.tell(&[session]));
    let before = log.seen();
    log.news();
    assert!(log.ended_since(&session, before) || log.seen() <= before);
});
