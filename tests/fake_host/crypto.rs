//! Envoy's foreign function `verify_signature`, answered as its BoringSSL would.

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::pkcs8::DecodePublicKey as _;
use proxy_wasm::types::Status;
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::abi::{bytes, called, hand_over, text};

#[unsafe(no_mangle)]
extern "C" fn proxy_call_foreign_function(
    name: *const u8,
    name_size: usize,
    arguments: *const u8,
    arguments_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> Status {
    called("proxy_call_foreign_function", |host| {
        if !host.verifies_signatures || text(name, name_size) != "verify_signature" {
            return Status::NotFound;
        }
        let Some(verdict) = verify_signature(bytes(arguments, arguments_size)) else { return Status::BadArgument };
        hand_over(host.fixed_verdict.clone().unwrap_or(verdict), data, size);
        Status::Ok
    })
}

/// Takes a `VerifySignatureArguments`, answers a `VerifySignatureResult`; `None` for bytes that are no
/// such message. A signature that does not hold is a result too, one with an error.
fn verify_signature(message: &[u8]) -> Option<Vec<u8>> {
    let [hash, key, signature, text] = fields(message)?;
    let (scheme, digest) = match hash {
        b"sha256" => (Pkcs1v15Sign::new::<Sha256>(), Sha256::digest(text).to_vec()),
        b"sha384" => (Pkcs1v15Sign::new::<Sha384>(), Sha384::digest(text).to_vec()),
        b"sha512" => (Pkcs1v15Sign::new::<Sha512>(), Sha512::digest(text).to_vec()),
        _ => return Some(error("hash function is not supported")),
    };
    Some(match holds(scheme, &digest, key, signature) {
        Some(true) => vec![8, 1],
        Some(false) => error("Failed to verify digest. Error code: 0"),
        None => error("Failed to initialize digest verify."),
    })
}

/// Whether the signature holds; `None` when the key is of no known kind. The kind of the key, which is in
/// SPKI form, decides the algorithm: RSASSA-PKCS1-v1_5, or ECDSA with the signature in DER.
fn holds(scheme: Pkcs1v15Sign, digest: &[u8], key: &[u8], signature: &[u8]) -> Option<bool> {
    if let Ok(key) = RsaPublicKey::from_public_key_der(key) {
        return Some(key.verify(scheme, digest, signature).is_ok());
    }
    if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_der(key) {
        let signature = p256::ecdsa::Signature::from_der(signature);
        return Some(signature.is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok()));
    }
    let key = p384::ecdsa::VerifyingKey::from_public_key_der(key).ok()?;
    let signature = p384::ecdsa::Signature::from_der(signature);
    Some(signature.is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok()))
}

/// `VerifySignatureResult { error }`.
fn error(text: &str) -> Vec<u8> {
    [&[18, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

/// The fields 1 to 4: hash function, public key, signature, text. On the wire they are all `bytes`; each
/// comes at most once, and nothing else does.
fn fields(mut message: &[u8]) -> Option<[&[u8]; 4]> {
    let mut found = [None; 4];
    while let Some((&tag, rest)) = message.split_first() {
        let place = found.get_mut(usize::from(tag >> 3).checked_sub(1)?).filter(|_| tag & 7 == 2)?;
        let (size, rest) = varint(rest)?;
        let (value, rest) = rest.split_at_checked(size)?;
        if place.replace(value).is_some() {
            return None;
        }
        message = rest;
    }
    // A field that is empty is not written.
    Some(found.map(Option::unwrap_or_default))
}

fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (n, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[n + 1..]));
        }
    }
    None
}
