//! `explain`: what it says of a request, by its route and its credential.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use session_bearer::time::UnixTime;

use crate::common::{SECRET, claims, minimal, set, sign};
use crate::{Run, folder, session_bearer, session_bearer_in};

/// The session cookie of the file.
const SID: &str = "cookie: sid=abc";

/// The arguments after the file; what is answered, or 0 for what goes on; what decided; the rules; what is told.
type Case = (&'static [&'static str], u64, &'static str, &'static [usize], &'static str);

const CASES: &[Case] = &[
    // No credential
    (&["GET", "/api/x"], 401, "denied_no_credential", &[], "no rule matches"),
    (&["GET", "/feed"], 0, "allowed_anonymous", &[3], "routes[3]"),
    (&["GET", "/api/auth/x"], 0, "allowed_off", &[0], "routes[0]"),
    (
        &["GET", "/api/x", "-H", "sec-fetch-mode: navigate"],
        302,
        "denied_no_credential",
        &[],
        "location: /api/auth/sign-in?return_to=/api/x",
    ),
    (
        &["GET", "/api/x", "-H", "authorization: Basic abc"],
        401,
        "denied_no_credential",
        &[],
        "none of those that are listed",
    ),
    (
        &["OPTIONS", "/api/x", "-H", "origin: https://a.example", "-H", "access-control-request-method: PUT"],
        0,
        "allowed_off",
        &[],
        "preflight",
    ),
    // Sessions
    (
        &["GET", "/api/x", "-H", SID],
        0,
        "allowed_miss",
        &[],
        "callout     GET auth.internal/api/auth/jwt at the cluster auth_service, with accept",
    ),
    (&["GET", "/api/x", "-H", SID, "--session", "known"], 0, "allowed_hit", &[], "sets x-user, authorization"),
    (
        &["GET", "/api/x", "-H", SID, "--session", "refused"],
        401,
        "denied_session_refused",
        &[],
        "www-authenticate: Bearer",
    ),
    (&["GET", "/feed", "-H", SID, "--session", "refused"], 0, "allowed_anonymous", &[3], "goes on to the backend"),
    (&["GET", "/api/x", "-H", SID, "--session", "failing"], 503, "denied_exchange_failed", &[], "2 times"),
    (&["GET", "/feed", "-H", SID, "--session", "failing"], 0, "allowed_anonymous", &[3], "exchange failed"),
    (&["GET", "/feed", "-H", SID, "--session", "unverified"], 503, "denied_unverified_token", &[3], "does not verify"),
    (&["GET", "/api/x", "-H", "cookie: sid=a; sid=b"], 400, "denied_conflicting_cookies", &[], "two different values"),
    (&["GET", "/api/x", "-H", "cookie: sid=\"a"], 401, "denied_malformed_session", &[], "whose value cannot be one"),
    (&["GET", "/api/x", "-H", "cookie: sid=abc; remember=1"], 0, "allowed_miss", &[], "with its companions"),
    // Where a request comes from
    (&["POST", "/api/x", "-H", SID], 403, "denied_cross_origin", &[], "neither Origin nor Sec-Fetch-Site"),
    (&["POST", "/api/x", "-H", SID, "-H", "origin: https://app.example"], 0, "allowed_miss", &[], "Origin is listed"),
    (
        &["POST", "/api/x", "-H", SID, "-H", "origin: https://evil.example"],
        403,
        "denied_cross_origin",
        &[],
        "not listed",
    ),
    (&["POST", "/api/x", "-H", SID, "-H", "origin: null"], 403, "denied_cross_origin", &[], "Origin is null"),
    (
        &["POST", "/api/x", "-H", SID, "-H", "sec-fetch-site: same-origin"],
        0,
        "allowed_miss",
        &[],
        "Sec-Fetch-Site is same-origin",
    ),
    (
        &["POST", "/api/x", "-H", SID, "-H", "sec-fetch-site: same-site"],
        403,
        "denied_cross_origin",
        &[],
        "not same-origin",
    ),
    (
        &["POST", "/api/x", "-H", SID, "-H", "origin: https://app.example", "-H", "origin: null"],
        403,
        "denied_cross_origin",
        &[],
        "more than once",
    ),
    (&["GET", "/api/x", "-H", SID, "-H", "upgrade: websocket"], 403, "denied_cross_origin", &[], "refused"),
    (&["POST", "/api/x", "-H", "authorization: Bearer x", "--token", "valid"], 0, "allowed_verified", &[], "bearer"),
    // Tokens
    (
        &["GET", "/api/x", "-H", "authorization: Bearer x", "--token", "invalid"],
        401,
        "denied_invalid_token",
        &[],
        "error=\"invalid_token\"",
    ),
    (&["GET", "/feed", "-H", "cookie: jwt=x", "--token", "invalid"], 401, "denied_invalid_token", &[3], "token_cookie"),
    (
        &["GET", "/feed", "-H", "cookie: a=b; jwt = x ;c=d", "--token", "valid"],
        0,
        "allowed_verified",
        &[3],
        "token_cookie",
    ),
    (
        &["GET", "/feed", "-H", "cookie: a=b; jwt=x", "--token", "valid"],
        0,
        "allowed_verified",
        &[3],
        "sets cookie, x-user, authorization",
    ),
    (
        &["GET", "/api/x", "-H", "authorization: Bearer x", "-H", "authorization: Bearer y"],
        400,
        "denied_repeated_authorization",
        &[],
        "more than one",
    ),
    // What routes require
    (
        &["GET", "/admin", "-H", SID],
        403,
        "denied_insufficient_scope",
        &[4],
        "requires    {\"claims\":{\"role\":\"admin\"}}",
    ),
    (&["GET", "/admin", "-H", SID, "--claim", "role=admin"], 0, "allowed_miss", &[4], "routes[4]"),
    (
        &["GET", "/admin", "-H", SID, "--claim", "role=[\"user\",\"admin\"]", "--session", "known"],
        0,
        "allowed_hit",
        &[4],
        "routes[4]",
    ),
    // Paths and hosts
    (&["GET", "/api//auth/x"], 401, "denied_no_credential", &[0], "can also be read as"),
    (&["GET", "/x/..%2fadmin", "-H", SID], 403, "denied_insufficient_scope", &[4], "/admin"),
    (&["GET", "/feed;a=b"], 401, "denied_no_credential", &[3], "no \"off\" or \"optional\" rule can match it"),
    (&["GET", "https://ops.example:8443/metrics"], 0, "allowed_off", &[5], "\"hosts\":[\"ops.example\"]"),
    (&["GET", "https://app.example/metrics"], 401, "denied_no_credential", &[], "no rule matches"),
    (&["GET", "/metrics", "-H", "Host: ops.example"], 0, "allowed_off", &[5], "routes[5]"),
    (&["CONNECT", "/api/x"], 400, "denied_malformed_request", &[], "CONNECT"),
    // What no client may send
    (
        &["GET", "/api/auth/x", "-H", "authorization: Bearer x", "-H", "X_User: a"],
        0,
        "allowed_off",
        &[0],
        "takes out authorization, x_user",
    ),
    (&["POST", "/hook", "-H", "authorization: Bearer x"], 0, "allowed_off", &[1], "pass_authorization"),
];

fn configuration() -> Value {
    let mut configuration = minimal();
    let session = configuration["credentials"][0].clone();
    set(&mut configuration, "/credentials", json!([{"bearer": {}}, {"token_cookie": {"names": ["jwt"]}}, session]));
    set(&mut configuration, "/csrf/trusted_origins", json!(["https://app.example"]));
    set(&mut configuration, "/upstream/claim_headers", json!({"x-user": "/sub"}));
    set(&mut configuration, "/unauthenticated/sign_in", json!({"location": "/api/auth/sign-in"}));
    let routes = configuration["routes"].as_array_mut().unwrap();
    let open = routes.pop().unwrap();
    routes.push(json!({"match": {"path": "/healthz"}, "auth": "off"}));
    routes.push(open);
    routes.push(json!({"match": {"prefix": "/admin"}, "auth": "required", "require": {"claims": {"role": "admin"}}}));
    routes.push(json!({"match": {"path": "/metrics", "hosts": ["ops.example"]}, "auth": "off"}));
    configuration
}

fn written(name: &str, configuration: &Value) -> PathBuf {
    let folder = folder(&format!("explain-{name}"));
    fs::write(folder.join("file.json"), configuration.to_string()).unwrap();
    folder
}

fn explain(folder: &Path, arguments: &[&str], secret: Option<&str>) -> Run {
    let environment: Vec<_> = secret.map(|secret| ("JWT_SECRET", secret)).into_iter().collect();
    session_bearer_in(folder, &[&["explain", "file.json"], arguments].concat(), &environment)
}

#[test]
fn each_request_is_explained_by_what_decides() {
    let folder = written("table", &configuration());
    for (arguments, status, outcome, rules, told) in CASES {
        let text = explain(&folder, arguments, None);
        assert!(text.code == 0 && text.out.contains(told), "{arguments:?}: {}{}", text.out, text.err);
        let as_json = explain(&folder, &[arguments, &["--json"][..]].concat(), None);
        let account: Value =
            serde_json::from_str(&as_json.out).unwrap_or_else(|_| panic!("{arguments:?}: {}", as_json.err));
        assert_eq!(account["reply"]["status"].as_u64().unwrap_or(0), *status, "{arguments:?}: {account:#}");
        assert_eq!(account["upstream"].is_null(), *status != 0, "{arguments:?}");
        assert_eq!(account["outcome"], *outcome, "{arguments:?}");
        assert_eq!(account["rules"], json!(rules), "{arguments:?}");
        let answered =
            if *status == 0 { "goes on to the backend".to_owned() } else { format!("answered here: {status}") };
        assert!(text.out.contains(&answered) && text.out.contains(outcome), "{arguments:?}: {}", text.out);
    }
}

#[test]
fn token_is_verified_for_real_where_the_keys_are_at_hand() {
    let folder = written("real", &configuration());
    let now = UnixTime::from_secs(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs());
    let good = format!("authorization: Bearer {}", sign(&claims("ada", now)));
    let expired = format!("authorization: Bearer {}", sign(&claims("ada", UnixTime::from_secs(1_700_000_000))));
    let ask = |field: &str, secret| explain(&folder, &["GET", "/api/x", "-H", field, "--env"], Some(secret)).out;
    assert!(ask(&good, SECRET).contains("allowed_verified"));
    assert!(ask(&expired, SECRET).contains("denied_invalid_token"));
    assert!(ask(&good, "another-secret-0123456789abcdef0123456789").contains("denied_invalid_token"));
    let run = explain(&folder, &["GET", "/api/x", "-H", &good], Some(SECRET));
    assert!(run.code == 2 && run.err.contains("--env") && run.err.contains("--token valid"), "{}", run.err);
}

#[test]
fn every_kind_of_key_can_be_explained_without_its_other_half() {
    for algorithm in ["RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA"] {
        let mut configuration = configuration();
        let endpoint = json!({"jwks": {"cluster": "keys", "authority": "auth.internal", "path": "/jwks"}});
        set(&mut configuration, "/token/keys", endpoint);
        set(&mut configuration, "/token/algorithms", json!([algorithm]));
        let folder = written(algorithm, &configuration);
        let run = explain(&folder, &["GET", "/api/x", "-H", SID], None);
        assert!(run.out.contains("allowed_miss"), "{algorithm}: {}{}", run.out, run.err);
        let run = explain(&folder, &["GET", "/api/x", "-H", "authorization: Bearer x"], None);
        assert!(run.code == 2 && run.err.contains("--jwks FILE"), "{}", run.err);
    }
}

#[test]
fn token_that_is_handed_out_has_every_claim_that_is_required() {
    let mut configuration = configuration();
    set(&mut configuration, "/token/required_claims", json!(["sub", "iat", "nbf", "jti"]));
    let run = explain(&written("required", &configuration), &["GET", "/api/x", "-H", SID], None);
    assert!(run.out.contains("allowed_miss"), "{}{}", run.out, run.err);
}

#[test]
fn report_only_lets_through_what_it_explains() {
    let mut configuration = configuration();
    set(&mut configuration, "/report_only", json!(true));
    let run = explain(&written("report", &configuration), &["GET", "/api/x"], None);
    assert!(run.out.contains("denied_no_credential") && run.out.contains("goes on to the backend"), "{}", run.out);
    assert!(run.out.contains("report_only is set"), "{}", run.out);
}

#[test]
fn what_cannot_be_explained_is_told_in_a_line() {
    let folder = written("unable", &configuration());
    for (arguments, told) in [
        (&["GET", "api/x"][..], "neither a path"),
        (&["GET", "ftp://x/y"][..], "neither a path"),
        (&["GET", "/x", "-H", "cookie"][..], "number 1"),
        (&["GET", "/x", "-H", "a: b", "-H", "a b: c"][..], "number 2"),
        (&["GET", "/x", "--claim", "role"][..], "name=value"),
        (&["GET", "/x", "--plugin", "2"][..], "no plugin 2"),
        (&["GET", "/x", "--jwks", "no-such-file"][..], "no-such-file"),
    ] {
        let run = explain(&folder, arguments, None);
        assert!(
            run.code == 2 && run.err.lines().count() == 1 && run.err.contains(told),
            "{arguments:?}: {}{}",
            run.out,
            run.err
        );
    }
    let folder = written("broken", &json!({"credentials": 5}));
    let run = explain(&folder, &["GET", "/x"], None);
    assert!(run.code == 2 && run.err.contains("session-bearer check file.json"), "{}", run.err);
    let run = session_bearer(&["explain", "tests/command/files/wasm-plugin.yaml", "GET", "/x"]);
    assert!(run.out.contains("denied_no_credential"), "{}{}", run.out, run.err);
}
