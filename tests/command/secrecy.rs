//! No verb prints a secret, a token or a cookie, whatever is wrong with what it was given.

use std::fs;

use serde_json::json;

use crate::common::{claims, minimal, set, sign_with};
use crate::{folder, repository, session_bearer_in};
use session_bearer::time::UnixTime;

const MARK: &str = "hush";

/// Configurations with a secret where somebody might write one.
fn configurations() -> Vec<String> {
    let places = [
        "/token/keys",
        "/token/keys/secret_env",
        "/token",
        "/exchange/headers",
        "/exchange",
        "/token/keys/secret",
        "/exchange/headers/x-api-key",
        "/exchange/headers/authorization",
        "/token/keys/local_jwks",
    ];
    let values = [
        json!("hush hush"),
        json!(["hush"]),
        json!({"hush-value": "hush\n"}),
        json!("hush-0123456789abcdef0123456789abcdef"),
    ];
    let mut texts = Vec::new();
    for place in places {
        for value in &values {
            let mut configuration = minimal();
            set(&mut configuration, place, value.clone());
            texts.push(configuration.to_string());
        }
    }
    texts
}

#[test]
fn no_secret_of_a_configuration_is_printed() {
    let folder = folder("secrecy");
    for (number, text) in configurations().iter().enumerate() {
        let file = format!("{number}.json");
        fs::write(folder.join(&file), text).unwrap();
        for arguments in [vec!["check", &file], vec!["check", "--env", &file], vec!["explain", &file, "GET", "/api/x"]]
        {
            let run = session_bearer_in(&folder, &arguments, &[("JWT_SECRET", "hush-0123456789abcdef0123456789ab")]);
            let printed = format!("{}{}", run.out, run.err);
            // Names of members are no secrets; they are what is to be mended.
            let printed = printed.replace("hush-value", "");
            assert!(!printed.contains(MARK), "{arguments:?}: {text}: {printed}");
        }
    }
}

#[test]
fn secret_that_could_be_the_name_of_its_variable_is_not_printed() {
    let folder = folder("secrecy-variable");
    let secret = "c0ffee12".repeat(8);
    let mut configuration = minimal();
    set(&mut configuration, "/token/keys/secret_env", json!(secret));
    let envoy = repository("envoy/envoy.yaml").replace("secret_env: JWT_SECRET", &format!("secret_env: {secret}"));
    let istio = repository("tests/command/files/wasm-plugin.yaml")
        .replace("secret_env: JWT_SECRET", &format!("secret_env: {secret}"));
    for (file, text) in [("file.json", configuration.to_string()), ("envoy.yaml", envoy), ("istio.yaml", istio)] {
        assert!(text.contains(&secret), "{file}");
        fs::write(folder.join(file), text).unwrap();
        for arguments in [vec!["check", file], vec!["check", "--env", file], vec!["explain", file, "GET", "/api/x"]] {
            let run = session_bearer_in(&folder, &arguments, &[]);
            let printed = format!("{}{}", run.out, run.err);
            assert!(run.code != 0 && !printed.contains(&secret), "{arguments:?}: {printed}");
        }
    }
}

#[test]
fn no_value_of_a_header_field_is_printed() {
    let folder = folder("secrecy-explain");
    let mut configuration = minimal();
    set(
        &mut configuration,
        "/credentials",
        json!([{"bearer": {}}, {"session_cookie": {"names": ["sid"]}}, {"token_cookie": {"names": ["jwt"]}}]),
    );
    set(&mut configuration, "/upstream/claim_headers", json!({"x-user": "/sub"}));
    fs::write(folder.join("file.json"), configuration.to_string()).unwrap();
    let secret = "0123456789abcdef0123456789abcdef";
    let now = UnixTime::from_secs(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs());
    let token = sign_with(&json!({"alg": "HS256"}), &claims("hush-subject", now), secret);
    for fields in [
        vec![format!("authorization: Bearer {token}")],
        vec!["authorization: Bearer hush".to_owned()],
        vec!["authorization: Basic hush".to_owned()],
        vec![format!("cookie: jwt={token}; theme=hush")],
        vec!["cookie: sid=hush; remember=hush".to_owned()],
        vec!["cookie: sid=hush; sid=hush2".to_owned()],
        vec!["cookie: sid=\"hush".to_owned()],
        vec!["hush".to_owned()],
        vec!["hush hush: x".to_owned(), "hush".to_owned()],
        vec!["user-agent: hush".to_owned(), "cookie: sid=hush".to_owned()],
    ] {
        for extra in [
            &[][..],
            &["--json"][..],
            &["--env"][..],
            &["--session", "unverified", "--token", "invalid"][..],
            &["--token", "valid", "--claim", "sub=hush"][..],
        ] {
            let fields: Vec<&str> = fields.iter().flat_map(|field| ["-H", field.as_str()]).collect();
            let arguments = [&["explain", "file.json", "GET", "/api/x"], &fields[..], extra].concat();
            let run = session_bearer_in(&folder, &arguments, &[("JWT_SECRET", secret)]);
            let printed = format!("{}{}", run.out, run.err);
            assert!(!printed.contains(MARK) && !printed.contains(secret), "{arguments:?}: {printed}");
            assert!(token.split('.').all(|part| !printed.contains(part)), "{arguments:?}: {printed}");
        }
    }
}
