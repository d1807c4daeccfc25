//! Builders the tests share: configurations, tokens, request heads.

#![allow(dead_code, reason = "each test file uses the part it needs")]

pub mod shared;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};
use session_bearer::config::{Config, Problem};
use session_bearer::request::Field;
use session_bearer::secret::Secret;
use session_bearer::time::UnixTime;
use session_bearer::token::key::Key;
use session_bearer::token::keyset::KeySet;

/// The secret of the auth service and the filter; 32 bytes, the least for HS256.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// When tests begin unless they say otherwise.
pub const START: UnixTime = UnixTime::from_secs(1_700_000_000);

/// A configuration that works, in as few words as possible.
pub fn minimal() -> Value {
    json!({
        "credentials": [{"session_cookie": {"names": ["sid", "old-sid"], "companions": ["remember"]}}],
        "exchange": {"cluster": "auth_service", "authority": "auth.internal", "path": "/api/auth/jwt"},
        "token": {"issuer": "auth-service", "audiences": ["api-service"], "keys": {"secret_env": "JWT_SECRET"}},
        "routes": [
            {"match": {"prefix": "/api/auth"}, "auth": "off"},
            {"match": {"path": "/hook"}, "auth": "off", "pass_authorization": true},
            {"match": {"prefix": "/feed"}, "auth": "optional"},
        ],
    })
}

/// The minimal configuration with the value at `pointer` replaced.
pub fn minimal_with(pointer: &str, value: Value) -> Value {
    let mut config = minimal();
    set(&mut config, pointer, value);
    config
}

/// Sets the member at `pointer`, whose parents are made where they are missing.
pub fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    if !parent.is_empty() && document.pointer(parent).is_none() {
        set(document, parent, json!({}));
    }
    match document.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        parent => parent[name] = value,
    }
}

/// Reads a configuration in an environment where `JWT_SECRET` holds [`SECRET`].
pub fn read(config: &Value) -> Result<Config, Vec<Problem>> {
    Config::read(config.to_string().as_bytes(), &|name| (name == "JWT_SECRET").then(|| SECRET.to_owned()))
}

/// The claims of a token that is accepted, made at `now` to last for a quarter of an hour.
pub fn claims(subject: &str, now: UnixTime) -> Value {
    let secs = now.as_millis() / 1000;
    json!({"iss": "auth-service", "aud": "api-service", "sub": subject, "iat": secs, "exp": secs + 900})
}

/// Signs claims as the auth service does.
pub fn sign(claims: &Value) -> String {
    sign_with(&json!({"alg": "HS256", "typ": "JWT"}), claims, SECRET)
}

/// Signs any header and any claims with HS256, whatever the header says.
pub fn sign_with(header: &Value, claims: &Value, secret: &str) -> String {
    sign_text(&header.to_string(), &claims.to_string(), secret)
}

/// Signs any text as header and payload with HS256.
pub fn sign_text(header: &str, payload: &str, secret: &str) -> String {
    let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{signed}.{signature}")
}

/// base64url without padding.
pub fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// A token signed by the library itself, as an independent witness.
pub fn sign_by_library(claims: &Value) -> String {
    let claims: Map<String, Value> = claims.as_object().unwrap().clone();
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// The key set that holds [`SECRET`] alone.
pub fn secret_keys() -> KeySet {
    KeySet::secret(Key::secret(&Secret::new(SECRET.as_bytes().to_vec())))
}

/// The head of a request.
#[derive(Clone)]
pub struct Head(pub Vec<Field>);

/// A `GET` of `path`.
pub fn get(path: &str) -> Head {
    request("GET", path)
}

/// A request without any field but the pseudo-headers.
pub fn request(method: &str, path: &str) -> Head {
    Head(Vec::new())
        .with(":method", method)
        .with(":path", path)
        .with(":authority", "app.example")
        .with(":scheme", "https")
}

impl Head {
    /// One field more.
    pub fn with(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let mut fields = self.0;
        fields.push((name.to_owned(), value.as_ref().to_vec()));
        Self(fields)
    }

    /// One `Cookie` field more.
    pub fn cookie(self, value: impl AsRef<[u8]>) -> Self {
        self.with("cookie", value)
    }
}
