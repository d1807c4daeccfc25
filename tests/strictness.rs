//! What is refused although some library, or some reading of a standard, accepts it; and the little that is
//! accepted although others refuse it.

mod vectors_support;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use curve25519_dalek::Scalar;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as BASE, EIGHT_TORSION};
use curve25519_dalek::edwards::CompressedEdwardsY;
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, RsaPrivateKey};
use serde_json::{Value, json};
use session_bearer::secret::Secret;
use session_bearer::token::TokenError;
use session_bearer::token::algorithm::Algorithm;
use session_bearer::token::key::{Key, KeyError};
use session_bearer::token::keyset::KeySet;
use sha2::{Digest as _, Sha512};
use vectors_support::pairs::{Pair, RSA_4096_MODULUS, RSA_4096_TOKEN, encode};
use vectors_support::{WYCHEPROOF_JWK, payload, verifier, wycheproof};

fn loaded(jwk: &Value) -> Result<(), KeyError> {
    Key::from_jwk(jwk.as_object().unwrap()).map(|_| ())
}

/// The text signed by a token with this `alg` and the payload `{"n": n}`.
fn signed(algorithm: Algorithm, n: u32) -> String {
    let header = json!({"alg": algorithm.name()}).to_string();
    format!("{}.{}", encode(header.as_bytes()), encode(format!("{{\"n\":{n}}}").as_bytes()))
}

#[track_caller]
fn check(what: &str, pair: &Pair, signed: &str, signature: &[u8], expected: bool) {
    let verdict = payload(&format!("{signed}.{}", encode(signature)), &pair.jwk());
    assert_eq!(verdict.map(|_| ()), if expected { Ok(()) } else { Err(TokenError::Signature) }, "{what}");
}

// Ed25519

fn ed25519_jwk(x: &[u8]) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": encode(x)})
}

#[test]
fn ed25519_key_of_small_order_is_refused_in_every_spelling() {
    let mut keys: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
    // The spellings that are not canonical: y of p and more, and a sign where x is zero.
    for (first, middle, last) in [
        (0xed, 0xff, 0x7f),
        (0xed, 0xff, 0xff),
        (0xee, 0xff, 0x7f),
        (0xee, 0xff, 0xff),
        (0x01, 0x00, 0x80),
        (0xec, 0xff, 0xff),
    ] {
        let mut spelling = [middle; 32];
        (spelling[0], spelling[31]) = (first, last);
        keys.push(spelling);
    }
    for key in keys {
        assert_eq!(loaded(&ed25519_jwk(&key)), Err(KeyError::Weak), "{key:02x?}");
    }
}

/// A signature that some verifiers take for good. A is the key, R and S are the signature, and what is not
/// `small` has a part of a large order too, whose logarithm the signer knows.
struct Disputed {
    name: &'static str,
    a: (u64, [u8; 32]),
    r: (u64, [u8; 32]),
    /// Whether RFC 8032 §5.1.7 is to hold for the parts of small order too, without the factor 8.
    holds: bool,
    accepted_by_library: bool,
    accepted: bool,
}

/// The questions of "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko 2020, table 6), asked anew.
fn disputed() -> [Disputed; 9] {
    let point = |log: u64, small: usize| {
        let point = Scalar::from(log) * BASE + EIGHT_TORSION[small];
        (log, point.compress().to_bytes())
    };
    // y = p is another spelling of y = 0, a point of order 4.
    let mut p = [0xff; 32];
    (p[0], p[31]) = (0xed, 0x7f);
    let (small, odd, mixed, plain) = (point(0, 1), (0, p), point(0xacce_55ed, 1), point(0xacce_55ed, 0));
    let (mixed_r, plain_r) = (point(0xdead_10cc, 3), point(0xdead_10cc, 0));
    let case = |name, a, r, holds, accepted_by_library, accepted| Disputed {
        name,
        a,
        r,
        holds,
        accepted_by_library,
        accepted,
    };
    [
        case("small A, small R", small, small, true, true, false),
        case("small A, mixed R", small, mixed_r, true, true, false),
        case("mixed A, small R", mixed, small, true, true, false),
        case("mixed A, mixed R", mixed, mixed_r, true, true, true),
        case("mixed A, mixed R, only with the factor 8", mixed, mixed_r, false, false, false),
        case("mixed A, plain R, only with the factor 8", mixed, plain_r, false, false, false),
        case("mixed A, small R in another spelling", mixed, odd, true, false, false),
        case("small A in another spelling, plain R", odd, plain_r, true, true, false),
        case("plain A, plain R", plain, plain_r, true, true, true),
    ]
}

/// A text for which the case is as it should be, and the signature over it.
fn sign_disputed(Disputed { a, r, holds, .. }: &Disputed) -> (String, [u8; 64]) {
    let point = |bytes| CompressedEdwardsY(bytes).decompress().unwrap();
    let attempt = |n| {
        let signed = signed(Algorithm::EdDsa, n);
        let digest = Sha512::new().chain_update(r.1).chain_update(a.1).chain_update(&signed).finalize();
        let k = Scalar::from_bytes_mod_order_wide(&digest.into());
        let s = Scalar::from(r.0) + k * Scalar::from(a.0);
        let signature = [r.1, s.to_bytes()].concat().try_into().unwrap();
        ((s * BASE == point(r.1) + k * point(a.1)) == *holds).then_some((signed, signature))
    };
    (0..1000).find_map(attempt).expect("one text in eight will do")
}

#[test]
fn disputed_ed25519_signature_is_judged_strictly() {
    for case in disputed() {
        let (signed, signature) = sign_disputed(&case);
        let Disputed { name, a: (_, key), accepted_by_library, accepted, .. } = case;
        let library = ed25519_dalek::VerifyingKey::from_bytes(&key).unwrap();
        let verdict = ed25519_dalek::Verifier::verify(&library, signed.as_bytes(), &signature.into());
        assert_eq!(verdict.is_ok(), accepted_by_library, "{name}: by the library");
        let token = format!("{signed}.{}", encode(&signature));
        assert_eq!(payload(&token, &ed25519_jwk(&key)).is_ok(), accepted, "{name}");
    }
}

#[test]
fn ed25519_signature_with_an_s_of_the_order_or_more_is_refused() {
    let pair = Pair::of(Algorithm::EdDsa);
    let signed = signed(Algorithm::EdDsa, 0);
    let good = pair.sign(Algorithm::EdDsa, &signed);
    check("as it is", &pair, &signed, &good, true);
    let order = (-Scalar::ONE).to_bytes();
    let (order, mut s) = (BigUint::from_bytes_le(&order) + 1_u8, BigUint::from_bytes_le(&good[32..]));
    for times in 1..=15 {
        s += &order;
        let mut bytes = s.to_bytes_le();
        bytes.resize(32, 0);
        check(&format!("S + {times} L"), &pair, &signed, &[&good[..32], &bytes].concat(), false);
    }
}

// RSA

fn rsa_jwk(n: &BigUint, e: &[u8]) -> Value {
    json!({"kty": "RSA", "n": encode(&n.to_bytes_be()), "e": encode(e)})
}

#[test]
fn rsa_modulus_has_2048_to_4096_bits_counted_one_by_one() {
    for (bits, expected) in [
        (1024, Err(KeyError::Weak)),
        (2041, Err(KeyError::Weak)),
        (2047, Err(KeyError::Weak)),
        (2048, Ok(())),
        (2049, Ok(())),
        (3072, Ok(())),
        (4096, Ok(())),
        (4097, Err(KeyError::Weak)),
        (8192, Err(KeyError::Weak)),
    ] {
        let n = (BigUint::from(1_u8) << (bits - 1)) + 1_u8;
        assert_eq!(n.bits(), bits);
        assert_eq!(loaded(&rsa_jwk(&n, &[1, 0, 1])), expected, "{bits} bits");
        assert_eq!(loaded(&rsa_jwk(&(n - 1_u8), &[1, 0, 1])), Err(KeyError::Weak), "an even modulus");
    }
    let padded = [&[0], BigUint::from(1_u8).to_bytes_be().as_slice(), &[0; 254], &[1]].concat();
    assert_eq!(padded.len(), 257);
    let jwk = json!({"kty": "RSA", "n": encode(&padded), "e": "AQAB"});
    assert_eq!(loaded(&jwk), Err(KeyError::Weak), "leading zeros add no strength");
}

#[test]
fn rsa_exponent_is_odd_at_least_three_and_below_two_to_the_33() {
    let n = (BigUint::from(1_u8) << 2047) + 1_u8;
    for (e, expected) in [
        (vec![], Err(KeyError::Weak)),
        (vec![0], Err(KeyError::Weak)),
        (vec![1], Err(KeyError::Weak)),
        (vec![0, 1], Err(KeyError::Weak)),
        (vec![2], Err(KeyError::Weak)),
        (vec![3], Ok(())),
        (vec![4], Err(KeyError::Weak)),
        (vec![17], Ok(())),
        (vec![1, 0, 0], Err(KeyError::Weak)),
        (vec![1, 0, 1], Ok(())),
        (vec![1, 0xff, 0xff, 0xff, 0xff], Ok(())),
        (vec![2, 0, 0, 0, 1], Err(KeyError::Weak)),
        (vec![0xff; 9], Err(KeyError::Weak)),
        (n.to_bytes_be(), Err(KeyError::Weak)),
    ] {
        assert_eq!(loaded(&rsa_jwk(&n, &e)), expected, "{e:02x?}");
    }
}

#[test]
fn rsa_signature_verifies_at_4096_bits_and_with_an_exponent_of_three() {
    let jwk = json!({"kty": "RSA", "n": RSA_4096_MODULUS, "e": "AQAB"});
    assert!(payload(RSA_4096_TOKEN, &jwk).is_ok());

    // The primes are those of a vector whose exponent of 1 makes its own key useless.
    let vectors = wycheproof(WYCHEPROOF_JWK);
    let private = vectors.iter().find(|vector| vector.comment == "rejectsPublicExponent1").unwrap();
    let number = |name: &str| {
        use base64::Engine as _;
        let bytes =
            base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(private.private["keys"][0][name].as_str().unwrap());
        BigUint::from_bytes_be(&bytes.unwrap())
    };
    let key = RsaPrivateKey::from_p_q(number("p"), number("q"), BigUint::from(3_u8)).unwrap();
    let pair = Pair::Rsa(Box::new(key));
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256] {
        let signed = signed(algorithm, 0);
        check("e = 3", &pair, &signed, &pair.sign(algorithm, &signed), true);
    }
}

#[test]
fn rsa_signature_is_a_number_below_the_modulus_of_its_full_length() {
    let Pair::Rsa(key) = Pair::of(Algorithm::Rs256) else { panic!("an RSA key") };
    let n = key.n().clone();
    let pair = Pair::Rsa(key);
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256] {
        // One that stays within the length of the modulus when the modulus is added to it.
        let fits = |(_, signature): &(String, Vec<u8>)| (BigUint::from_bytes_be(signature) + &n).bits() <= 2048;
        let all = (0..100).map(|n| signed(algorithm, n)).map(|signed| {
            let signature = pair.sign(algorithm, &signed);
            (signed, signature)
        });
        let (signed, good) = all.into_iter().find(fits).unwrap();
        check("as it is", &pair, &signed, &good, true);
        let more = BigUint::from_bytes_be(&good) + &n;
        check("plus the modulus", &pair, &signed, &more.to_bytes_be(), false);
        check("zero", &pair, &signed, &[0; 256], false);
        check("one", &pair, &signed, &[&[0; 255][..], &[1]].concat(), false);
        check("the modulus", &pair, &signed, &n.to_bytes_be(), false);
        check("the modulus less one", &pair, &signed, &(&n - 1_u8).to_bytes_be(), false);
    }
}

// ECDSA

const ORDERS: [(Algorithm, &str); 2] = [
    (Algorithm::Es256, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
    (
        Algorithm::Es384,
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    ),
];

#[test]
fn ecdsa_signature_is_two_numbers_below_the_order_side_by_side() {
    for (algorithm, order) in ORDERS {
        let (pair, signed) = (Pair::of(algorithm), signed(algorithm, 0));
        let good = pair.sign(algorithm, &signed);
        let (r, s) = good.split_at(good.len() / 2);
        let order = BigUint::parse_bytes(order.as_bytes(), 16).unwrap();
        let fixed = |number: BigUint| {
            let bytes = number.to_bytes_be();
            [vec![0; r.len() - bytes.len()], bytes].concat()
        };
        let (zero, one) = (fixed(BigUint::from(0_u8)), fixed(BigUint::from(1_u8)));
        let (n, below) = (fixed(order.clone()), fixed(&order - 1_u8));
        let most = vec![0xff; r.len()];
        check("as it is", &pair, &signed, &good, true);
        let high = fixed(&order - BigUint::from_bytes_be(s));
        // A signature has a twin, and RFC 7518 does not say which one is good. So nothing may be remembered
        // or revoked by the text of a token, which is no name for it.
        check("the twin of s", &pair, &signed, &[r, &high].concat(), true);
        for other in [&zero, &one, &n, &below, &most] {
            check("another r", &pair, &signed, &[other, s].concat(), false);
            check("another s", &pair, &signed, &[r, other].concat(), false);
            for last in [&zero, &one, &n, &below, &most] {
                check("both", &pair, &signed, &[other.as_slice(), last].concat(), false);
            }
        }
        check("s and r", &pair, &signed, &[s, r].concat(), false);
        check("with a zero before each", &pair, &signed, &[&[0], r, &[0], s].concat(), false);
        check("r alone", &pair, &signed, r, false);
        check("one byte less", &pair, &signed, &good[1..], false);
        let der = match algorithm {
            Algorithm::Es256 => p256::ecdsa::Signature::from_slice(&good).unwrap().to_der().as_bytes().to_vec(),
            _ => p384::ecdsa::Signature::from_slice(&good).unwrap().to_der().as_bytes().to_vec(),
        };
        check("in DER", &pair, &signed, &der, false);
    }
}

#[test]
fn ec_key_is_a_point_of_its_curve_with_coordinates_of_full_length() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384] {
        let jwk = Pair::of(algorithm).jwk();
        assert_eq!(loaded(&jwk), Ok(()));
        let with = |members: Value| {
            let mut jwk = jwk.clone();
            jwk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            loaded(&jwk)
        };
        let (x, y) = (jwk["x"].as_str().unwrap(), jwk["y"].as_str().unwrap());
        let zero = "A".repeat(x.len());
        assert_eq!(with(json!({"x": y, "y": x})), Err(KeyError::Weak), "off the curve");
        assert_eq!(with(json!({"x": zero, "y": zero})), Err(KeyError::Weak), "the origin");
        assert_eq!(with(json!({"x": "", "y": ""})), Err(KeyError::Malformed), "nothing");
        assert_eq!(with(json!({"y": null})), Err(KeyError::Malformed), "compressed");
        let crv = if algorithm == Algorithm::Es256 { "P-384" } else { "P-256" };
        assert_eq!(with(json!({"crv": crv})), Err(KeyError::Malformed), "of another curve");
        assert_eq!(with(json!({"crv": "secp256k1"})), Err(KeyError::Unsupported));
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let joined = [decode(x), decode(y)].concat();
        let (short, long) = joined.split_at(joined.len() / 2 - 1);
        assert_eq!(with(json!({"x": encode(short), "y": encode(long)})), Err(KeyError::Malformed), "cut elsewhere");
    }
}

// HMAC

fn judge_hmac(secret: &[u8], token: &str) -> Result<(), TokenError> {
    let keys = KeySet::secret(Key::secret(&Secret::new(secret.to_vec())));
    verifier(Algorithm::ALL.to_vec()).verify_signature(token.as_bytes(), &keys).map(|_| ())
}

fn hmac(algorithm: Algorithm, secret: &[u8], signed: &str) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(secret);
    jsonwebtoken::crypto::sign(signed.as_bytes(), &key, algorithm.library()).unwrap()
}

const HMACS: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];

#[test]
fn hmac_secret_is_as_long_as_the_hash_at_least() {
    for algorithm in HMACS {
        for len in [1, 31, 32, 47, 48, 63, 64, 65, 1000] {
            let (secret, signed) = (vec![b's'; len], signed(algorithm, 0));
            let token = format!("{signed}.{}", hmac(algorithm, &secret, &signed));
            let expected = if len < algorithm.min_secret_len() { Err(TokenError::Algorithm) } else { Ok(()) };
            assert_eq!(judge_hmac(&secret, &token), expected, "{algorithm} with {len} bytes");
        }
    }
}

#[test]
fn hmac_tag_is_compared_whole() {
    let secret = [b's'; 64];
    for algorithm in HMACS {
        let signed = signed(algorithm, 0);
        let tag = hmac(algorithm, &secret, &signed);
        for kept in (1..tag.len()).filter(|kept| kept % 4 != 1) {
            assert!(judge_hmac(&secret, &format!("{signed}.{}", &tag[..kept])).is_err(), "{kept} of {algorithm}");
        }
        for other in HMACS.into_iter().filter(|other| *other != algorithm) {
            let token = format!("{signed}.{}", hmac(other, &secret, &signed));
            assert_eq!(judge_hmac(&secret, &token), Err(TokenError::Signature), "{other} for {algorithm}");
        }
    }
}

// base64url

#[test]
fn part_has_one_spelling_even_where_the_signature_covers_another() {
    let secret = [b's'; 32];
    // The last character of both has four bits to spare.
    let (header, payload) = (encode(br#"{"alg":"HS256" }"#), encode(br#"{"exp":17000000}"#));
    let token = |header: &str, payload: &str| {
        let signed = format!("{header}.{payload}");
        format!("{signed}.{}", hmac(Algorithm::Hs256, &secret, &signed))
    };
    let twin = |part: &str| {
        let (head, last) = part.split_at(part.len() - 1);
        assert_eq!((part.len() % 4, last), (2, "Q"), "{part}");
        format!("{head}R")
    };
    assert_eq!(judge_hmac(&secret, &token(&header, &payload)), Ok(()));
    for (what, token, error) in [
        ("trailing bits in the header", token(&twin(&header), &payload), TokenError::Header),
        ("trailing bits in the payload", token(&header, &twin(&payload)), TokenError::Form),
        ("padding in the header", token(&format!("{header}=="), &payload), TokenError::Form),
        ("padding in the payload", token(&header, &format!("{payload}==")), TokenError::Form),
        ("padding in the signature", format!("{}=", token(&header, &payload)), TokenError::Form),
        ("a line break", token(&header, &format!("{payload}\n")), TokenError::Form),
        ("a space", token(&format!(" {header}"), &payload), TokenError::Form),
        ("a character too many in the header", token(&format!("{header}AAA"), &payload), TokenError::Header),
        ("a character too many in the payload", token(&header, &format!("{payload}AAA")), TokenError::Form),
        ("characters of plain base64", token(&header, "+/+/"), TokenError::Form),
        ("characters of neither", token(&header, "?Zm9"), TokenError::Form),
    ] {
        assert_eq!(judge_hmac(&secret, &token), Err(error), "{what}");
    }
}
