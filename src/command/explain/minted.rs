//! The token of the scripted auth service: one that the configuration accepts, although nobody here can sign.
//!
//! Its signature is a word, which verifies for this token alone; every other signature is verified for real.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use serde_json::{Map, Value, json};
use session_bearer::config::Config;
use session_bearer::keys::KeySource;
use session_bearer::time::UnixTime;
use session_bearer::token::algorithm::Algorithm;
use session_bearer::token::key::Key;
use session_bearer::token::keyset::KeySet;
use session_bearer::token::signature::{InModule, Signatures};

use crate::command::document::Node;

/// A token, the keys it is verified with, and what finds that it does.
pub struct Minted {
    token: String,
    signed: Vec<u8>,
    jwks: String,
}

const SIGNATURE: &[u8] = b"scripted";

/// How long the token lives, in seconds, where nothing else is asked for.
const LIFETIME: u64 = 900;

impl Minted {
    /// A token with these `claims` beside those the configuration asks for; `jwks` is the set that is fetched.
    ///
    /// # Errors
    /// What keeps it from being made.
    pub fn new(
        config: &Config,
        written: &Node,
        jwks: Option<String>,
        claims: &[String],
        now: UnixTime,
    ) -> Result<Self, String> {
        let jwks = jwks.unwrap_or_else(|| stand_in_keys().to_string());
        let (keys, document) = match &config.keys {
            KeySource::Fixed(keys) => {
                let local = written.at(&["token", "keys", "local_jwks"]).and_then(Node::text);
                (keys.clone(), local.unwrap_or_default().to_owned())
            }
            KeySource::Endpoint(_) => {
                let keys =
                    KeySet::parse(jwks.as_bytes()).map_err(|error| format!("the keys given with --jwks: {error}"))?;
                (keys, jwks.clone())
            }
        };
        let header =
            header(config, &keys, &document).ok_or("no key is of an algorithm that token.algorithms allows")?;
        let claims = Value::Object(claims_of(config, claims, now)?);
        let signed = [header.to_string(), claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(SIGNATURE));
        Ok(Self { token, signed: signed.into_bytes(), jwks })
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The key set, where it is fetched.
    pub fn jwks(&self) -> &str {
        &self.jwks
    }
}

impl Signatures for Minted {
    fn verify(&self, key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        (signed == self.signed && signature == SIGNATURE) || InModule.verify(key, algorithm, signed, signature)
    }
}

/// A JOSE header that one of the keys fits.
fn header(config: &Config, keys: &KeySet, document: &str) -> Option<Value> {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let listed = document.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let names = listed.iter().filter_map(|key| key.get("kid")?.as_str()).map(Some);
    let names: Vec<Option<&str>> = names.chain([None]).collect();
    let mut fitting =
        config.token_rules.algorithms.iter().flat_map(|algorithm| names.iter().map(move |name| (algorithm, *name)));
    let (algorithm, name) = fitting.find(|(algorithm, name)| keys.candidates(*name, **algorithm).is_ok())?;
    let mut header = json!({ "alg": algorithm.name() });
    if let (Some(header), Some(name)) = (header.as_object_mut(), name) {
        header.insert("kid".to_owned(), json!(name));
    }
    Some(header)
}

/// The claims the configuration asks for, and those that were given.
fn claims_of(config: &Config, given: &[String], now: UnixTime) -> Result<Map<String, Value>, String> {
    let rules = &config.token_rules.claims;
    let issued = now.as_millis() / 1000;
    let lifetime = rules.max_lifetime.map_or(LIFETIME, |longest| longest.as_secs().min(LIFETIME));
    let mut claims = Map::new();
    for name in &rules.required {
        let value = if name == "nbf" { json!(issued) } else { json!("scripted") };
        claims.insert(name.clone(), value);
    }
    claims.extend(rules.issuer.iter().map(|issuer| ("iss".to_owned(), json!(issuer))));
    claims.extend(rules.audiences.first().map(|audience| ("aud".to_owned(), json!(audience))));
    claims.insert("iat".to_owned(), json!(issued));
    claims.insert("exp".to_owned(), json!(issued.saturating_add(lifetime)));
    claims.entry("sub").or_insert_with(|| json!("scripted"));
    for (number, written) in (1_u32..).zip(given) {
        let (name, value) = written
            .split_once('=')
            .ok_or_else(|| format!(r#"the claim number {number} is not written like "name=value""#))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        claims.insert(name.to_owned(), value);
    }
    Ok(claims)
}

/// A key of each kind, of which nobody has the other half.
fn stand_in_keys() -> Value {
    let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let point = |curve: &str, point: &[u8]| {
        // SEC 1 §2.3.3: a byte that says that both coordinates follow, and these.
        let coordinates = point.get(1..).unwrap_or_default();
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        json!({ "kid": curve, "kty": "EC", "crv": curve, "x": base64(x), "y": base64(y) })
    };
    let small = p256::AffinePoint::GENERATOR.to_encoded_point(false);
    let large = p384::AffinePoint::GENERATOR.to_encoded_point(false);
    // RFC 8032 §5.1: the base point of edwards25519.
    let mut base = [0x66; 32];
    base.iter_mut().take(1).for_each(|first| *first = 0x58);
    json!({ "keys": [
        { "kid": "RSA", "kty": "RSA", "n": base64(&[0xff; 256]), "e": "AQAB" },
        point("P-256", small.as_bytes()),
        point("P-384", large.as_bytes()),
        { "kid": "Ed25519", "kty": "OKP", "crv": "Ed25519", "x": base64(&base) },
    ] })
}
