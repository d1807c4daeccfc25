//! What the workers of one process share.
//!
//! Each worker has a VM and a cache of its own. The host keeps a map for all of them, under the module's
//! `vm_id`, and that is all there is: named pieces of data that everybody can read and write, with a
//! version each. Names can never be deleted, so there is a fixed number of them (envoy#28339,
//! envoy#17217 are what happens otherwise).
//!
//! # Security
//! Whoever runs under the same `vm_id` can write here. What is read is bounded, checked, and at worst of no
//! use: a token is verified again by each worker that takes it over.

pub mod sign_outs;
pub mod tokens;

/// The host's map.
pub trait SharedData {
    /// What is stored under `name`, and its version.
    fn read(&self, name: &str) -> Option<(Vec<u8>, Version)>;

    /// Stores `data` under `name` if that still has the version that was `seen`, or none; answers whether it
    /// is stored.
    fn write(&self, name: &str, data: &[u8], seen: Option<Version>) -> bool;
}

/// Tells two states of the data under a name apart.
pub type Version = u32;

/// How often a change is tried again that somebody else was faster than.
const ATTEMPTS: usize = 16;

/// Changes what is stored under `name`, as often as it takes for nobody to be faster; `change` answers
/// `None` when there is nothing to change. Answers whether the data is now as it should be.
pub fn update(data: &dyn SharedData, name: &str, change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> bool {
    (0..ATTEMPTS).any(|_| {
        let (stored, seen) = data.read(name).unzip();
        change(&stored.unwrap_or_default()).is_none_or(|changed| data.write(name, &changed, seen))
    })
}
