//! Keys: what is taken for one, and where they come from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::EncodeRsaPublicKey as _;
use rsa::pkcs8::EncodePublicKey as _;
use serde_json::{Value, json};
use session_bearer::secret::Secret;
use session_bearer::stats::Counter;
use session_bearer::token::TokenError;
use session_bearer::token::algorithm::Algorithm;
use session_bearer::token::key::{Key, KeyError};
use session_bearer::token::keyset::KeySet;

use crate::common::{START, claims, get, minimal, minimal_with, read, set, sign_text};
use crate::vectors_support::pairs::{PUBLIC, Pair, encode};
use crate::vectors_support::{document, verifier};
use crate::world::{Fate, Reply, World};

fn loaded(jwk: &Value) -> Result<Key, KeyError> {
    Key::from_jwk(jwk.as_object().unwrap())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Every text an operator, or a library, might take for this public key, and so an attacker for a secret.
fn spellings(pair: &Pair) -> Vec<Vec<u8>> {
    let jwk = pair.jwk();
    let mut texts = vec![
        jwk.to_string(),
        json!({ "keys": [jwk] }).to_string(),
        json!({"keys": [{"keys": [jwk]}]}).to_string(),
        serde_json::to_string_pretty(&jwk).unwrap(),
    ];
    texts.extend(["n", "x"].into_iter().filter_map(|name| Some(jwk.get(name)?.as_str()?.to_owned())));
    let spki = match pair {
        Pair::Rsa(key) => {
            let pkcs1 = key.to_public_key().to_pkcs1_der().unwrap();
            texts.push(pem("RSA PUBLIC KEY", pkcs1.as_bytes()));
            texts.push(format!("ssh-rsa {} ada@example", STANDARD.encode(pkcs1.as_bytes())));
            key.to_public_key().to_public_key_der().unwrap().into_vec()
        }
        Pair::P256(key) => key.verifying_key().to_public_key_der().unwrap().into_vec(),
        Pair::P384(key) => key.verifying_key().to_public_key_der().unwrap().into_vec(),
        Pair::Ed25519(key) => key.verifying_key().to_bytes().to_vec(),
    };
    texts.extend([pem("PUBLIC KEY", &spki), pem("PUBLIC KEY", &spki).trim_end().to_owned(), encode(&spki)]);
    texts.into_iter().map(String::into_bytes).chain([spki]).collect()
}

/// PyJWT CVE-2017-11424, CVE-2022-29217, GHSA-xgmm-8j9v-c9wx, CVE-2026-102273; Authlib CVE-2024-37568;
/// python-jose CVE-2024-33663.
#[test]
fn public_key_is_no_hmac_secret_in_any_spelling_cve_2022_29217() {
    for algorithm in PUBLIC {
        let pair = Pair::of(algorithm);
        let keys = KeySet::parse(json!({"keys": [pair.jwk()]}).to_string().as_bytes()).unwrap();
        for secret in spellings(&pair) {
            for hmac in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
                let header = json!({"alg": hmac.name(), "typ": "JWT"}).to_string();
                let signed =
                    format!("{}.{}", encode(header.as_bytes()), encode(claims("ada", START).to_string().as_bytes()));
                let key = jsonwebtoken::EncodingKey::from_secret(&secret);
                let tag = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, hmac.library()).unwrap();
                // Even where somebody has allowed everything.
                let verdict =
                    verifier(Algorithm::ALL.to_vec()).verify_signature(format!("{signed}.{tag}").as_bytes(), &keys);
                assert_eq!(verdict, Err(TokenError::Algorithm), "{algorithm}: {}", String::from_utf8_lossy(&secret));
            }
        }
    }
}

#[test]
fn secret_and_public_keys_cannot_be_allowed_together_cve_2017_11424() {
    for keys in [
        json!({"secret_env": "JWT_SECRET"}),
        json!({"local_jwks": json!({"keys": [Pair::of(Algorithm::Es256).jwk()]}).to_string()}),
    ] {
        let mut config = minimal_with("/token/keys", keys);
        set(&mut config, "/token/algorithms", json!(["HS256", "ES256"]));
        assert!(read(&config).is_err());
    }
}

#[test]
fn weak_key_is_not_taken_cve_2025_45768() {
    for (len, expected) in [(0, false), (1, false), (31, false), (32, true)] {
        assert_eq!(Key::secret(&Secret::new(vec![7; len])).verifies(Algorithm::Hs256), expected, "{len} bytes");
    }
    let weak = |bytes: usize| json!({"kty": "RSA", "n": encode(&vec![0xff; bytes]), "e": "AQAB"});
    assert_eq!(loaded(&weak(128)).err(), Some(KeyError::Weak), "1024 bits");
    assert_eq!(loaded(&weak(256)).err(), None, "2048 bits");
}

#[test]
fn key_is_bound_to_an_algorithm_of_its_own_kind_cve_2026_48523() {
    for of in PUBLIC {
        let rsa = |algorithm: Algorithm| PUBLIC[..6].contains(&algorithm);
        for said in Algorithm::ALL.iter().copied() {
            let mut jwk = Pair::of(of).jwk();
            jwk["alg"] = json!(said.name());
            let fits = of == said || (rsa(of) && rsa(said));
            assert_eq!(loaded(&jwk).err(), if fits { None } else { Some(KeyError::Purpose) }, "{said} for {of}");
        }
        for unknown in ["none", "ES512", "ES256K", "RSA-OAEP", "rs256", ""] {
            let mut jwk = Pair::of(of).jwk();
            jwk["alg"] = json!(unknown);
            assert_eq!(loaded(&jwk).err(), Some(KeyError::Unsupported), "{unknown} for {of}");
        }
    }
}

#[test]
fn bits_of_a_modulus_are_not_rounded_up_jwt_simple_0_13() {
    let modulus = |first: u8| [vec![first], vec![0xff; 255]].concat();
    for (first, expected) in
        [(0x00, Some(KeyError::Weak)), (0x01, Some(KeyError::Weak)), (0x7f, Some(KeyError::Weak)), (0x80, None)]
    {
        let jwk = json!({"kty": "RSA", "n": encode(&modulus(first)), "e": "AQAB"});
        assert_eq!(loaded(&jwk).err(), expected, "the first byte of 256 is {first:#x}");
    }
}

#[test]
fn name_of_a_key_has_a_bound_jwt_simple_0_13() {
    for (len, expected) in [(256, None), (257, Some(KeyError::Malformed)), (100_000, Some(KeyError::Malformed))] {
        let mut jwk = Pair::of(Algorithm::EdDsa).jwk();
        jwk["kid"] = json!("k".repeat(len));
        assert_eq!(loaded(&jwk).err(), expected, "{len} bytes");
    }
}

#[test]
fn private_half_of_a_key_is_not_even_read_cve_2026_21895() {
    let whole = document("rfc7520-cookbook/jwk/3_4.rsa_private_key.json");
    let public = loaded(&whole).unwrap().id();
    for (name, value) in [
        ("p", json!("AQ")),
        ("q", json!("AA")),
        ("d", json!("")),
        ("d", json!(7)),
        ("dp", json!("*")),
        ("oth", json!([{}])),
    ] {
        let mut jwk = whole.clone();
        jwk[name] = value;
        assert_eq!(loaded(&jwk).map(|key| key.id()), Ok(public), "{name}");
    }
}

#[test]
fn ed25519_key_of_31_or_33_bytes_is_refused_rustsec_2026_0510() {
    for len in [0, 31, 33, 64] {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&vec![7; len])});
        assert_eq!(loaded(&jwk).err(), Some(KeyError::Malformed), "{len} bytes");
    }
}

#[test]
fn malformed_key_does_not_spoil_the_set_cve_2026_102274() {
    let good = Pair::of(Algorithm::Rs256).jwk();
    for bad in [
        json!({"kty": "RSA"}),
        json!({"kty": "RSA", "n": "", "e": ""}),
        json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
        json!({"kty": "RSA", "n": 7, "e": null}),
        json!({"kty": "RSA", "n": "!", "e": "AQAB"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        json!({"kty": "oct", "k": "AAAA"}),
        json!({"kty": ["RSA"]}),
        json!({}),
        json!([]),
        json!(null),
    ] {
        for keys in [[&bad, &good], [&good, &bad]] {
            let set = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
            assert_eq!((set.len(), set.skipped().len()), (1, 1), "{bad}");
        }
    }
}

fn endpoint() -> Value {
    json!({"cluster": "keys", "authority": "auth.internal", "path": "/jwks", "refresh": "1m"})
}

/// A world that takes bearers, and fetches the keys of `pair` if there is one.
fn fetching(published: Option<&Pair>) -> World {
    let mut config = minimal();
    set(&mut config, "/credentials", json!([{"bearer": {}}]));
    config.as_object_mut().unwrap().remove("exchange");
    set(&mut config, "/token/keys", json!({ "jwks": endpoint() }));
    let mut world = World::with(&config);
    if let Some(pair) = published {
        world.answer_fetch(&publish(pair));
    }
    world
}

fn publish(pair: &Pair) -> Reply {
    let mut jwk = pair.jwk();
    jwk["kid"] = json!("ours");
    Reply::json(200, &json!({ "keys": [jwk] }))
}

fn fate(world: &mut World, pair: &Pair, header: Value) -> Fate {
    let token = pair.token_with(Algorithm::EdDsa, header, &claims("ada", world.now));
    let stream = world.request(get("/api/x").with("authorization", format!("Bearer {token}")));
    world.fate(stream)
}

fn passes(world: &mut World, pair: &Pair) -> bool {
    matches!(fate(world, pair, json!({"kid": "ours"})), Fate::Passed { .. })
}

fn attacker() -> Pair {
    Pair::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[66; 32]))
}

#[test]
fn keys_come_from_a_cluster_and_from_no_url_ghsa_993g_76c3_p5m4() {
    for (member, value) in [
        ("url", json!("file:///etc/passwd")),
        ("uri", json!("https://evil.example/jwks.json")),
        ("authority", json!("file:///etc/passwd")),
        ("authority", json!("https://evil.example")),
        ("authority", json!("evil.example/jwks")),
        ("path", json!("file:///etc/passwd")),
        ("path", json!("https://evil.example/jwks.json")),
    ] {
        let mut jwks = endpoint();
        jwks[member] = value.clone();
        assert!(read(&minimal_with("/token/keys", json!({ "jwks": jwks }))).is_err(), "{member}: {value}");
    }
    assert!(read(&minimal_with("/token/keys", json!({ "jwks": endpoint() }))).is_ok());
    // And whatever a token says, nobody is asked.
    let pair = Pair::of(Algorithm::EdDsa);
    let mut world = fetching(Some(&pair));
    for place in ["file:///etc/passwd", "https://evil.example/jwks.json"] {
        let header = json!({"kid": "ours", "jku": place, "x5u": place});
        assert_eq!(fate(&mut world, &attacker(), header), Fate::Answered(401));
        assert_eq!((world.fetches(), world.callouts().len()), (0, 0));
    }
}

#[test]
fn redirect_of_the_key_endpoint_is_not_followed_cve_2026_102267() {
    for status in [301, 302, 303, 307, 308] {
        let pair = Pair::of(Algorithm::EdDsa);
        let mut world = fetching(Some(&pair));
        world.ticks(60);
        let elsewhere = Reply { fields: Reply::json(status, &json!({})).fields, ..publish(&attacker()) };
        world.answer_fetch(&elsewhere.with("location", "https://evil.example/jwks.json"));
        assert_eq!(world.fetches(), 0, "{status}: the location is not asked");
        assert!(passes(&mut world, &pair) && !passes(&mut world, &attacker()), "{status}: nor is the body read");
    }
}

#[test]
fn unknown_names_do_not_flood_the_key_endpoint_ghsa_fhv5_28vv_h8m8() {
    let pair = Pair::of(Algorithm::EdDsa);
    let mut world = fetching(Some(&pair));
    for n in 0..1000 {
        fate(&mut world, &attacker(), json!({"kid": n.to_string()}));
        if world.fetches() > 0 {
            world.answer_fetch(&publish(&pair));
        }
    }
    assert_eq!(world.count(Counter::KeysFetches), 2, "the one at the start, and one for all of these");
}

#[test]
fn failed_fetch_takes_no_key_away_ghsa_fhv5_28vv_h8m8() {
    let pair = Pair::of(Algorithm::EdDsa);
    for failure in [
        Reply::reset(),
        Reply::json(500, &json!({})),
        Reply::json(200, &json!({"keys": []})),
        Reply::json(200, &json!({"keys": [{"kty": "oct", "k": encode(&[7; 32])}]})),
        Reply::new(200, "text/html", "<h1>maintenance</h1>"),
        Reply::new(200, "application/json", vec![b' '; 200_000]),
    ] {
        let mut world = fetching(Some(&pair));
        world.ticks(60);
        world.answer_fetch(&failure);
        assert!(passes(&mut world, &pair), "{failure:?}");
    }
}

#[test]
fn endpoint_introduces_no_secret_cve_2024_33663() {
    let mut world = fetching(None);
    world.answer_fetch(&Reply::json(200, &json!({"keys": [{"kty": "oct", "kid": "s", "k": encode(&[b's'; 32])}]})));
    let header = json!({"alg": "HS256", "kid": "s"}).to_string();
    let token = sign_text(&header, &claims("ada", START).to_string(), &"s".repeat(32));
    let stream = world.request(get("/api/x").with("authorization", format!("Bearer {token}")));
    assert!(!matches!(world.fate(stream), Fate::Passed { .. }));
}
