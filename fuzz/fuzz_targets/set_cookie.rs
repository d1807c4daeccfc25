//! Any bytes as `Set-Cookie` lines and as `Retry-After`, one per line: what goes on to a browser sets one
//! of the listed cookies and could stand in a header field.

#![no_main]

use libfuzzer_sys::fuzz_target;
use session_bearer::cookie::CookieNames;
use session_bearer::exchange::CalloutReply;
use session_bearer::set_cookie::{SetCookie, relayable};
use session_bearer::time::UnixTime;

fuzz_target!(|data: &[u8]| {
    let now = UnixTime::from_secs(1_700_000_000);
    let names =
        CookieNames { sessions: vec!["sid".to_owned()], companions: vec!["remember".to_owned()], tokens: vec![] };
    let fields = |name: &str| data.split(|&byte| byte == b'\n').map(|line| (name.to_owned(), line.to_vec())).collect();
    let set: Vec<_> = fields("set-cookie");
    for (_, line) in &set {
        if let Some(set) = SetCookie::parse(line) {
            assert!(!set.pair.value.is_empty() || set.clears(now));
        }
    }
    for line in relayable(&set, &names) {
        let name = line.split('=').next().unwrap().trim_matches([' ', '\t']);
        assert!(name == "sid" || name == "remember", "{line}");
        assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
    }
    let wait: Vec<_> = fields("retry-after");
    assert_ne!(CalloutReply { fields: &wait, body: b"" }.retry_after(now), Some(0));
});
