//! Envoy's `jwt_authn`, `ext_authz`, `oauth2` and `rbac` filters, and those who copied their mistakes: the
//! fields that carry tokens, and what becomes of a request.

use serde_json::{Value, json};

use crate::common::{Head, START, claims, get, minimal, request, set, sign, sign_with};
use crate::vectors_support::pairs::Pair;
use crate::world::{Fate, Reply, World, values};
use session_bearer::token::algorithm::Algorithm;

/// Sessions and bearers, the bearer first.
fn config() -> Value {
    let mut config = minimal();
    let session = config["credentials"][0].clone();
    set(&mut config, "/credentials", json!([{"bearer": {}}, session]));
    config
}

fn fate(head: Head) -> Fate {
    let mut world = World::with(&config());
    let stream = world.request(head);
    world.fate(stream)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn good() -> String {
    bearer(&sign(&claims("ada", START)))
}

/// What is no reason to let anybody pass, or to keep anybody out.
fn irrelevant() -> Vec<(&'static str, &'static str)> {
    vec![
        ("x-envoy-original-path", "/api/auth/jwt"),
        ("x-original-url", "/feed"),
        ("x-rewrite-url", "/api/auth"),
        ("x-forwarded-uri", "/api/auth"),
        ("x-forwarded-method", "OPTIONS"),
        ("x-forwarded-host", "trusted.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "127.0.0.1, 10.0.0.1"),
        ("x-envoy-internal", "true"),
        ("x-http-method-override", "OPTIONS"),
        ("user-agent", "kube-probe/1.29"),
        ("x-jwt-payload", "eyJzdWIiOiJhZGEifQ"),
        ("proxy-authorization", "Bearer a.b.c"),
    ]
}

#[test]
fn token_of_an_unknown_issuer_is_not_a_missing_one_cve_2021_21378() {
    let mut unknown = claims("ada", START);
    unknown["iss"] = json!("another-issuer");
    assert_eq!(fate(get("/feed")), Fate::Passed { authorization: vec![], cookie: None });
    assert_eq!(fate(get("/feed").with("authorization", bearer(&sign(&unknown)))), Fate::Answered(401));
}

#[test]
fn request_without_a_path_is_answered_cve_2021_43824_and_cve_2026_73547() {
    // GHSA-vj5m-rch8-5r2p is the same with CONNECT.
    for head in [
        Head(vec![]),
        Head(vec![]).with(":method", "GET"),
        Head(vec![]).with(":path", "/feed"),
        Head(vec![]).with(":method", "CONNECT").with(":authority", "app.example:443"),
        request("CONNECT", "/feed"),
        request("GET", ""),
    ] {
        assert_eq!(fate(head.with("authorization", good())), Fate::Answered(400));
    }
}

#[test]
fn fields_a_client_can_invent_decide_nothing_cve_2023_27487_and_cve_2024_7207() {
    // CVE-2024-45806 is about x-envoy-* fields of peers that are taken for internal.
    for (name, value) in irrelevant() {
        assert_eq!(fate(get("/api/x").with(name, value)), Fate::Answered(401), "{name}");
        assert_eq!(fate(get("/api/x").with("authorization", "Bearer a.b.c").with(name, value)), Fate::Answered(401));
        let passed = fate(get("/api/x").with("authorization", good()).with(name, value));
        assert_eq!(passed, Fate::Passed { authorization: vec![good()], cookie: None }, "{name}");
    }
}

#[test]
fn two_authorizations_are_refused_while_keys_cannot_be_fetched_cve_2025_64527() {
    let mut config = config();
    let endpoint = json!({"cluster": "keys", "authority": "auth.internal", "path": "/jwks"});
    set(&mut config, "/token/keys", json!({ "jwks": endpoint }));
    let mut world = World::with(&config);
    let token = bearer(&Pair::of(Algorithm::EdDsa).token(Algorithm::EdDsa, &claims("ada", START)));
    let twice = || get("/api/x").with("authorization", &token).with("authorization", &token);
    let (first, waiting) = (world.request(twice()), world.request(get("/api/x").with("authorization", &token)));
    assert_eq!((world.fate(first), world.fate(waiting)), (Fate::Answered(400), Fate::Waiting));
    world.answer_fetch(&Reply::reset());
    let last = world.request(twice());
    assert_eq!((world.fate(waiting), world.fate(last)), (Fate::Answered(503), Fate::Answered(400)));
}

#[test]
fn repeated_field_is_seen_whole_cve_2021_32777_and_cve_2026_26308() {
    let bad = "Bearer a.b.c".to_owned();
    for values in [vec![good(), bad.clone()], vec![bad.clone(), good()], vec![format!("{}, {bad}", good())]] {
        let head = values.iter().fold(get("/api/x"), |head, value| head.with("authorization", value));
        assert_eq!(fate(head), Fate::Answered(400), "{values:?}");
    }
    for cookies in [["sid=ours", "sid=theirs"], ["a=1; sid=ours", "b=2; sid=theirs"]] {
        let head = cookies.iter().fold(get("/api/x"), |head, value| head.cookie(value));
        assert_eq!(fate(head), Fate::Answered(400), "{cookies:?}");
    }
}

#[test]
fn bytes_that_are_no_text_open_no_door_cve_2023_27488_and_cve_2024_23324() {
    // CVE-2026-73552 is a pattern that fails open on them.
    for value in [&b"\xff"[..], b"\x80\x81", b"a\xc0\xafb", b"\xed\xa0\x80", b"\x00", b"caf\xe9"] {
        for name in ["x-anything", "user-agent", "origin", "cookie", "x-request-id"] {
            assert_eq!(fate(get("/api/x").with(name, value)), Fate::Answered(401), "{name}: {value:?}");
        }
        let token = [b"Bearer ", value].concat();
        assert_eq!(fate(get("/feed").with("authorization", token)), Fate::Answered(401), "{value:?}");
        let path = [b"/feed/", value].concat();
        assert_eq!(fate(Head(vec![]).with(":method", "GET").with(":path", path)), Fate::Answered(401), "{value:?}");
    }
}

#[test]
fn credential_that_does_not_verify_is_not_passed_over_cve_2022_29226() {
    let head = get("/api/x").cookie("sid=abc").with("authorization", "Bearer a.b.c");
    let mut world = World::with(&config());
    let stream = world.request(head);
    assert_eq!((world.fate(stream), world.callouts().len()), (Fate::Answered(401), 0));
}

#[test]
fn answer_does_not_tell_what_is_wrong_with_a_token_cve_2026_47775() {
    let mut expired = claims("ada", START);
    expired["exp"] = json!(1);
    let good = sign(&claims("ada", START));
    let tokens = [
        String::new(),
        "a.b.c".to_owned(),
        "x".repeat(9000),
        sign(&expired),
        sign(&json!({})),
        sign_with(&json!({"alg": "none"}), &claims("ada", START), "s"),
        sign_with(&json!({"alg": "HS256"}), &claims("ada", START), "another secret of thirty-two byte"),
        format!("{}A", &good[..good.len() - 1]),
        good[..good.len() - 4].to_owned(),
    ];
    let answer = |token: &String| {
        let mut world = World::with(&config());
        let stream = world.request(get("/api/x").with("authorization", bearer(token)));
        world.local_reply(stream).clone()
    };
    let answers: Vec<_> = tokens.iter().map(answer).collect();
    assert!(answers.iter().all(|reply| *reply == answers[0] && reply.status == 401), "{answers:?}");
}

#[test]
fn bearer_that_is_set_is_the_only_one_cve_2020_25017() {
    let mut world = World::with(&minimal());
    let token = sign(&claims("ada", START));
    world.exchange(get("/api/x").cookie("sid=abc"), &Reply::token(&token));
    for spelling in ["authorization", "Authorization", "AUTHORIZATION"] {
        let stream = world.request(get("/api/x").cookie("sid=abc").with(spelling, "Basic c3B5Og=="));
        let upstream = world.upstream(stream);
        let all: Vec<_> = upstream.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization")).collect();
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(values(upstream, "authorization"), [bearer(&token)]);
    }
}

#[test]
fn scheme_is_read_without_case_and_decides_nothing_cve_2023_35944() {
    for scheme in ["https", "HTTPS", "HtTp", "http", ""] {
        let head = |path: &str| Head(vec![]).with(":method", "GET").with(":path", path).with(":scheme", scheme);
        assert_eq!(fate(head("/api/x")), Fate::Answered(401), "{scheme}");
        assert!(matches!(fate(head("/api/x").with("authorization", good())), Fate::Passed { .. }), "{scheme}");
    }
}

#[test]
fn origin_stays_on_the_request_cve_2023_35943_and_cve_2026_133111() {
    for head in [get("/feed"), get("/api/auth/sign-in"), get("/api/x").with("authorization", good())] {
        let mut world = World::with(&config());
        let stream = world.request(head.with("origin", "https://app.example"));
        assert_eq!(values(world.upstream(stream), "origin"), ["https://app.example"]);
    }
}

#[test]
fn token_that_would_split_the_request_goes_nowhere_cve_2023_27493() {
    let token = sign(&claims("ada", START));
    for bad in [
        format!("{token}\r\nx-admin: 1"),
        format!("{token}\nx-admin: 1"),
        format!("{token}\0"),
        format!("{token} x"),
        format!("{token}%0d%0ax-admin: 1"),
        format!("{token}\u{10a}"),
        format!(" {token}"),
    ] {
        let mut world = World::with(&minimal());
        let answered = world.exchange(get("/api/x").cookie("sid=abc"), &Reply::token(&bad));
        assert_eq!(answered, Fate::Answered(503), "{bad:?}");
    }
}

#[test]
fn cookies_without_end_are_read_once_cve_2026_47774() {
    let many = (0..10_000).fold(get("/api/x"), |head, n| head.cookie(format!("c{n}=1")));
    let long = get("/api/x").cookie(format!("a={}", "x".repeat(60_000)));
    for head in [many, long] {
        assert_eq!(fate(head.clone()), Fate::Answered(401));
        assert_eq!(fate(head.cookie("sid=abc")), Fate::Waiting);
    }
    assert_eq!(fate(get("/api/x").cookie(format!("sid={}", "x".repeat(60_000)))), Fate::Answered(401));
}

#[test]
fn callout_asks_for_no_upgrade_cve_2024_45810() {
    let mut world = World::with(&minimal());
    let head = get("/api/x").cookie("sid=abc");
    let head = head.with("upgrade", "websocket").with("connection", "Upgrade").with("te", "trailers");
    let head = head.with("sec-fetch-site", "same-origin");
    world.request(head.with("transfer-encoding", "chunked").with("expect", "100-continue").with("content-length", "7"));
    let callout = world.callouts().remove(0);
    for name in ["upgrade", "connection", "te", "transfer-encoding", "expect", "content-length", "authorization"] {
        assert!(!callout.iter().any(|(sent, _)| sent == name), "{name}");
    }
}

#[test]
fn authorization_of_any_shape_is_answered_ghsa_xmf8_cvqr_rfgj() {
    for value in [
        "",
        " ",
        "Bearer",
        "bearer ",
        "Bearer\t",
        "Bearer  ",
        "Bearer undefined",
        "Bearer %",
        "=",
        ",",
        "\"",
        "Bearer .",
        "Bearer ..",
        "Bearer ....",
    ] {
        let fate = fate(get("/api/x").with("authorization", value));
        assert!(matches!(fate, Fate::Answered(400 | 401)), "{value:?}: {fate:?}");
    }
}
