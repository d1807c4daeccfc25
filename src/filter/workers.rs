//! The workers of a process, as they find each other: the queue of each, in the data they share.
//!
//! On the wire: for each worker its queue as four bytes, and when it was last heard of as eight bytes of
//! milliseconds since the epoch. A worker that is not heard of any more was ended by an update; nobody
//! rings for it, since what is put into its queue would stay there.

use std::time::Duration;

use super::host;
use crate::shared::{SharedData, Version, update};
use crate::time::UnixTime;

/// The host's map of shared data.
pub struct HostData;

/// How often a worker says that it is there, in ticks.
pub const ANNOUNCE_EVERY: u32 = 10;

/// How long after that it counts as gone.
const GONE_AFTER: Duration = Duration::from_secs(30);

const NAME: &str = "session-bearer workers";
const ENTRY_LEN: usize = 12;

/// A process has far fewer workers.
const MAX_WORKERS: usize = 512;

impl SharedData for HostData {
    fn read(&self, name: &str) -> Option<(Vec<u8>, Version)> {
        host::shared(name)
    }

    fn write(&self, name: &str, data: &[u8], seen: Option<Version>) -> bool {
        host::share_if(name, data, seen)
    }
}

/// Says that the worker with this queue is there.
pub fn announce(queue: u32, now: UnixTime) {
    update(&HostData, NAME, |data| {
        let others = read(data).into_iter().filter(|(other, seen)| *other != queue && is_there(*seen, now));
        let workers = others.take(MAX_WORKERS).chain([(queue, now)]);
        let write =
            |(queue, seen): (u32, UnixTime)| [&queue.to_be_bytes()[..], &seen.as_millis().to_be_bytes()].concat();
        Some(workers.flat_map(write).collect())
    });
}

/// Rings for all workers but the one with this queue.
pub fn ring_others(queue: u32) {
    let data = HostData.read(NAME).map(|(data, _)| data).unwrap_or_default();
    read(&data).into_iter().filter(|(other, _)| *other != queue).for_each(|(other, _)| host::ring(other));
}

fn is_there(seen: UnixTime, now: UnixTime) -> bool {
    seen <= now && now.since(seen) < GONE_AFTER
}

fn read(data: &[u8]) -> Vec<(u32, UnixTime)> {
    let entry = |entry: &[u8; ENTRY_LEN]| {
        let (queue, seen) = entry.split_first_chunk()?;
        let seen = UnixTime::from_millis(u64::from_be_bytes(seen.try_into().ok()?));
        Some((u32::from_be_bytes(*queue), seen))
    };
    data.as_chunks().0.iter().filter_map(entry).collect()
}
