//! Signatures verified by the host, and by the module where the host cannot: the same tokens, the same
//! verdicts.
//!
//! The module asks the host only once a token's claims are good, and those of most vectors are not. So
//! what is wrong with the signature of a vector is carried over to a token with good claims: see
//! [`broken_alike`].

mod common;
mod fake_host;
mod vectors_support;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{START, claims, get};
use fake_host::{Host, StreamState, host, metric, request, start_on, stream};
use rsa::BigUint;
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use serde_json::{Value, json};
use session_bearer::token::algorithm::Algorithm;
use sha2::{Digest as _, Sha256};
use vectors_support::pairs::{PUBLIC, Pair, encode};
use vectors_support::{Vector, WYCHEPROOF_JWS, payload, wycheproof};

/// What Envoy's host function verifies.
const BY_HOST: [Algorithm; 5] =
    [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512, Algorithm::Es256, Algorithm::Es384];

/// Starts the module on a host with or without the function, with these keys.
fn start(verifies_signatures: bool, keys: &[Value]) {
    let mut unusual = Host::default();
    unusual.verifies_signatures = verifies_signatures;
    start_with(unusual, keys);
}

fn start_with(unusual: Host, keys: &[Value]) {
    let config = json!({
        "credentials": [{"bearer": {}}],
        "token": {
            "issuer": "auth-service",
            "audiences": ["api-service"],
            "keys": {"local_jwks": json!({"keys": keys}).to_string()},
        },
        "routes": [],
    });
    assert!(start_on(unusual, &config), "{:?}", host(|host| host.logs.clone()));
}

/// Whether a request with this token passes; it is answered 401 otherwise.
fn passes(token: &str) -> bool {
    let bearer = format!("Bearer {token}");
    let id = request(get("/api/x").with("authorization", &bearer));
    let stream = stream(id);
    let sent = stream.fields.iter().filter(|(name, _)| name == "authorization").map(|(_, value)| value.as_slice());
    match stream.state {
        StreamState::Passed => {
            assert_eq!(sent.collect::<Vec<_>>(), [bearer.as_bytes()]);
            true
        }
        StreamState::Replied { status: 401, .. } => false,
        state => panic!("{state:?}"),
    }
}

/// How often the host was asked since this was last asked.
fn asked() -> usize {
    let calls = host(|host| std::mem::take(&mut host.calls));
    calls.iter().filter(|call| **call == "proxy_call_foreign_function").count()
}

fn good_claims() -> Value {
    claims("ada", START)
}

/// The text that a token with this header and good claims signs.
fn signed_with(header: &str) -> String {
    format!("{header}.{}", encode(good_claims().to_string().as_bytes()))
}

#[test]
fn host_with_the_function_verifies_five_algorithms_and_another_none() {
    for (verifies_signatures, count, list) in [(true, 5, "RS256, RS384, RS512, ES256, ES384"), (false, 0, "nothing")] {
        start(verifies_signatures, &[Pair::of(Algorithm::Es256).jwk()]);
        assert_eq!(metric("session_bearer_host_algorithms"), count);
        let line = format!("configured; verified by the host: {list}");
        assert!(host(|host| host.logs.iter().any(|(_, logged)| *logged == line)), "{line}");
    }
}

#[test]
fn good_token_passes_and_the_host_is_asked_once_if_it_can() {
    for verifies_signatures in [true, false] {
        for algorithm in PUBLIC {
            let pair = Pair::of(algorithm);
            start(verifies_signatures, &[pair.jwk()]);
            asked();
            assert!(passes(&pair.token(algorithm, &good_claims())), "{algorithm}");
            let expected = usize::from(verifies_signatures && BY_HOST.contains(&algorithm));
            assert_eq!(asked(), expected, "{algorithm}");
        }
    }
}

#[test]
fn all_algorithms_work_side_by_side_and_each_with_its_own_key() {
    let keys: Vec<Value> = PUBLIC.iter().map(|&algorithm| named(algorithm)).collect();
    for verifies_signatures in [true, false] {
        start(verifies_signatures, &keys);
        for algorithm in PUBLIC {
            for kid in PUBLIC {
                let header = json!({"kid": kid.name()});
                let token = Pair::of(algorithm).token_with(algorithm, header, &good_claims());
                assert_eq!(passes(&token), kid == algorithm, "{algorithm} with the key for {kid}");
            }
        }
    }
}

fn named(algorithm: Algorithm) -> Value {
    let mut jwk = Pair::of(algorithm).jwk();
    jwk["kid"] = json!(algorithm.name());
    jwk["alg"] = json!(algorithm.name());
    jwk
}

/// A good signature, spoilt in many ways.
fn spoilt(algorithm: Algorithm, good: &[u8]) -> Vec<Vec<u8>> {
    let flipped = |at: usize| {
        let mut bytes = good.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let mut all: Vec<_> = [0, good.len() / 2, good.len() - 1].into_iter().map(flipped).collect();
    all.push(good[1..].to_vec());
    all.push(good[..good.len() - 1].to_vec());
    all.push([good, &[0]].concat());
    all.push([&[0], good].concat());
    all.push([good, good].concat());
    all.push(vec![0; good.len()]);
    all.push(vec![0xff; good.len()]);
    all.push(vec![0]);
    match algorithm {
        Algorithm::Es256 => all.push(p256::ecdsa::Signature::from_slice(good).unwrap().to_der().as_bytes().to_vec()),
        Algorithm::Es384 => all.push(p384::ecdsa::Signature::from_slice(good).unwrap().to_der().as_bytes().to_vec()),
        _ => {}
    }
    all
}

#[test]
fn spoilt_signature_is_refused_either_way() {
    for verifies_signatures in [true, false] {
        for algorithm in PUBLIC {
            let pair = Pair::of(algorithm);
            start(verifies_signatures, &[pair.jwk()]);
            let token = pair.token(algorithm, &good_claims());
            let (signed, signature) = token.rsplit_once('.').unwrap();
            for spoilt in spoilt(algorithm, &URL_SAFE_NO_PAD.decode(signature).unwrap()) {
                assert!(!passes(&format!("{signed}.{}", encode(&spoilt))), "{algorithm} {spoilt:?}");
            }
            let other = pair.token(algorithm, &claims("eve", START));
            let (other_signed, _) = other.rsplit_once('.').unwrap();
            assert!(!passes(&format!("{other_signed}.{signature}")), "{algorithm}: another text");
            assert!(passes(&token), "{algorithm}: the good one passes after all that");
        }
    }
}

#[test]
fn signature_of_one_algorithm_is_none_of_another_with_the_same_key() {
    let rsa = &PUBLIC[..6];
    for verifies_signatures in [true, false] {
        start(verifies_signatures, &[Pair::of(Algorithm::Rs256).jwk()]);
        for &said in rsa {
            let signed = signed_with(&encode(json!({"alg": said.name()}).to_string().as_bytes()));
            for &used in rsa {
                let token = format!("{signed}.{}", encode(&Pair::of(used).sign(used, &signed)));
                assert_eq!(passes(&token), said == used, "signed with {used}, says {said}");
            }
        }
    }
}

#[test]
fn host_that_always_says_the_same_is_not_believed() {
    let always: [&[u8]; 8] = [&[8, 1], &[], &[0], &[8], &[8, 0], &[8, 1, 18, 0], &[18, 1, b'x'], &[0xff; 64]];
    for verdict in always {
        for algorithm in BY_HOST {
            let mut unusual = Host::default();
            unusual.fixed_verdict = Some(verdict.to_vec());
            let pair = Pair::of(algorithm);
            start_with(unusual, &[pair.jwk()]);
            assert_eq!(metric("session_bearer_host_algorithms"), 0, "{verdict:?}");
            let token = pair.token(algorithm, &good_claims());
            assert!(passes(&token), "{algorithm}: the module verifies it");
            assert!(!passes(&token.replacen('.', "A.", 1)) && !passes(&format!("{token}AAAA")), "{algorithm}");
        }
    }
}

#[test]
fn host_that_was_believed_once_lets_nothing_pass_but_by_a_plain_yes() {
    let answers: [&[u8]; 6] = [&[], &[8], &[8, 0], &[8, 1, 18, 0], &[18, 1, b'x'], &[0xff; 64]];
    for algorithm in BY_HOST {
        let pair = Pair::of(algorithm);
        start(true, &[pair.jwk()]);
        let token = pair.token(algorithm, &good_claims());
        for answer in answers {
            host(|host| host.fixed_verdict = Some(answer.to_vec()));
            assert!(!passes(&token), "{algorithm}: {answer:?}");
        }
        host(|host| (host.fixed_verdict, host.verifies_signatures) = (None, false));
        assert!(!passes(&token), "{algorithm}: the function is gone");
        host(|host| host.verifies_signatures = true);
        assert!(passes(&token), "{algorithm}");
    }
}

/// The signature of `vector` made over `signed` instead, with whatever is wrong with it; and whether that
/// could be done.
///
/// An RSA signature is opened with the public key, the hash of the one text is replaced by that of the
/// other wherever it stands, and what comes out is closed with the private key: the padding stays as broken
/// as it was. An ECDSA signature of special numbers is as bad for one text as for another. Everything else,
/// where the hash itself is broken for instance, is taken as it is.
fn broken_alike(vector: &Vector, old: &str, signature: &[u8], signed: &str) -> (Vec<u8>, bool) {
    let as_it_is = (signature.to_vec(), false);
    match Pair::from_jwk(&vector.private) {
        Pair::Rsa(key) if signature.len() == key.size() => {
            let opened = BigUint::from_bytes_be(signature).modpow(key.e(), key.n()).to_bytes_be();
            let (old, new) = (Sha256::digest(old), Sha256::digest(signed));
            let Some(at) = opened.windows(old.len()).position(|window| *window == *old) else { return as_it_is };
            let changed = [&opened[..at], &new, &opened[at + new.len()..]].concat();
            let closed = BigUint::from_bytes_be(&changed).modpow(key.d(), key.n()).to_bytes_be();
            let zeros = vec![0; key.size() - closed.len()];
            ([zeros, closed].concat(), true)
        }
        pair @ Pair::P256(_) if vector.valid => (pair.sign(Algorithm::Es256, signed), true),
        _ => as_it_is,
    }
}

#[test]
fn signatures_of_wycheproof_are_judged_alike_by_host_and_module() {
    let mut carried_over = [0, 0];
    for verifies_signatures in [true, false] {
        for (group, n) in [("RS256", 0), ("ES256", 1)] {
            let vectors = wycheproof(WYCHEPROOF_JWS);
            let vectors: Vec<_> = vectors.into_iter().filter(|vector| vector.key["alg"] == group).collect();
            start(verifies_signatures, &[vectors[0].key.clone()]);
            for vector in &vectors {
                let Some((old, signature)) = vector.token.rsplit_once('.') else { continue };
                let (Some((header, _)), Ok(signature)) = (old.split_once('.'), URL_SAFE_NO_PAD.decode(signature))
                else {
                    continue;
                };
                let signed = signed_with(header);
                let (signature, carried) = broken_alike(vector, old, &signature, &signed);
                carried_over[n] += usize::from(carried);
                let token = format!("{signed}.{}", encode(&signature));
                assert_eq!(passes(&token), vector.valid, "{} {}", vector.id, vector.comment);
                assert_eq!(payload(&token, &vector.key).is_ok(), vector.valid, "{}", vector.id);
            }
        }
    }
    // Each vector twice. Without this the test would pass with nothing but signatures of other texts.
    assert_eq!(carried_over, [2 * 198, 2]);
}
