//! Any bytes as `Cookie` fields, one per line: ours are found as a reader written in three lines finds
//! them, and nothing of ours is left in the rest.

#![no_main]

use libfuzzer_sys::fuzz_target;
use session_bearer::cookie::{CookieNames, Rest};

fuzz_target!(|data: &[u8]| {
    let cookies =
        CookieNames { sessions: vec!["sid".to_owned()], companions: vec!["remember".to_owned()], tokens: vec![] };
    let fields = data.split(|&byte| byte == b'\n');
    let named = |field: &[u8], name: &[u8]| -> Vec<Vec<u8>> {
        let pairs = field
            .split(|&byte| byte == b';')
            .filter_map(|pair| pair.iter().position(|&b| b == b'=').map(|at| pair.split_at(at)));
        pairs.filter(|(n, _)| trim(n) == name).map(|(_, value)| trim(&value[1..]).to_vec()).collect()
    };
    let values: Vec<Vec<u8>> = fields.clone().flat_map(|field| named(field, b"sid")).collect();
    match cookies.read(fields.clone()) {
        Err(_) => {
            let companions: Vec<Vec<u8>> = fields.flat_map(|field| named(field, b"remember")).collect();
            let differ = |values: &[Vec<u8>]| values.windows(2).any(|pair| pair[0] != pair[1]);
            assert!(differ(&values) || differ(&companions));
        }
        Ok((jar, rest)) => {
            assert_eq!(jar.session().map(|pair| pair.value.to_vec()), values.first().cloned());
            if let Rest::Pairs(rest) = rest {
                assert!(named(&rest, b"sid").is_empty() && named(&rest, b"remember").is_empty());
            }
        }
    }
});

fn trim(bytes: &[u8]) -> &[u8] {
    let text = |b: &u8| !matches!(b, b' ' | b'\t');
    match (bytes.iter().position(text), bytes.iter().rposition(text)) {
        (Some(start), Some(end)) => &bytes[start..=end],
        _ => &[],
    }
}
