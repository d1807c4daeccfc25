//! What went wrong in other products and does not here: a test for each advisory about tokens, keys and the
//! request fields that carry them. `tests/cves/tokens.rs` has those about tokens, `tests/cves/keys.rs` those
//! about keys and where they come from, `tests/cves/envoy.rs` those of Envoy's own filters.
//!
//! Some cannot happen here, so there is nothing to try:
//!
//! | advisory | what it is about | why not here |
//! |---|---|---|
//! | RUSTSEC-2023-0071, CVE-2023-49092 (rsa) | the time a private-key operation takes | the filter verifies, and has no private key |
//! | RUSTSEC-2022-0093 (ed25519-dalek) | signing with a public key that is not the pair's | the filter never signs |
//! | CVE-2016-7036 (python-jose) | MACs compared in a time that tells how far they agree | the `hmac` crate compares them, in constant time; no tag leaves it |
//! | CVE-2024-45809 (Envoy `jwt_authn`) | a crash after the route cache was cleared | the filter clears no route cache |
//! | CVE-2022-29228, CVE-2021-32781 (Envoy) | going on after a local reply | `Step` is either; the fake host of `tests/adapter.rs` panics on both |
//! | CVE-2025-24358, CVE-2025-47909 (gorilla/csrf), CVE-2025-47910 (Go), GHSA-mq59-m269-xvcx (Next.js) | where a request comes from | not about tokens |
//!
//! Advisories about paths, callouts, caches and the end of requests are held by the tests of these parts.

mod common;
mod vectors_support;
mod world;

#[path = "cves/envoy.rs"]
mod envoy;
#[path = "cves/keys.rs"]
mod keys;
#[path = "cves/tokens.rs"]
mod tokens;
