//! Any rules and any path: rules one per line, as a letter for the kind, a letter for what it demands, and the
//! pattern; the path on the last line. What is lenient is met by plain paths only, read raw and decoded alike,
//! and whatever a server makes of the path, the rule for that holds.

#![no_main]

use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use session_bearer::path::RequestPath;
use session_bearer::request::RequestHead;
use session_bearer::routes::{Auth, PathMatch, Policy, Route, RouteTable};
use session_bearer::token::requirement::Requirement;

type Reader = fn(&[u8]) -> Vec<u8>;

/// What servers do with a path before they look it up. Each decodes it, since each has to.
const SERVERS: [&[Reader]; 12] = [
    &[decoded],
    &[decoded, decoded],
    &[decoded, resolved],
    &[resolved, decoded],
    &[decoded, resolved_to_folder],
    &[decoded, merged],
    &[merged, decoded],
    &[decoded, merged, resolved],
    &[decoded, forward, resolved],
    &[bare, decoded, resolved],
    &[decoded, bare, merged, resolved],
    &[decoded, decoded, forward, bare, merged, resolved],
];

fuzz_target!(|data: &[u8]| {
    let mut lines: Vec<&[u8]> = data.split(|&byte| byte == b'\n').collect();
    let target = lines.pop().unwrap_or_default();
    let rules: Vec<Route> = lines.into_iter().filter_map(rule).take(8).collect();
    let fields = [(":method".to_owned(), b"GET".to_vec()), (":path".to_owned(), target.to_vec())];
    let Ok(head) = RequestHead::new(&fields) else { return };
    let found = RouteTable::new(rules.clone()).find(&head);

    let raw = target.split(|&byte| byte == b'?').next().unwrap();
    let first = |path: &[u8]| rules.iter().position(|rule| meets(&rule.path, path));
    if found.auth != Auth::Required {
        assert!(is_plain(raw), "a lenient rule was met by a path that can be read in two ways");
        let chosen = first(raw);
        assert_eq!(chosen, first(&decoded(raw)));
        assert_eq!(found.auth, rules[chosen.expect("nothing is lenient by itself")].policy.auth);
    }
    // Envoy hands over no other path but `*`, which is no server's.
    for server in SERVERS.iter().filter(|_| raw.starts_with(b"/")) {
        let seen = server.iter().fold(raw.to_vec(), |path, reader| reader(&path));
        let Some(Route { policy, .. }) = first(&seen).map(|i| &rules[i]) else { continue };
        assert!(policy.auth != Auth::Required || found.auth == Auth::Required, "{}", seen.escape_ascii());
        for required in &policy.require {
            assert!(found.require.iter().any(|held| Rc::ptr_eq(held, required)), "{}", seen.escape_ascii());
        }
    }
});

/// A rule that the configuration would take.
fn rule(line: &[u8]) -> Option<Route> {
    let [kind, auth, pattern @ ..] = line else { return None };
    let pattern = std::str::from_utf8(pattern).ok()?.to_owned();
    let auth = match auth {
        b'f' => Auth::Off,
        b'o' => Auth::Optional,
        b'r' => Auth::Required,
        _ => return None,
    };
    let example = if *kind == b't' { pattern.replace("{}", "x") } else { pattern.clone() };
    if RequestPath::parse(example.as_bytes()).plain() != Some(example.as_str()) {
        return None;
    }
    let segment = |segment: &str| (segment != "{}").then(|| segment.to_owned());
    let path = match kind {
        b'x' => PathMatch::Exact(pattern),
        b'p' => PathMatch::Prefix(pattern),
        b't' => PathMatch::Template(pattern[1..].split('/').map(segment).collect()),
        _ => return None,
    };
    let require = if auth == Auth::Off { vec![] } else { vec![Rc::new(Requirement::default())] };
    Some(Route { path, methods: vec![], hosts: vec![], policy: Policy { auth, require, pass_authorization: false } })
}

fn meets(rule: &PathMatch, path: &[u8]) -> bool {
    let segments = |path: &[u8]| -> Vec<Vec<u8>> { path.split(|&byte| byte == b'/').map(<[u8]>::to_vec).collect() };
    match rule {
        PathMatch::Exact(exact) => exact.as_bytes() == path,
        PathMatch::Prefix(prefix) => {
            let mut wanted = segments(prefix.as_bytes());
            while wanted.len() > 1 && wanted.last().is_some_and(Vec::is_empty) {
                wanted.pop();
            }
            segments(path).starts_with(&wanted)
        }
        PathMatch::Template(template) => {
            let sent = segments(path);
            let fits = |(wanted, sent): (&Option<String>, &Vec<u8>)| match wanted {
                Some(literal) => literal.as_bytes() == sent,
                None => !sent.is_empty(),
            };
            sent[0].is_empty() && sent.len() == template.len() + 1 && template.iter().zip(&sent[1..]).all(fits)
        }
    }
}

/// Whether nobody could read the path in another way: once in the bytes as sent, once in what they decode to.
fn is_plain(raw: &[u8]) -> bool {
    let is_odd = |path: &[u8]| {
        path.windows(2).any(|pair| pair == b"//")
            || path.split(|&byte| byte == b'/').any(|segment| segment == b"." || segment == b"..")
            || path.iter().any(|&byte| byte < b' ' || byte == 0x7f || b"\\;#?".contains(&byte))
    };
    let count = |path: &[u8], counted: u8| path.iter().filter(|&&byte| byte == counted).count();
    let read = decoded(raw);
    raw.starts_with(b"/")
        && raw.is_ascii()
        && !is_odd(raw)
        && !is_odd(&read)
        && count(&read, b'%') == 0
        && count(&read, b'/') == count(raw, b'/')
        && count(&read, b'.') == count(raw, b'.')
        && std::str::from_utf8(&read).is_ok()
}

/// Percent-decodes once; what is no escape stays.
fn decoded(path: &[u8]) -> Vec<u8> {
    let digit = |at: usize| path.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let (mut read, mut at) = (Vec::new(), 0);
    while at < path.len() {
        match (path[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                read.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                read.push(byte);
                at += 1;
            }
        }
    }
    read
}

/// Backslashes are slashes.
fn forward(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect()
}

/// Without parameters, query and fragment.
fn bare(path: &[u8]) -> Vec<u8> {
    let mut is_parameter = false;
    let path = path.split(|byte| b"?#\0".contains(byte)).next().unwrap();
    let kept = path.iter().filter(|&&byte| {
        is_parameter = byte == b';' || is_parameter && byte != b'/';
        !is_parameter
    });
    kept.copied().collect()
}

/// Slashes in a row are one.
fn merged(path: &[u8]) -> Vec<u8> {
    let mut previous = 0;
    path.iter().copied().filter(|&byte| (byte, std::mem::replace(&mut previous, byte)) != (b'/', b'/')).collect()
}

/// Without dot segments, and a slash in the place of one at the end, as URLs have it.
fn resolved_to_folder(path: &[u8]) -> Vec<u8> {
    let is_folder = [b"/.".as_slice(), b"/.."].iter().any(|end| path.ends_with(end));
    match resolved(path) {
        read if is_folder && read != b"/" => [read, b"/".to_vec()].concat(),
        read => read,
    }
}

/// Without dot segments.
fn resolved(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.strip_prefix(b"/").unwrap_or(path).split(|&byte| byte == b'/') {
        match segment {
            b"." => {}
            b".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    [b"/", kept.join(&b'/').as_slice()].concat()
}
