//! What the workers of a process share, as Envoy keeps it: data under names, each with a version.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use session_bearer::shared::{SharedData, Version};

/// Shared data in memory.
#[derive(Default)]
pub struct SharedMemory {
    data: RefCell<BTreeMap<String, (Vec<u8>, Version)>>,
    versions: RefCell<Version>,
    /// Whether somebody else is always faster.
    pub contended: Cell<bool>,
}

impl SharedMemory {
    /// Everything that is shared.
    pub fn all(&self) -> BTreeMap<String, Vec<u8>> {
        self.data.borrow().iter().map(|(name, (data, _))| (name.clone(), data.clone())).collect()
    }

    /// Writes as somebody who does not ask.
    pub fn overwrite(&self, name: &str, data: &[u8]) {
        self.put(name, data);
    }

    fn put(&self, name: &str, data: &[u8]) {
        *self.versions.borrow_mut() += 1;
        self.data.borrow_mut().insert(name.to_owned(), (data.to_vec(), *self.versions.borrow()));
    }
}

impl SharedData for SharedMemory {
    fn read(&self, name: &str) -> Option<(Vec<u8>, Version)> {
        self.data.borrow().get(name).cloned()
    }

    fn write(&self, name: &str, data: &[u8], seen: Option<Version>) -> bool {
        let unchanged = !self.contended.get() && self.data.borrow().get(name).map(|(_, version)| *version) == seen;
        if unchanged {
            self.put(name, data);
        }
        unchanged
    }
}
