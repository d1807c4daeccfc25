//! Reads the vectors of `tests/vectors`, and key pairs to sign further texts with.

#![allow(dead_code, reason = "each test file uses the part it needs")]

pub mod pairs;

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use session_bearer::secret::Secret;
use session_bearer::token::TokenError;
use session_bearer::token::algorithm::Algorithm;
use session_bearer::token::claims::ClaimRules;
use session_bearer::token::key::Key;
use session_bearer::token::keyset::KeySet;
use session_bearer::token::signature::InModule;
use session_bearer::token::verify::{TokenRules, Verifier};

/// A signed text, its key or keys in JWK form, and whether its authors take it for good.
pub struct Vector {
    pub id: String,
    pub comment: String,
    pub token: String,
    pub key: Value,
    /// The key with its private half, where there is one.
    pub private: Value,
    pub valid: bool,
}

pub const WYCHEPROOF_JWS: &str = "wycheproof/json_web_signature_test.json";
pub const WYCHEPROOF_JWK: &str = "wycheproof/json_web_key_test.json";

/// A document below `tests/vectors`.
pub fn document(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The vectors of a file of Wycheproof's.
pub fn wycheproof(name: &str) -> Vec<Vector> {
    let document = document(name);
    let mut vectors = Vec::new();
    for group in items(&document["testGroups"]) {
        let key = group.get("public").unwrap_or(&group["private"]);
        vectors.extend(items(&group["tests"]).iter().map(|test| Vector {
            id: test["tcId"].to_string(),
            comment: text(&test["comment"]),
            token: text(&test["jws"]),
            key: key.clone(),
            private: group["private"].clone(),
            valid: is_valid(test),
        }));
    }
    vectors
}

/// The members of an array.
pub fn items(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}

/// A string.
pub fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

/// What `result` says.
pub fn is_valid(case: &Value) -> bool {
    match case["result"].as_str() {
        Some("valid") => true,
        Some("invalid") => false,
        other => panic!("{other:?} is no verdict"),
    }
}

/// The vectors of a file that are judged otherwise than labelled, and with which label.
pub fn deviations(source: &str) -> BTreeMap<String, bool> {
    let document = document("expected_deviations.json");
    let listed = items(&document[source]).iter().flat_map(|entry| {
        assert!(entry["why"].as_str().is_some_and(|why| !why.is_empty()), "{entry}");
        let valid = entry["label"] == "valid";
        items(&entry["ids"]).iter().map(move |id| (text(id), valid))
    });
    listed.collect()
}

/// The keys a filter has whose operator was given this JWK, or this set of them; and the algorithms that
/// can be allowed with them. `None` when it cannot be configured at all.
///
/// A filter has one secret, which has no `alg` of its own there; the list of allowed algorithms says the
/// same. Public keys are tried with everything allowed, HMAC included: what protects from confusion is the
/// key.
pub fn configured(key: &Value) -> Option<(KeySet, Vec<Algorithm>)> {
    let keys = key["keys"].as_array().map_or(std::slice::from_ref(key), Vec::as_slice);
    if let [key] = keys
        && key["kty"] == "oct"
    {
        let secret = URL_SAFE_NO_PAD.decode(text(&key["k"])).ok()?;
        let algorithm = key.get("alg").map_or(Some(Algorithm::Hs256), |alg| Algorithm::from_name(alg.as_str()?));
        return Some((KeySet::secret(Key::secret(&Secret::new(secret))), vec![algorithm?]));
    }
    Some((KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).ok()?, Algorithm::ALL.to_vec()))
}

/// A verifier that allows `algorithms` and asks of claims that they have an `exp`.
pub fn verifier(algorithms: Vec<Algorithm>) -> Verifier {
    let types = vec!["JWT".to_owned(), "at+jwt".to_owned()];
    let claims = ClaimRules::default();
    let rules = TokenRules { algorithms, types, claims, kept_claims: [].into(), claim_headers: [].into() };
    Verifier::new(Rc::new(rules), Rc::new(InModule))
}

/// The payload of `token`, if it was signed with `key`.
pub fn payload(token: &str, key: &Value) -> Result<Vec<u8>, TokenError> {
    let (keys, algorithms) = configured(key).ok_or(TokenError::NoKeys)?;
    verifier(algorithms).verify_signature(token.as_bytes(), &keys).map(|(_, payload)| payload)
}
