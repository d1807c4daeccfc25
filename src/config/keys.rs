//! The `token.keys` section: where keys come from, and which algorithms that allows.

use std::time::Duration;

use serde_json::Value;

use super::check::Problems;
use super::names::{is_authority, is_request_target};
use super::raw::{RawJwks, RawKeys};
use super::{Environment, Problem};
use crate::json;
use crate::keys::{JwksEndpoint, KeySource};
use crate::secret::Secret;
use crate::token::algorithm::Algorithm;
use crate::token::key::Key;
use crate::token::keyset::{KeySet, KeySetError};

/// Checks the keys and the algorithms, which have to fit each other.
pub fn check(
    keys: RawKeys,
    algorithms: Option<Vec<String>>,
    environment: Environment<'_>,
    problems: &mut Problems,
) -> Option<(KeySource, Vec<Algorithm>)> {
    // All of them when none are listed: which one a token has to have is for its key to say.
    let public: Vec<Algorithm> = Algorithm::ALL.iter().copied().filter(|algorithm| !algorithm.is_symmetric()).collect();
    match (keys.secret_env, keys.jwks, keys.local_jwks) {
        (Some(variable), None, None) => {
            let algorithms = named(algorithms, &[Algorithm::Hs256], true, problems);
            let secret = secret(&variable, algorithms.as_deref().unwrap_or_default(), environment, problems)?;
            Some((KeySource::Fixed(KeySet::secret(Key::secret(&secret))), algorithms?))
        }
        (None, Some(jwks), None) => {
            let algorithms = named(algorithms, &public, false, problems);
            Some((KeySource::Endpoint(endpoint(jwks, problems)), algorithms?))
        }
        (None, None, Some(document)) => {
            let algorithms = named(algorithms, &public, false, problems);
            Some((KeySource::Fixed(local(&document, problems)?), algorithms?))
        }
        (None, None, None) => problems.refuse("token.keys", "missing; give secret_env, jwks or local_jwks"),
        _ => problems.refuse("token.keys", "more than one of secret_env, jwks and local_jwks; keep one"),
    }
}

/// The algorithms listed, or `default`; they have to be of the kind that the keys are.
fn named(
    names: Option<Vec<String>>,
    default: &[Algorithm],
    symmetric: bool,
    problems: &mut Problems,
) -> Option<Vec<Algorithm>> {
    let Some(names) = names else { return Some(default.to_vec()) };
    if names.is_empty() {
        return problems.refuse("token.algorithms", "empty; list the algorithms of your tokens, or leave the key out");
    }
    let algorithms = names.iter().enumerate().map(|(i, name)| {
        let path = format!("token.algorithms[{i}]");
        let Some(algorithm) = Algorithm::from_name(name) else {
            let known = Algorithm::ALL.iter().map(|a| a.name()).collect::<Vec<_>>().join(", ");
            return problems.refuse(path, format!("{name:?} is not supported; these are: {known}"));
        };
        match (algorithm.is_symmetric(), symmetric) {
            (true, false) => problems.refuse(path, format!("{name} needs a secret: token.keys.secret_env")),
            (false, true) => problems.refuse(path, format!("{name} needs public keys: token.keys.jwks or local_jwks")),
            _ => Some(algorithm),
        }
    });
    algorithms.collect::<Vec<_>>().into_iter().collect()
}

fn secret(
    variable: &str,
    algorithms: &[Algorithm],
    environment: Environment<'_>,
    problems: &mut Problems,
) -> Option<Secret<Vec<u8>>> {
    let path = "token.keys.secret_env";
    if !is_variable(variable) {
        // It may be the secret itself, so it is not repeated.
        let text = "not the name of an environment variable; if it is the secret itself, take it out and name the variable that holds it";
        return problems.refuse(path, text);
    }
    let Some(secret) = environment(variable) else {
        let text = format!(
            "the environment variable {variable:?} is not set for the module; export it and list it under \
             vm_config.environment_variables.host_env_keys"
        );
        return problems.refuse(path, text);
    };
    if is_public_key(&secret) {
        let text = "what that variable holds is a key in PEM, SSH or JWK form, not a secret; give public keys as jwks or local_jwks";
        return problems.refuse(path, text);
    }
    for algorithm in algorithms.iter().filter(|algorithm| secret.len() < algorithm.min_secret_len()) {
        let least = algorithm.min_secret_len();
        let text = format!(
            "the secret in that variable is shorter than {least} bytes, too short for {algorithm} (RFC 7518 §3.2)"
        );
        problems.add(path, text);
    }
    Some(Secret::new(secret.into_bytes()))
}

/// Whether a text can be the name of an environment variable that a shell can set, and does not look like a secret.
pub fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !looks_random(name)
}

/// Secrets are often written in hex or Base64, where nothing parts words and no word has digits or both cases.
fn looks_random(name: &str) -> bool {
    let has = |is: fn(&u8) -> bool| name.as_bytes().iter().any(is);
    let is_mixed = has(u8::is_ascii_digit) || (has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase));
    name.len() >= 32 && !name.contains('_') && is_mixed
}

/// Whether a text is a key that is no secret: whoever knows it could sign (CVE-2022-29217).
fn is_public_key(text: &str) -> bool {
    let text = text.trim_start();
    ["-----BEGIN", "ssh-", "ecdsa-sha2-", "{"].iter().any(|start| text.starts_with(start))
}

fn endpoint(raw: RawJwks, problems: &mut Problems) -> JwksEndpoint {
    if raw.cluster.trim().is_empty() {
        problems.add("token.keys.jwks.cluster", "empty; name the Envoy cluster of the key endpoint");
    }
    if !is_authority(&raw.authority) {
        problems.add("token.keys.jwks.authority", format!("{:?} is not a host, or a host and a port", raw.authority));
    }
    if !is_request_target(&raw.path) {
        let text = format!("{:?} is not a path; write it like \"/api/auth/jwks\"", raw.path);
        problems.add("token.keys.jwks.path", text);
    }
    let (millisecond, second) = (Duration::from_millis(1), Duration::from_secs(1));
    problems.span("token.keys.jwks.timeout", raw.timeout, millisecond..=second.saturating_mul(30), r#""1ms" to "30s""#);
    problems.span("token.keys.jwks.refresh", raw.refresh, second..=second.saturating_mul(86_400), r#""1s" to "24h""#);
    JwksEndpoint {
        cluster: raw.cluster,
        authority: raw.authority,
        path: raw.path,
        timeout: raw.timeout.0,
        refresh: raw.refresh.0,
    }
}

fn holds_private_key(document: &str) -> bool {
    let keys = json::parse(document.as_bytes()).ok().and_then(|mut set| set.get_mut("keys").map(Value::take));
    keys.as_ref().and_then(Value::as_array).is_some_and(|keys| keys.iter().any(|key| key.get("d").is_some()))
}

fn local(document: &str, problems: &mut Problems) -> Option<KeySet> {
    let path = "token.keys.local_jwks";
    if holds_private_key(document) {
        return problems.refuse(path, "holds a private key (\"d\"), which anyone who reads the configuration could sign with; keep the public members only");
    }
    let set = match KeySet::parse(document.as_bytes()) {
        Ok(set) => set,
        Err(error @ KeySetError::Malformed) => {
            return problems.refuse(path, format!("{error}; write the text of a JSON object with an array \"keys\""));
        }
        Err(error @ KeySetError::NoUsableKey) => {
            return problems
                .refuse(path, format!("{error}; RSA from 2048 bits, EC P-256 and P-384, and Ed25519 can be used"));
        }
    };
    // Written out by hand, so a key that cannot be used is a mistake and not somebody else's business.
    match set.skipped().first() {
        Some(error) => {
            problems.0.push(Problem::new(path, format!("a key of the set cannot be used: {error}")));
            None
        }
        None => Some(set),
    }
}
