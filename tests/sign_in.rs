//! Where a person without a session is sent, and that the way back never leaves the site.

mod common;
mod world;

use common::{Head, claims, get, minimal_with, request, set, sign};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};
use session_bearer::stats::Counter;
use url::Url;
use world::{Fate, Reply, World, values};

fn config() -> Value {
    let mut config = minimal_with("/unauthenticated", json!({"sign_in": {"location": "/api/auth/sign-in"}}));
    set(&mut config, "/csrf/trusted_origins", json!(["https://app.example"]));
    config
}

fn navigation(target: &str) -> Head {
    get(target).with("sec-fetch-mode", "navigate").with("accept", "text/html,*/*;q=0.8")
}

/// The `Location` a request is answered with, if it is sent anywhere.
fn location(world: &mut World, head: Head) -> Option<String> {
    let stream = world.request(head);
    while !world.callouts().is_empty() {
        world.answer(&Reply::json(401, &json!({})));
    }
    match world.fate(stream) {
        Fate::Answered(302) => {
            let reply = world.local_reply(stream);
            assert!(reply.headers.contains(&("cache-control", "no-store".into())));
            Some(reply.headers.iter().find(|(name, _)| *name == "location").unwrap().1.to_string())
        }
        Fate::Answered(_) | Fate::Passed { .. } => None,
        fate => panic!("{fate:?}"),
    }
}

#[test]
fn navigation_is_sent_to_sign_in_and_everything_else_is_answered_401() {
    let sent = Some("/api/auth/sign-in?return_to=/api/x".to_owned());
    let html = "text/html,application/xhtml+xml";
    let head = |method, fields: &[(&str, &str)]| {
        fields.iter().fold(request(method, "/api/x"), |head, (name, value)| head.with(name, value))
    };
    for (head, expected) in [
        (head("GET", &[("sec-fetch-mode", "navigate")]), &sent),
        (head("HEAD", &[("sec-fetch-mode", "navigate")]), &sent),
        (head("GET", &[("accept", html)]), &sent),
        (head("GET", &[("accept", "TEXT/HTML")]), &sent),
        (head("GET", &[("accept", html), ("sec-fetch-mode", "cors")]), &None),
        (head("GET", &[("accept", html), ("sec-fetch-mode", "no-cors")]), &None),
        (head("GET", &[("accept", html), ("x-requested-with", "XMLHttpRequest")]), &None),
        (head("GET", &[("accept", "*/*")]), &None),
        (head("GET", &[("accept", "application/json")]), &None),
        (head("GET", &[]), &None),
        (head("POST", &[("sec-fetch-mode", "navigate"), ("accept", html)]), &None),
        (head("GET", &[("sec-fetch-mode", "navigate"), ("upgrade", "websocket")]), &None),
    ] {
        let mut world = World::with(&config());
        let told = format!("{:?}", head.0);
        assert_eq!(location(&mut world, head.clone()), *expected, "{told}");
        let with_session = head.cookie("sid=refused").with("origin", "https://app.example");
        assert_eq!(location(&mut world, with_session), *expected, "{told}");
        assert_eq!(world.count(Counter::SentToSignIn), if expected.is_some() { 2 } else { 0 });
    }
}

#[test]
fn only_what_signing_in_would_mend_is_sent_there() {
    let mut config = config();
    set(&mut config, "/credentials", json!([{"bearer": {}}, {"session_cookie": {"names": ["sid"]}}]));
    let mut world = World::with(&config);
    assert_eq!(location(&mut world, navigation("/feed")), None, "an optional route lets it pass");
    assert_eq!(location(&mut world, navigation("/api/auth/x")), None, "an off route too");
    assert_eq!(location(&mut world, navigation("/api/x").with("authorization", "Bearer x")), None);
    let two = world.request(navigation("/api/x").cookie("sid=a; sid=b"));
    assert_eq!(world.fate(two), Fate::Answered(400));
    let down = world.request(navigation("/api/x").cookie("sid=a"));
    world.answer(&Reply::json(404, &json!({})));
    assert_eq!(world.fate(down), Fate::Answered(503));
    let impossible = location(&mut world, navigation("/api/x").cookie("sid=\""));
    assert_eq!(impossible.as_deref(), Some("/api/auth/sign-in?return_to=/api/x"));
    let token = sign(&claims("ada", world.now));
    let known = world.request(navigation("/api/x").cookie("sid=b"));
    world.answer(&Reply::token(&token));
    assert_eq!(values(world.upstream(known), "authorization").len(), 1);
}

#[test]
fn token_cookie_that_is_not_accepted_is_replaced_by_signing_in_and_a_bearer_is_not() {
    let mut config = config();
    set(&mut config, "/credentials", json!([{"bearer": {}}, {"token_cookie": {"names": ["access_token"]}}]));
    config.as_object_mut().unwrap().remove("exchange");
    let mut world = World::with(&config);
    let mut expired = claims("ada", world.now);
    set(&mut expired, "/exp", json!(1));
    let cookie = format!("access_token={}", sign(&expired));
    for (target, sent) in
        [("/api/x", "/api/auth/sign-in?return_to=/api/x"), ("/feed", "/api/auth/sign-in?return_to=/feed")]
    {
        assert_eq!(location(&mut world, navigation(target).cookie(&cookie)).as_deref(), Some(sent));
        assert_eq!(location(&mut world, get(target).cookie(&cookie)), None);
        let both = navigation(target).with("authorization", format!("Bearer {}", sign(&expired))).cookie(&cookie);
        assert_eq!(location(&mut world, both), None);
    }
    assert_eq!(world.count(Counter::DeniedInvalidToken), 6);
    assert_eq!(world.count(Counter::SentToSignIn), 2);
}

#[test]
fn way_back_is_told_whole_and_in_the_form_of_the_location() {
    for (location_, param, expected) in [
        ("/api/auth/sign-in", "return_to", "/api/auth/sign-in?return_to=/a/b%3Fq%3D1%26r%3D%C3%BC"),
        ("/api/auth/sign-in?theme=dark", "next", "/api/auth/sign-in?theme=dark&next=/a/b%3Fq%3D1%26r%3D%C3%BC"),
        ("https://sso.example/in", "return_to", "https://sso.example/in?return_to=/a/b%3Fq%3D1%26r%3D%C3%BC"),
    ] {
        let sign_in = json!({"location": location_, "return_to_param": param});
        let mut world = World::with(&minimal_with("/unauthenticated/sign_in", sign_in));
        assert_eq!(location(&mut world, navigation("/a/b?q=1&r=ü")).as_deref(), Some(expected));
    }
}

#[test]
fn cookies_that_come_with_a_refusal_are_set_with_the_redirect_too() {
    let mut world = World::with(&config());
    let stream = world.request(navigation("/api/x").cookie("sid=abc"));
    world.answer(&Reply::json(401, &json!({})).with("set-cookie", "sid=; Max-Age=0"));
    let reply = world.local_reply(stream);
    assert!(reply.status == 302 && reply.headers.contains(&("set-cookie", "sid=; Max-Age=0".into())));
}

/// Where a browser goes that is sent back, however often whoever sends it has decoded the way.
fn hosts_reached(way_back: &str) -> Vec<String> {
    let site = Url::parse("https://app.example/").unwrap();
    let mut read = way_back.to_owned();
    let mut hosts = Vec::new();
    for _ in 0..3 {
        if let Ok(url) = site.join(&read) {
            hosts.push(url.host_str().unwrap_or(url.scheme()).to_owned());
            // Some pages take the path out of it and go there.
            hosts.extend(site.join(url.path()).ok().and_then(|url| url.host_str().map(str::to_owned)));
        }
        read = percent_decode_str(&read).decode_utf8_lossy().into_owned();
    }
    hosts
}

#[test]
fn way_back_never_leaves_the_site_however_it_is_decoded() {
    let vectors = include_str!("vectors/open-redirect/openredirects.txt").lines().filter(|line| !line.is_empty());
    let once = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let own = [
        "/\t/evil.example",
        "/a/../..//evil.example",
        "/.//evil.example",
        "/;//evil.example",
        "/a/..",
        "/%252e%252e//x",
    ];
    let mut told = 0;
    for vector in vectors.chain(own) {
        for spelled in [
            vector.to_owned(),
            once(vector),
            once(&once(vector)),
            vector.replace('/', "%2f"),
            vector.replace('/', "%252f"),
        ] {
            for target in [spelled.clone(), format!("/{spelled}"), format!("/page/{spelled}")] {
                let mut world = World::with(&config());
                let Some(location) = location(&mut world, navigation(&target)) else { continue };
                let Some(back) = location.strip_prefix("/api/auth/sign-in?return_to=") else {
                    assert_eq!(location, "/api/auth/sign-in", "the redirect itself stays");
                    continue;
                };
                told += 1;
                let back = percent_decode_str(back).decode_utf8().unwrap();
                assert_eq!(back, target);
                assert!(
                    hosts_reached(&back).iter().all(|host| host == "app.example"),
                    "{target}: {:?}",
                    hosts_reached(&back)
                );
            }
        }
    }
    assert!(told > 50, "{told}: a check that drops everything would pass too");
}

#[test]
fn ordinary_ways_back_are_not_dropped() {
    for target in [
        "/",
        "/a",
        "/a/",
        "/a/b.html",
        "/a?b=c&d=e%20f",
        "/b%C3%BCcher",
        "/a?next=https%3A%2F%2Fother.example%2F",
        "/~ada/x-y_z",
    ] {
        let mut world =
            World::with(&minimal_with("/unauthenticated/sign_in", json!({"location": "/api/auth/sign-in"})));
        let location = location(&mut world, navigation(target)).unwrap();
        let back =
            location.strip_prefix("/api/auth/sign-in?return_to=").unwrap_or_else(|| panic!("{target}: {location}"));
        assert_eq!(percent_decode_str(back).decode_utf8().unwrap(), target);
    }
}
