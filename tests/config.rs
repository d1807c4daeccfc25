//! Configuration: what is accepted in which form, and that each mistake is named with its place and
//! its mend.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{minimal, minimal_with, read, set};
use prost::Message as _;
use prost_types::value::Kind;
use serde_json::{Value, json};
use session_bearer::config::{Config, Problem};
use session_bearer::request::RequestHead;
use session_bearer::routes::Auth;

fn problems_of(config: Result<Config, Vec<Problem>>) -> Vec<String> {
    config.err().unwrap_or_default().iter().map(Problem::to_string).collect()
}

/// Replaces the value at `pointer` and expects one problem: at `path`, with `hint` in its text.
#[track_caller]
fn refuses(pointer: &str, value: Value, path: &str, hint: &str) {
    let problems = problems_of(read(&minimal_with(pointer, value.clone())));
    assert_eq!(problems.len(), 1, "{pointer} = {value}: {problems:?}");
    assert!(problems[0].starts_with(&format!("{path}: ")), "{pointer} = {value}: {}", problems[0]);
    assert!(problems[0].contains(hint), "{pointer} = {value}: {}", problems[0]);
}

#[test]
fn minimal_configuration_works_and_has_the_documented_defaults() {
    let config = read(&minimal()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let exchange = config.exchange.unwrap();
    assert_eq!(exchange.timeout, Duration::from_secs(2));
    assert_eq!(exchange.retries, 1);
    assert_eq!(exchange.max_body_bytes, 65_536);
    assert_eq!(exchange.no_session_statuses.iter().copied().collect::<Vec<_>>(), [401, 403]);
    assert_eq!(config.max_in_flight, 256);
    assert_eq!(config.cache.max_ttl, Duration::from_secs(60));
    assert_eq!((config.cache.max_entries.get(), config.cache.max_bytes.get()), (10_000, 16_777_216));
    assert_eq!(config.cache.refresh_ahead, Duration::from_secs(10));
    assert_eq!((config.cache.stale_if_error, config.negative_ttl), (Duration::from_secs(300), Duration::from_secs(5)));
    assert_eq!(
        (config.shared_slots, config.sign_out_paths.as_slice()),
        (4096, ["/api/auth/sign-out".to_owned()].as_slice())
    );
    assert!(exchange.relay_set_cookie && !config.ends_with_token);
    assert!(config.credentials.remove_cookies);
    assert!(config.warnings.is_empty());
}

#[test]
fn missing_issuer_and_audience_are_warned_about() {
    let mut config = minimal();
    let token = config["token"].as_object_mut().unwrap();
    token.remove("issuer");
    token.remove("audiences");
    let config = read(&config).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(config.warnings.len(), 2);
}

#[test]
fn each_mistake_is_named_with_its_place_and_its_mend() {
    refuses("/exchnage", json!({}), "exchnage", "expected one of");
    refuses("/exchange/timout", json!("2s"), "exchange.timout", "`timeout`");
    refuses("/credentials/0/session_cookie/name", json!("x"), "credentials[0].session_cookie.name", "`names`");
    refuses("/exchange/timeout", json!(2), "exchange.timeout", "\"30s\"");
    refuses("/exchange/timeout", json!("2 s"), "exchange.timeout", "\"30s\"");
    refuses("/exchange/timeout", json!("0s"), "exchange.timeout", "\"1ms\" to \"30s\"");
    refuses("/exchange/timeout", json!("31s"), "exchange.timeout", "\"1ms\" to \"30s\"");
    refuses("/exchange/timeout", json!("99999999999999999h"), "exchange.timeout", "\"30s\"");
    refuses("/exchange/retries", json!(6), "exchange.retries", "0 to 5");
    refuses("/exchange/retries", json!(-1), "exchange.retries", "-1");
    refuses("/exchange/method", json!("PUT"), "exchange.method", "\"GET\"");
    refuses("/exchange/cluster", json!(""), "exchange.cluster", "cluster");
    refuses("/exchange/authority", json!("http://auth/"), "exchange.authority", "host");
    refuses("/exchange/path", json!("api/auth/jwt"), "exchange.path", "/api/auth/jwt");
    refuses("/exchange/path", json!("/a b"), "exchange.path", "/api/auth/jwt");
    refuses("/exchange/token", json!({"json_pointer": "token"}), "exchange.token.json_pointer", "\"/token\"");
    refuses("/exchange/token", json!({"json_pointer": "/t", "header": "x"}), "exchange.token", "keep one");
    refuses("/exchange/token", json!({"header": "Set-Auth-JWT"}), "exchange.token.header", "lower case");
    refuses("/exchange/no_session_statuses", json!([200]), "exchange.no_session_statuses", "200");
    refuses("/exchange/no_session_statuses", json!([503]), "exchange.no_session_statuses", "503");
    refuses("/exchange/no_session_statuses", json!([429]), "exchange.no_session_statuses", "429");
    refuses("/exchange/forward_headers", json!(["cookie"]), "exchange.forward_headers[0]", "leave it out");
    refuses("/exchange/forward_headers", json!(["b3", "X-Id"]), "exchange.forward_headers[1]", "lower case");
    refuses("/exchange/headers", json!({"authorization": "x"}), "exchange.headers.authorization", "leave it out");
    refuses("/exchange/headers", json!({"x-key": "a\r\nb"}), "exchange.headers.x-key", "byte");
    refuses("/exchange/max_in_flight", json!(0), "exchange.max_in_flight", "1 to");
    refuses("/exchange/max_body_bytes", json!(0), "exchange.max_body_bytes", "64 to");
    refuses("/cache/max_ttl", json!("0s"), "cache.max_ttl", "\"1s\"");
    refuses("/cache/max_entries", json!(0), "cache.max_entries", "1 to");
    refuses("/cache/max_bytes", json!(1), "cache.max_bytes", "16384");
    refuses("/cache/negative_ttl", json!("6m"), "cache.negative_ttl", "\"0s\" to \"5m\"");
    refuses("/cache/stale_if_error", json!("25h"), "cache.stale_if_error", "\"0s\" to \"24h\"");
    refuses("/cache/refresh_ahead", json!("60s"), "cache.refresh_ahead", "not less than cache.max_ttl");
    refuses("/cache/shared_slots", json!(262_145), "cache.shared_slots", "0 to 262144");
    refuses("/cache/sign_out_paths", json!(["/a", "sign-out"]), "cache.sign_out_paths[1]", "can never match");
    for (origin, mistake) in [
        ("app.example", "no scheme"),
        ("", "no scheme"),
        ("://app.example", "no scheme"),
        ("null", "no scheme"),
        ("https://app.example/", "a path"),
        ("https://app.example/app", "a path"),
        ("https://app.example?x", "a path"),
        ("https://*.example", "a wildcard"),
        ("https://ada@app.example", "user information"),
        ("https://bücher.example", "punycode"),
        ("https://", "no host"),
        ("https://app example", "no host"),
        ("https://app.example:", "no host"),
        ("https://app.example:x", "no host"),
        ("https://app.example:70000", "no host"),
        ("https://[::1", "no host"),
        ("https://[app]", "no host"),
        ("https://127.1", "no host"),
        ("https://0x7f000001", "no host"),
        ("https://1.2.3.4.", "no host"),
        ("https://app.example:+443", "no host"),
    ] {
        refuses("/csrf/trusted_origins", json!(["https://good.example", origin]), "csrf.trusted_origins[1]", mistake);
    }
    for (name, pointer, mistake) in [
        ("X-User", "/sub", "not a header name"),
        ("x_user", "/sub", "not a header name"),
        ("x user", "/sub", "not a header name"),
        (":path", "/sub", "not a header name"),
        ("", "/sub", "not a header name"),
        ("authorization", "/sub", "leave it out"),
        ("cookie", "/sub", "leave it out"),
        ("content-length", "/sub", "leave it out"),
        ("x-user", "sub", "does not start with"),
        ("x-user", "", "does not start with"),
    ] {
        let path = format!("upstream.claim_headers.{name}");
        refuses("/upstream/claim_headers", json!({ name: pointer }), &path, mistake);
    }
    for (name, mistake) in [
        ("*", "every field"),
        ("x_internal-*", "not a header name"),
        ("X-Internal", "not a header name"),
        ("x-*-y", "not a header name"),
        ("host", "leave it out"),
    ] {
        refuses("/upstream/remove_headers", json!(["x-a", name]), "upstream.remove_headers[1]", mistake);
    }
    for location in [
        "",
        "signin",
        "//evil/signin",
        "/sign in",
        "/signin#top",
        "ftp://x/signin",
        "https://",
        "https://a b/",
        "javascript:x",
    ] {
        refuses(
            "/unauthenticated/sign_in",
            json!({"location": location}),
            "unauthenticated.sign_in.location",
            "neither a path",
        );
    }
    for name in ["", "a b", "a&b", "a=b", "ü"] {
        let sign_in = json!({"location": "/signin", "return_to_param": name});
        refuses("/unauthenticated/sign_in", sign_in, "unauthenticated.sign_in.return_to_param", "not the name");
    }
    refuses("/upstream/max_stream_age", json!("1h"), "upstream.max_stream_age", "token");
    refuses("/token/leeway", json!("6m"), "token.leeway", "\"5m\"");
    refuses("/token/algorithms", json!(["none"]), "token.algorithms[0]", "HS256");
    refuses("/token/algorithms", json!(["hs256"]), "token.algorithms[0]", "HS256");
    refuses("/token/algorithms", json!(["HS256", "RS256"]), "token.algorithms[1]", "public keys");
    refuses("/token/algorithms", json!(["HS512"]), "token.keys.secret_env", "64 bytes");
    refuses("/token/algorithms", json!([]), "token.algorithms", "leave the key out");
    refuses("/token/max_lifetime", json!("0s"), "token.max_lifetime", "null");
    refuses("/token/issuer", json!(""), "token.issuer", "leave the key out");
    refuses("/token/audiences", json!([""]), "token.audiences[0]", "leave it out");
    refuses("/token/keys", json!({}), "token.keys", "secret_env");
    refuses("/token/keys/jwks", jwks(), "token.keys", "keep one");
    refuses("/token/keys", json!({"local_jwks": "{}"}), "token.keys.local_jwks", "\"keys\"");
    refuses("/token/keys", json!({"local_jwks": "{\"keys\": []}"}), "token.keys.local_jwks", "no usable key");
    let private = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "hidden"}]}).to_string();
    refuses("/token/keys", json!({ "local_jwks": private }), "token.keys.local_jwks", "private key");
    for (key, value, hint) in [
        ("cluster", json!(""), "cluster"),
        ("authority", json!("http://x"), "host"),
        ("path", json!("jwks"), "/api/auth/jwks"),
        ("timeout", json!("0s"), "30s"),
        ("refresh", json!("0s"), "\"1s\""),
        ("refresh", json!("999ms"), "\"1s\""),
    ] {
        let mut endpoint = jwks();
        endpoint[key] = value;
        refuses("/token/keys", json!({"jwks": endpoint}), &format!("token.keys.jwks.{key}"), hint);
    }
    refuses("/token/keys/secret_env", json!("NO_SUCH"), "token.keys.secret_env", "host_env_keys");
    refuses("/credentials", json!([]), "credentials", "session_cookie");
    refuses("/credentials", json!(["bearer"]), "credentials[0].bearer", "{\"bearer\": {}}");
    refuses("/routes/0", json!(7), "routes[0]", "an object");
    refuses("/credentials/0/session_cookie/names", json!([]), "credentials[0].session_cookie.names", "name the cookie");
    refuses(
        "/credentials/0/session_cookie/names",
        json!(["a b"]),
        "credentials[0].session_cookie.names[0]",
        "cookie name",
    );
    refuses("/credentials/0/session_cookie/names", json!(["a", "a"]), "credentials[0].session_cookie.names[1]", "once");
    refuses("/routes/0/auth", json!("of"), "routes[0].auth", "\"off\"");
    refuses("/routes/0/auth", json!(true), "routes[0].auth", "\"required\"");
    refuses("/routes/0/match", json!({}), "routes[0].match", "a prefix or a template");
    refuses("/routes/0/match", json!({"path": "/a", "prefix": "/a"}), "routes[0].match", "keep one");
    refuses("/routes/0/match", json!({"path": "a"}), "routes[0].match.path", "starts with");
    refuses("/routes/0/match", json!({"prefix": "/a?b"}), "routes[0].match.prefix", "never match");
    refuses("/routes/0/match", json!({"prefix": "/a/../b"}), "routes[0].match.prefix", "never match");
    refuses("/routes/0/match", json!({"prefix": "/a%20b"}), "routes[0].match.prefix", "decoded");
    refuses("/routes/0/match/methods", json!(["get"]), "routes[0].match.methods[0]", "upper case");
    refuses("/routes/0/require", json!({"scopes": ["a"]}), "routes[0].require", "\"off\"");
    refuses("/routes/2/require", json!({}), "routes[2].require", "leave the key out");
    refuses("/routes/2/require", json!({"scopes": ["a b"]}), "routes[2].require.scopes[0]", "one scope");
    refuses("/routes/2/require", json!({"claims": {"role": null}}), "routes[2].require.claims.role", "null");
    refuses("/routes/2/require", json!({"claim": {}}), "routes[2].require.claim", "`claims`");
    refuses("/routes/2/pass_authorization", json!(true), "routes[2].pass_authorization", "\"off\"");
}

fn jwks() -> Value {
    json!({"cluster": "keys", "authority": "auth.internal", "path": "/api/auth/jwks"})
}

#[test]
fn each_kind_of_credential_is_listed_once_and_each_cookie_too() {
    let session = json!({"session_cookie": {"names": ["sid"], "companions": ["remember"]}});
    let credentials = json!([{"bearer": {}}, session, {"token_cookie": {"names": ["access_token"]}}]);
    assert!(read(&minimal_with("/credentials", credentials)).is_ok());
    refuses("/credentials", json!([session, {"bearer": {}}, {"bearer": {}}]), "credentials[2].bearer", "once");
    refuses("/credentials", json!([{"bearer": {"x": 1}}]), "credentials[0].bearer.x", "unknown field");
    let twice = json!([session, {"token_cookie": {"names": ["sid"]}}]);
    refuses("/credentials", twice, "credentials[1].token_cookie.names[0]", "once");
    refuses(
        "/credentials",
        json!([session, {"token_cookie": {"names": []}}]),
        "credentials[1].token_cookie.names",
        "cookie",
    );
    refuses("/credentials", json!([session, {"token_cookie": {}}]), "credentials[1].token_cookie", "names");
}

#[test]
fn exchange_is_needed_for_sessions_only() {
    let mut config = minimal_with("/credentials", json!([{"bearer": {}}]));
    config.as_object_mut().unwrap().remove("exchange");
    assert!(read(&config).is_ok());
}

#[test]
fn algorithms_follow_from_the_keys_when_none_are_listed() {
    let algorithms = |keys| read(&minimal_with("/token/keys", keys)).ok().unwrap().token_rules.algorithms.len();
    assert_eq!(algorithms(json!({"secret_env": "JWT_SECRET"})), 1);
    assert_eq!(algorithms(json!({"jwks": jwks()})), 9);
}

#[test]
fn report_only_is_warned_about() {
    let config = read(&minimal_with("/report_only", json!(true))).ok().unwrap();
    assert!(config.warnings.iter().any(|warning| warning.contains("nothing is refused")), "{:?}", config.warnings);
    refuses("/report_only", json!("true"), "report_only", "a boolean");
}

#[test]
fn several_mistakes_are_told_at_once() {
    let mut config = minimal_with("/exchange/timeout", json!("0s"));
    common::set(&mut config, "/exchange/path", json!("x"));
    common::set(&mut config, "/cache/max_ttl", json!("0s"));
    common::set(&mut config, "/routes/0/match", json!({}));
    common::set(&mut config, "/exchange/method", json!("PUT"));
    common::set(&mut config, "/exchange/token", json!({"json_pointer": "token"}));
    common::set(&mut config, "/token/algorithms", json!(["HS265"]));
    common::set(&mut config, "/token/keys/secret_env", json!("NO_SUCH"));
    assert_eq!(problems_of(read(&config)).len(), 8);
}

#[test]
fn missing_section_is_named() {
    for (section, hint) in
        [("exchange", "exchange: missing"), ("token", "token"), ("credentials", "credentials: missing")]
    {
        let mut config = minimal();
        config.as_object_mut().unwrap().remove(section);
        let problems = problems_of(read(&config));
        assert!(problems.len() == 1 && problems[0].contains(hint), "{section}: {problems:?}");
    }
}

#[test]
fn short_secret_is_refused_and_never_shown() {
    let config = minimal().to_string();
    for secret in ["", "hunter2", "0123456789abcdef0123456789abcde"] {
        let problems = problems_of(Config::read(config.as_bytes(), &|_| Some(secret.to_owned())));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("token.keys.secret_env: ") && problems[0].contains("32 bytes"), "{problems:?}");
        assert!(secret.is_empty() || !problems[0].contains(secret), "{problems:?}");
    }
}

#[test]
fn public_key_is_no_secret() {
    let config = minimal().to_string();
    for key in [
        "-----BEGIN PUBLIC KEY-----",
        "\n-----BEGIN CERTIFICATE-----",
        "ssh-ed25519 AAAA",
        "ecdsa-sha2-nistp256 AAAA",
        "{\"kty\":\"RSA\"}",
    ] {
        let text = format!("{key}{}", "A".repeat(64));
        let problems = problems_of(Config::read(config.as_bytes(), &|_| Some(text.clone())));
        assert!(problems.len() == 1 && problems[0].contains("local_jwks"), "{key}: {problems:?}");
    }
}

#[test]
fn value_of_a_static_header_is_never_shown() {
    for value in [json!("hunter2\n"), json!(["hunter2"]), json!({"hunter2": 1})] {
        let problems = problems_of(read(&minimal_with("/exchange/headers", json!({"x-api-key": value}))));
        assert!(problems.len() == 1 && !problems[0].contains("hunter2"), "{problems:?}");
    }
}

#[test]
fn string_in_the_place_of_a_section_is_never_shown() {
    for pointer in ["/token/keys", "/token", "/exchange/headers", "/exchange", "/token/keys/secret_env", "/cache"] {
        let problems = problems_of(read(&minimal_with(pointer, json!("hunter2-hunter2"))));
        assert!(problems.len() == 1 && !problems[0].contains("hunter2"), "{pointer}: {problems:?}");
        let is_plain = ["object", "map", "name the variable"].iter().any(|word| problems[0].contains(word));
        assert!(is_plain && !problems[0].contains("Raw"), "{pointer}: {problems:?}");
    }
}

#[test]
fn secret_in_place_of_its_variable_is_never_shown() {
    let hex = "a3f1".repeat(16);
    let letters = "abcdEFGH".repeat(4);
    for secret in [hex.as_str(), letters.as_str(), "x0123456789012345678901234567890"] {
        let problems = problems_of(read(&minimal_with("/token/keys/secret_env", json!(secret))));
        let told = problems.join("\n");
        assert!(problems.len() == 1 && told.contains("name the variable") && !told.contains(secret), "{told}");
    }
    for name in ["JWT_SECRET_OF_THE_AUTH_SERVICE_2_IN_PRODUCTION", "THESECRETOFTHEAUTHSERVICEINPRODUCTION", "A1b2C3"] {
        let problems = problems_of(read(&minimal_with("/token/keys/secret_env", json!(name))));
        assert!(problems[0].contains(name) && problems[0].contains("is not set"), "{problems:?}");
    }
}

#[test]
fn text_that_is_not_one_json_object_is_refused() {
    for text in ["", "{", "[]", "null", "credentials: []", "{} {}", r#"{"token": {}, "token": {}}"#, "\n{\n"] {
        let problems = problems_of(Config::read(text.as_bytes(), &|_| None));
        assert_eq!(problems.len(), 1, "{text:?}: {problems:?}");
    }
}

#[test]
fn off_without_quotes_is_off() {
    let config = read(&minimal_with("/routes/0/auth", json!(false))).unwrap_or_else(|problems| panic!("{problems:?}"));
    let head = common::get("/api/auth/x");
    assert_eq!(config.routes.find(&RequestHead::new(&head.0).unwrap()).auth, Auth::Off);
}

#[test]
fn struct_on_the_wire_means_the_same_as_its_json() {
    let mut config = minimal_with("/exchange/retries", json!(2));
    common::set(&mut config, "/exchange/max_in_flight", json!(123));
    let bytes = message(&config).encode_to_vec();
    let read =
        Config::read(&bytes, &|_| Some(common::SECRET.to_owned())).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(read.max_in_flight, 123);
    let exchange = read.exchange.unwrap();
    assert_eq!((exchange.retries, exchange.cluster.as_str()), (2, "auth_service"));

    common::set(&mut config, "/exchange/retries", json!(1.5));
    let problems = problems_of(Config::read(&message(&config).encode_to_vec(), &|_| Some(common::SECRET.to_owned())));
    assert!(problems[0].starts_with("exchange.retries: "), "{problems:?}");
}

#[test]
fn any_bytes_at_all_are_read_without_a_panic() {
    let mut random = fastrand::Rng::with_seed(5);
    let good = minimal().to_string().into_bytes();
    let wire = message(&minimal()).encode_to_vec();
    for _ in 0..5_000 {
        let mut bytes = if random.bool() { good.clone() } else { wire.clone() };
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        let _ = Config::read(&bytes, &|_| Some(common::SECRET.to_owned()));
    }
}

/// The `google.protobuf.Struct` that Envoy makes of this object.
fn message(object: &Value) -> prost_types::Struct {
    let fields: BTreeMap<_, _> = object.as_object().unwrap().iter().map(|(k, v)| (k.clone(), proto(v))).collect();
    prost_types::Struct { fields: fields.into_iter().collect() }
}

fn proto(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap()),
        Value::String(value) => Kind::StringValue(value.clone()),
        Value::Array(items) => Kind::ListValue(prost_types::ListValue { values: items.iter().map(proto).collect() }),
        Value::Object(_) => Kind::StructValue(message(value)),
    };
    prost_types::Value { kind: Some(kind) }
}

#[test]
fn refresh_ahead_is_a_third_of_a_short_max_ttl_unless_it_is_written() {
    for (cache, expected) in [
        (json!({"max_ttl": "9s"}), 3),
        (json!({"max_ttl": "1h"}), 10),
        (json!({"max_ttl": "1h", "refresh_ahead": "5m"}), 300),
        (json!({"max_ttl": "1h", "refresh_ahead": "0s"}), 0),
    ] {
        let config = read(&minimal_with("/cache", cache)).unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!(config.cache.refresh_ahead, Duration::from_secs(expected));
    }
}

#[test]
fn zero_turns_off_what_may_be_off() {
    for pointer in ["/cache/negative_ttl", "/cache/refresh_ahead", "/cache/stale_if_error", "/token/leeway"] {
        assert!(read(&minimal_with(pointer, json!("0s"))).is_ok(), "{pointer}");
    }
    assert!(read(&minimal_with("/cache/shared_slots", json!(0))).is_ok());
    assert!(read(&minimal_with("/cache/sign_out_paths", json!([]))).is_ok());
    assert!(read(&minimal_with("/upstream/max_stream_age", json!(null))).is_ok());
}

#[test]
fn fingerprint_tells_configurations_apart_and_not_their_spellings() {
    let fingerprint = |bytes: &[u8]| {
        let environment = |_: &str| Some(common::SECRET.to_owned());
        Config::read(bytes, &environment).unwrap_or_else(|problems| panic!("{problems:?}")).fingerprint
    };
    let text = minimal().to_string();
    let ours = fingerprint(text.as_bytes());
    assert_eq!(ours, fingerprint(serde_json::to_string_pretty(&minimal()).unwrap().as_bytes()));
    assert_ne!(ours, fingerprint(minimal_with("/token/audiences", json!(["another"])).to_string().as_bytes()));
    assert_ne!(ours, fingerprint(minimal_with("/cache/max_ttl", json!("61s")).to_string().as_bytes()));
}

#[test]
fn origin_is_trusted_as_a_browser_writes_it() {
    for (written, sent) in [
        ("https://app.example", "https://app.example"),
        ("HTTPS://App.Example", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:10000", "http://localhost:10000"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("https://[::1]", "https://[::1]"),
        ("https://[0:0::1]:443", "https://[::1]"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("http://3com", "http://3com"),
        ("capacitor://localhost", "capacitor://localhost"),
    ] {
        let config = read(&minimal_with("/csrf/trusted_origins", json!([written])));
        assert_eq!(config.unwrap_or_else(|problems| panic!("{problems:?}")).origins.trusted, [sent]);
    }
}

#[test]
fn what_weakens_the_origin_check_is_warned_about() {
    for (csrf, warnings) in [
        (json!({}), 0),
        (
            json!({"trusted_origins": ["https://app.example", "http://localhost:3000", "http://127.0.0.1", "http://[::1]:1"]}),
            0,
        ),
        (json!({"trusted_origins": ["http://app.example"]}), 1),
        (json!({"insecure_allow_missing_origin": true, "insecure_disable": true}), 2),
    ] {
        let config = read(&minimal_with("/csrf", csrf)).unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!(config.warnings.iter().filter(|warning| warning.starts_with("csrf.")).count(), warnings);
    }
}

#[test]
fn page_to_sign_in_that_turns_people_away_is_warned_about() {
    // With a cookie that is exchanged, and with one that is a token.
    for (location, session_cookie, token_cookie) in [
        ("/api/auth/sign-in", 0, 0),
        ("/feed/sign-in?a=b", 0, 1),
        ("/signin", 1, 1),
        ("https://sso.example/signin", 0, 0),
    ] {
        let mut config = minimal_with("/unauthenticated/sign_in", json!({"location": location}));
        for warnings in [session_cookie, token_cookie] {
            let read = read(&config).unwrap_or_else(|problems| panic!("{problems:?}"));
            let about = read.warnings.iter().filter(|warning| warning.starts_with("unauthenticated."));
            assert_eq!(about.count(), warnings, "{location}");
            set(&mut config, "/credentials", json!([{"token_cookie": {"names": ["access_token"]}}]));
        }
    }
}
