//! A key document as the workers of a process share it, so that one fetch serves all.

use super::host;
use crate::keys::JwksEndpoint;
use crate::time::UnixTime;

/// A key document, and when it was fetched.
pub struct SharedKeys {
    /// When.
    pub stamp: UnixTime,
    /// Its bytes, which are read as carefully as those of a fetch.
    pub document: Vec<u8>,
}

impl SharedKeys {
    /// What was shared last of what is fetched from `endpoint`.
    pub fn read(endpoint: &JwksEndpoint) -> Option<Self> {
        let data = host::shared(&name(endpoint))?;
        let (stamp, document) = data.split_first_chunk()?;
        Some(Self { stamp: UnixTime::from_millis(u64::from_be_bytes(*stamp)), document: document.to_vec() })
    }

    /// Shares a document fetched from `endpoint` at `stamp`.
    pub fn write(endpoint: &JwksEndpoint, stamp: UnixTime, document: &[u8]) {
        host::share(&name(endpoint), &[&stamp.as_millis().to_be_bytes(), document].concat());
    }
}

fn name(endpoint: &JwksEndpoint) -> String {
    format!("keys {} {} {}", endpoint.cluster, endpoint.authority, endpoint.path)
}
