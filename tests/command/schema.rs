//! `schema`: the committed schemas are those it prints, and what `check` puts in place of a missing key is complete.

use serde_json::Value;

use crate::{repository, session_bearer};

#[test]
fn committed_schemas_are_current() {
    for (arguments, path) in [
        (&["schema"][..], "docs/schema/session-bearer.schema.json"),
        (&["schema", "--envoy"][..], "docs/schema/envoy.schema.json"),
    ] {
        let run = session_bearer(arguments);
        assert!(
            run.code == 0 && run.out == repository(path),
            "{path} is not current: target/session-bearer {} > {path}",
            arguments.join(" ")
        );
    }
}

#[test]
fn every_key_is_described_and_no_section_takes_others() {
    let schema: Value = serde_json::from_str(&session_bearer(&["schema"]).out).unwrap();
    let definitions = schema["$defs"].as_object().unwrap();
    for (name, section) in
        definitions.iter().map(|(name, section)| (name.as_str(), section)).chain([("the whole", &schema)])
    {
        let Some(properties) = section["properties"].as_object() else { continue };
        assert_eq!(section["additionalProperties"], false, "{name}");
        for (key, property) in properties {
            assert!(property["description"].is_string(), "{name}.{key} has no description");
        }
    }
}

#[test]
fn each_missing_key_is_told_alone() {
    let schema: Value = serde_json::from_str(&session_bearer(&["schema"]).out).unwrap();
    let mut required: Vec<&str> = Vec::new();
    for section in schema["$defs"].as_object().unwrap().values().chain([&schema]) {
        required.extend(section["required"].as_array().into_iter().flatten().filter_map(Value::as_str));
    }
    let folder = crate::folder("schema-missing");
    let all = r#"{"credentials": [{"token_cookie": {}}], "exchange": {}, "unauthenticated": {"sign_in": {}}, "routes": [{}],
        "token": {"keys": {"jwks": {}}}}"#;
    std::fs::write(folder.join("file.json"), all).unwrap();
    let run = crate::session_bearer_in(&folder, &["check", "file.json"], &[]);
    let told: Vec<&str> = run.out.lines().filter(|line| line.contains(": error: ")).collect();
    assert!(told.iter().all(|line| line.contains("missing field")), "{}", run.out);
    for name in required
        .into_iter()
        .filter(|name| !["token", "keys", "session_cookie", "bearer", "token_cookie"].contains(name))
    {
        assert!(told.iter().any(|line| line.contains(&format!("missing field `{name}`"))), "{name}: {}", run.out);
    }
}
