//! Key pairs to sign any text with: those of the vectors, and some made of constant bytes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::Signer as _;
use jsonwebtoken::EncodingKey;
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, RsaPrivateKey};
use serde_json::{Value, json};
use session_bearer::token::algorithm::Algorithm;

use super::{document, text};

/// The algorithms of public keys.
pub const PUBLIC: [Algorithm; 9] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
];

/// A key pair.
pub enum Pair {
    Rsa(Box<RsaPrivateKey>),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl Pair {
    /// A pair for an algorithm: of RFC 7520 §3.4 for RSA, of constant bytes for the others.
    pub fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => Self::P256(p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap()),
            Algorithm::Es384 => Self::P384(p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap()),
            Algorithm::EdDsa => Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[7; 32])),
            _ => Self::from_jwk(&document("rfc7520-cookbook/jwk/3_4.rsa_private_key.json")),
        }
    }

    /// The pair of a private JWK, RSA or P-256.
    pub fn from_jwk(jwk: &Value) -> Self {
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(&jwk[name])).unwrap();
        let number = |name: &str| BigUint::from_bytes_be(&bytes(name));
        if jwk["kty"] == "RSA" {
            let primes = vec![number("p"), number("q")];
            let key = RsaPrivateKey::from_components(number("n"), number("e"), number("d"), primes);
            return Self::Rsa(Box::new(key.unwrap()));
        }
        assert_eq!(jwk["crv"], "P-256");
        Self::P256(p256::ecdsa::SigningKey::from_slice(&bytes("d")).unwrap())
    }

    /// The public half, without `kid`, `alg` and `use`.
    pub fn jwk(&self) -> Value {
        match self {
            Self::Rsa(key) => {
                json!({"kty": "RSA", "n": encode(&key.n().to_bytes_be()), "e": encode(&key.e().to_bytes_be())})
            }
            Self::P256(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                json!({"kty": "EC", "crv": "P-256", "x": encode(point.x().unwrap()), "y": encode(point.y().unwrap())})
            }
            Self::P384(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                json!({"kty": "EC", "crv": "P-384", "x": encode(point.x().unwrap()), "y": encode(point.y().unwrap())})
            }
            Self::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key.verifying_key().as_bytes())})
            }
        }
    }

    /// A signature over any text.
    pub fn sign(&self, algorithm: Algorithm, signed: &str) -> Vec<u8> {
        let signed = signed.as_bytes();
        match self {
            Self::Rsa(key) => {
                let key = EncodingKey::from_rsa_der(key.to_pkcs1_der().unwrap().as_bytes());
                let signature = jsonwebtoken::crypto::sign(signed, &key, algorithm.library()).unwrap();
                URL_SAFE_NO_PAD.decode(signature).unwrap()
            }
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(signed);
                signature.to_bytes().to_vec()
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign(signed);
                signature.to_bytes().to_vec()
            }
            Self::Ed25519(key) => key.sign(signed).to_bytes().to_vec(),
        }
    }

    /// A token with this header, in which `alg` is put, and this payload.
    pub fn token_with(&self, algorithm: Algorithm, mut header: Value, payload: &Value) -> String {
        header["alg"] = json!(algorithm.name());
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(payload.to_string().as_bytes()));
        format!("{signed}.{}", encode(&self.sign(algorithm, &signed)))
    }

    /// A token with these claims.
    pub fn token(&self, algorithm: Algorithm, claims: &Value) -> String {
        self.token_with(algorithm, json!({"typ": "JWT"}), claims)
    }
}

/// base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A modulus of 4096 bits; the private half was thrown away.
pub const RSA_4096_MODULUS: &str = concat!(
    "x9QZ7h-nks9ACz-RpqzISEm5OHfzk2x-NAenao2SeygFeQdMuPscma2l_yfR37Yhp6X7ixHYUmJ6kQSuWwCe9KMai2ky-2Qh2ELaaxOLc5q4rU",
    "9LfnLL3koA0G0uOZhs1HdnycpIfFa6Q1AReWa1YyTIAbbrs6PT9yZzhqm8j8sQ6b6c5Il9eGmMXIi848TnlVY2Afm7qxEc52shOvrDw6bmNl-K",
    "Hv6Cwrk4CoJAyaxo-jGW_hXGFv-5smE_mgdHjO4NjZOpJ4JvBvSwWg96iFoP9g_TA2Vn6QDwqRSO2bVbocilE6ZFfc6e-zCa5W6unXjyho9viH",
    "FACAmIw8XgUMxrn6cg3WTHAtLY0gAXQNhK4zkwESNiaFkw-6kKZsmR_S7xpPYnip7MCF8enJFVFQ5e7joKtFJ-KFzVzb8vYalukDs82wFodw2L",
    "eyKCSd6Jl6QSr--W196GY3f_0Wbs0XKwZ-D37G7VZCbH1WbTUwob9ntdST238oG4pK-PmqTcHJ-Fnv47-1y765xVPZsCMeBWxzW95q2Cm2boOG",
    "q1hR5dwNSkA4JEDf2_jyvCPqfxKqSR7Ooe4uS8qpc33CeFrgzWYmUGqnEXLru2CWJ1ADpVyGGsSZLXFO_lDLUeAmK97z3ygjZkBZegfGlWZLav",
    "kENla1ZMIXUYUV9XN2XIt4k",
);

/// A text signed with that key.
pub const RSA_4096_TOKEN: &str = concat!(
    "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDB9.h-g_MQSlSZM-KU_7u0hNDiA1sMWtlYL0vO7nLA_4BHCiTWkYKZZqOGKXvDYiT4av",
    "NuRc59oTXpN3BtJZekYmWyj75jeIsXgiGJlPNkZdLU2C_P9pyvW5nZQOWwgZtjcTMwufxuurb4p1LVGrfUGOKSuISxAuxILXhaZZvzwhUt2vZ8",
    "pvW0XWQzwl_2JqUFig1Djz3AD72IKfP0pIQQyjwaVcEJqq4UXwk3deCZM4wPyMQb7T52U5ZhK9ntV5LIvs7DnS2TbGRaCb4eiwjY9dmBDVEcwj",
    "4_Exoo8-pWTpg5CRg2w7Uvb9BM1tNF0m5-aJwv7oSvwmoqikctjxlF-m49rKLBkzYma_tp3-y4ilBhhkDyDUjjw4GATDTDa0E6rtqaaL9lcuqf",
    "MjcCqSym3Ep06RDFY2JQJG6XSrBdg9my7t9xa08cNEAyq1AvnarVwS0DvCgZQK5BkPXfxKBCuTxdft-UnctfgqUYHUnCP03L9mMnCGAq0sagok",
    "OdBPAHnwrlwdzRYcNY9xg9AC4MznFCpt0r3_ZfS812NSiB5CLprfk5JtV1WCsNd6CpPiwOD6IAV4uQWD8oP3IDjlr-UDl61PLsoRLp_R6Qi7G0",
    "02u5xFxZUSmUOgXxwmqATbMuoLGoVBSEZkk2LL7vkdjnkQzNXdgsm1qqE6d3GczWcLSbs",
);
