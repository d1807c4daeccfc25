//! Routes: which rule a path meets, and which paths no lenient rule can meet.

mod common;

use std::rc::Rc;

use common::{get, request};
use session_bearer::path::RequestPath;
use session_bearer::request::RequestHead;
use session_bearer::routes::{Auth, PathMatch, Policy, Route, RouteTable};
use session_bearer::token::requirement::Requirement;

fn route(path: PathMatch, methods: &[&str], auth: Auth) -> Route {
    let methods = methods.iter().map(|&method| method.to_owned()).collect();
    Route { path, methods, hosts: Vec::new(), policy: Policy { auth, ..Policy::REQUIRED } }
}

/// A template, with `*` for a segment that is named.
fn template(path: &str) -> PathMatch {
    let segment = |segment: &str| (segment != "*").then(|| segment.to_owned());
    PathMatch::Template(path.trim_start_matches('/').split('/').map(segment).collect())
}

fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.to_owned())
}

fn exact(path: &str) -> PathMatch {
    PathMatch::Exact(path.to_owned())
}

fn table() -> RouteTable {
    RouteTable::new(vec![
        route(prefix("/public/admin"), &[], Auth::Required),
        route(prefix("/public"), &[], Auth::Off),
        route(exact("/healthz"), &["GET", "HEAD"], Auth::Off),
        route(prefix("/feed/"), &[], Auth::Optional),
        route(exact("/caf\u{e9}"), &[], Auth::Off),
    ])
}

fn auth_of(method: &str, path: &str) -> Auth {
    let head = request(method, path);
    table().find(&RequestHead::new(&head.0).unwrap()).auth
}

#[test]
fn first_match_wins_and_no_match_is_required() {
    for (path, auth) in [
        ("/", Auth::Required),
        ("/public", Auth::Off),
        ("/public/", Auth::Off),
        ("/public/x", Auth::Off),
        ("/public?x=/healthz", Auth::Off),
        ("/publicx", Auth::Required),
        ("/Public", Auth::Required),
        ("/public/admin", Auth::Required),
        ("/public/admin/x", Auth::Required),
        ("/public/administrator", Auth::Off),
        ("/healthz", Auth::Off),
        ("/healthz/", Auth::Required),
        ("/healthz?probe=1", Auth::Off),
        ("/x?path=/healthz", Auth::Required),
        ("/feed", Auth::Optional),
        ("/feed/1", Auth::Optional),
        ("/feedback", Auth::Required),
    ] {
        assert_eq!(auth_of("GET", path), auth, "{path}");
    }
}

#[test]
fn methods_are_case_sensitive() {
    for (method, auth) in [("GET", Auth::Off), ("HEAD", Auth::Off), ("get", Auth::Required), ("POST", Auth::Required)] {
        assert_eq!(auth_of(method, "/healthz"), auth, "{method}");
    }
}

#[test]
fn path_two_parsers_may_read_differently_is_required() {
    for path in [
        "//public",
        "/public//x",
        "/public/../admin",
        "/public/./x",
        "/public/..",
        "/./public",
        "/public/%2e%2e/admin",
        "/public/%2E./admin",
        "/public%2fadmin",
        "/public/%2Fx",
        "/public/%5cx",
        "/public\\x",
        "/public;x",
        "/public/..;x/admin",
        "/public/%3bx",
        "/public#x",
        "/public/%23",
        "/public/%00",
        "/public/%0d%0a",
        "/public/%7f",
        "/public/%25%32%65",
        "/public/%",
        "/public/%4",
        "/public/%zz",
        "/public/%u002e",
        "/public/%c0%ae",
        "/public/%ff",
        "/public/%e9",
        "public",
        "*",
        "https://app.example/public",
        "/public/%3fx",
        "/public/\u{e9}",
        "/public/\t",
    ] {
        assert_eq!(auth_of("GET", path), Auth::Required, "{path}");
    }
}

#[test]
fn escapes_that_say_the_same_to_everyone_do_not_hurt() {
    for path in ["/public/a%20b", "/public/%E2%82%AC", "/public/a+b", "/public/~x", "/public/a:b@c"] {
        assert_eq!(auth_of("GET", path), Auth::Off, "{path}");
    }
}

#[test]
fn escape_neither_opens_a_door_nor_walks_round_a_stricter_rule() {
    for path in ["/%70ublic", "/publi%63/x", "/public/%61dmin", "/public/admi%6E/x", "/%68ealthz", "/caf%C3%A9"] {
        assert_eq!(auth_of("GET", path), Auth::Required, "{path}");
    }
}

#[test]
fn lenient_rule_never_changes_what_lies_outside_it() {
    let mut random = fastrand::Rng::with_seed(11);
    let pieces = ["/", "a", "b", "%61", "%2f", "..", ".", "//", ";", "%", "?", "#", "/open", "open", "\\", "%6fpen"];
    let mut inside = 0;
    for _ in 0..200_000 {
        let path: String = (0..random.usize(1..7)).map(|_| pieces[random.usize(..pieces.len())]).collect();
        let head = get(&path);
        let Ok(head) = RequestHead::new(&head.0) else { continue };
        let open = RouteTable::new(vec![route(prefix("/open"), &[], Auth::Off)]);
        if open.find(&head).auth == Auth::Off {
            inside += 1;
            let raw = path.split('?').next().unwrap();
            assert!(raw == "/open" || raw.starts_with("/open/"), "{path}");
            assert!(!["//", ";", "#", "\\", "%2f"].iter().any(|odd| raw.contains(odd)), "{path}");
            assert!(!raw.split('/').any(|segment| segment == "." || segment == ".."), "{path}");
        }
    }
    assert!(inside > 100, "the generator must reach inside the rule");
}

#[test]
fn plain_path_is_the_decoded_one() {
    for (target, plain) in [
        ("/a/b?c=%zz", Some("/a/b")),
        ("/a%20b", Some("/a b")),
        ("/%E2%82%AC", Some("/\u{20ac}")),
        ("/", Some("/")),
        ("", None),
        ("?x", None),
        ("/a%2fb", None),
    ] {
        assert_eq!(RequestPath::parse(target.as_bytes()).plain(), plain, "{target}");
    }
}

#[test]
fn template_matches_whole_segments_that_are_not_empty() {
    let table = RouteTable::new(vec![
        route(template("/users/*/posts"), &["GET"], Auth::Off),
        route(template("/*"), &[], Auth::Optional),
    ]);
    for (path, auth) in [
        ("/users/7/posts", Auth::Off),
        ("/users/%37/posts", Auth::Off),
        ("/users/a.b~c/posts?x=y", Auth::Off),
        ("/users/{id}/posts", Auth::Off),
        ("/users//posts", Auth::Required),
        ("/users/7/posts/", Auth::Required),
        ("/users/7/8/posts", Auth::Required),
        ("/users/7%2F8/posts", Auth::Required),
        ("/users/../posts", Auth::Required),
        ("/users/7/Posts", Auth::Required),
        ("/users/7", Auth::Required),
        ("/users", Auth::Optional),
        ("/", Auth::Required),
    ] {
        let head = request("GET", path);
        assert_eq!(table.find(&RequestHead::new(&head.0).unwrap()).auth, auth, "{path}");
    }
    let post = request("POST", "/users/7/posts");
    assert_eq!(table.find(&RequestHead::new(&post.0).unwrap()).auth, Auth::Required);
}

#[test]
fn host_counts_however_it_is_spelled_and_only_where_there_is_one() {
    let mut on_host = route(prefix("/"), &[], Auth::Off);
    on_host.hosts = vec!["public.example".to_owned(), "[::1]".to_owned()];
    let table = RouteTable::new(vec![on_host]);
    for (authorities, auth) in [
        (&["public.example"][..], Auth::Off),
        (&["PUBLIC.example"], Auth::Off),
        (&["public.example:443"], Auth::Off),
        (&["public.example."], Auth::Off),
        (&["public.example.:8080"], Auth::Off),
        (&["[::1]"], Auth::Off),
        (&["[::1]:8080"], Auth::Off),
        (&["public.example.evil"], Auth::Required),
        (&["xpublic.example"], Auth::Required),
        (&["user@public.example"], Auth::Required),
        (&["public.example/"], Auth::Required),
        (&[" public.example"], Auth::Required),
        (&["\u{e9}"], Auth::Required),
        (&[""], Auth::Required),
        (&[":443"], Auth::Required),
        (&[], Auth::Required),
        (&["public.example", "private.example"], Auth::Required),
        (&["public.example", "public.example"], Auth::Required),
    ] {
        let mut head = request("GET", "/x");
        head.0.retain(|(name, _)| name != ":authority");
        let head = authorities.iter().fold(head, |head, authority| head.with(":authority", authority));
        let found = table.find(&RequestHead::new(&head.0).unwrap()).auth;
        assert_eq!(found, auth, "{authorities:?}");
    }
}

#[test]
fn requirement_of_a_host_holds_however_the_host_is_spelled() {
    let mut admin = route(prefix("/"), &[], Auth::Required);
    admin.hosts = vec!["admin.example".to_owned()];
    let table = RouteTable::new(vec![admin, route(prefix("/"), &[], Auth::Off)]);
    for authority in ["admin.example", "Admin.Example:443", "admin.example.", "admin.example.:1"] {
        let mut head = request("GET", "/x");
        head.0.retain(|(name, _)| name != ":authority");
        let head = head.with(":authority", authority);
        assert_eq!(table.find(&RequestHead::new(&head.0).unwrap()).auth, Auth::Required, "{authority}");
    }
}

#[test]
fn dot_segment_at_the_end_leaves_a_folder_for_some_and_none_for_others() {
    for required in ["/admin/", "/admin"] {
        let mut admin = route(exact(required), &[], Auth::Required);
        admin.policy.require = vec![Rc::new(Requirement::default())];
        let table = RouteTable::new(vec![admin, route(prefix("/"), &[], Auth::Required)]);
        for path in ["/admin/x/..", "/admin/.", "/admin/%2e", "/admin/x/%2e%2e"] {
            let head = get(path);
            let policy = table.find(&RequestHead::new(&head.0).unwrap());
            assert_eq!(policy.require.len(), 1, "{path} may be {required}");
        }
    }
}
