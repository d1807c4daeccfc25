//! The second level of the cache: tokens that one worker exchanged for and all may use.
//!
//! A fixed number of slots, in sets of four. A session can be in the slots of one set only; each set lies
//! under one name and changes as a whole. On the wire, after a byte for the version of this format, each
//! slot has the session's key, the fingerprint it was made under, the number of the last sign-out its worker
//! knew when it asked, its life as three times of eight bytes each, and the token with its length.

use std::rc::Rc;

use super::sign_outs::Number;
use super::{SharedData, update};
use crate::cache::Life;
use crate::secret::Secret;
use crate::session::SessionKey;
use crate::time::UnixTime;

/// The shared level.
pub struct SharedTokens {
    data: Rc<dyn SharedData>,
    sets: u64,
}

/// A digest of the configuration and the keys a token was accepted under.
pub type Fingerprint = [u8; 16];

/// A token as it is shared: not verified for whoever reads it.
pub type SharedToken = Shared<Vec<u8>>;

/// The same where it lies in a set.
type Slot<'a> = Shared<&'a [u8]>;

/// What is shared of a session, with its token in a `T`.
pub struct Shared<T> {
    /// The session it belongs to.
    pub session: SessionKey,
    /// What it was accepted under.
    pub fingerprint: Fingerprint,
    /// The last sign-out that was known when the auth service was asked for it.
    pub asked_after: Number,
    /// How long it may be served.
    pub life: Life,
    /// The token.
    pub token: Secret<T>,
}

const SLOTS_PER_SET: usize = 4;

/// What a slot takes beside its token, in bytes.
const SLOT_LEN: usize = 82;
const FORMAT: u8 = 1;

impl SharedTokens {
    /// The level of `slots` slots; `None` when there are none.
    pub fn new(data: Rc<dyn SharedData>, slots: usize) -> Option<Self> {
        (slots > 0).then(|| Self { data, sets: slots.div_ceil(SLOTS_PER_SET) as u64 })
    }

    /// What is shared of a session, as long as it is of any use.
    ///
    /// # Security
    /// Keys are compared whole. The token has still to be verified, and what is malformed is not there.
    pub fn find(&self, session: &SessionKey, fingerprint: &Fingerprint, now: UnixTime) -> Option<SharedToken> {
        let (set, _) = self.data.read(&self.name(session))?;
        let is_it = |slot: &Slot<'_>| {
            slot.session == *session
                && slot.fingerprint == *fingerprint
                && (slot.life.stored..slot.life.usable_until).contains(&now)
        };
        read(&set).into_iter().find(is_it).map(|slot| slot.with(|token| token.to_vec()))
    }

    /// Shares a token. A set that is full loses what ends first.
    pub fn store(&self, shared: &SharedToken) {
        update(&*self.data, &self.name(&shared.session), |set| {
            let mut slots = read(set);
            slots.retain(|slot| slot.session != shared.session);
            if slots.len() >= SLOTS_PER_SET {
                let first = slots.iter().enumerate().min_by_key(|(_, slot)| slot.life.fresh_until);
                let first = first.map(|(i, _)| i)?;
                slots.swap_remove(first);
            }
            slots.push(shared.with(|token| token.as_slice()));
            Some(write(&slots))
        });
    }

    /// Takes a session out, whoever shared it, if it has `ended_since` the sign-out it was asked for after.
    pub fn forget(&self, session: &SessionKey, ended_since: impl Fn(Number) -> bool) {
        update(&*self.data, &self.name(session), |set| {
            let mut slots = read(set);
            let ended = |slot: &Slot<'_>| slot.session == *session && ended_since(slot.asked_after);
            let found = slots.iter().any(ended);
            slots.retain(|slot| !ended(slot));
            found.then(|| write(&slots))
        });
    }

    fn name(&self, session: &SessionKey) -> String {
        let set = session.number().checked_rem(self.sets).unwrap_or_default();
        format!("session-bearer tokens {set}")
    }
}

impl<T> Shared<T> {
    /// The same with the token in another place.
    fn with<'a, U>(&'a self, token: impl FnOnce(&'a T) -> U) -> Shared<U> {
        let Self { session, fingerprint, asked_after, life, .. } = *self;
        Shared { session, fingerprint, asked_after, life, token: Secret::new(token(self.token.expose())) }
    }
}

/// What is not a set is read as an empty one.
fn read(set: &[u8]) -> Vec<Slot<'_>> {
    let Some((&FORMAT, mut rest)) = set.split_first() else { return Vec::new() };
    let mut slots = Vec::with_capacity(SLOTS_PER_SET);
    while !rest.is_empty() && slots.len() < SLOTS_PER_SET {
        let Some(slot) = read_slot(&mut rest) else { return Vec::new() };
        slots.push(slot);
    }
    if rest.is_empty() { slots } else { Vec::new() }
}

fn read_slot<'a>(rest: &mut &'a [u8]) -> Option<Slot<'a>> {
    let session = SessionKey::from_bytes(take(rest)?);
    let fingerprint = take(rest)?;
    let asked_after = Number::from_be_bytes(take(rest)?);
    let stored = UnixTime::from_millis(u64::from_be_bytes(take(rest)?));
    let fresh_until = UnixTime::from_millis(u64::from_be_bytes(take(rest)?));
    let usable_until = UnixTime::from_millis(u64::from_be_bytes(take(rest)?));
    let len = usize::from(u16::from_be_bytes(take(rest)?));
    let (token, after) = rest.split_at_checked(len)?;
    *rest = after;
    let token = Secret::new(token);
    Some(Shared { session, fingerprint, asked_after, life: Life { stored, fresh_until, usable_until }, token })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

fn write(slots: &[Slot<'_>]) -> Vec<u8> {
    let length =
        slots.iter().fold(1_usize, |sum, slot| sum.saturating_add(SLOT_LEN).saturating_add(slot.token.expose().len()));
    let mut set = Vec::with_capacity(length);
    set.push(FORMAT);
    for slot in slots {
        let token = slot.token.expose();
        // A verified token is shorter than this by far.
        let Ok(len) = u16::try_from(token.len()) else { continue };
        set.extend_from_slice(slot.session.as_bytes());
        set.extend_from_slice(&slot.fingerprint);
        set.extend_from_slice(&slot.asked_after.to_be_bytes());
        for moment in [slot.life.stored, slot.life.fresh_until, slot.life.usable_until] {
            set.extend_from_slice(&moment.as_millis().to_be_bytes());
        }
        set.extend_from_slice(&len.to_be_bytes());
        set.extend_from_slice(token);
    }
    set
}
