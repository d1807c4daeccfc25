//! The one place that turns bytes into a [`VerifiedToken`].
//!
//! Order matters. What is cheap and decides by itself comes first, so that garbage costs no signature;
//! nothing comes out before the signature holds.

use std::collections::BTreeSet;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::claims::ClaimRules;
use super::compact::Compact;
use super::key::{Key, KeyId};
use super::keyset::KeySet;
use super::signature::Signatures;
use super::{Ends, TokenError, VerifiedToken};
use crate::identity::ClaimHeader;
use crate::json;
use crate::time::UnixTime;

/// What tokens have to be like, whatever the keys are.
#[derive(Debug)]
pub struct TokenRules {
    /// The algorithms that are allowed.
    pub algorithms: Vec<Algorithm>,
    /// The accepted `typ`; a token without one is accepted.
    pub types: Vec<String>,
    /// What the claims have to say.
    pub claims: ClaimRules,
    /// The claims that are kept with a verified token, since routes look at them.
    pub kept_claims: BTreeSet<String>,
    /// The fields that are made from its claims.
    pub claim_headers: Rc<[ClaimHeader]>,
}

/// Verifies tokens.
pub struct Verifier {
    rules: Rc<TokenRules>,
    signatures: Rc<dyn Signatures>,
}

/// What a JOSE header says, as far as it is listened to.
struct JoseHeader {
    algorithm: Algorithm,
    kid: Option<String>,
}

impl Verifier {
    /// A verifier that holds tokens to `rules` and has `signatures` do the mathematics.
    pub fn new(rules: Rc<TokenRules>, signatures: Rc<dyn Signatures>) -> Self {
        Self { rules, signatures }
    }

    /// Verifies `token` with one of `keys` at the moment `now`.
    ///
    /// # Errors
    /// The first thing wrong with it, as a [`TokenError`].
    ///
    /// # Security
    /// `token` is the attacker's choice, or that of a compromised route to the auth service. The
    /// algorithm is the key's; the token only gets to agree with it (RFC 8725 §3.1). Keys and key
    /// locations inside the token (`jwk`, `jku`, `x5c`, …) are never looked at.
    pub fn verify(&self, token: &[u8], keys: &KeySet, now: UnixTime) -> Result<VerifiedToken, TokenError> {
        let compact = Compact::parse(token)?;
        let header = self.read_header(compact.header)?;
        let claims = object(compact.payload).ok_or(TokenError::Claims)?;
        let expires = self.rules.claims.check(&claims, now)?;
        let signer = self.find_signer(&compact, &header, keys)?;
        let ends = Ends::new(expires, self.rules.claims.leeway, now);
        Ok(VerifiedToken::new(compact.token, ends, signer, claims, &self.rules))
    }

    /// Verifies `token` as a signed text only: answers which of `keys` signed it, and the payload.
    ///
    /// # Errors
    /// The first thing wrong with its form, its header or its signature, as a [`TokenError`].
    ///
    /// # Security
    /// Nothing is said about the payload, which may be no claims at all, or claims that have expired. So
    /// this is no [`VerifiedToken`], and lets no request pass.
    pub fn verify_signature(&self, token: &[u8], keys: &KeySet) -> Result<(KeyId, Vec<u8>), TokenError> {
        let compact = Compact::parse(token)?;
        let header = self.read_header(compact.header)?;
        let payload = URL_SAFE_NO_PAD.decode(compact.payload).map_err(|_| TokenError::Form)?;
        Ok((self.find_signer(&compact, &header, keys)?, payload))
    }

    fn find_signer(&self, compact: &Compact<'_>, header: &JoseHeader, keys: &KeySet) -> Result<KeyId, TokenError> {
        let signature = URL_SAFE_NO_PAD.decode(compact.signature).map_err(|_| TokenError::Signature)?;
        let candidates = keys.candidates(header.kid.as_deref(), header.algorithm)?;
        let holds = |key: &&Key| self.signatures.verify(key, header.algorithm, compact.signed.as_bytes(), &signature);
        candidates.into_iter().find(holds).map(Key::id).ok_or(TokenError::Signature)
    }

    fn read_header(&self, part: &str) -> Result<JoseHeader, TokenError> {
        let header = object(part).ok_or(TokenError::Header)?;
        // RFC 7515 §4.1.11: what `crit` lists must be understood, and nothing it could list is.
        if ["crit", "b64", "zip", "enc"].iter().any(|name| header.contains_key(*name)) {
            return Err(TokenError::Header);
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::from_name);
        let allowed = algorithm.filter(|algorithm| self.rules.algorithms.contains(algorithm));
        let algorithm = allowed.ok_or(TokenError::Algorithm)?;
        match header.get("typ") {
            None => {}
            Some(Value::String(typ)) if self.accepts_type(media_type(typ)) => {}
            Some(_) => return Err(TokenError::Type),
        }
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(TokenError::Header),
        };
        Ok(JoseHeader { algorithm, kid })
    }

    fn accepts_type(&self, typ: &str) -> bool {
        self.rules.types.iter().any(|accepted| accepted.eq_ignore_ascii_case(typ))
    }
}

/// `typ` is a media type that may leave out `application/` (RFC 7515 §4.1.9).
fn media_type(typ: &str) -> &str {
    match typ.split_at_checked("application/".len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
        _ => typ,
    }
}

/// Decodes a part that has to be a JSON object.
fn object(part: &str) -> Option<Map<String, Value>> {
    // Padding and non-zero trailing bits are refused by this engine, so a token has one spelling.
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    match json::parse(&bytes) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}
