//! Whether a signature holds.
//!
//! `jsonwebtoken` and the RustCrypto crates do the mathematics; nothing here does. What stands here are
//! the checks these libraries leave to their caller, and the seam at which a host with faster
//! cryptography can be asked instead.

use std::rc::Rc;

use jsonwebtoken::crypto::JwtVerifier;
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::errors::Error;
use jsonwebtoken::{Algorithm as LibraryAlgorithm, DecodingKey, DecodingKeyKind};

use super::algorithm::Algorithm;
use super::key::Key;

/// Something that verifies signatures: a pure function of its arguments.
pub trait Signatures {
    /// Whether `signature` is `key`'s over `signed`. The caller has made sure that `key` verifies
    /// `algorithm`.
    fn verify(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool;
}

/// Makes what verifies an algorithm's signatures with a key.
type Verifying = fn(&LibraryAlgorithm, &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error>;

/// That of the library's RustCrypto provider. It is read when the module is built, so that the rest of the provider,
/// which signs, stays out of the module: a sixth of its size.
static VERIFIER: Verifying = DEFAULT_PROVIDER.verifier_factory;

/// A key as it is needed to verify with it, made once: the padded halves of an HMAC secret are hashed, a point is
/// found to be on its curve.
#[derive(Clone)]
pub struct Prepared(Rc<[(Algorithm, Box<dyn JwtVerifier>)]>);

impl Prepared {
    /// `material` for each of `algorithms` that the library verifies.
    pub fn new(algorithms: &[Algorithm], material: &DecodingKey) -> Self {
        let made = algorithms.iter().filter(|&&algorithm| algorithm != Algorithm::EdDsa);
        Self(made.filter_map(|&a| Some((a, VERIFIER(&a.library(), material).ok()?))).collect())
    }

    fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        let verifier = self.0.iter().find(|(prepared, _)| *prepared == algorithm).map(|(_, verifier)| verifier);
        verifier.is_some_and(|verifier| verifier.verify(signed, &signature.to_vec()).is_ok())
    }
}

/// Verifies within the module, whatever the host can do.
pub struct InModule;

impl Signatures for InModule {
    fn verify(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        match algorithm {
            Algorithm::EdDsa => verify_ed25519(key, signed, signature),
            _ if !is_below_modulus(key, signature) => false,
            _ => key.prepared().verify(algorithm, signed, signature),
        }
    }
}

/// Whether an RSA signature is a number below the modulus (RFC 8017 §5.2.2). The library does not look with
/// RSASSA-PSS, and takes a signature plus the modulus for another good one of the same text.
fn is_below_modulus(key: &Key, signature: &[u8]) -> bool {
    match key.material().kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => signature.len() == n.len() && signature < n.as_slice(),
        DecodingKeyKind::SecretOrDer(_) => true,
    }
}

/// Strictly, which `jsonwebtoken` does not ask for: a signature or key of small order would let one
/// signature pass for several messages (ed25519-speccheck).
fn verify_ed25519(key: &Key, signed: &[u8], signature: &[u8]) -> bool {
    let public = key.material().try_get_as_bytes().ok().and_then(|bytes| bytes.try_into().ok());
    let public = public.and_then(|bytes| ed25519_dalek::VerifyingKey::from_bytes(bytes).ok());
    let signature = ed25519_dalek::Signature::from_slice(signature).ok();
    public.zip(signature).is_some_and(|(public, signature)| public.verify_strict(signed, &signature).is_ok())
}
