//! Any request as a method and fields, one per line, their names shortened to a letter: it passes where the
//! rule of the origin check says so, whatever else it says; and each line as an origin somebody configured.

#![no_main]

use libfuzzer_sys::fuzz_target;
use session_bearer::origin::{OriginRules, can_be_forged, normalised};
use session_bearer::request::{Field, RequestHead};

const TRUSTED: [&str; 2] = ["https://app.example", "http://localhost:3000"];

fuzz_target!(|data: &[u8]| {
    let mut lines = data.split(|&byte| byte == b'\n');
    let method = lines.next().unwrap_or_default();
    let fields: Vec<Field> = [(":method", method), (":path", b"/")]
        .into_iter()
        .chain(lines.clone().filter_map(field))
        .map(|(name, value)| (name.to_owned(), value.to_vec()))
        .collect();
    if let Ok(head) = RequestHead::new(&fields) {
        for allow_missing in [false, true] {
            let trusted = TRUSTED.map(str::to_owned).to_vec();
            let rules = OriginRules { trusted, allow_missing, disabled: false };
            assert_eq!(rules.admit(&head), may_pass(method, &fields, allow_missing));
        }
        assert!(OriginRules { disabled: true, ..OriginRules::default() }.admit(&head));
    }
    lines.filter_map(|line| std::str::from_utf8(line).ok()).for_each(look_at_configured);
});

fn field(line: &[u8]) -> Option<(&str, &[u8])> {
    let (letter, value) = line.split_first()?;
    let name = match letter {
        b'o' => "origin",
        b's' => "sec-fetch-site",
        b'u' => "upgrade",
        b'p' => ":protocol",
        b'r' => "referer",
        b'h' => ":authority",
        b'm' => "sec-fetch-mode",
        _ => return None,
    };
    Some((name, value))
}

/// The rule of threats §1, whose letters stand beside its parts.
fn may_pass(method: &[u8], fields: &[Field], allow_missing: bool) -> bool {
    let values = |name: &str| -> Vec<&[u8]> {
        fields.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_slice()).collect()
    };
    let (origins, sites) = (values("origin"), values("sec-fetch-site"));
    let is_upgrade = !values("upgrade").is_empty() || !values(":protocol").is_empty();
    let is_unsafe = ![b"GET".as_slice(), b"HEAD", b"OPTIONS"].contains(&method) || is_upgrade; // a
    let is_repeated = |values: &[&[u8]]| values.join(b",".as_slice()).contains(&b',');
    let is_ambiguous = is_repeated(&origins) || is_repeated(&sites) || origins == [b"null"]; // b
    let is_trusted = TRUSTED.iter().any(|trusted| origins == [trusted.as_bytes()]); // c
    let is_vouched_for = sites == [b"same-origin"]; // d; what stands there otherwise refutes it
    let says_nothing = origins.is_empty() && sites.is_empty(); // e, f
    !is_unsafe || !is_ambiguous && (is_trusted || is_vouched_for || says_nothing && allow_missing)
}

fn look_at_configured(written: &str) {
    let Ok(origin) = normalised(written) else { return };
    assert_eq!(normalised(&origin).as_ref(), Ok(&origin), "{written}");
    assert!(origin.is_ascii() && !origin.bytes().any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_control()));
    let (_, authority) = origin.split_once("://").unwrap();
    assert!(!authority.is_empty() && !authority.contains(['/', '?', '#', '*', '@', ' ', ',', '\\']), "{written}");
    assert!(!can_be_forged(&origin) || origin.starts_with("http://"));
}
