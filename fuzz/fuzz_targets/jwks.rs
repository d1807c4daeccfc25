//! Any bytes as a JWK set: what is taken from it is a public key, and verifies nothing that nobody signed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use session_bearer::token::algorithm::Algorithm;
use session_bearer::token::keyset::KeySet;
use session_bearer::token::signature::{InModule, Signatures};

fuzz_target!(|data: &[u8]| {
    let Ok(set) = KeySet::parse(data) else { return };
    assert!(!set.is_empty());
    for &algorithm in Algorithm::ALL {
        for key in set.candidates(None, algorithm).into_iter().flatten() {
            assert!(!algorithm.is_symmetric(), "a secret came from a key set");
            assert!(!InModule.verify(key, algorithm, b"a.b", &[1; 64]));
        }
    }
});
