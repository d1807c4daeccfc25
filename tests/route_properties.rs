//! What holds for all route tables: a rule that lowers protection has no effect outside of the paths it is about
//! (threats C2), and none at all where a path can be read in two ways.
//!
//! Tables and paths are random; which paths a rule is about, and which are odd, is told here once more, in other
//! words than the filter's.

mod common;

use std::collections::BTreeSet;
use std::rc::Rc;

use common::request;
use session_bearer::path::RequestPath;
use session_bearer::request::RequestHead;
use session_bearer::routes::{Auth, PathMatch, Policy, Route, RouteTable};
use session_bearer::token::requirement::Requirement;

const ROUNDS: usize = 40_000;
const SEGMENTS: [&str; 5] = ["open", "admin", "a", "b", "caf\u{e9}"];
const METHODS: [&str; 2] = ["GET", "POST"];
const HOSTS: [&str; 2] = ["one.example", "two.example"];
const ODD_PIECES: [&str; 26] = [
    "/", "//", "/.", "/..", "/../", "/./", "\\", ";", ";x", "..;", "#", "\t", "\u{e9}", "%", "%4", "%zz", "%00", "%0a",
    "%2e", "%2F", "%5c", "%25", "%3b", "%23", "%c0%ae", "%ff",
];

/// What a table says of a request, in a form that can be compared.
#[derive(Debug, Eq, PartialEq)]
struct Verdict {
    auth: Auth,
    pass_authorization: bool,
    require: BTreeSet<*const Requirement>,
}

/// A request that routes are looked up for.
#[derive(Debug)]
struct Asked {
    method: &'static str,
    host: &'static str,
    target: String,
}

/// One table and one rule more, at a random place, that lowers protection; and a request.
struct Case {
    table: Vec<Route>,
    at: usize,
    added: Route,
    asked: Asked,
}

impl Case {
    fn random(random: &mut fastrand::Rng) -> Self {
        let table: Vec<Route> = (0..random.usize(..6)).map(|_| any_route(random)).collect();
        let mut added = any_route(random);
        let auth = if random.bool() { Auth::Off } else { Auth::Optional };
        let pass_authorization = auth == Auth::Off && random.bool();
        added.policy = Policy { auth, pass_authorization, require: Vec::new() };
        let at = random.usize(..=table.len());
        Self { table, at, added, asked: asked(random) }
    }

    fn before(&self) -> Verdict {
        verdict(self.table.clone(), &self.asked)
    }

    fn after(&self) -> Verdict {
        let mut table = self.table.clone();
        table.insert(self.at, self.added.clone());
        verdict(table, &self.asked)
    }

    /// The rule that was there before and is the first about a path.
    fn first(&self, path: &[u8]) -> Option<&Route> {
        self.table.iter().find(|route| is_about(route, &self.asked, path))
    }

    /// What the path of the request may turn out to be; `None` when it may be anything.
    fn paths(&self) -> Option<Vec<Vec<u8>>> {
        let raw = self.asked.path();
        if is_odd(raw) { RequestPath::parse(raw.as_bytes()).readings() } else { Some(vec![decoded(raw)]) }
    }
}

impl Asked {
    fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }
}

fn verdict(table: Vec<Route>, asked: &Asked) -> Verdict {
    let mut head = request(asked.method, &asked.target);
    head.0.retain(|(name, _)| name != ":authority");
    let head = head.with(":authority", asked.host);
    let policy = RouteTable::new(table).find(&RequestHead::new(&head.0).unwrap());
    let require = policy.require.iter().map(Rc::as_ptr).collect();
    Verdict { auth: policy.auth, pass_authorization: policy.pass_authorization, require }
}

// Random tables and requests

fn any_route(random: &mut fastrand::Rng) -> Route {
    let auth = [Auth::Required, Auth::Required, Auth::Optional, Auth::Off][random.usize(..4)];
    let requires = auth != Auth::Off && random.bool();
    let require = if requires { vec![Rc::new(Requirement::new(Vec::new(), Vec::new()))] } else { Vec::new() };
    let some = |random: &mut fastrand::Rng, of: [&str; 2]| {
        if random.u8(..4) == 0 { vec![of[random.usize(..2)].to_owned()] } else { Vec::new() }
    };
    let (methods, hosts) = (some(random, METHODS), some(random, HOSTS));
    let pass_authorization = auth == Auth::Off && random.bool();
    Route { path: any_pattern(random), methods, hosts, policy: Policy { auth, pass_authorization, require } }
}

fn any_pattern(random: &mut fastrand::Rng) -> PathMatch {
    let segments: Vec<&str> = (0..random.usize(1..4)).map(|_| SEGMENTS[random.usize(..SEGMENTS.len())]).collect();
    let path = format!("/{}", segments.join("/"));
    match random.u8(..8) {
        0 => PathMatch::Prefix("/".to_owned()),
        1..4 => PathMatch::Prefix(path),
        4 => PathMatch::Prefix(path + "/"),
        5 => PathMatch::Exact(path),
        _ => PathMatch::Template(segments.iter().map(|&name| (random.u8(..3) > 0).then(|| name.to_owned())).collect()),
    }
}

fn asked(random: &mut fastrand::Rng) -> Asked {
    let mut pieces: Vec<String> = Vec::new();
    for _ in 0..random.usize(1..5) {
        pieces.push("/".to_owned());
        pieces.push(spelled(SEGMENTS[random.usize(..SEGMENTS.len())], random));
    }
    if random.u8(..8) == 0 {
        pieces.push("/".to_owned());
    }
    for _ in 0..[0, 0, 0, 1, 1, 2, 3][random.usize(..7)] {
        let odd = ODD_PIECES[random.usize(..ODD_PIECES.len())].to_owned();
        pieces.insert(random.usize(..=pieces.len()), odd);
    }
    if random.u8(..8) == 0 {
        pieces.push("?x=/open/../admin".to_owned());
    }
    Asked { method: METHODS[random.usize(..2)], host: HOSTS[random.usize(..2)], target: pieces.concat() }
}

/// The same to whoever decodes escapes: letters of ASCII are escaped at times, others always.
fn spelled(segment: &str, random: &mut fastrand::Rng) -> String {
    let escapes = random.u8(..4) == 0;
    let spell = |byte: u8| match (escapes && random.bool(), byte.is_ascii()) {
        (false, true) => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    segment.bytes().map(spell).collect()
}

// The oracle

/// Whether a rule is about a path, in other words: this path; whole segments; segment by segment.
fn is_about(route: &Route, asked: &Asked, path: &[u8]) -> bool {
    let listed = |list: &[String], sent: &str| list.is_empty() || list.iter().any(|one| one == sent);
    let has_pattern = match &route.path {
        PathMatch::Exact(exact) => exact.as_bytes() == path,
        PathMatch::Prefix(prefix) => {
            let below = [prefix.trim_end_matches('/').as_bytes(), b"/"].concat();
            [path, b"/"].concat().starts_with(&below)
        }
        PathMatch::Template(template) => {
            let sent: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
            let pairs = || template.iter().zip(&sent[1..]);
            let fits = pairs().all(|(one, sent)| one.as_ref().map_or(!sent.is_empty(), |one| one.as_bytes() == *sent));
            sent[0].is_empty() && sent.len() == template.len() + 1 && fits
        }
    };
    has_pattern && listed(&route.methods, asked.method) && listed(&route.hosts, asked.host)
}

fn decoded(path: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(path).collect()
}

/// Whether two servers may read a path differently: the list of threats C1, and the escapes of what is on it.
fn is_odd(path: &str) -> bool {
    const MARKS: [&str; 11] = ["//", "\\", ";", "#", "%2e", "%2f", "%5c", "%25", "%3b", "%23", "%3f"];
    let lower = path.to_ascii_lowercase();
    let well_formed = |escape: &str| escape.len() >= 2 && escape.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    !path.starts_with('/')
        || MARKS.iter().any(|mark| lower.contains(mark))
        || path.split('/').any(|segment| segment == "." || segment == "..")
        || !path.is_ascii()
        || !lower.split('%').skip(1).all(well_formed)
        || String::from_utf8(decoded(path)).is_err()
        || decoded(path).iter().any(u8::is_ascii_control)
}

// The properties

#[test]
fn lenient_rule_changes_nothing_outside_the_paths_it_is_about() {
    let mut random = fastrand::Rng::with_seed(20);
    let (mut outside, mut odd_outside, mut changed_inside) = (0, 0, 0);
    for _ in 0..ROUNDS {
        let case = Case::random(&mut random);
        let (before, after, paths) = (case.before(), case.after(), case.paths());
        if paths.is_none_or(|paths| !paths.iter().any(|path| is_about(&case.added, &case.asked, path))) {
            assert_eq!(after, before, "{:?} added at {} of {:?} for {:?}", case.added, case.at, case.table, case.asked);
            outside += 1;
            odd_outside += usize::from(is_odd(case.asked.path()));
        } else {
            changed_inside += usize::from(after != before);
        }
    }
    assert!(outside > ROUNDS / 3 && odd_outside > ROUNDS / 10, "{outside}, {odd_outside}");
    assert!(changed_inside > ROUNDS / 100, "the generator must reach inside the rule, and did {changed_inside} times");
}

#[test]
fn odd_path_needs_a_credential_whatever_the_rules_and_no_lenient_one_takes_a_requirement_from_it() {
    let mut random = fastrand::Rng::with_seed(21);
    let (mut odd, mut kept) = (0, 0);
    for _ in 0..ROUNDS {
        let case = Case::random(&mut random);
        if !is_odd(case.asked.path()) {
            continue;
        }
        odd += 1;
        let (before, after) = (case.before(), case.after());
        for verdict in [&before, &after] {
            assert_eq!((verdict.auth, verdict.pass_authorization), (Auth::Required, false), "{:?}", case.asked);
        }
        // Where it may be a path outside the added rule, what is required there still is.
        for path in case.paths().unwrap_or_default() {
            if is_about(&case.added, &case.asked, &path) {
                continue;
            }
            for requirement in case.first(&path).iter().flat_map(|route| &route.policy.require) {
                assert!(after.require.contains(&Rc::as_ptr(requirement)), "{:?} as {path:?}", case.asked);
                kept += 1;
            }
        }
    }
    assert!(odd > ROUNDS / 4 && kept > ROUNDS / 20, "{odd}, {kept}");
}

#[test]
fn path_is_let_through_only_by_the_first_rule_that_is_about_it() {
    let mut random = fastrand::Rng::with_seed(22);
    let mut let_through = 0;
    for _ in 0..ROUNDS {
        let case = Case::random(&mut random);
        let verdict = case.before();
        if verdict.auth != Auth::Required {
            let path = decoded(case.asked.path());
            let first = case.first(&path).map(|route| route.policy.auth);
            assert!(!is_odd(case.asked.path()), "{:?}", case.asked);
            assert_eq!(Some(verdict.auth), first, "{:?} in {:?}", case.asked, case.table);
            let_through += 1;
        }
    }
    assert!(let_through > ROUNDS / 20, "{let_through}");
}
