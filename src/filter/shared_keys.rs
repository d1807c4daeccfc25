//! A key document as the workers of a process share it, so that one fetch serves all.
//!
//! On the wire: when it was fetched and when a token last brought a fetch forward, each as eight bytes of
//! milliseconds since the epoch, zero for never, and the document.

use super::host;
use crate::keys::{JwksEndpoint, SharedDocument};
use crate::time::UnixTime;

/// What was shared last of what is fetched from `endpoint`.
pub fn read(endpoint: &JwksEndpoint) -> Option<SharedDocument> {
    let (data, _) = host::shared(&name(endpoint))?;
    let (stamp, rest) = data.split_first_chunk()?;
    let (brought_forward, document) = rest.split_first_chunk()?;
    let moment = |bytes: &[u8; 8]| UnixTime::from_millis(u64::from_be_bytes(*bytes));
    let brought_forward = Some(moment(brought_forward)).filter(|moment| moment.as_millis() > 0);
    Some(SharedDocument { stamp: moment(stamp), brought_forward, document: document.to_vec() })
}

/// Shares a document fetched from `endpoint`.
pub fn write(endpoint: &JwksEndpoint, shared: &SharedDocument) {
    let stamp = shared.stamp.as_millis().to_be_bytes();
    let brought_forward = shared.brought_forward.map_or(0, UnixTime::as_millis).to_be_bytes();
    host::share(&name(endpoint), &[&stamp, &brought_forward, shared.document.as_slice()].concat());
}

fn name(endpoint: &JwksEndpoint) -> String {
    format!("keys {} {} {}", endpoint.cluster, endpoint.authority, endpoint.path)
}
