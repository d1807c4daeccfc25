//! One key: what it is made of, and which algorithms it verifies.
//!
//! A key is typed when it is loaded and never again. What decides the algorithm of a token is the key
//! that verifies it, so a public key cannot be used as an HMAC secret, nor one algorithm's signature
//! pass for another's (CVE-2017-11424, CVE-2022-29217, CVE-2026-48523).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use rsa::pkcs8::EncodePublicKey as _;
use rsa::traits::PublicKeyParts as _;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::algorithm::Algorithm;
use super::signature::Prepared;
use crate::secret::Secret;

/// The longest `kid`, in bytes.
const MAX_KID_LEN: usize = 256;

/// A key that verifies signatures.
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    material: Secret<DecodingKey>,
    prepared: Prepared,
    spki: Vec<u8>,
}

/// Tells one key from another by what it is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyId([u8; 16]);

/// Why a key is not used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// A member is missing, of the wrong type, or not base64url.
    #[error("a member is missing or malformed")]
    Malformed,
    /// `kty`, `crv` or `alg` is none that is supported; `oct` never is in a key set.
    #[error("kty, crv or alg is not supported")]
    Unsupported,
    /// `use` or `key_ops` is not about verifying signatures, or `alg` does not fit the key.
    #[error("not meant for verifying signatures with its algorithm")]
    Purpose,
    /// The key can be had, but is not to be trusted: RSA below 2048 or above 4096 bits or with an
    /// even exponent, a point off its curve, an Ed25519 key of small order.
    #[error("too weak, or not a point of its curve")]
    Weak,
    /// The set has more keys than are taken from one.
    #[error("more keys in the set than are used")]
    TooMany,
    /// Two keys of a set have the same `kid`.
    #[error("another key of the set has the same kid")]
    DuplicateKid,
}

impl Key {
    /// An HMAC secret. It verifies the algorithms for which it is long enough.
    pub fn secret(secret: &Secret<Vec<u8>>) -> Self {
        let long_enough = |a: &&Algorithm| a.is_symmetric() && secret.expose().len() >= a.min_secret_len();
        let algorithms = Algorithm::ALL.iter().filter(long_enough).copied().collect();
        let material = DecodingKey::from_secret(secret.expose());
        Self::new(None, algorithms, material, Vec::new(), &[b"oct", secret.expose()])
    }

    /// A public key in JWK form (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2). Private members are not read.
    ///
    /// # Errors
    /// [`KeyError`] for a key that is not to be used.
    ///
    /// # Security
    /// The document may come from a compromised endpoint. Whatever it says, what results is a public key
    /// of a supported type and size, bound to the algorithms that fit it.
    pub fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, KeyError> {
        check_purpose(jwk)?;
        let kid = optional(jwk, "kid")?.map(str::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_LEN) {
            return Err(KeyError::Malformed);
        }
        let key = match required(jwk, "kty")? {
            "RSA" => Self::rsa(jwk, kid),
            "EC" => Self::elliptic(jwk, kid),
            "OKP" => Self::edwards(jwk, kid),
            _ => Err(KeyError::Unsupported),
        }?;
        match optional(jwk, "alg")? {
            None => Ok(key),
            Some(name) => key.bound_to(Algorithm::from_name(name).ok_or(KeyError::Unsupported)?),
        }
    }

    fn rsa(jwk: &Map<String, Value>, kid: Option<String>) -> Result<Self, KeyError> {
        let (n, e) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
        let public = rsa::RsaPublicKey::new(rsa::BigUint::from_bytes_be(&n), rsa::BigUint::from_bytes_be(&e))
            .map_err(|_| KeyError::Weak)?;
        let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        let sane = (2048..=4096).contains(&public.n().bits()) && odd(&n) && odd(&e) && e != [1];
        if !sane {
            return Err(KeyError::Weak);
        }
        let spki = public.to_public_key_der().map_err(|_| KeyError::Malformed)?.into_vec();
        let material = DecodingKey::from_rsa_raw_components(&public.n().to_bytes_be(), &public.e().to_bytes_be());
        use Algorithm::{Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        let algorithms = vec![Rs256, Rs384, Rs512, Ps256, Ps384, Ps512];
        Ok(Self::new(kid, algorithms, material, spki, &[b"RSA", &n, &e]))
    }

    fn elliptic(jwk: &Map<String, Value>, kid: Option<String>) -> Result<Self, KeyError> {
        let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
        let point = [&[4], x.as_slice(), &y].concat();
        let (algorithm, size) = match required(jwk, "crv")? {
            "P-256" => (Algorithm::Es256, 32),
            "P-384" => (Algorithm::Es384, 48),
            _ => return Err(KeyError::Unsupported),
        };
        // RFC 7518 §6.2.1.2: a coordinate has the length of the field, or the same bytes could be cut twice.
        if x.len() != size || y.len() != size {
            return Err(KeyError::Malformed);
        }
        let spki = match algorithm {
            Algorithm::Es256 => p256::PublicKey::from_sec1_bytes(&point).ok().map(|key| key.to_public_key_der()),
            _ => p384::PublicKey::from_sec1_bytes(&point).ok().map(|key| key.to_public_key_der()),
        };
        let spki = spki.ok_or(KeyError::Weak)?.map_err(|_| KeyError::Malformed)?.into_vec();
        let material = DecodingKey::from_ec_components(required(jwk, "x")?, required(jwk, "y")?)
            .map_err(|_| KeyError::Malformed)?;
        Ok(Self::new(kid, vec![algorithm], material, spki, &[b"EC", &x, &y]))
    }

    fn edwards(jwk: &Map<String, Value>, kid: Option<String>) -> Result<Self, KeyError> {
        if required(jwk, "crv")? != "Ed25519" {
            return Err(KeyError::Unsupported);
        }
        let x: [u8; 32] = bytes(jwk, "x")?.try_into().map_err(|_| KeyError::Malformed)?;
        let public = ed25519_dalek::VerifyingKey::from_bytes(&x).map_err(|_| KeyError::Weak)?;
        if public.is_weak() {
            return Err(KeyError::Weak);
        }
        let material = DecodingKey::from_ed_der(&x);
        Ok(Self::new(kid, vec![Algorithm::EdDsa], material, Vec::new(), &[b"OKP", &x]))
    }

    fn new(
        kid: Option<String>,
        algorithms: Vec<Algorithm>,
        material: DecodingKey,
        spki: Vec<u8>,
        parts: &[&[u8]],
    ) -> Self {
        let prepared = Prepared::new(&algorithms, &material);
        Self { id: KeyId::of(parts), kid, algorithms, material: Secret::new(material), prepared, spki }
    }

    /// The same key for one algorithm only.
    fn bound_to(self, algorithm: Algorithm) -> Result<Self, KeyError> {
        if !self.verifies(algorithm) {
            return Err(KeyError::Purpose);
        }
        Ok(Self { algorithms: vec![algorithm], ..self })
    }

    /// What tells it from other keys.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Its name in its set.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether it verifies signatures of this algorithm.
    pub fn verifies(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// The key as `jsonwebtoken` takes it.
    pub const fn material(&self) -> &DecodingKey {
        self.material.expose()
    }

    /// What verifies with it in the module.
    pub const fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// The public key in SPKI DER form (RFC 5280 §4.1.2.7); empty for secrets and Ed25519.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }
}

impl KeyId {
    /// The bytes that tell it from others.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let mut id = [0; 16];
        id.iter_mut().zip(digest.finalize()).for_each(|(place, byte)| *place = byte);
        Self(id)
    }
}

/// RFC 7517 §4.2, §4.3: a key says what it is for, if anything.
fn check_purpose(jwk: &Map<String, Value>) -> Result<(), KeyError> {
    if optional(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(KeyError::Purpose);
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|operation| operation == "verify") => Ok(()),
        Some(Value::Array(_)) => Err(KeyError::Purpose),
        Some(_) => Err(KeyError::Malformed),
    }
}

fn optional<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, KeyError> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(KeyError::Malformed),
    }
}

fn required<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<&'a str, KeyError> {
    optional(jwk, name)?.ok_or(KeyError::Malformed)
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, KeyError> {
    URL_SAFE_NO_PAD.decode(required(jwk, name)?).map_err(|_| KeyError::Malformed)
}
