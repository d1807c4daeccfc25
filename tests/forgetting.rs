//! What responses tell: sessions that end, cookies that roll on, tokens the backend does not want, and
//! streams that end with their token.

mod common;
mod world;

use std::rc::Rc;
use std::time::Duration;

use common::shared::SharedMemory;
use common::{claims, get, minimal, minimal_with, request, sign};
use serde_json::{Value, json};
use session_bearer::stats::Counter;
use world::session::{ask, head, known, passed, token_at};
use world::{Fate, Reply, World};

const SECOND: Duration = Duration::from_secs(1);

fn ok() -> Reply {
    Reply::json(200, &json!({}))
}

/// Two workers of one process that both know the session.
fn two_workers(config: &Value) -> ([World; 2], Rc<SharedMemory>) {
    let shared = Rc::default();
    let mut workers = [World::beside(&shared, config, 1), World::beside(&shared, config, 2)];
    let token = token_at(&workers[0]);
    for world in &mut workers {
        world.exchange(head(), &Reply::token(&token));
        assert_eq!(ask(world), passed(&token));
    }
    (workers, shared)
}

#[test]
fn response_that_clears_or_replaces_the_session_cookie_ends_the_session_everywhere() {
    for line in [
        "sid=; Path=/",
        "sid=abc; Max-Age=0",
        "sid=abc; max-age=-1; Path=/",
        "sid=abc; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "sid=abc; expires=Thu, 01-Jan-1970 00:00:00 GMT",
        "sid=abc; Expires=Thursday, 01-Jan-70 00:00:00 GMT",
        "sid=abc; Max-Age=-99999999999999999999",
        "sid=abc; Max-Age=00",
        "sid=another; Path=/; HttpOnly",
        "old-sid=another",
    ] {
        for path in ["/api/x", "/api/auth/anything", "/feed"] {
            for slots in [0, 4096] {
                let ([mut here, mut there], _) = two_workers(&minimal_with("/cache/shared_slots", json!(slots)));
                let stream = here.request(get(path).cookie("sid=abc"));
                here.respond(stream, &ok().with("set-cookie", line));
                assert_eq!(ask(&mut here), Fate::Waiting, "{line}");
                assert!(here.rang_others, "{line}");
                there.catch_up();
                assert_eq!(ask(&mut there), Fate::Waiting, "{line}");
                assert_eq!(here.count(Counter::ForgottenSignedOut), 1);
            }
        }
    }
}

#[test]
fn worker_nobody_rang_for_learns_of_it_at_the_next_tick() {
    let ([mut here, mut there], _) = two_workers(&minimal());
    let stream = here.request(head());
    here.respond(stream, &ok().with("set-cookie", "sid="));
    there.ticks(1);
    assert_eq!(ask(&mut there), Fate::Waiting);
}

#[test]
fn response_that_says_nothing_about_the_session_ends_none() {
    for line in [
        "sid=abc; Path=/; Max-Age=600",
        "sid=abc; Max-Age=soon",
        "sid=abc; Max-Age=",
        "sid=abc; Max-Age=99999999999999999999",
        "sid=abc; Expires=Thu, 01 Jan 2970 00:00:00 GMT",
        "sid=abc; Expires=some day",
        "SID=; Path=/",
        "remember=; Path=/",
        "other=; Path=/",
        "sid",
        "=sid",
        "",
    ] {
        let (mut world, token) = known(&minimal());
        let stream = world.request(head());
        world.respond(stream, &ok().with("set-cookie", line));
        assert_eq!(ask(&mut world), passed(&token), "{line}");
        assert!(!world.rang_others);
    }
}

#[test]
fn successful_request_to_a_path_that_signs_out_ends_its_session() {
    let paths = json!(["/api/auth/sign-out", "/logout"]);
    for (path, status, ends) in [
        ("/api/auth/sign-out", 200, true),
        ("/api/auth/sign-out?then=/", 204, true),
        ("/api/auth/sign%2Dout", 200, true),
        ("/logout", 302, true),
        ("/logout", 500, false),
        ("/api/auth/sign-out", 404, false),
        ("/api/auth/sign-out/x", 200, false),
        ("/api/auth/sign-in", 200, false),
    ] {
        let (mut world, token) = known(&minimal_with("/cache/sign_out_paths", paths.clone()));
        let stream = world.request(request("POST", path).cookie("sid=abc").with("sec-fetch-site", "same-origin"));
        world.respond(stream, &Reply::json(status, &json!({})));
        let expected = if ends { Fate::Waiting } else { passed(&token) };
        assert_eq!(ask(&mut world), expected, "{path} {status}");
    }
}

#[test]
fn sign_out_ends_all_sessions_the_request_carried_also_those_that_contradict_each_other() {
    for cookies in ["sid=abc; old-sid=other", "old-sid=other; sid=abc", "sid=abc; sid=third; old-sid=other"] {
        for line in ["sid=; Max-Age=0", "old-sid=; Max-Age=0", "old-sid=new"] {
            let (mut world, token) = known(&minimal());
            let other = get("/api/x").cookie("old-sid=other");
            world.exchange(other.clone(), &Reply::token(&token));
            let stream = world.request(request("POST", "/api/auth/x").cookie(cookies));
            world.respond(stream, &ok().with("set-cookie", line));
            assert_eq!(ask(&mut world), Fate::Waiting, "{cookies}: {line}");
            let stream = world.request(other);
            assert_eq!(world.fate(stream), Fate::Waiting, "{cookies}: {line}");
        }
    }
}

#[test]
fn client_that_leaves_before_the_answer_to_its_sign_out_is_signed_out() {
    let (mut world, _) = known(&minimal());
    let stream = world.request(request("POST", "/api/auth/sign-out").cookie("sid=abc"));
    world.hang_up(stream);
    assert_eq!(ask(&mut world), Fate::Waiting);
    let (mut world, token) = known(&minimal());
    let stream = world.request(head());
    world.hang_up(stream);
    assert_eq!(ask(&mut world), passed(&token), "leaving another page is no sign-out");
}

#[test]
fn sign_out_whose_client_left_holds_although_the_auth_service_is_done_with_it_later() {
    for shared_slots in [1024, 0] {
        let ([mut first, mut second], _) = two_workers(&minimal_with("/cache/shared_slots", json!(shared_slots)));
        let stream = first.request(request("POST", "/api/auth/sign-out").cookie("sid=abc"));
        first.hang_up(stream);
        second.catch_up();
        // The auth service says what is true until it is done.
        let token = token_at(&second);
        assert_eq!(second.exchange(head(), &Reply::token(&token)), passed(&token));
        first.ticks(2);
        second.ticks(2);
        assert_eq!([ask(&mut first), ask(&mut second)], [Fate::Waiting, Fate::Waiting], "{shared_slots} slots");
    }
}

#[test]
fn sign_out_whose_client_left_is_not_repeated_for_ever() {
    let (mut world, _) = known(&minimal());
    let stream = world.request(request("POST", "/api/auth/sign-out").cookie("sid=abc"));
    world.hang_up(stream);
    world.ticks(15);
    let token = token_at(&world);
    assert_eq!(world.exchange(head(), &Reply::token(&token)), passed(&token));
    world.ticks(2);
    assert_eq!(ask(&mut world), passed(&token));
}

#[test]
fn sign_outs_of_made_up_sessions_are_told_once() {
    let ([mut first, _], shared) = two_workers(&minimal());
    for i in 0..100 {
        let stream = first.request(request("POST", "/api/auth/sign-out").cookie(format!("sid=made-up-{i}")));
        first.hang_up(stream);
    }
    first.ticks(14);
    let log = &shared.all()["session-bearer sign-outs"];
    assert_eq!(u64::from_be_bytes(*log.first_chunk().unwrap()), 100);
}

#[test]
fn repeated_sign_outs_outrun_no_worker_that_looks_at_each_tick() {
    let ([mut first, mut second], _) = two_workers(&minimal_with("/cache/shared_slots", json!(0)));
    for i in 0..1000 {
        let stream = first.request(request("POST", "/api/auth/sign-out").cookie(format!("sid=made-up-{i}")));
        first.hang_up(stream);
        second.catch_up();
    }
    for _ in 0..15 {
        first.ticks(1);
        second.ticks(1);
    }
    assert_ne!(ask(&mut second), Fate::Waiting);
}

#[test]
fn sign_out_the_others_can_never_be_told_of_is_given_up() {
    let ([mut first, _], shared) = two_workers(&minimal());
    shared.contended.set(true);
    let stream = first.request(request("POST", "/api/auth/sign-out").cookie("sid=abc"));
    first.respond(stream, &ok());
    first.ticks(15);
    assert_eq!(first.count(Counter::ForgottenHereOnly), 1);
    shared.contended.set(false);
    first.ticks(1);
    assert!(!shared.all().contains_key("session-bearer sign-outs"));
}

#[test]
fn sign_out_holds_although_a_cookie_that_can_be_no_session_comes_first() {
    let many: String = (0..9).map(|i| format!("sid=\"{i}\"; ")).collect();
    let many = format!("{many}sid=abc");
    for cookies in ["sid=; old-sid=abc", "sid=\"x\"; old-sid=abc", "sid=\"x\"; sid=abc", "sid=; sid=abc", &many] {
        let session = if cookies.contains("old-sid") { "old-sid=abc" } else { "sid=abc" };
        let mut world = World::new();
        let token = token_at(&world);
        assert_eq!(world.exchange(get("/api/x").cookie(session), &Reply::token(&token)), passed(&token));
        let stream = world.request(request("POST", "/api/auth/sign-out").cookie(cookies));
        world.respond(stream, &ok());
        let stream = world.request(get("/api/x").cookie(session));
        assert_eq!(world.fate(stream), Fate::Waiting, "{cookies}");
    }
}

#[test]
fn response_that_has_the_browser_clear_its_cookies_ends_the_session() {
    for (value, ends) in [
        ("\"cookies\"", true),
        ("\"cache\", \"cookies\"", true),
        ("\"*\"", true),
        ("\"storage\"", false),
        ("cookies", false),
    ] {
        let (mut world, token) = known(&minimal());
        let stream = world.request(request("POST", "/api/auth/bye").cookie("sid=abc"));
        world.respond(stream, &ok().with("clear-site-data", value));
        assert_eq!(ask(&mut world), if ends { Fate::Waiting } else { passed(&token) }, "{value}");
    }
}

#[test]
fn sign_out_the_others_could_not_be_told_of_is_told_at_the_next_tick() {
    let ([mut first, mut second], shared) = two_workers(&minimal());
    shared.contended.set(true);
    let stream = first.request(request("POST", "/api/auth/sign-out").cookie("sid=abc"));
    first.respond(stream, &ok());
    assert_eq!(ask(&mut first), Fate::Waiting);
    assert_eq!(first.count(Counter::ForgottenHereOnly), 1);
    shared.contended.set(false);
    first.ticks(1);
    second.catch_up();
    assert_eq!(ask(&mut second), Fate::Waiting);
    first.ticks(5);
    let log = &shared.all()["session-bearer sign-outs"];
    assert_eq!(u64::from_be_bytes(*log.first_chunk().unwrap()), 1, "it is told once");
}

#[test]
fn exchange_under_way_cannot_bring_back_a_session_that_ended_meanwhile() {
    let mut world = World::new();
    let waits = world.request(head());
    let stream = world.request(request("POST", "/api/auth/sign-out").cookie("sid=abc"));
    world.respond(stream, &ok());
    let follows = world.request(head());
    let old = token_at(&world);
    world.answer(&Reply::token(&old));
    assert_eq!((world.fate(waits), world.fate(follows)), (Fate::Waiting, Fate::Waiting), "it is asked again");
    world.answer(&Reply::json(401, &json!({})));
    assert_eq!((world.fate(waits), world.fate(follows)), (Fate::Answered(401), Fate::Answered(401)));
    assert_eq!(world.count(Counter::ExchangeCallouts), 2);
}

#[test]
fn exchange_under_way_on_another_worker_cannot_either_even_if_it_has_not_been_rung_for() {
    let shared = Rc::default();
    let [mut here, mut there] = [0, 1].map(|random| World::beside(&shared, &minimal(), random));
    let waits = there.request(head());
    let stream = here.request(request("POST", "/api/auth/sign-out").cookie("sid=abc"));
    here.respond(stream, &ok());
    let old = token_at(&there);
    there.answer(&Reply::token(&old));
    assert_eq!(there.fate(waits), Fate::Waiting, "it is asked again");
    assert_eq!(ask(&mut here), Fate::Waiting, "nor is it in what they share");
}

#[test]
fn refresh_under_way_is_dropped_with_its_session() {
    let (mut world, _) = known(&minimal());
    world.pass(SECOND * 55);
    ask(&mut world);
    let stream = world.request(request("POST", "/api/auth/sign-out").cookie("sid=abc"));
    world.respond(stream, &ok());
    let old = token_at(&world);
    world.answer(&Reply::token(&old));
    assert_eq!((world.callouts().len(), world.authenticator.in_flight()), (0, 0));
    assert_eq!(ask(&mut world), Fate::Waiting);
}

#[test]
fn session_that_begins_with_a_refused_value_is_let_in_at_once() {
    for old in ["sid=new-value", "sid=before"] {
        let mut world = World::new();
        let refused = get("/api/x").cookie("sid=new-value");
        assert_eq!(world.exchange(refused.clone(), &Reply::json(401, &json!({}))), Fate::Answered(401));
        let stream = world.request(request("POST", "/api/auth/sign-in").cookie(old));
        world.respond(stream, &ok().with("set-cookie", "sid=new-value; Path=/"));
        let token = token_at(&world);
        assert_eq!(world.exchange(refused, &Reply::token(&token)), passed(&token), "{old}");
    }
}

#[test]
fn worker_that_missed_more_than_the_log_holds_forgets_everything() {
    let ([mut here, mut there], _) = two_workers(&minimal_with("/cache/shared_slots", json!(0)));
    for i in 0..600 {
        let stream = here.request(request("POST", "/api/auth/sign-out").cookie(format!("sid=other-{i}")));
        here.respond(stream, &ok());
    }
    there.catch_up();
    assert_eq!(ask(&mut there), Fate::Waiting);
    assert!(matches!(ask(&mut here), Fate::Passed { .. }), "who has missed nothing has nothing to forget");
}

#[test]
fn backend_that_does_not_want_a_token_has_the_session_exchanged_once_more_and_not_for_ever() {
    let (mut world, old) = known(&minimal());
    for i in 0..20 {
        let reply = Reply::token(&token_at(&world));
        assert_ne!(world.exchange(head(), &reply), Fate::Answered(401));
        let stream = world.request(head());
        let edits = world.respond(stream, &Reply::json(401, &json!({})));
        assert!(edits.set_cookies.is_empty());
        world.pass(SECOND);
        assert_eq!(world.count(Counter::ExchangeCallouts), if i == 0 { 1 } else { 2 });
    }
    assert_ne!(passed(&old), passed(&token_at(&world)));
    assert_eq!(world.count(Counter::ForgottenUpstream401), 1);
}

#[test]
fn token_the_backend_does_not_want_from_any_worker_is_exchanged_once_for_all() {
    let ([mut first, mut second], _) = two_workers(&minimal());
    let streams = [first.request(head()), second.request(head())];
    first.respond(streams[0], &Reply::json(401, &json!({})));
    let renewed = Reply::token(&token_at(&first));
    assert_ne!(first.exchange(head(), &renewed), Fate::Answered(401));
    second.respond(streams[1], &Reply::json(401, &json!({})));
    for world in [&mut first, &mut second] {
        assert_eq!(ask(world), passed(&token_at(world)));
        assert_eq!(world.callouts().len(), 0);
    }
}

#[test]
fn worker_that_was_rung_before_its_own_401_takes_the_new_token_over_too() {
    let ([mut first, mut second], _) = two_workers(&minimal());
    let streams = [first.request(head()), second.request(head())];
    first.respond(streams[0], &Reply::json(401, &json!({})));
    second.catch_up();
    let renewed = Reply::token(&token_at(&first));
    assert_ne!(first.exchange(head(), &renewed), Fate::Answered(401));
    second.respond(streams[1], &Reply::json(401, &json!({})));
    for world in [&mut first, &mut second] {
        world.catch_up();
        assert_eq!(ask(world), passed(&token_at(world)));
        assert_eq!(world.callouts().len(), 0);
    }
}

#[test]
fn session_that_ended_before_its_request_is_exchanged_anew_after_a_401_all_the_same() {
    let (mut world, token) = known(&minimal());
    let stream = world.request(request("POST", "/api/auth/sign-out").cookie("sid=abc"));
    world.respond(stream, &ok());
    assert_eq!(world.exchange(head(), &Reply::token(&token)), passed(&token));
    let stream = world.request(head());
    world.respond(stream, &Reply::json(401, &json!({})));
    assert_eq!(ask(&mut world), Fate::Waiting);
}

#[test]
fn token_the_backend_does_not_want_is_kept_while_no_other_can_be_had() {
    let (mut world, token) = known(&minimal_with("/exchange/retries", json!(0)));
    world.pass(SECOND * 55);
    let stream = world.request(head());
    world.answer(&Reply::reset());
    world.respond(stream, &Reply::json(401, &json!({})));
    assert_eq!(ask(&mut world), passed(&token));
}

#[test]
fn response_401_to_a_request_without_a_session_token_forgets_nothing() {
    let config = minimal_with("/credentials", json!([{"bearer": {}}, {"session_cookie": {"names": ["sid"]}}]));
    let (mut world, token) = known(&config);
    let own = world.request(head().with("authorization", format!("Bearer {token}")));
    let off = world.request(get("/api/auth/me").cookie("sid=abc"));
    for stream in [own, off] {
        world.respond(stream, &Reply::json(401, &json!({})));
    }
    assert_eq!(ask(&mut world), passed(&token));
    let stream = world.request(head());
    world.respond(stream, &Reply::json(403, &json!({})));
    assert_eq!(ask(&mut world), passed(&token));
}

const ROLLED: [&str; 2] = ["sid=abc; Max-Age=604800; Path=/; HttpOnly", "remember=1; Path=/"];

fn rolling(reply: Reply) -> Reply {
    let reply = reply.with("set-cookie", "sid=abc; Max-Age=604800; Path=/; HttpOnly").with("set-cookie", "theme=dark");
    reply.with("set-cookie", "remember=1; Path=/").with("set-cookie", "sid=\u{e9}")
}

#[test]
fn session_cookie_the_auth_service_rolls_on_reaches_the_first_who_waited_and_nobody_else() {
    let mut world = World::new();
    let gone = world.request(head());
    let waiting: Vec<_> = (0..10).map(|_| world.request(head())).collect();
    world.hang_up(gone);
    let token = token_at(&world);
    world.answer(&rolling(Reply::token(&token)));
    for (i, &stream) in waiting.iter().enumerate() {
        let edits = world.respond(stream, &ok());
        assert_eq!(edits.set_cookies, if i == 0 { ROLLED.to_vec() } else { vec![] }, "request {i}");
        assert!(world.respond(stream, &ok()).set_cookies.is_empty(), "once");
    }
    let later = world.request(head());
    assert!(world.respond(later, &ok()).set_cookies.is_empty(), "not from the cache");
    assert_eq!(world.count(Counter::SetCookiesRelayed), 2);
}

#[test]
fn cookies_are_set_along_with_a_refusal_too() {
    let mut world = World::new();
    let [first, second] = [(); 2].map(|()| world.request(head()));
    world.answer(&Reply::json(401, &json!({})).with("set-cookie", "sid=; Max-Age=0"));
    let lines = |world: &World, stream| {
        let headers = &world.local_reply(stream).headers;
        headers.iter().filter(|(name, _)| *name == "set-cookie").map(|(_, line)| line.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(lines(&world, first), ["sid=; Max-Age=0"]);
    assert!(lines(&world, second).is_empty());
    let mut world = World::new();
    let anonymous = world.request(get("/feed").cookie("sid=abc"));
    world.answer(&Reply::json(401, &json!({})).with("set-cookie", "sid=; Max-Age=0"));
    assert_eq!(world.respond(anonymous, &ok()).set_cookies, ["sid=; Max-Age=0"]);
}

#[test]
fn answer_that_is_none_and_a_token_that_does_not_verify_set_no_cookies() {
    for reply in [
        Reply::json(500, &json!({})),
        Reply::json(404, &json!({})),
        Reply::new(200, "text/html", ""),
        Reply::token("not.a.token"),
    ] {
        let mut world = World::with(&minimal_with("/exchange/retries", json!(0)));
        let stream = world.request(head());
        world.answer(&rolling(reply));
        assert!(world.local_reply(stream).headers.iter().all(|(name, _)| *name != "set-cookie"));
    }
}

#[test]
fn relay_can_be_turned_off() {
    let mut world = World::with(&minimal_with("/exchange/relay_set_cookie", json!(false)));
    let stream = world.request(head());
    let token = token_at(&world);
    world.answer(&rolling(Reply::token(&token)));
    assert!(world.respond(stream, &ok()).set_cookies.is_empty());
}

#[test]
fn refresh_sets_cookies_with_the_response_to_the_request_that_caused_it_if_that_is_still_to_come() {
    for answered_first in [true, false] {
        let (mut world, _) = known(&minimal());
        world.pass(SECOND * 55);
        let cause = world.request(head());
        let other = world.request(head());
        let token = token_at(&world);
        if answered_first {
            assert!(world.respond(cause, &ok()).set_cookies.is_empty());
            world.answer(&rolling(Reply::token(&token)));
        } else {
            world.answer(&rolling(Reply::token(&token)));
            assert_eq!(world.respond(cause, &ok()).set_cookies, ROLLED);
        }
        assert!(world.respond(other, &ok()).set_cookies.is_empty());
    }
}

#[test]
fn what_the_backend_says_about_a_cookie_is_not_undone_by_what_the_auth_service_said_before() {
    let mut world = World::new();
    let stream = world.request(head());
    let token = token_at(&world);
    world.answer(&rolling(Reply::token(&token)));
    let edits = world.respond(stream, &ok().with("set-cookie", "sid=; Max-Age=0"));
    assert_eq!(edits.set_cookies, ["remember=1; Path=/"]);
}

#[test]
fn response_for_one_user_is_kept_from_caches_unless_the_backend_says_otherwise() {
    let private = Some("private, no-store");
    let config = minimal_with("/credentials", json!([{"bearer": {}}, {"session_cookie": {"names": ["sid"]}}]));
    let (mut world, token) = known(&config);
    let own = get("/api/x").with("authorization", format!("Bearer {token}"));
    for (head, said, expected) in [
        (head(), None, private),
        (head(), Some(""), private),
        (head(), Some("public, max-age=60"), None),
        (own, None, private),
        (get("/feed"), None, None),
        (get("/api/auth/x").cookie("sid=abc"), None, None),
        (get("/feed").cookie("sid=abc"), None, private),
    ] {
        let stream = world.request(head);
        let reply = said.into_iter().fold(ok(), |reply, said| reply.with("cache-control", said));
        assert_eq!(world.respond(stream, &reply).cache_control, expected);
        assert_eq!(world.respond(stream, &reply).cache_control, None, "once");
    }
}

#[test]
fn stream_ends_with_its_token_where_that_is_wanted_and_only_there() {
    for (age, expected) in [(json!("token"), 1), (json!(null), 0)] {
        let mut world = World::with(&minimal_with("/upstream/max_stream_age", age));
        let mut short = claims("ada", world.now);
        short["exp"] = json!(world.now.as_millis() / 1000 + 60);
        world.exchange(head(), &Reply::token(&sign(&short)));
        let [stream, finished] = [(); 2].map(|()| world.request(head()));
        let anonymous = world.request(get("/feed"));
        world.respond(stream, &Reply::json(101, &json!({})));
        world.hang_up(finished);
        world.hang_up(1);
        world.ticks(59);
        assert_eq!(world.closed.len(), 0);
        world.ticks(1);
        assert_eq!(world.closed.len(), expected);
        assert!(!world.closed.contains(&anonymous) && !world.closed.contains(&finished));
        world.ticks(10);
        assert_eq!(world.closed.len(), expected, "once");
        assert_eq!(world.count(Counter::StreamsClosed), expected as u64);
    }
}
