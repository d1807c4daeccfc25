//! Has the host verify signatures where it can.
//!
//! Envoy's `verify_signature` runs in native code, several ten times as fast as the same mathematics in
//! Wasm. It does RSASSA-PKCS1-v1_5 and ECDSA. Older Envoys and other hosts do not have it, so what it
//! does is found out with signatures known to be good and bad; everything else is verified in the module.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::host;
use super::probes::{PROBES, Probe};
use crate::json;
use crate::token::algorithm::Algorithm;
use crate::token::key::Key;
use crate::token::signature::{InModule, Signatures};

/// Verifies by the host what it can, and in the module the rest.
pub struct HostSignatures {
    algorithms: Vec<Algorithm>,
}

impl HostSignatures {
    /// Finds out what the host can.
    pub fn probe() -> Self {
        let algorithms = PROBES.iter().filter(|probe| is_verified_by_host(probe));
        Self { algorithms: algorithms.map(|(algorithm, ..)| *algorithm).collect() }
    }

    /// The algorithms the host verifies.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }
}

impl Signatures for HostSignatures {
    fn verify(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        if self.algorithms.contains(&algorithm) {
            return ask_host(key, algorithm, signed, signature);
        }
        InModule.verify(key, algorithm, signed, signature)
    }
}

/// Whether the host takes the good signature for good, and the same over another text for bad.
fn is_verified_by_host((algorithm, jwk, jws): &Probe) -> bool {
    let key = json::parse(jwk.as_bytes()).ok().and_then(|jwk| Key::from_jwk(jwk.as_object()?).ok());
    let parts = jws.rsplit_once('.');
    let (Some(key), Some((signed, signature))) = (key, parts) else { return false };
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
    let other = format!("{signed}.");
    ask_host(&key, *algorithm, signed.as_bytes(), &signature)
        && !ask_host(&key, *algorithm, other.as_bytes(), &signature)
}

fn ask_host(key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
    let (hash, signature) = match algorithm {
        Algorithm::Rs256 => ("sha256", Some(signature.to_vec())),
        Algorithm::Rs384 => ("sha384", Some(signature.to_vec())),
        Algorithm::Rs512 => ("sha512", Some(signature.to_vec())),
        // The host takes ECDSA signatures in DER (RFC 3279 §2.2.3), JOSE writes r and s side by side.
        Algorithm::Es256 => {
            ("sha256", p256::ecdsa::Signature::from_slice(signature).ok().map(|s| s.to_der().as_bytes().to_vec()))
        }
        Algorithm::Es384 => {
            ("sha384", p384::ecdsa::Signature::from_slice(signature).ok().map(|s| s.to_der().as_bytes().to_vec()))
        }
        _ => return false,
    };
    signature.is_some_and(|signature| host::verify_signature(hash, key.spki(), &signature, signed))
}
