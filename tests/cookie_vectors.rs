//! Cookie headers of browsers and of the tests of three parsers: each has one reading here. Where a parser
//! reads another, that is written down with the reason.

mod vectors_support;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use session_bearer::cookie::{Conflict, CookieNames, Pair, Rest};
use session_bearer::set_cookie::SetCookie;
use session_bearer::time::UnixTime;
use vectors_support::{document, items, text};

const HTTP_STATE: &str = "http-state/request_cookie_cases.json";
const PARSERS: &str = "cookie-parsers/cases.json";
const TOP_COOKIE: &str = "cookie-parsers/jshttp-top-cookie.json";
const TOP_SET_COOKIE: &str = "cookie-parsers/jshttp-top-set-cookie.json";

/// Cookies by name, each with its values in order. A name that is refused for being ambiguous has none.
type Reading = BTreeMap<String, Vec<String>>;

/// The `Cookie` fields of a request, and what their authors read in them.
struct Case {
    id: String,
    fields: Vec<Vec<u8>>,
    label: Reading,
}

fn only(name: &str) -> CookieNames {
    CookieNames { sessions: vec![name.to_owned()], ..CookieNames::default() }
}

/// What each name reads as, were it the name of the session cookie.
///
/// A name is whatever stands between two places where a parser could see a boundary.
fn reading(fields: &[Vec<u8>]) -> Reading {
    let mut read = Reading::new();
    for name in fields.iter().flat_map(|field| between_boundaries(field)) {
        match only(&name).read(fields.iter().map(Vec::as_slice)) {
            Err(Conflict) => {
                read.insert(name, Vec::new());
            }
            Ok((jar, _)) => {
                if let Some(pair) = jar.session() {
                    read.insert(name, vec![String::from_utf8(pair.value.to_vec()).unwrap()]);
                }
            }
        }
    }
    read
}

fn between_boundaries(field: &[u8]) -> BTreeSet<String> {
    let is_boundary = |byte: u8| matches!(byte, b';' | b'=' | b',' | b' ' | b'\t' | b'"' | b'$');
    let mut ends: Vec<usize> = (0..field.len()).filter(|&i| is_boundary(field[i])).flat_map(|i| [i, i + 1]).collect();
    ends.extend([0, field.len()]);
    let pieces = ends.iter().flat_map(|&start| ends.iter().filter_map(move |&end| field.get(start..end)));
    pieces.filter_map(|piece| String::from_utf8(piece.to_vec()).ok()).collect()
}

fn labelled(pairs: impl Iterator<Item = (String, String)>) -> Reading {
    let mut label = Reading::new();
    for (name, value) in pairs {
        label.entry(name).or_default().push(value);
    }
    label
}

fn list(pairs: &Value) -> Reading {
    labelled(items(pairs).iter().map(|pair| (text(&pair[0]), text(&pair[1]))))
}

fn map(pairs: &Value) -> Reading {
    labelled(pairs.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))))
}

/// The readings of a source that differ from the label.
fn deviations(source: &str) -> BTreeMap<String, Reading> {
    let document = document("expected_deviations.json");
    let listed = items(&document[source]).iter().map(|entry| {
        assert!(entry["why"].as_str().is_some_and(|why| !why.is_empty()), "{entry}");
        let read = entry["read"].as_object().unwrap().iter();
        let values = |value: &Value| value.as_str().map(str::to_owned).into_iter().collect();
        (text(&entry["id"]), read.map(|(name, value)| (name.clone(), values(value))).collect())
    });
    listed.collect()
}

/// Reads every case of `source`, and compares those read otherwise than labelled with the list.
#[track_caller]
fn judge(source: &str, count: usize, cases: &[Case]) {
    assert_eq!(cases.len(), count, "the file has changed, or is read wrongly");
    let readings = cases.iter().map(|case| (case, reading(&case.fields)));
    let otherwise: BTreeMap<_, _> =
        readings.filter(|(case, read)| *read != case.label).map(|(case, read)| (case.id.clone(), read)).collect();
    assert_eq!(otherwise, deviations(source));
}

#[test]
fn headers_of_conforming_browsers_are_read_as_they_were_meant() {
    let document = document(HTTP_STATE);
    let cases = items(&document["cases"]).iter().map(|case| Case {
        id: text(&case["test"]),
        fields: vec![STANDARD.decode(text(&case["cookie_header_b64"])).unwrap()],
        label: list(&case["pairs"]),
    });
    judge(HTTP_STATE, 65, &cases.collect::<Vec<_>>());
}

#[test]
fn headers_of_the_parsers_own_tests_have_one_reading() {
    let document = document(PARSERS);
    let mut cases = Vec::new();
    for parser in ["jshttp_cookie", "starlette", "go_net_http"] {
        for case in items(&document[parser]["cases"]) {
            let headers = case
                .get("headers")
                .map_or_else(|| vec![text(&case["header"])], |all| items(all).iter().map(text).collect());
            let label = if case["expected"].is_array() { list(&case["expected"]) } else { map(&case["expected"]) };
            let id = format!("{parser}: {}", headers.join(" | "));
            cases.push(Case { id, fields: headers.into_iter().map(String::into_bytes).collect(), label });
        }
    }
    judge(PARSERS, 41, &cases);
}

/// The jars of well-known sites, as browsers send them.
fn jars_of_well_known_sites() -> Vec<String> {
    let jars: Vec<String> = document(TOP_COOKIE).as_object().unwrap().values().map(text).collect();
    assert_eq!(jars.len(), 17, "the file has changed, or is read wrongly");
    jars
}

#[test]
fn session_is_found_anywhere_among_the_cookies_of_well_known_sites_and_no_other_byte_moves() {
    for jar in jars_of_well_known_sites() {
        let neighbours: Vec<&str> = jar.split("; ").collect();
        for place in 0..=neighbours.len() {
            let mut pairs = neighbours.clone();
            pairs.insert(place, "__Host-session=value");
            let sent = pairs.join("; ");
            let cookies = only("__Host-session");
            let (found, rest) = cookies.read([sent.as_bytes()].into_iter()).unwrap();
            assert_eq!(found.session().map(|pair| pair.value), Some(b"value".as_slice()), "{sent}");
            assert_eq!(rest, Rest::Pairs(jar.clone().into_bytes()), "{sent}");
        }
    }
}

#[test]
fn cookies_of_well_known_sites_are_read_as_they_stand() {
    for jar in jars_of_well_known_sites() {
        let pairs = jar.split("; ").map(|pair| pair.split_once('=').unwrap());
        let expected = labelled(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for (name, values) in reading(&[jar.clone().into_bytes()]) {
            // A name that only looks like one to a parser that sees more boundaries is no name.
            assert_eq!(expected.get(&name), Some(&values), "{name} in {jar}");
        }
        assert!(
            expected.keys().all(|name| only(name).read([jar.as_bytes()].into_iter()).unwrap().0.session().is_some())
        );
    }
}

#[test]
fn lines_of_well_known_sites_set_what_they_name_and_clear_what_has_ended() {
    let recorded = UnixTime::from_secs(1_782_340_200); // 24 June 2026, 22:30
    let document = document(TOP_SET_COOKIE);
    let lines: Vec<String> = document.as_object().unwrap().values().flat_map(items).map(text).collect();
    assert_eq!(lines.len(), 51, "the file has changed, or is read wrongly");
    let mut cleared = Vec::new();
    for line in &lines {
        let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
        let set = SetCookie::parse(line.as_bytes()).unwrap();
        assert_eq!((set.pair.name, set.pair.value), (name.as_bytes(), value.as_bytes()));
        cleared.extend(set.clears(recorded).then_some(name));
    }
    assert_eq!(cleared, ["ee4", "__Eeeeee-EEE", "__Eeeeee-EEE"]);
}

// What is left when ours is taken out

/// Ours are `s` and `c`. An independent reading: cut at semicolons, leave out ours, put together again.
fn reference(fields: &[Vec<u8>]) -> Vec<u8> {
    let name = |pair: &&[u8]| pair.split(|&b| b == b'=').next().unwrap().trim_ascii().to_vec();
    let is_ours = |pair: &&[u8]| pair.contains(&b'=') && matches!(name(pair).as_slice(), b"s" | b"c");
    let rest = |field: &Vec<u8>| {
        let kept: Vec<&[u8]> = field.split(|&b| b == b';').filter(|pair| !is_ours(pair)).collect();
        kept.join(b";".as_slice()).trim_ascii_start().to_vec()
    };
    fields.iter().map(rest).filter(|rest| !rest.is_empty()).collect::<Vec<_>>().join(b"; ".as_slice())
}

fn ours() -> CookieNames {
    CookieNames { sessions: vec!["s".to_owned()], companions: vec!["c".to_owned()], tokens: Vec::new() }
}

/// What is left of a jar that holds one of ours.
fn left(fields: &[Vec<u8>]) -> Vec<u8> {
    match ours().read(fields.iter().map(Vec::as_slice)).unwrap().1 {
        Rest::Untouched => panic!("nothing of ours was seen in {fields:?}"),
        Rest::Empty => Vec::new(),
        Rest::Pairs(pairs) => pairs,
    }
}

/// A cookie of another name, of any bytes but semicolons.
fn neighbour(random: &mut fastrand::Rng) -> Vec<u8> {
    let alphabet = b"sc=\"\\,% \t$ax_\x00\x80\xff";
    let mut pair = b"n".to_vec();
    pair.extend((0..random.usize(..12)).map(|_| alphabet[random.usize(..alphabet.len())]));
    pair
}

#[test]
fn whatever_the_neighbours_are_they_stay_byte_for_byte() {
    let mut random = fastrand::Rng::with_seed(22);
    for _ in 0..20_000 {
        let field = |random: &mut fastrand::Rng| {
            let pair = |random: &mut fastrand::Rng| match random.u8(..4) {
                0 => b"s=1".to_vec(),
                1 => b"c=2".to_vec(),
                _ => neighbour(random),
            };
            let mut field = pair(random);
            for _ in 0..random.usize(..6) {
                field.extend_from_slice([b"; ".as_slice(), b";", b";\t", b";  "][random.usize(..4)]);
                field.extend(pair(random));
            }
            field
        };
        let mut fields: Vec<_> = (0..random.usize(1..4)).map(|_| field(&mut random)).collect();
        fields.insert(random.usize(..=fields.len()), b"s=1".to_vec());
        assert_eq!(left(&fields), reference(&fields), "{fields:?}");
    }
}

#[test]
fn whatever_stands_between_semicolons_no_neighbour_is_lost_and_none_of_ours_stays() {
    let mut random = fastrand::Rng::with_seed(23);
    let pairs = |field: &[u8]| -> Vec<Vec<u8>> {
        let pairs = field.split(|&b| b == b';').map(|pair| pair.trim_ascii().to_vec());
        pairs.filter(|pair| !pair.is_empty()).collect()
    };
    for _ in 0..20_000 {
        let alphabet = b"sc=; \t\"\xffn";
        let mut text =
            || -> Vec<u8> { (0..random.usize(..30)).map(|_| alphabet[random.usize(..alphabet.len())]).collect() };
        let fields = [text(), b"s=1".to_vec(), text()];
        if ours().read(fields.iter().map(Vec::as_slice)).is_ok() {
            assert_eq!(pairs(&left(&fields)), pairs(&reference(&fields)), "{fields:?}");
        }
    }
}

// How much is read, and how often

#[test]
fn each_field_is_looked_at_twice_at_most() {
    let looked_at = Cell::new(0_usize);
    let crumbs: Vec<Vec<u8>> = (0..10_000).map(|i| format!("c{i}=1").into_bytes()).chain([b"s=1".to_vec()]).collect();
    let fields = crumbs.iter().map(Vec::as_slice).inspect(|_| looked_at.set(looked_at.get() + 1));
    let cookies = ours();
    let (jar, rest) = cookies.read(fields).unwrap();
    assert_eq!(jar.session().map(|pair| pair.value), Some(b"1".as_slice()));
    assert_eq!(rest, Rest::Pairs(crumbs[..10_000].join(b"; ".as_slice())));
    assert_eq!(looked_at.get(), 2 * 10_001);
}

#[test]
fn jar_of_any_size_has_its_answer() {
    let many = "n=1; ".repeat(10_000);
    let long = "x".repeat(60 * 1024);
    let semicolons = ";".repeat(60_000);
    for (jar, session, rest) in [
        (format!("s=1; {many}n=1"), Some("1"), Rest::Pairs(format!("{many}n=1").into_bytes())),
        (format!("{many}s=1; n=1"), Some("1"), Rest::Pairs(format!("{many}n=1").into_bytes())),
        (format!("{many}s=1"), Some("1"), Rest::Pairs(many.trim_end_matches("; ").into())),
        (format!("{many}n=1"), None, Rest::Untouched),
        ("s=1; ".repeat(10_000), Some("1"), Rest::Empty),
        (format!("s={long}"), Some(&long), Rest::Empty),
        (format!("n={long}; s=1"), Some("1"), Rest::Pairs(format!("n={long}").into_bytes())),
        (format!("{long}; s=1"), Some("1"), Rest::Pairs(long.clone().into_bytes())),
        (semicolons.clone(), None, Rest::Untouched),
        (format!("{semicolons}s=1"), Some("1"), Rest::Empty),
        (format!("s=1{semicolons}"), Some("1"), Rest::Empty),
        (format!("s=1{semicolons}n"), Some("1"), Rest::Pairs(b"n".to_vec())),
    ] {
        let cookies = ours();
        let (found, left) = cookies.read([jar.as_bytes()].into_iter()).unwrap();
        let what = &jar[..jar.len().min(20)];
        assert_eq!(found.session().map(|pair| pair.value), session.map(str::as_bytes), "{what}…");
        assert_eq!(left, rest, "{what}…");
    }
}

#[test]
fn value_that_is_longer_than_a_browser_takes_is_no_session() {
    for (length, is_plausible) in [(4096, true), (4097, false), (60 * 1024, false)] {
        assert_eq!(Pair { name: b"s", value: "x".repeat(length).as_bytes() }.is_plausible(), is_plausible, "{length}");
    }
}
