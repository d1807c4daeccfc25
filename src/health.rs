//! How the auth service is doing, as far as its answers tell.
//!
//! A session that is known is not made to wait for a service that is known to be failing, and a service
//! that asks to be left alone is. A session of which nothing is known is asked about whatever happened
//! before: an outage ends with the first answer. Nor do such sessions count: whoever makes up a cookie that
//! the service stumbles over must not be able to have others served what they had for longer.
//!
//! Time is counted in ticks, because the clock may be set while a service is failing.

/// One worker's view of the auth service.
#[derive(Debug)]
pub struct Health {
    failures: u32,
    /// Ticks until a known session is refreshed again.
    back_off: u32,
    /// Ticks until it counts as unknown whether the service is failing.
    memory: u32,
    /// Ticks for which the service asked to be left alone.
    pause: u32,
    random: u64,
}

/// The longest pause between two refreshes while the service is failing, in ticks.
const MAX_BACK_OFF: u32 = 30;

/// How long after the end of a back-off the last failure still counts, in ticks.
const MEMORY: u32 = 30;

/// The longest pause a service is granted, in seconds.
pub const MAX_PAUSE: u32 = 30;

impl Health {
    /// A service nothing is known of. `random` keeps many workers from trying again at the same moment.
    pub const fn new(random: u64) -> Self {
        Self { failures: 0, back_off: 0, memory: 0, pause: 0, random }
    }

    /// It has answered, whatever the answer was.
    pub const fn answered(&mut self) {
        self.failures = 0;
        self.back_off = 0;
        self.memory = 0;
    }

    /// It could not be asked about a known session: they leave it alone for 1 s, 2 s, 4 s … and so on, up to
    /// half of it less.
    pub fn failed(&mut self) {
        let longest = 1_u32.checked_shl(self.failures).unwrap_or(MAX_BACK_OFF).min(MAX_BACK_OFF);
        let least = longest.div_ceil(2);
        let steps = u64::from(longest.saturating_sub(least)).saturating_add(1);
        let jitter = self.random.rotate_left(self.failures.saturating_mul(7)).checked_rem(steps).unwrap_or_default();
        self.failures = self.failures.saturating_add(1);
        self.back_off = least.saturating_add(u32::try_from(jitter).unwrap_or_default());
        self.memory = self.back_off.saturating_add(MEMORY);
    }

    /// It asked to be left alone for so many seconds. A tick that is under way does not count as a second.
    pub fn asked_for_pause(&mut self, seconds: u32) {
        self.pause = self.pause.max(seconds.min(MAX_PAUSE).saturating_add(1));
    }

    /// For how many seconds more nothing may be asked; `None` when it may.
    pub fn pause(&self) -> Option<u32> {
        (self.pause > 0).then(|| self.pause.saturating_sub(1).max(1))
    }

    /// Whether the last that was heard of it was a failure, not long ago, or the wish to be left alone.
    pub const fn is_failing(&self) -> bool {
        self.failures > 0 || self.pause > 0
    }

    /// Whether a known session may be refreshed now. While the service is failing that is one in a second,
    /// to see whether it still does.
    pub const fn take_refresh(&mut self) -> bool {
        let allowed = self.back_off == 0 && self.pause == 0;
        if allowed && self.failures > 0 {
            self.back_off = 1;
        }
        allowed
    }

    /// A tick has passed.
    pub fn tick(&mut self) {
        self.back_off = self.back_off.saturating_sub(1);
        self.pause = self.pause.saturating_sub(1);
        self.memory = self.memory.saturating_sub(1);
        if self.memory == 0 {
            self.failures = 0;
        }
    }
}
