//! Any bytes as header and payload of a token, split at the first line feed and signed well or not at all:
//! what verifies was signed, says `HS256`, is one unambiguous object, and has not expired.

#![no_main]

use std::collections::BTreeSet;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm as Jwa, EncodingKey, crypto};
use libfuzzer_sys::fuzz_target;
use session_bearer::secret::Secret;
use session_bearer::time::UnixTime;
use session_bearer::token::algorithm::Algorithm;
use session_bearer::token::claims::ClaimRules;
use session_bearer::token::key::Key;
use session_bearer::token::keyset::KeySet;
use session_bearer::token::signature::InModule;
use session_bearer::token::verify::{TokenRules, Verifier};

const SECRET: [u8; 32] = [0x5a; 32];
const NOW: u64 = 1_700_000_000;

fuzz_target!(|data: &[u8]| {
    let rules = TokenRules {
        algorithms: vec![Algorithm::Hs256],
        types: vec![],
        claims: ClaimRules::default(),
        kept_claims: BTreeSet::new(),
        claim_headers: [].into(),
    };
    let verifier = Verifier::new(Rc::new(rules), Rc::new(InModule));
    let keys = KeySet::secret(Key::secret(&Secret::new(SECRET.to_vec())));
    let now = UnixTime::from_secs(NOW);
    assert!(verifier.verify(data, &keys, now).is_err(), "nobody signed this");

    let at = data.iter().position(|&byte| byte == b'\n').unwrap_or(data.len());
    let (header, payload) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let key = EncodingKey::from_secret(&SECRET);
    let signature = crypto::sign(signed.as_bytes(), &key, Jwa::HS256).unwrap();
    if verifier.verify(format!("{signed}.{signature}").as_bytes(), &keys, now).is_ok() {
        let header: serde_json::Value = serde_json::from_slice(header).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(payload).unwrap();
        assert_eq!(header["alg"], "HS256");
        assert!(claims["exp"].as_f64().unwrap() >= NOW as f64);
    }
});
