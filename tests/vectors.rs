//! The signed texts of the RFCs and of Wycheproof, each judged as its authors say, or for a reason that is
//! written down not.
//!
//! Most of their payloads are no claims, so they are judged at the level of signatures. What the claims
//! have to say stands in `tests/token.rs`.

mod vectors_support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use session_bearer::time::UnixTime;
use session_bearer::token::TokenError;
use session_bearer::token::algorithm::Algorithm;
use session_bearer::token::key::{Key, KeyError};
use session_bearer::token::keyset::{KeySet, KeySetError};
use vectors_support::pairs::Pair;
use vectors_support::{
    Vector, WYCHEPROOF_JWK, WYCHEPROOF_JWS, configured, deviations, document, is_valid, items, payload, text, verifier,
    wycheproof,
};

const RFC7515: &str = "rfc7515-7519/cases.json";
const COOKBOOK: &str = "rfc7520-cookbook";

fn rfc7515() -> Vec<Vector> {
    let document = document(RFC7515);
    let cases = items(&document["cases"]);
    let vector = |case: &Value| Vector {
        id: text(&case["id"]),
        comment: text(&case["ref"]),
        token: text(&case["jws"]),
        key: case["key"].clone(),
        private: Value::Null,
        valid: is_valid(case),
    };
    cases.iter().map(vector).collect()
}

/// The file `name` of the cookbook.
fn recipe(name: &str) -> Value {
    document(&format!("{COOKBOOK}/{name}.json"))
}

/// The recipes that come out as a compact JWS with its payload in it.
fn cookbook() -> Vec<(Vector, String)> {
    let names = [
        "jws/4_1.rsa_v15_signature",
        "jws/4_2.rsa-pss_signature",
        "jws/4_3.ecdsa_signature",
        "jws/4_4.hmac-sha2_integrity_protection",
        "curve25519/jws",
        "6.nesting_signatures_and_encryption",
    ];
    let vector = |name: &str| {
        let recipe = recipe(name);
        // The last one signs first and then encrypts.
        let signed = recipe.get("sign").unwrap_or(&recipe);
        let key = signed["input"]["key"].clone();
        let (id, token) = (name.to_owned(), text(&signed["output"]["compact"]));
        let vector = Vector { id, comment: String::new(), token, private: key.clone(), key, valid: true };
        (vector, text(&signed["input"]["payload"]))
    };
    names.into_iter().map(vector).collect()
}

/// Judges every vector of `source`, and compares those judged otherwise than labelled with the list.
#[track_caller]
fn judge(source: &str, count: usize, vectors: &[Vector]) {
    assert_eq!(vectors.len(), count, "the file has changed, or is read wrongly");
    let accepted = |vector: &Vector| payload(&vector.token, &vector.key).is_ok();
    let otherwise = vectors.iter().filter(|vector| accepted(vector) != vector.valid);
    let otherwise: BTreeMap<_, _> = otherwise.map(|vector| (vector.id.clone(), vector.valid)).collect();
    assert_eq!(otherwise, deviations(source));
}

#[test]
fn examples_of_rfc_7515_and_7519_are_judged_as_labelled() {
    judge(RFC7515, 9, &rfc7515());
}

#[test]
fn examples_of_rfc_7520_and_8037_are_judged_as_labelled() {
    judge(COOKBOOK, 6, &cookbook().into_iter().map(|(vector, _)| vector).collect::<Vec<_>>());
}

#[test]
fn signatures_of_wycheproof_are_judged_as_labelled() {
    judge(WYCHEPROOF_JWS, 345, &wycheproof(WYCHEPROOF_JWS));
}

#[test]
fn keys_of_wycheproof_are_judged_as_labelled() {
    judge(WYCHEPROOF_JWK, 26, &wycheproof(WYCHEPROOF_JWK));
}

#[test]
fn payload_that_comes_out_is_the_one_that_was_signed() {
    let known = deviations(COOKBOOK);
    let accepted: Vec<_> = cookbook().into_iter().filter(|(vector, _)| !known.contains_key(&vector.id)).collect();
    assert_eq!(accepted.len(), 5);
    for (vector, expected) in accepted {
        let payload = payload(&vector.token, &vector.key).unwrap_or_else(|error| panic!("{}: {error}", vector.id));
        assert_eq!(String::from_utf8(payload).unwrap(), expected, "{}", vector.id);
    }
}

/// Every vector that is accepted, whoever it is by.
fn accepted() -> Vec<Vector> {
    let all = [rfc7515(), cookbook().into_iter().map(|(v, _)| v).collect(), wycheproof(WYCHEPROOF_JWS)];
    all.into_iter().flatten().filter(|vector| payload(&vector.token, &vector.key).is_ok()).collect()
}

#[test]
fn good_vector_with_any_character_changed_is_refused() {
    let vectors = accepted();
    assert!(vectors.len() > 20, "only {} vectors are good", vectors.len());
    for Vector { id, token, key, .. } in vectors {
        let (keys, algorithms) = configured(&key).unwrap();
        let verifier = verifier(algorithms);
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(verifier.verify_signature(&changed, &keys).is_err(), "{id}: at {at}");
        }
    }
}

#[test]
fn good_vector_verifies_with_its_own_key_only() {
    let vectors = accepted();
    for (n, vector) in vectors.iter().enumerate() {
        for other in &vectors[n + 1..] {
            let same = |name: &str| vector.key.get(name) == other.key.get(name);
            if !["k", "n", "x"].into_iter().all(same) {
                assert!(payload(&vector.token, &other.key).is_err(), "{} with the key of {}", vector.id, other.id);
                assert!(payload(&other.token, &vector.key).is_err(), "{} with the key of {}", other.id, vector.id);
            }
        }
    }
}

/// The keys of all examples at once, as a careless operator might have them.
fn every_verifier() -> Vec<(KeySet, Vec<Algorithm>)> {
    let keys = cookbook().into_iter().map(|(vector, _)| vector.key).chain(rfc7515().into_iter().map(|v| v.key));
    let every: Vec<_> = keys.filter_map(|key| configured(&key)).collect();
    assert_eq!(every.len(), 11, "some example has no key any more");
    every
}

#[test]
fn unsecured_token_is_refused_whatever_the_keys() {
    for id in ["rfc7515-A.5", "rfc7515-E"] {
        let vector = rfc7515().into_iter().find(|vector| vector.id == id).unwrap();
        assert_eq!(vector.key, Value::Null);
        for signature in ["", "AA", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"] {
            let token = format!("{}{signature}", vector.token);
            for (keys, algorithms) in every_verifier() {
                assert!(verifier(algorithms).verify_signature(token.as_bytes(), &keys).is_err(), "{token}");
            }
        }
    }
}

#[test]
fn every_form_but_the_compact_jws_is_refused_as_a_form() {
    let mut forms = Vec::new();
    for name in [
        "jws/4_1.rsa_v15_signature",
        "jws/4_2.rsa-pss_signature",
        "jws/4_3.ecdsa_signature",
        "jws/4_4.hmac-sha2_integrity_protection",
        "jws/4_5.signature_with_detached_content",
        "jws/4_6.protecting_specific_header_fields",
        "jws/4_7.protecting_content_only",
        "jws/4_8.multiple_signatures",
        "curve25519/jws",
        "rfc7797/4.2.hmac-sha2_b64_false",
        "rfc7797/hmac-sha2_b64_false",
    ] {
        let recipe = recipe(name);
        let output = recipe["output"].as_object().unwrap().iter().filter(|(form, _)| form.starts_with("json"));
        forms.extend(output.map(|(form, value)| (format!("{name} {form}"), value.to_string())));
    }
    let compact = |name: &str, place: &str| (name.to_owned(), text(recipe(name).pointer(place).unwrap()));
    // Detached content, unencoded content, and a signature within an encryption.
    forms.push(compact("jws/4_5.signature_with_detached_content", "/output/compact"));
    forms.push(compact("rfc7797/hmac-sha2_b64_false", "/output/compact"));
    forms.push(compact("6.nesting_signatures_and_encryption", "/encrypt/output/compact"));
    let nested = recipe("6.nesting_signatures_and_encryption");
    forms.push(("JWE json".to_owned(), nested.pointer("/encrypt/output/json").unwrap().to_string()));
    forms.push(("JWE json_flat".to_owned(), nested.pointer("/encrypt/output/json_flat").unwrap().to_string()));
    assert_eq!(forms.len(), 26, "{forms:?}");
    for (name, token) in forms {
        for (keys, algorithms) in every_verifier() {
            let verdict = verifier(algorithms).verify_signature(token.as_bytes(), &keys);
            assert_eq!(verdict, Err(TokenError::Form), "{name}");
        }
    }
}

#[test]
fn keys_of_rfc_7520_are_taken_if_they_are_public_and_supported() {
    let usable = |name: &str| {
        let jwk = recipe(&format!("jwk/{name}"));
        Key::from_jwk(jwk.as_object().unwrap()).map(|key| key.id())
    };
    let rsa = usable("3_3.rsa_public_key").unwrap();
    assert_eq!(usable("3_4.rsa_private_key"), Ok(rsa), "of a private key the public half is read");
    for (name, error) in [
        ("3_1.ec_public_key", KeyError::Unsupported),
        ("3_2.ec_private_key", KeyError::Unsupported),
        ("3_5.symmetric_key_mac_computation", KeyError::Unsupported),
        ("3_6.symmetric_key_encryption", KeyError::Purpose),
    ] {
        assert_eq!(usable(name), Err(error), "{name}");
    }
}

#[test]
fn set_of_secrets_is_no_set_of_keys() {
    let sets = wycheproof(WYCHEPROOF_JWK);
    let secrets = sets.iter().filter(|vector| ["2", "3", "4"].contains(&vector.id.as_str()));
    let verdicts: Vec<_> = secrets.map(|vector| KeySet::parse(vector.key.to_string().as_bytes()).err()).collect();
    assert_eq!(verdicts, [Some(KeySetError::NoUsableKey); 3]);
}

/// A set of Ed25519 keys with these names, each of another pair.
fn set_of(names: &[Option<&str>]) -> (KeySet, Vec<Pair>) {
    let pair = |n: usize| Pair::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[u8::try_from(n).unwrap(); 32]));
    let pairs: Vec<Pair> = (1..=names.len()).map(pair).collect();
    let jwk = |(pair, name): (&Pair, &Option<&str>)| {
        let mut jwk = pair.jwk();
        if let Some(name) = name {
            jwk["kid"] = json!(name);
        }
        jwk
    };
    let keys: Vec<Value> = pairs.iter().zip(names).map(jwk).collect();
    (KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap(), pairs)
}

fn judge_signed(set: &KeySet, pair: &Pair, header: Value) -> Result<(), TokenError> {
    let token = pair.token_with(Algorithm::EdDsa, header, &json!({}));
    verifier(Algorithm::ALL.to_vec()).verify_signature(token.as_bytes(), set).map(|_| ())
}

/// What Wycheproof asks with secrets (4), asked with public keys.
#[test]
fn keys_that_share_a_name_are_not_used_and_the_others_are() {
    let (set, pairs) = set_of(&[Some("twin"), Some("other"), Some("twin"), None]);
    assert_eq!(set.skipped(), [KeyError::DuplicateKid; 2]);
    for (pair, kid, expected) in [
        (&pairs[0], "twin", Err(TokenError::UnknownKey)),
        (&pairs[2], "twin", Err(TokenError::UnknownKey)),
        (&pairs[1], "twin", Err(TokenError::UnknownKey)),
        (&pairs[1], "other", Ok(())),
        (&pairs[3], "other", Err(TokenError::Signature)),
    ] {
        assert_eq!(judge_signed(&set, pair, json!({ "kid": kid })), expected, "{kid}");
    }
}

#[test]
fn name_of_a_key_is_an_exact_string() {
    let (set, pairs) = set_of(&[Some("Key-1"), Some("key-2")]);
    for (kid, expected) in [
        (json!("Key-1"), Ok(())),
        (json!("key-1"), Err(TokenError::UnknownKey)),
        (json!("Key-1 "), Err(TokenError::UnknownKey)),
        (json!("Key"), Err(TokenError::UnknownKey)),
        (json!(""), Err(TokenError::UnknownKey)),
        (json!("key-2"), Err(TokenError::Signature)),
        (json!("../../Key-1"), Err(TokenError::UnknownKey)),
        (json!("x' OR '1'='1"), Err(TokenError::UnknownKey)),
        (json!(1), Err(TokenError::Header)),
        (json!(null), Err(TokenError::Header)),
        (json!(["Key-1"]), Err(TokenError::Header)),
    ] {
        assert_eq!(judge_signed(&set, &pairs[0], json!({ "kid": kid })), expected, "{kid}");
    }
}

#[test]
fn token_that_names_no_key_is_tried_with_eight_at_most() {
    let (set, pairs) = set_of(&[None; 9]);
    let verdicts: Vec<_> = pairs.iter().map(|pair| judge_signed(&set, pair, json!({})).is_ok()).collect();
    assert_eq!(verdicts, [true, true, true, true, true, true, true, true, false]);
}

#[test]
fn example_with_claims_is_a_token_until_the_second_of_its_exp() {
    let exp = UnixTime::from_secs(1_300_819_380);
    let before = exp.minus(Duration::from_millis(1));
    let examples = rfc7515();
    let claims = json!({"iss": "joe", "exp": 1_300_819_380, "http://example.com/is_root": true});
    for id in ["rfc7515-A.1", "rfc7515-A.2", "rfc7515-A.3", "derived-A.3-highS"] {
        let vector = examples.iter().find(|vector| vector.id == id).unwrap();
        let payload = payload(&vector.token, &vector.key).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap(), claims);
        let (keys, algorithms) = configured(&vector.key).unwrap();
        let verifier = verifier(algorithms);
        let at = |now| verifier.verify(vector.token.as_bytes(), &keys, now).map(|token| token.expires());
        assert_eq!(at(before), Ok(exp), "{id}");
        assert_eq!(at(exp), Err(TokenError::Expired), "{id}");
    }
}
