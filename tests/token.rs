//! Tokens: what the verifier accepts, and everything it refuses.

mod common;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use common::{SECRET, START, base64url, claims, sign, sign_by_library, sign_text, sign_with};
use serde_json::{Value, json};
use session_bearer::time::UnixTime;
use session_bearer::token::algorithm::Algorithm;
use session_bearer::token::claims::ClaimRules;
use session_bearer::token::signature::InModule;
use session_bearer::token::verify::{TokenRules, Verifier};
use session_bearer::token::{TokenError, VerifiedToken};

const LEEWAY: Duration = Duration::from_secs(30);

fn verify_with(claims: ClaimRules, token: &[u8], now: UnixTime) -> Result<VerifiedToken, TokenError> {
    let types = vec!["JWT".to_owned(), "at+jwt".to_owned()];
    let rules = TokenRules {
        algorithms: vec![Algorithm::Hs256],
        types,
        claims,
        kept_claims: BTreeSet::new(),
        claim_headers: [].into(),
    };
    Verifier::new(Rc::new(rules), Rc::new(InModule)).verify(token, &common::secret_keys(), now)
}

fn rules() -> ClaimRules {
    ClaimRules {
        issuer: Some("auth-service".to_owned()),
        audiences: vec!["api-service".to_owned(), "other".to_owned()],
        required: vec!["sub".to_owned()],
        leeway: LEEWAY,
        max_lifetime: None,
    }
}

#[track_caller]
fn check(token: impl AsRef<[u8]>, expected: Result<(), TokenError>) {
    check_at(START, token, expected);
}

#[track_caller]
fn check_at(now: UnixTime, token: impl AsRef<[u8]>, expected: Result<(), TokenError>) {
    let verdict = verify_with(rules(), token.as_ref(), now).map(|_| ());
    assert_eq!(verdict, expected, "{}", String::from_utf8_lossy(token.as_ref()));
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims("ada", START);
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims("ada", START);
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[test]
fn good_token_becomes_a_bearer() {
    for token in [sign(&claims("ada", START)), sign_by_library(&claims("ada", START))] {
        let verified = verify_with(rules(), token.as_bytes(), START).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(verified.bearer(), format!("Bearer {token}").as_bytes());
        assert_eq!(verified.expires(), START.plus(Duration::from_secs(900)));
    }
}

#[test]
fn token_that_is_not_three_base64url_parts_is_refused() {
    let token = sign(&claims("ada", START));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let bad = [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        signed.to_owned(),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{token}.x"),
        format!("{token}.x.y"),
        format!(" {token}"),
        format!("{token}\r\nx-admin: 1"),
        format!("{token}="),
        format!("{header}.{payload}+.{signature}"),
        format!("{token}é"),
        "a".repeat(9000),
        ".".repeat(8000),
    ];
    for token in bad {
        check(token, Err(TokenError::Form));
    }
    check(b"\xff\xfe.a.b", Err(TokenError::Form));
}

#[test]
fn token_of_more_than_eight_kib_is_refused() {
    check(sign(&with("padding", json!("x".repeat(8192)))), Err(TokenError::Form));
    check(sign(&with("padding", json!("x".repeat(4096)))), Ok(()));
}

#[test]
fn algorithm_is_the_keys_and_the_token_only_agrees() {
    let claims = claims("ada", START);
    for alg in [
        json!("none"),
        json!("None"),
        json!("HS512"),
        json!("hs256"),
        json!("HS256 "),
        json!("RS256"),
        json!(""),
        json!(7),
        json!(null),
        json!(["HS256"]),
    ] {
        check(sign_with(&json!({"alg": alg}), &claims, SECRET), Err(TokenError::Algorithm));
    }
    check(sign_with(&json!({"typ": "JWT"}), &claims, SECRET), Err(TokenError::Algorithm));
    let unsigned = format!("{}.{}.", base64url(br#"{"alg":"none"}"#), base64url(claims.to_string().as_bytes()));
    check(unsigned, Err(TokenError::Form));
}

#[test]
fn header_that_asks_for_what_is_not_honoured_is_refused() {
    let claims = claims("ada", START);
    for extra in ["crit", "b64", "zip", "enc"] {
        check(sign_with(&json!({"alg": "HS256", extra: []}), &claims, SECRET), Err(TokenError::Header));
    }
    for header in ["[]", "\"HS256\"", "{", "", "{\"alg\":\"HS256\"}x", "{\"alg\":\"HS256\",\"alg\":\"HS256\"}"] {
        let expected = if header.is_empty() { TokenError::Form } else { TokenError::Header };
        check(sign_text(header, &claims.to_string(), SECRET), Err(expected));
    }
}

#[test]
fn keys_inside_the_token_are_not_looked_at() {
    let header =
        json!({"alg": "HS256", "jwk": {"kty": "oct", "k": base64url(b"attacker")}, "jku": "https://evil.example"});
    check(sign_with(&header, &claims("ada", START), "attacker"), Err(TokenError::Signature));
}

#[test]
fn type_has_to_be_listed_or_absent() {
    for (typ, expected) in [
        (json!("JWT"), Ok(())),
        (json!("jwt"), Ok(())),
        (json!("at+jwt"), Ok(())),
        (json!("application/at+jwt"), Ok(())),
        (json!("better-auth.session-cache+jwt"), Err(TokenError::Type)),
        (json!(""), Err(TokenError::Type)),
        (json!(1), Err(TokenError::Type)),
    ] {
        check(sign_with(&json!({"alg": "HS256", "typ": typ}), &claims("ada", START), SECRET), expected);
    }
    check(sign_with(&json!({"alg": "HS256"}), &claims("ada", START), SECRET), Ok(()));
}

#[test]
fn signature_has_to_be_the_keys_over_these_bytes() {
    let token = sign(&claims("ada", START));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let other = sign(&claims("eve", START));
    let (other_signed, _) = other.rsplit_once('.').unwrap();
    check(format!("{other_signed}.{signature}"), Err(TokenError::Signature));
    check(format!("{signed}.{}", &signature[..signature.len() - 4]), Err(TokenError::Signature));
    check(format!("{signed}.AAAA"), Err(TokenError::Signature));
    check(
        sign_with(&json!({"alg": "HS256"}), &claims("ada", START), "another secret of thirty-two byte"),
        Err(TokenError::Signature),
    );
}

#[test]
fn token_has_one_spelling_only() {
    let token = sign(&claims("ada", START));
    let (head, last) = token.split_at(token.len() - 1);
    // 32 bytes end in a character that has two bits to spare; another value there is the same signature.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    let twin = &alphabet[(at ^ 1)..=(at ^ 1)];
    check(format!("{head}{twin}"), Err(TokenError::Signature));
}

#[test]
fn payload_has_to_be_one_unambiguous_object() {
    for payload in ["[]", "null", "{", "{}x", "{\"exp\":1,\"exp\":2}", "\u{feff}{}"] {
        check(sign_text(r#"{"alg":"HS256"}"#, payload, SECRET), Err(TokenError::Claims));
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(17), "}".repeat(17));
    check(sign_text(r#"{"alg":"HS256"}"#, &deep, SECRET), Err(TokenError::Claims));
}

#[test]
fn expired_token_is_refused_after_leeway() {
    let token = sign(&claims("ada", START));
    let expiry = START.plus(Duration::from_secs(900));
    check_at(expiry, &token, Ok(()));
    check_at(expiry.plus(LEEWAY).minus(Duration::from_millis(1)), &token, Ok(()));
    check_at(expiry.plus(LEEWAY), &token, Err(TokenError::Expired));
}

#[test]
fn token_without_expiry_is_refused() {
    check(sign(&without("exp")), Err(TokenError::NoExpiry));
}

#[test]
fn future_nbf_and_iat_are_refused_beyond_leeway() {
    let start = START.as_millis() / 1000;
    for name in ["nbf", "iat"] {
        check(sign(&with(name, json!(start + 30))), Ok(()));
        check(sign(&with(name, json!(start + 31))), Err(TokenError::Premature));
    }
}

#[test]
fn date_of_the_wrong_type_is_refused_never_taken_for_absent() {
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!("1800000000"),
            json!(true),
            json!(null),
            json!([]),
            json!({}),
            json!(-1),
            json!(1e300),
            json!(9_007_199_254_740_994_u64),
        ] {
            check(sign(&with(name, value)), Err(TokenError::Claims));
        }
    }
    check(sign_text(r#"{"alg":"HS256"}"#, r#"{"exp":1e400}"#, SECRET), Err(TokenError::Claims));
}

#[test]
fn date_with_decimals_is_understood() {
    let exp = START.as_millis() as f64 / 1000.0 + 0.5;
    let token = sign(&with("exp", json!(exp)));
    check_at(START.plus(LEEWAY).plus(Duration::from_millis(499)), &token, Ok(()));
    check_at(START.plus(LEEWAY).plus(Duration::from_millis(500)), &token, Err(TokenError::Expired));
}

#[test]
fn issuer_compares_whole() {
    for issuer in [json!("auth"), json!("auth-service/"), json!("AUTH-SERVICE"), json!("")] {
        check(sign(&with("iss", issuer)), Err(TokenError::Issuer));
    }
    check(sign(&without("iss")), Err(TokenError::Issuer));
    for issuer in [json!(["auth-service"]), json!(7), json!(null)] {
        check(sign(&with("iss", issuer)), Err(TokenError::Claims));
    }
}

#[test]
fn audience_is_a_string_or_an_array_that_names_us() {
    for (audience, expected) in [
        (json!("api-service"), Ok(())),
        (json!("other"), Ok(())),
        (json!(["x", "other"]), Ok(())),
        (json!("api"), Err(TokenError::Audience)),
        (json!([]), Err(TokenError::Audience)),
        (json!(["x"]), Err(TokenError::Audience)),
        (json!(["api-service", 7]), Err(TokenError::Claims)),
        (json!({"api-service": true}), Err(TokenError::Claims)),
        (json!(null), Err(TokenError::Claims)),
    ] {
        check(sign(&with("aud", audience)), expected);
    }
    check(sign(&without("aud")), Err(TokenError::Audience));
}

#[test]
fn required_claim_has_to_be_there_and_not_null() {
    check(sign(&without("sub")), Err(TokenError::RequiredClaim));
    check(sign(&with("sub", json!(null))), Err(TokenError::RequiredClaim));
}

#[test]
fn issuer_and_audience_are_free_where_none_is_configured() {
    let rules = ClaimRules::default();
    let token = sign(&json!({"exp": START.as_millis() / 1000 + 1}));
    assert!(verify_with(rules, token.as_bytes(), START).is_ok());
}

#[test]
fn token_that_is_made_to_last_too_long_is_refused() {
    let rules = || ClaimRules { max_lifetime: Some(Duration::from_secs(900)), ..rules() };
    let start = START.as_millis() / 1000;
    for (claims, expected) in [
        (claims("ada", START), Ok(())),
        (with("exp", json!(start + 901)), Err(TokenError::Lifetime)),
        (with("iat", json!(start - 1)), Err(TokenError::Lifetime)),
        (without("iat"), Err(TokenError::Lifetime)),
    ] {
        assert_eq!(verify_with(rules(), sign(&claims).as_bytes(), START).map(|_| ()), expected, "{claims}");
    }
}
