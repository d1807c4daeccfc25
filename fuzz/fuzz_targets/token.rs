//! Any bytes as a token: none verifies, for the fuzzer does not know the secret.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use session_bearer::secret::Secret;
use session_bearer::time::UnixTime;
use session_bearer::token::claims::ClaimRules;
use session_bearer::token::verify::Verifier;

fuzz_target!(|data: &[u8]| {
    let rules = ClaimRules { issuer: None, audiences: vec![], required: vec![], leeway: Duration::ZERO };
    let verifier = Verifier::hs256(&Secret::new(vec![0x5a; 32]), vec![], rules).unwrap();
    assert!(verifier.verify(data, UnixTime::from_secs(1_700_000_000)).is_err());
});
