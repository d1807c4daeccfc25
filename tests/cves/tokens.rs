//! Tokens: JOSE libraries and the crates beneath them.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use session_bearer::token::TokenError;
use session_bearer::token::algorithm::Algorithm;
use session_bearer::token::claims::ClaimRules;
use session_bearer::token::key::Key;
use session_bearer::token::keyset::{KeySet, KeySetError};
use session_bearer::token::signature::{InModule, Signatures};
use session_bearer::token::verify::{TokenRules, Verifier};

use crate::common::{START, claims};
use crate::vectors_support::pairs::{PUBLIC, Pair, encode};

/// Signatures that are counted, to see which tokens cost one.
struct Counted(Rc<Cell<u32>>);

impl Signatures for Counted {
    fn verify(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        self.0.set(self.0.get() + 1);
        InModule.verify(key, algorithm, signed, signature)
    }
}

/// The verdict on a token, and how many signatures it cost.
fn judge(token: &str, keys: &[Value], change: impl FnOnce(&mut TokenRules)) -> (Result<(), TokenError>, u32) {
    let claims = ClaimRules {
        issuer: Some("auth-service".to_owned()),
        audiences: vec!["api-service".to_owned()],
        required: vec!["sub".to_owned()],
        leeway: Duration::from_secs(30),
        max_lifetime: None,
    };
    let types = vec!["JWT".to_owned()];
    let mut rules = TokenRules {
        algorithms: Algorithm::ALL.to_vec(),
        types,
        claims,
        kept_claims: [].into(),
        claim_headers: [].into(),
    };
    change(&mut rules);
    let keys = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    let cost = Rc::new(Cell::new(0));
    let verifier = Verifier::new(Rc::new(rules), Rc::new(Counted(Rc::clone(&cost))));
    (verifier.verify(token.as_bytes(), &keys, START).map(|_| ()), cost.get())
}

#[track_caller]
fn check(token: &str, keys: &[Value], expected: Result<(), TokenError>) {
    assert_eq!(judge(token, keys, |_| ()).0, expected, "{token}");
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims("ada", START);
    claims[name] = value;
    claims
}

fn pair() -> Pair {
    Pair::of(Algorithm::EdDsa)
}

/// A well-signed token with these claims.
fn token(claims: &Value) -> String {
    pair().token(Algorithm::EdDsa, claims)
}

/// A well-signed token with these members in its header too.
fn with_header(members: Value) -> String {
    pair().token_with(Algorithm::EdDsa, members, &claims("ada", START))
}

#[test]
fn good_token_passes_or_nothing_below_means_anything() {
    assert_eq!(judge(&token(&claims("ada", START)), &[pair().jwk()], |_| ()), (Ok(()), 1));
}

#[test]
fn date_of_the_wrong_type_is_not_a_missing_one_cve_2026_25537() {
    for name in ["exp", "nbf", "iat"] {
        for value in [json!("1800000000"), json!(null), json!(true), json!([1_800_000_000]), json!({})] {
            check(&token(&with(name, value)), &[pair().jwk()], Err(TokenError::Claims));
        }
    }
}

#[test]
fn negative_date_does_not_wrap_into_the_future_jwt_simple_0_13() {
    for value in [json!(-1), json!(-1e300), json!(i64::MIN), json!(u64::MAX), json!(1e300)] {
        check(&token(&with("exp", value)), &[pair().jwk()], Err(TokenError::Claims));
    }
}

#[test]
fn bound_on_the_lifetime_asks_for_iat_jwt_simple_0_13() {
    let mut claims = claims("ada", START);
    claims.as_object_mut().unwrap().remove("iat");
    let bounded = |rules: &mut TokenRules| rules.claims.max_lifetime = Some(Duration::from_secs(900));
    assert_eq!(judge(&token(&claims), &[pair().jwk()], bounded).0, Err(TokenError::Lifetime));
}

#[test]
fn ecdsa_numbers_out_of_range_are_refused_cve_2022_21449_and_cve_2021_38195() {
    for (algorithm, size) in [(Algorithm::Es256, 32), (Algorithm::Es384, 48)] {
        let pair = Pair::of(algorithm);
        let good = pair.token(algorithm, &claims("ada", START));
        check(&good, &[pair.jwk()], Ok(()));
        let (signed, _) = good.rsplit_once('.').unwrap();
        for signature in [vec![0; 2 * size], vec![0xff; 2 * size], [vec![0; size], vec![1; size]].concat()] {
            check(&format!("{signed}.{}", encode(&signature)), &[pair.jwk()], Err(TokenError::Signature));
        }
    }
}

#[test]
fn token_that_says_none_is_refused_authlib_1_6() {
    let payload = encode(claims("ada", START).to_string().as_bytes());
    for alg in ["none", "None", "NONE", "nOnE", "none ", ""] {
        let header = encode(json!({"typ": "JWT", "alg": alg}).to_string().as_bytes());
        check(&format!("{header}.{payload}."), &[pair().jwk()], Err(TokenError::Form));
        check(&format!("{header}.{payload}.AAAA"), &[pair().jwk()], Err(TokenError::Algorithm));
    }
}

#[test]
fn issuer_is_compared_whole_cve_2024_53861() {
    for issuer in ["", "a", "auth", "service", "auth-service ", "xauth-service", "auth-service.evil"] {
        check(&token(&with("iss", json!(issuer))), &[pair().jwk()], Err(TokenError::Issuer));
    }
}

#[test]
fn empty_list_of_audiences_names_nobody_cve_2020_26160() {
    check(&token(&with("aud", json!([]))), &[pair().jwk()], Err(TokenError::Audience));
    check(&token(&with("aud", json!([""]))), &[pair().jwk()], Err(TokenError::Audience));
}

#[test]
fn critical_extension_is_refused_whatever_it_is_cve_2026_32597_and_cve_2025_59420() {
    for crit in [json!(["x"]), json!(["b64"]), json!(["exp"]), json!(["alg"]), json!([]), json!("b64"), json!(null)] {
        let token = with_header(json!({"crit": crit, "x": true, "exp": 1}));
        check(&token, &[pair().jwk()], Err(TokenError::Header));
    }
    // What `crit` is for is refused by itself too.
    for b64 in [json!(false), json!(true), json!("false")] {
        check(&with_header(json!({ "b64": b64 })), &[pair().jwk()], Err(TokenError::Header));
    }
}

#[test]
fn allowed_algorithm_has_to_be_the_keys_too_cve_2026_48523() {
    for bound in &PUBLIC[..6] {
        let mut key = Pair::of(*bound).jwk();
        key["alg"] = json!(bound.name());
        for used in &PUBLIC[..6] {
            let token = Pair::of(*used).token(*used, &claims("ada", START));
            let expected = if used == bound { Ok(()) } else { Err(TokenError::Algorithm) };
            check(&token, &[key.clone()], expected);
            let others = |rules: &mut TokenRules| rules.algorithms.retain(|allowed| allowed != used);
            assert_eq!(judge(&token, &[key.clone()], others).0, Err(TokenError::Algorithm), "{used} is not allowed");
        }
    }
}

#[test]
fn key_inside_the_token_is_not_used_cve_2026_27962() {
    let attacker = Pair::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[66; 32]));
    for members in [
        json!({"jwk": attacker.jwk()}),
        json!({"jwk": attacker.jwk(), "kid": "attacker"}),
        json!({"jku": "https://evil.example/jwks.json"}),
        json!({"x5u": "https://evil.example/cert.pem"}),
        json!({"x5c": ["MAAwDQ"], "x5t": "AA"}),
    ] {
        let token = attacker.token_with(Algorithm::EdDsa, members.clone(), &claims("ada", START));
        let expected = if members.get("kid").is_some() { TokenError::UnknownKey } else { TokenError::Signature };
        let mut key = pair().jwk();
        check(&token, &[key.clone()], Err(expected));
        key["kid"] = json!("attacker");
        check(&token, &[key], Err(TokenError::Signature));
    }
}

#[test]
fn form_that_is_not_ours_costs_no_signature() {
    let good = token(&claims("ada", START));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let flattened = json!({"protected": header, "payload": payload, "signature": signature});
    let general = json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]});
    for (advisory, token) in [
        ("CVE-2025-30204, golang-jwt: millions of dots", ".".repeat(10_000_000)),
        ("CVE-2025-30204: a token and then dots", format!("{good}{}", ".".repeat(7000))),
        ("CVE-2025-27144, go-jose: dots between parts", format!("{header}{}{signature}", ".".repeat(5000))),
        ("CVE-2025-61920, Authlib: a huge header", format!("{}.{payload}.{signature}", "A".repeat(1_000_000))),
        ("CVE-2025-61920: a huge payload", format!("{header}.{}.{signature}", "A".repeat(1_000_000))),
        ("CVE-2025-61920: a huge signature", format!("{signed}.{}", "A".repeat(1_000_000))),
        ("jwt-simple 0.13: a header out of proportion", format!("{}.{payload}.{signature}", "A".repeat(2052))),
        ("PYSEC-2026-178, PyJWT: detached content", format!("{header}..{signature}")),
        ("CVE-2024-21664, jwx: JSON, flattened", flattened.to_string()),
        ("CVE-2024-21664: JSON, general", general.to_string()),
        ("CVE-2024-21664: JSON, no signatures", json!({"payload": payload, "signatures": []}).to_string()),
        ("CVE-2023-51774, json-jwt: a JWE", format!("{header}.AAAA.AAAA.{payload}.{signature}")),
        ("CVE-2024-33664, python-jose: a JWE that unpacks to gigabytes", format!("{good}.AAAA.AAAA")),
    ] {
        assert_eq!(judge(&token, &[pair().jwk()], |_| ()), (Err(TokenError::Form), 0), "{advisory}");
    }
    // The same in three parts, with the header that announces them, and well signed.
    for (advisory, members) in [
        ("PYSEC-2026-178: unencoded content", json!({"b64": false})),
        ("CVE-2023-51774: an encryption", json!({"enc": "A256GCM"})),
        ("CVE-2024-33664: a compression", json!({"zip": "DEF"})),
    ] {
        assert_eq!(judge(&with_header(members), &[pair().jwk()], |_| ()), (Err(TokenError::Header), 0), "{advisory}");
    }
}

#[test]
fn nesting_without_end_is_refused_without_a_signature_cve_2026_48042() {
    let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    let nested: Value = (0..100).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(judge(&token(&with("x", nested.clone())), &[pair().jwk()], |_| ()), (Err(TokenError::Claims), 0));
    assert_eq!(judge(&with_header(json!({ "x": nested })), &[pair().jwk()], |_| ()), (Err(TokenError::Header), 0));
    let document = format!(r#"{{"keys":{deep}}}"#);
    assert_eq!(KeySet::parse(document.as_bytes()).err(), Some(KeySetError::Malformed));
}

#[test]
fn any_fault_is_enough_and_faults_do_not_hide_each_other_cve_2024_51744() {
    let expired = token(&with("exp", json!(1)));
    let late = token(&claims("eve", START));
    let forged = |token: &str| {
        let (_, signature) = late.rsplit_once('.').unwrap();
        let (signed, _) = token.rsplit_once('.').unwrap();
        format!("{signed}.{signature}")
    };
    check(&expired, &[pair().jwk()], Err(TokenError::Expired));
    check(&forged(&expired), &[pair().jwk()], Err(TokenError::Expired));
    check(&forged(&token(&claims("ada", START))), &[pair().jwk()], Err(TokenError::Signature));
}

#[test]
fn libraries_are_past_their_known_faults() {
    let lock = include_str!("../../Cargo.lock");
    let locked: Vec<(&str, &str)> = lock
        .split("[[package]]")
        .filter_map(|package| {
            let member = |name: &str| package.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix('"'));
            Some((member("name = \"")?, member("version = \"")?))
        })
        .collect();
    assert!(locked.len() > 50, "Cargo.lock is read wrongly");
    let number = |version: &str| version.split('.').map(|part| part.parse().unwrap()).collect::<Vec<u32>>();
    for (name, mended, advisory) in [
        ("base64", "0.5.2", "RUSTSEC-2017-0004: an overflow when encoding"),
        ("curve25519-dalek", "4.1.3", "RUSTSEC-2024-0344: the time a subtraction takes"),
        ("ed25519-dalek", "2.0.0", "RUSTSEC-2022-0093: a public key that is not the pair's"),
        ("idna", "1.0.0", "RUSTSEC-2024-0421: two spellings of one host"),
        ("jsonwebtoken", "10.3.0", "CVE-2026-25537: dates of the wrong type"),
        ("sha2", "0.9.8", "RUSTSEC-2021-0100: wrong hashes with AVX2"),
    ] {
        let versions: Vec<_> = locked.iter().filter(|(locked, _)| *locked == name).collect();
        assert!(!versions.is_empty(), "{name} is used no more");
        assert!(versions.iter().all(|(_, version)| number(version) >= number(mended)), "{versions:?}: {advisory}");
    }
    for (name, advisories) in [
        ("cookie", "RUSTSEC-2017-0005"),
        ("http", "RUSTSEC-2019-0033"),
        ("libsecp256k1", "CVE-2021-38195"),
        ("lru", "RUSTSEC-2021-0130, RUSTSEC-2026-0002, RUSTSEC-2026-0253"),
        ("vodozemac", "RUSTSEC-2026-0510"),
    ] {
        assert!(!locked.iter().any(|(locked, _)| *locked == name), "{name} is used now; see to {advisories}");
    }
}
