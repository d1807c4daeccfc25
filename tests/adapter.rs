//! The real adapter on a host that is not Envoy, but has its manners: what it calls, in which order,
//! and that no order of events makes it panic, answer twice or forget a request.

mod common;
mod fake_host;

use std::collections::BTreeSet;

use common::{claims, get, minimal, minimal_with, sign};
use fake_host::{
    Host, QUEUE, ROOT, StreamState, abi, answer, end, host, metric, request, respond, start, start_on, stream, tick,
    trailers, turn,
};
use proxy_wasm::types::LogLevel;
use serde_json::json;
use session_bearer::request::Field;

fn status(status: u16) -> Vec<Field> {
    vec![
        (":status".to_owned(), status.to_string().into_bytes()),
        ("content-type".to_owned(), b"application/json".to_vec()),
    ]
}

/// Answers the oldest callout with a good token.
fn grant() -> String {
    let token = sign(&claims("ada", common::START));
    answer(status(200), json!({ "token": token }).to_string().as_bytes());
    token
}

fn replied(id: u32) -> Option<u32> {
    match stream(id).state {
        StreamState::Replied { status, .. } => Some(status),
        _ => None,
    }
}

fn authorization(id: u32) -> Vec<String> {
    let fields = stream(id).fields;
    let named = fields.into_iter().filter(|(name, _)| name == "authorization");
    named.map(|(_, value)| String::from_utf8(value).unwrap()).collect()
}

#[test]
fn session_is_exchanged_by_the_root_and_the_request_goes_on_with_its_bearer() {
    assert!(start(&minimal()));
    let id = request(get("/api/x").cookie("sid=abc; a=1"));
    assert_eq!(stream(id).state, StreamState::Paused);
    assert!(host(|host| host.callouts.is_empty()), "the callout is the root's, which has not had its turn yet");
    turn();
    let callout = host(|host| host.callouts[0].clone());
    assert_eq!((callout.cluster.as_str(), callout.timeout_millis), ("auth_service", 2000));
    assert!(callout.headers.contains(&("x-forwarded-for".to_owned(), "203.0.113.7".to_owned())));
    let token = grant();
    assert_eq!(stream(id).state, StreamState::Passed);
    assert_eq!(authorization(id), [format!("Bearer {token}")]);
    assert!(stream(id).fields.contains(&("cookie".to_owned(), b"a=1".to_vec())));
}

#[test]
fn cached_request_costs_seven_host_calls() {
    assert!(start(&minimal()));
    let first = request(get("/api/x").cookie("sid=abc"));
    turn();
    grant();
    end(first);
    host(|host| host.calls.clear());
    let second = request(get("/api/x").cookie("sid=abc"));
    end(second);
    let expected = [
        "proxy_get_header_map_pairs",
        "proxy_get_current_time_nanoseconds",
        "proxy_set_property",
        "proxy_set_property",
        "proxy_set_property",
        "proxy_remove_header_map_value",
        "proxy_replace_header_map_value",
    ];
    assert_eq!(host(|host| host.calls.clone()), expected);
}

#[test]
fn response_of_a_cached_request_costs_two_host_calls_and_the_one_of_another_none() {
    assert!(start(&minimal()));
    let first = request(get("/api/x").cookie("sid=abc"));
    turn();
    grant();
    end(first);
    let cached = request(get("/api/x").cookie("sid=abc"));
    let off = request(get("/api/auth/x"));
    for (id, calls) in [(cached, vec!["proxy_get_header_map_pairs", "proxy_replace_header_map_value"]), (off, vec![])] {
        host(|host| host.calls.clear());
        assert!(respond(id, status(200)).starts_with(&status(200)));
        end(id);
        assert_eq!(host(|host| host.calls.clone()), calls);
    }
}

#[test]
fn new_session_costs_thirty_two_host_calls() {
    assert!(start(&minimal()));
    turn();
    host(|host| host.calls.clear());
    let id = request(get("/api/x").cookie("sid=abc"));
    turn();
    grant();
    assert_eq!(stream(id).state, StreamState::Passed);
    end(id);
    // The level of the log belongs to the process, which the tests beside this one share: whether a
    // line for debugging is written here is up to them, and in Envoy to `--log-level`.
    let mut calls = host(|host| host.calls.clone());
    calls.retain(|call| *call != "proxy_log");
    assert_eq!(calls.len(), 32, "{calls:?}");
}

#[test]
fn envoy_is_told_what_was_decided_on_each_request() {
    assert!(start(&minimal()));
    let told = |id| stream(id).filter_state.into_iter().collect::<Vec<_>>();
    let entry = |name: &str, value: &str| (format!("session_bearer.{name}"), value.to_owned());
    let waited = request(get("/api/x").cookie("sid=abc"));
    assert_eq!(told(waited), []);
    turn();
    grant();
    let session = entry("credential", "session_cookie");
    assert_eq!(told(waited), [session.clone(), entry("outcome", "allowed_miss"), entry("subject", "ada")]);
    let cached = request(get("/api/x").cookie("sid=abc"));
    assert_eq!(told(cached), [session, entry("outcome", "allowed_hit"), entry("subject", "ada")]);
    let refused = request(get("/api/x"));
    assert_eq!(told(refused), [entry("credential", "none"), entry("outcome", "denied_no_credential")]);
}

#[test]
fn sign_out_rings_for_the_other_workers_and_they_forget_the_session() {
    assert!(start(&minimal()));
    let id = request(get("/api/x").cookie("sid=abc"));
    turn();
    grant();
    respond(id, status(200));
    let shared = host(|host| {
        // Another worker, with a queue of its own, was heard of just now.
        let heard = &(host.now_nanos / 1_000_000).to_be_bytes();
        let workers = host.shared.get_mut("session-bearer workers").unwrap();
        workers.extend([&9_u32.to_be_bytes()[..], heard].concat());
        host.other_queues.push(9);
        host.shared.clone()
    });
    let (to_there, orders) = std::sync::mpsc::channel::<std::collections::BTreeMap<String, Vec<u8>>>();
    let (answers, from_there) = std::sync::mpsc::channel();
    let there = std::thread::spawn(move || {
        assert!(start_on(unusual(|host| host.shared = shared), &minimal()));
        let before = request(get("/api/x").cookie("sid=abc"));
        answers.send(stream(before).state).unwrap();
        let shared = orders.recv().unwrap();
        host(|host| host.shared = shared);
        abi::queue_ready(ROOT, QUEUE);
        let after = request(get("/api/x").cookie("sid=abc"));
        stream(after).state
    });
    assert_eq!(from_there.recv().unwrap(), StreamState::Passed, "what one has exchanged serves the other");
    let sign_out = request(common::request("POST", "/api/auth/sign-out").cookie("sid=abc"));
    respond(sign_out, status(200));
    assert_eq!(host(|host| host.rung.clone()), [9]);
    to_there.send(host(|host| host.shared.clone())).unwrap();
    assert_eq!(there.join().unwrap(), StreamState::Paused);
    assert_eq!(metric_after_tick("session_bearer_forgotten_signed_out"), 1);
}

#[test]
fn what_another_worker_shares_first_is_not_overwritten() {
    assert!(start(&minimal()));
    let log = "session-bearer sign-outs";
    let of_another = [&1_u64.to_be_bytes()[..], &[7; 32]].concat();
    host(|host| host.overtaken_by = Some((log.to_owned(), of_another.clone())));
    let sign_out = request(common::request("POST", "/api/auth/sign-out").cookie("sid=abc"));
    respond(sign_out, status(200));
    let written = host(|host| host.shared[log].clone());
    assert_eq!(
        (written[..8].to_vec(), &written[8..40], written.len()),
        (vec![0, 0, 0, 0, 0, 0, 0, 2], &[7; 32][..], 72)
    );
}

#[test]
fn request_whose_callout_is_about_to_be_made_when_the_auth_service_wants_a_pause_is_answered_at_once() {
    assert!(start(&minimal()));
    request(get("/api/x").cookie("sid=abc"));
    turn();
    let next = request(get("/api/x").cookie("sid=another"));
    answer([status(429), vec![("retry-after".to_owned(), b"7".to_vec())]].concat(), b"");
    assert_eq!(replied(next), Some(503));
    turn();
    assert!(host(|host| host.callouts.is_empty()));
}

fn metric_after_tick(name: &str) -> i64 {
    tick();
    metric(name)
}

#[test]
fn worker_says_now_and_then_that_it_is_there_and_those_not_heard_of_are_dropped() {
    assert!(start(&minimal()));
    let workers = || host(|host| host.shared["session-bearer workers"].clone());
    assert_eq!(workers().len(), 12);
    host(|host| {
        let long_ago = (host.now_nanos / 1_000_000 - 60_000).to_be_bytes();
        let ours = host.shared.get_mut("session-bearer workers").unwrap();
        ours.extend([&9_u32.to_be_bytes()[..], &long_ago].concat());
    });
    let before = workers();
    (0..9).for_each(|_| tick());
    assert_eq!(workers(), before);
    tick();
    assert_eq!(workers().len(), 12);
    assert_ne!(workers()[..], before[..12]);
}

#[test]
fn set_cookie_of_the_auth_service_is_added_to_the_response_on_lines_of_its_own() {
    assert!(start(&minimal()));
    let id = request(get("/api/x").cookie("sid=abc"));
    turn();
    let set = |value: &str| ("set-cookie".to_owned(), value.as_bytes().to_vec());
    let body = json!({"token": sign(&claims("ada", common::START))}).to_string();
    let fields = [status(200), vec![set("sid=abc; Max-Age=9"), set("remember=1")]].concat();
    answer(fields, body.as_bytes());
    let own = [status(200), vec![set("theme=dark")]].concat();
    let private = ("cache-control".to_owned(), b"private, no-store".to_vec());
    let expected = [own.clone(), vec![set("sid=abc; Max-Age=9"), set("remember=1"), private]].concat();
    assert_eq!(respond(id, own), expected);
}

#[test]
fn nothing_in_a_trailer_section_says_who_a_request_is_from() {
    let upstream = json!({"claim_headers": {"x-user-id": "/sub"}, "remove_headers": ["x-internal-*"]});
    assert!(start(&minimal_with("/upstream", upstream)));
    let field = |name: &&str| ((*name).to_owned(), b"of-the-client".to_vec());
    let harmless = ["x-checksum", "grpc-status", "x-authorization", "x-user"].iter().map(field).collect::<Vec<_>>();
    let forged =
        ["authorization", "Authorization", "cookie", "x-user-id", "X_User_ID", "x_internal-y", "x-http-method"];
    for path in ["/api/x", "/feed", "/api/auth/x", "/hook"] {
        let id = request(get(path).cookie("sid=abc"));
        turn();
        if stream(id).state == StreamState::Paused {
            grant();
        }
        let sent = [harmless.clone(), forged.iter().map(field).collect()].concat();
        assert_eq!(trailers(id, sent), harmless, "{path}");
        end(id);
    }
}

#[test]
fn stream_is_closed_when_its_token_has_ended() {
    assert!(start(&minimal_with("/upstream/max_stream_age", json!("token"))));
    let [id, gone] = [(); 2].map(|()| request(get("/api/x").cookie("sid=abc")));
    turn();
    grant();
    end(gone);
    for _ in 0..899 {
        tick();
    }
    assert_eq!(stream(id).state, StreamState::Passed);
    tick();
    assert_eq!(stream(id).state, StreamState::Closed);
    end(id);
}

#[test]
fn followers_go_on_when_the_first_client_has_hung_up() {
    assert!(start(&minimal()));
    let first = request(get("/api/x").cookie("sid=abc"));
    let second = request(get("/api/x").cookie("sid=abc"));
    turn();
    end(first);
    assert_eq!(host(|host| host.callouts.len()), 1);
    let token = grant();
    assert_eq!(authorization(second), [format!("Bearer {token}")]);
}

#[test]
fn client_that_hangs_up_before_the_callout_costs_none() {
    assert!(start(&minimal()));
    let only = request(get("/api/x").cookie("sid=abc"));
    end(only);
    turn();
    assert!(host(|host| host.callouts.is_empty()));
}

#[test]
fn callout_the_host_refuses_is_answered_503() {
    assert!(start(&minimal()));
    host(|host| host.refuses_callouts = true);
    let id = request(get("/api/x").cookie("sid=abc"));
    turn();
    assert_eq!(replied(id), Some(503));
}

#[test]
fn reset_is_tried_again_and_then_answered_503() {
    assert!(start(&minimal()));
    let id = request(get("/api/x").cookie("sid=abc"));
    turn();
    answer(vec![], b"");
    assert_eq!(stream(id).state, StreamState::Paused);
    answer(vec![], b"");
    assert_eq!(replied(id), Some(503));
}

#[test]
fn callout_that_is_never_answered_ends_by_the_timer() {
    assert!(start(&minimal()));
    let id = request(get("/api/x").cookie("sid=abc"));
    turn();
    for _ in 0..11 {
        tick();
    }
    assert_eq!(replied(id), Some(503));
    grant();
    assert_eq!(replied(id), Some(503), "a late answer changes nothing");
}

#[test]
fn timer_makes_the_callout_when_the_queue_did_not_ring() {
    assert!(start(&minimal()));
    let id = request(get("/api/x").cookie("sid=abc"));
    tick();
    grant();
    assert_eq!(stream(id).state, StreamState::Passed);
}

#[test]
fn event_of_another_queue_or_callout_is_ignored() {
    assert!(start(&minimal()));
    let id = request(get("/api/x").cookie("sid=abc"));
    abi::queue_ready(ROOT, QUEUE + 1);
    assert!(host(|host| host.callouts.is_empty()));
    turn();
    grant();
    assert_eq!(stream(id).state, StreamState::Passed);
}

#[test]
fn two_hundred_requests_wait_for_one_callout() {
    assert!(start(&minimal()));
    let ids: Vec<_> = (0..200).map(|_| request(get("/api/x").cookie("sid=abc"))).collect();
    turn();
    assert_eq!(host(|host| host.callouts.len()), 1);
    let token = grant();
    assert!(ids.iter().all(|&id| authorization(id) == [format!("Bearer {token}")]));
}

#[test]
fn every_byte_in_any_field_is_answered() {
    assert!(start(&minimal()));
    for name in ["cookie", "authorization", "user-agent", ":path", ":method", "x-anything"] {
        for byte in 0x80..=0xff_u8 {
            let id = request(get("/api/x").cookie("sid=abc").with(name, [b'a', byte, b'b']));
            turn();
            end(id);
        }
    }
    let id = request(common::request("GET", "/api/x").cookie([b"sid=\xff".as_slice(), b"x"].concat()));
    assert_eq!(replied(id), Some(401));
}

#[test]
fn configuration_that_cannot_work_is_refused_with_place_and_mend() {
    assert!(!start(&minimal_with("/exchange/timeout", json!("40s"))));
    let errors = host(|host| host.logs.clone());
    let refused = "configuration refused: exchange.timeout: 40s is out of range; \"1ms\" to \"30s\" works";
    assert!(errors.contains(&(LogLevel::Error, refused.to_owned())), "{errors:?}");
}

#[test]
fn request_on_a_filter_that_has_no_configuration_is_denied() {
    assert!(!start(&json!({})));
    let id = request(get("/api/x"));
    assert_eq!(replied(id), Some(503));
}

#[test]
fn metrics_follow_within_a_tick_and_the_gauge_comes_back_to_zero() {
    assert!(start(&minimal()));
    request(get("/api/x"));
    request(get("/api/x").cookie("sid=abc"));
    turn();
    assert_eq!(metric("session_bearer_exchange_in_flight"), 1);
    grant();
    request(get("/api/x").cookie("sid=abc"));
    tick();
    for (name, count) in [
        ("denied_no_credential", 1),
        ("allowed_miss", 1),
        ("allowed_hit", 1),
        ("cache_entries", 1),
        ("exchange_callouts", 1),
        ("exchange_token", 1),
        ("exchange_in_flight", 0),
    ] {
        assert_eq!(metric(&format!("session_bearer_{name}")), count, "{name}");
    }
    let latency = host(|host| host.metrics.iter().find(|m| m.name.ends_with("latency_ms")).unwrap().recorded.len());
    assert_eq!(latency, 1);
}

#[test]
fn idle_tick_reports_nothing() {
    assert!(start(&minimal()));
    tick();
    host(|host| host.calls.clear());
    tick();
    assert!(!host(|host| host.calls.iter().any(|call| call.contains("metric"))));
}

/// A configuration with keys from an endpoint, and a client's own bearer as the credential.
fn with_endpoint() -> serde_json::Value {
    let mut config = minimal_with("/credentials", json!([{"bearer": {}}]));
    config.as_object_mut().unwrap().remove("exchange");
    let endpoint = json!({"cluster": "keys", "authority": "auth.internal", "path": "/jwks", "timeout": "3s"});
    common::set(&mut config, "/token/keys", json!({ "jwks": endpoint }));
    config
}

fn unusual(change: impl FnOnce(&mut Host)) -> Host {
    let mut host = Host::default();
    change(&mut host);
    host
}

const JWKS: &str =
    r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

#[test]
fn keys_are_fetched_by_the_root_before_anybody_asks() {
    assert!(start(&with_endpoint()));
    turn();
    let callout = host(|host| host.callouts[0].clone());
    assert_eq!((callout.cluster.as_str(), callout.timeout_millis), ("keys", 3000));
    assert!(callout.headers.contains(&(":path".to_owned(), "/jwks".to_owned())));
    answer(status(200), JWKS.as_bytes());
    assert_eq!(metric("session_bearer_keys_loaded"), 1);
    assert!(host(|host| host.logs.iter().any(|(_, line)| line.contains("1 keys in use"))));
}

#[test]
fn second_worker_takes_over_the_keys_the_first_has_fetched() {
    assert!(start(&with_endpoint()));
    turn();
    answer(status(200), JWKS.as_bytes());
    let shared = host(|host| host.shared.clone());
    let second = std::thread::spawn(move || {
        assert!(start_on(unusual(|host| host.shared = shared), &with_endpoint()));
        turn();
        (host(|host| host.callouts.len()), metric("session_bearer_keys_loaded"))
    });
    assert_eq!(second.join().unwrap(), (0, 1));
}

#[test]
fn shared_data_that_is_no_key_set_is_of_no_consequence() {
    let just_now = common::START.as_millis().to_be_bytes();
    let young = [&just_now[..], &[0; 8], b"{\"keys\": []}"].concat();
    let of_another_version = [&just_now[..], JWKS.as_bytes()].concat();
    for data in [
        young,
        of_another_version,
        vec![],
        vec![0; 7],
        vec![0; 8],
        vec![0; 16],
        [&[0; 16][..], JWKS.as_bytes()].concat(),
        vec![0xff; 500],
    ] {
        let worker = std::thread::spawn(move || {
            let shared = [("keys keys auth.internal /jwks".to_owned(), data)].into();
            assert!(start_on(unusual(|host| host.shared = shared), &with_endpoint()));
            turn();
            host(|host| host.callouts.len())
        });
        assert_eq!(worker.join().unwrap(), 1, "the keys are fetched all the same");
    }
}

#[test]
fn fetch_of_keys_the_host_refuses_is_tried_again() {
    assert!(start_on(unusual(|host| host.refuses_callouts = true), &with_endpoint()));
    let id = request(get("/api/x").with("authorization", "Bearer x"));
    turn();
    assert_eq!(replied(id), Some(401), "what cannot be a token waits for no keys");
    host(|host| host.refuses_callouts = false);
    tick();
    tick();
    assert_eq!(host(|host| host.callouts.len()), 1);
}

#[test]
fn nothing_secret_is_logged_at_any_level() {
    assert!(start(&minimal()));
    let canary = "canary-of-the-session";
    let mut tokens = Vec::new();
    for reply in [status(200), status(500), status(401)] {
        let id = request(
            get("/api/x")
                .cookie(format!("sid={canary}{}", tokens.len()))
                .with("authorization", "Bearer canary-of-the-client"),
        );
        turn();
        while host(|host| !host.callouts.is_empty()) {
            let token = sign(&claims("canary-subject", common::START));
            answer(reply.clone(), json!({"token": token, "note": "canary-of-the-body"}).to_string().as_bytes());
            tokens.push(token);
        }
        end(id);
        tick();
    }
    answer_with_forged_token();
    for (_, line) in host(|host| host.logs.clone()) {
        assert!(!line.contains("canary") && !line.contains(common::SECRET), "{line}");
        assert!(tokens.iter().all(|token| !line.contains(token.as_str())), "{line}");
    }
    assert!(host(|host| host.logs.len()) > 3, "something has to be logged for this to mean anything");
}

fn answer_with_forged_token() {
    request(get("/api/x").cookie("sid=another"));
    turn();
    answer(status(200), br#"{"token": "canary.of.forgery"}"#);
}

#[test]
fn outage_is_logged_once_a_second_with_a_count() {
    assert!(start(&minimal_with("/exchange/retries", json!(0))));
    for i in 0..50 {
        request(get("/api/x").cookie(format!("sid={i}")));
    }
    turn();
    while host(|host| !host.callouts.is_empty()) {
        answer(status(500), b"");
    }
    tick();
    let warnings =
        host(|host| host.logs.iter().filter(|(level, _)| *level == LogLevel::Warn).cloned().collect::<Vec<_>>());
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[1].1.contains("50 times"), "{warnings:?}");
}

#[test]
fn every_host_call_is_on_the_list_envoy_allows() {
    let allowed: BTreeSet<&str> =
        include_str!("../envoy/envoy.yaml").lines().filter_map(|line| line.trim().strip_suffix(": {}")).collect();
    let mut calls = BTreeSet::new();
    for scene in [
        session_is_exchanged_by_the_root_and_the_request_goes_on_with_its_bearer,
        set_cookie_of_the_auth_service_is_added_to_the_response_on_lines_of_its_own,
        sign_out_rings_for_the_other_workers_and_they_forget_the_session,
        stream_is_closed_when_its_token_has_ended,
        reset_is_tried_again_and_then_answered_503,
    ] {
        scene();
        tick();
        calls.extend(host(|host| host.calls.clone()));
    }
    assert!(calls.len() > 10 && calls.is_subset(&allowed), "not allowed: {:?}", calls.difference(&allowed));
}
