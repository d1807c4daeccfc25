//! Any bytes as `Cookie` fields, one per line: ours are found as a reader written in three lines finds
//! them, and nothing of ours is left in the rest.

#![no_main]

use libfuzzer_sys::fuzz_target;
use session_bearer::cookie::{CookieNames, Rest};
use session_bearer_fuzz::cookies;

fuzz_target!(|data: &[u8]| {
    let names =
        CookieNames { sessions: vec!["sid".to_owned()], companions: vec!["remember".to_owned()], tokens: vec![] };
    let fields = data.split(|&byte| byte == b'\n');
    let named = |pairs: &[(&[u8], &[u8])], name: &[u8]| -> Vec<Vec<u8>> {
        pairs.iter().filter(|(n, _)| *n == name).map(|(_, value)| value.to_vec()).collect()
    };
    let sent = cookies(fields.clone());
    let values = named(&sent, b"sid");
    match names.read(fields) {
        Err(_) => {
            let differ = |values: &[Vec<u8>]| values.windows(2).any(|pair| pair[0] != pair[1]);
            assert!(differ(&values) || differ(&named(&sent, b"remember")));
        }
        Ok((jar, rest)) => {
            assert_eq!(jar.session().map(|pair| pair.value.to_vec()), values.first().cloned());
            if let Rest::Pairs(rest) = rest {
                let rest = cookies([rest.as_slice()]);
                assert!(named(&rest, b"sid").is_empty() && named(&rest, b"remember").is_empty());
            }
        }
    }
});
