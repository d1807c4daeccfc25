//! Any head of a request, through the whole decision, twice: method and target on the first line, then a field on
//! each. `@ada`, `@eve` and `@old` in a value stand for a good token, a forged one, and one that has expired.
//!
//! Whatever it is, the backend sees no credential but one of ours with proof for it in the head, nothing of the
//! client's where we speak, and everything else as it was sent.

#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/world/mod.rs"]
mod world;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::LazyLock;

use common::shared::SharedMemory;
use common::{Head, SECRET, START, claims, minimal, set, sign, sign_with};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use session_bearer::authenticator::Authenticator;
use session_bearer::config::Config;
use session_bearer::request::Field;
use session_bearer::stats::Counter;
use session_bearer::token::signature::InModule;
use session_bearer_fuzz::cookies;
use world::{Fate, Reply, World};

const OURS: &str = "https://app.example";
const COOKIES: [&str; 4] = ["sid", "old-sid", "remember", "token"];

/// Who can be signed in: the value of the session cookie, the role, and the token.
static USERS: LazyLock<[(&str, &str, String); 2]> = LazyLock::new(|| {
    [("ada", "user"), ("bob", "admin")].map(|(name, role)| {
        let mut claims = claims(name, START);
        claims["role"] = json!(role);
        (name, role, sign(&claims))
    })
});

static STAND_INS: LazyLock<[(&str, String); 3]> = LazyLock::new(|| {
    let forged = sign_with(&json!({"alg": "HS256"}), &claims("ada", START), &SECRET.to_uppercase());
    let mut expired = claims("ada", START);
    expired["exp"] = json!(1_600_000_000);
    [("@ada", USERS[0].2.clone()), ("@eve", forged), ("@old", sign(&expired))]
});

/// Every part of the configuration that looks at a head; and the same where cookies come first and stay.
static CONFIGS: LazyLock<[Value; 2]> = LazyLock::new(|| {
    let mut config = minimal();
    let session = config["credentials"][0].clone();
    let (bearer, token) = (json!({"bearer": {}}), json!({"token_cookie": {"names": ["token"]}}));
    set(&mut config, "/credentials", json!([bearer, session, token]));
    set(&mut config, "/csrf", json!({"trusted_origins": [OURS]}));
    set(&mut config, "/upstream/claim_headers", json!({"x-user-id": "/sub", "x-user-role": "/role"}));
    set(&mut config, "/upstream/remove_headers", json!(["x-internal-*"]));
    let require = json!({"claims": {"role": "admin"}});
    let admin = json!({"match": {"prefix": "/admin"}, "auth": "required", "require": require});
    let open = json!({"match": {"template": "/users/{id}/open", "hosts": ["app.example"]}, "auth": "off"});
    config["routes"].as_array_mut().unwrap().extend([admin, open]);
    set(&mut config, "/cache/max_entries", json!(16));
    set(&mut config, "/cache/shared_slots", json!(0));
    let mut other = config.clone();
    set(&mut config, "/unauthenticated/sign_in", json!({"location": "/signin"}));
    set(&mut other, "/credentials", json!([token, session, bearer]));
    set(&mut other, "/upstream/remove_session_cookie", json!(false));
    [config, other]
});

/// What a route lets pass without a credential, judged by the target as it was sent.
#[derive(Clone, Copy, PartialEq)]
enum Leave {
    None,
    Optional,
    Off,
    OffWithAuthorization,
}

/// A world for each configuration, and whether cookies come first there. Reading a configuration takes longer than
/// many decisions, so each input gets nothing new but the part that remembers.
struct Place {
    world: World,
    config: Rc<Config>,
    cookies_decide: bool,
}

thread_local! {
    static PLACES: RefCell<[Place; 2]> = RefCell::new([(0, false), (1, true)].map(|(i, cookies_decide)| {
        let config = common::read(&CONFIGS[i]).unwrap_or_else(|problems| panic!("{problems:?}"));
        Place { world: World::with(&CONFIGS[i]), config: Rc::new(config), cookies_decide }
    }));
}

fuzz_target!(|data: &[u8]| {
    let fields = fields(data);
    PLACES.with_borrow_mut(|places| {
        for Place { world, config, cookies_decide } in places {
            let shared: Rc<SharedMemory> = Rc::default();
            world.authenticator = Authenticator::new(Rc::clone(config), Rc::new(InModule), shared, 0);
            let first = look(world, &fields, *cookies_decide);
            let second = look(world, &fields, *cookies_decide);
            assert_eq!(first, second, "a request is decided otherwise the second time");
            world.forget_settled_but(&BTreeSet::new());
        }
    });
});

/// The head, with names in lower case as Envoy hands them over.
fn fields(data: &[u8]) -> Vec<Field> {
    let mut lines = data.split(|&byte| byte == b'\n');
    let (method, target) = split(lines.next().unwrap_or_default(), b' ', 0);
    let rest = lines.map(|line| {
        let (name, value) = split(line, b':', 1);
        let value = STAND_INS.iter().fold(value.to_vec(), |value, (name, token)| replaced(&value, name, token));
        (String::from_utf8_lossy(name).to_ascii_lowercase(), value)
    });
    let start = [(":method".to_owned(), method.to_vec()), (":path".to_owned(), target.to_vec())];
    start.into_iter().chain(rest).collect()
}

fn split(bytes: &[u8], separator: u8, from: usize) -> (&[u8], &[u8]) {
    let at = bytes.iter().skip(from).position(|&byte| byte == separator).map_or(bytes.len(), |at| at + from);
    (&bytes[..at], bytes.get(at + 1..).unwrap_or_default())
}

fn replaced(value: &[u8], name: &str, token: &str) -> Vec<u8> {
    let at = value.windows(name.len()).position(|window| window == name.as_bytes());
    at.map_or(value.to_vec(), |at| [&value[..at], token.as_bytes(), &value[at + name.len()..]].concat())
}

/// Sends the request, lets the auth service answer, and looks at what became of it.
fn look(world: &mut World, fields: &[Field], cookies_decide: bool) -> (Fate, Vec<Field>) {
    let asked = world.count(Counter::ExchangeCallouts);
    let stream = world.request(Head(fields.to_vec()));
    while let [callout, ..] = world.callouts().as_slice() {
        look_at_callout(callout, fields);
        let reply = reply_to(callout);
        world.answer(&reply);
    }
    let fate = world.fate(stream);
    let upstream = match &fate {
        Fate::Passed { .. } => {
            look_at_upstream(world.upstream(stream), fields, cookies_decide);
            world.upstream(stream).to_vec()
        }
        Fate::Answered(status) => {
            let was_asked = world.count(Counter::ExchangeCallouts) > asked;
            assert!(matches!(status, 302 | 400 | 401 | 403 | 503));
            assert!(*status != 400 || !was_asked, "the auth service was asked about an ambiguous request");
            let to = world.local_reply(stream).headers.iter().find(|(name, _)| *name == "location");
            assert!(
                to.is_none_or(|(_, to)| *status == 302 && (to == "/signin" || to.starts_with("/signin?return_to=/")))
            );
            Vec::new()
        }
        fate => panic!("{fate:?}"),
    };
    (fate, upstream)
}

fn reply_to(callout: &[(String, String)]) -> Reply {
    let (_, cookie) = callout.iter().find(|(name, _)| name == "cookie").unwrap();
    let session = cookie.split(';').next().unwrap().split_once('=').unwrap().1;
    match USERS.iter().find(|(name, ..)| *name == session) {
        Some((.., token)) => Reply::token(token),
        None if session == "down" => Reply::reset(),
        None if session == "busy" => Reply::json(429, &json!({})).with("retry-after", "2"),
        None if session == "odd" => Reply::token("not.a.token"),
        None => Reply::json(401, &json!({})),
    }
}

/// The callout holds a session of the head, and nothing else of the client's that could count.
fn look_at_callout(callout: &[(String, String)], fields: &[Field]) {
    for (name, value) in callout {
        let from_client = ["user-agent", "x-request-id", "traceparent", "tracestate", "b3"].contains(&name.as_str());
        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        match name.as_str() {
            "cookie" => assert!(value.split("; ").all(|pair| {
                let (name, value) = pair.split_once('=').unwrap();
                pairs(fields).contains(&(name.as_bytes(), value.as_bytes())) && COOKIES[..3].contains(&name)
            })),
            ":method" | ":path" | ":authority" | "accept" | "cache-control" | "x-forwarded-for" => {}
            _ => assert!(from_client, "{name} went along"),
        }
    }
}

fn look_at_upstream(upstream: &[Field], fields: &[Field], cookies_decide: bool) {
    let leave = leave(fields);
    let bearers = read_as(upstream, "authorization");
    if leave == Leave::OffWithAuthorization {
        assert_eq!(bearers, read_as(fields, "authorization"));
    }
    let user = match bearers.as_slice() {
        _ if leave == Leave::OffWithAuthorization => None,
        [] => {
            assert!(leave != Leave::None, "a request passed without a credential");
            None
        }
        [(name, bearer)] => {
            let user = USERS.iter().find(|(.., token)| *bearer == format!("Bearer {token}").into_bytes());
            assert_eq!(name, "authorization");
            Some(user.expect("the client's own Authorization reached the backend"))
        }
        _ => panic!("more than one Authorization reached the backend"),
    };
    if let Some((name, _, token)) = user {
        look_at_proof(fields, name, token);
        look_at_origin(upstream, fields, cookies_decide);
    }
    assert_eq!(texts(&read_as(upstream, "x-user-id")), user.map_or(vec![], |(name, ..)| vec![*name]));
    assert_eq!(texts(&read_as(upstream, "x-user-role")), user.map_or(vec![], |(_, role, _)| vec![*role]));
    let is_for_admins = value(fields, ":path").starts_with(b"/admin/");
    assert!(!is_for_admins || user.is_none_or(|(_, role, _)| *role == "admin"));
    let has_kept_cookies = user.is_none() && matches!(leave, Leave::Off | Leave::OffWithAuthorization);
    look_at_the_rest(upstream, fields, has_kept_cookies || cookies_decide);
}

/// A token takes a head that holds it, or a session it is given for, and nothing that contradicts it.
fn look_at_proof(fields: &[Field], name: &str, token: &str) {
    let pairs = pairs(fields);
    let holds = |cookie: &str, value: &str| pairs.contains(&(cookie.as_bytes(), value.as_bytes()));
    let is_session = holds("sid", name) || holds("old-sid", name);
    let bearers: Vec<_> = fields.iter().filter(|(name, _)| name == "authorization").collect();
    let is_sent = bearers.iter().any(|(_, value)| value.trim_ascii().ends_with(token.as_bytes()));
    assert!(is_session || holds("token", token) || is_sent, "a token came without proof");
    assert!(bearers.len() < 2, "one of two Authorization values was chosen");
    let differ = |cookie: &str| {
        let values: Vec<_> = pairs.iter().filter(|(name, _)| *name == cookie.as_bytes()).collect();
        values.windows(2).any(|pair| pair[0] != pair[1])
    };
    assert!(!COOKIES.iter().any(|cookie| differ(cookie)), "one of two cookies was chosen");
}

/// Where a cookie counts, the request has no effect, or comes from a page of ours, and is for no other method.
fn look_at_origin(upstream: &[Field], fields: &[Field], cookies_decide: bool) {
    let is_credential = |name: &[u8]| [b"sid".as_slice(), b"old-sid", b"token"].contains(&name);
    let has_cookie = pairs(fields).iter().any(|(name, _)| is_credential(name));
    let is_bearer = |(name, value): &Field| {
        name == "authorization" && value.trim_ascii().to_ascii_lowercase().starts_with(b"bearer")
    };
    if !has_cookie || !cookies_decide && fields.iter().any(is_bearer) {
        return;
    }
    for name in ["x-http-method", "x-http-method-override", "x-method-override"] {
        assert_eq!(read_as(upstream, name), []);
    }
    let named =
        |name: &str| -> Vec<_> { fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_slice()).collect() };
    let is_upgrade = !named("upgrade").is_empty() || !named(":protocol").is_empty();
    if is_upgrade || ![b"GET".as_slice(), b"HEAD", b"OPTIONS"].contains(&value(fields, ":method")) {
        let (origins, sites) = (named("origin"), named("sec-fetch-site"));
        assert!(origins == [OURS.as_bytes()] || sites == [b"same-origin"], "another site's request passed");
    }
}

/// What is not ours to touch reaches the backend as it was sent.
fn look_at_the_rest(upstream: &[Field], fields: &[Field], has_kept_cookies: bool) {
    let is_untouched = |(name, _): &&Field| {
        let name = name.replace('_', "-");
        !["authorization", "x-user-id", "x-user-role", "cookie"].contains(&name.as_str())
            && !name.starts_with("x-internal-")
            && !name.contains("method-override")
            && name != "x-http-method"
    };
    let untouched = |fields: &[Field]| -> Vec<Field> { fields.iter().filter(is_untouched).cloned().collect() };
    assert_eq!(untouched(upstream), untouched(fields));
    assert!(!upstream.iter().any(|(name, _)| name.replace('_', "-").starts_with("x-internal-")));
    if has_kept_cookies {
        assert_eq!(read_as(upstream, "cookie"), read_as(fields, "cookie"));
    } else {
        let ours = |(name, _): &(&[u8], &[u8])| COOKIES.iter().any(|cookie| cookie.as_bytes() == *name);
        assert!(!pairs(upstream).iter().any(ours), "a cookie of ours reached the backend");
        let neighbours = |fields| pairs(fields).into_iter().filter(|pair| !ours(pair)).map(owned).collect::<Vec<_>>();
        assert_eq!(neighbours(upstream), neighbours(fields));
    }
}

fn leave(fields: &[Field]) -> Leave {
    let sent = |name: &str| fields.iter().any(|(n, _)| n == name);
    let (method, path) = (value(fields, ":method"), split(value(fields, ":path"), b'?', 0).0);
    let segments: Vec<_> = path.split(|&byte| byte == b'/').skip(1).collect();
    let is_preflight = method == b"OPTIONS" && sent("origin") && sent("access-control-request-method");
    match segments.as_slice() {
        _ if is_preflight => Leave::Off,
        [b"api", b"auth", ..] => Leave::Off,
        [b"hook"] => Leave::OffWithAuthorization,
        [b"feed", ..] => Leave::Optional,
        [b"users", id, b"open"] if !id.is_empty() && sent(":authority") => Leave::Off,
        _ => Leave::None,
    }
}

/// The first value of a field.
fn value<'a>(fields: &'a [Field], name: &str) -> &'a [u8] {
    fields.iter().find(|(n, _)| n == name).map_or(b"", |(_, value)| value)
}

/// The fields that some backend reads under this name.
fn read_as(fields: &[Field], name: &str) -> Vec<Field> {
    fields.iter().filter(|(n, _)| n.replace('_', "-") == name).cloned().collect()
}

fn texts(fields: &[Field]) -> Vec<&str> {
    fields.iter().map(|(_, value)| std::str::from_utf8(value).unwrap()).collect()
}

/// All cookies, by a reader of their own.
fn pairs(fields: &[Field]) -> Vec<(&[u8], &[u8])> {
    cookies(fields.iter().filter(|(name, _)| name == "cookie").map(|(_, value)| value.as_slice()))
}

fn owned((name, value): (&[u8], &[u8])) -> Field {
    (String::from_utf8_lossy(name).into_owned(), value.to_vec())
}
