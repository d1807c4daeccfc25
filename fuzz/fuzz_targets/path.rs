//! Any bytes as `:path`: a lenient rule is met by nothing but plain paths below it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use session_bearer::request::RequestHead;
use session_bearer::routes::{Auth, PathMatch, Policy, Route, RouteTable};

fuzz_target!(|data: &[u8]| {
    let policy = Policy { auth: Auth::Off, ..Policy::REQUIRED };
    let open = Route { path: PathMatch::Prefix("/open".to_owned()), methods: vec![], hosts: vec![], policy };
    let fields = [(":method".to_owned(), b"GET".to_vec()), (":path".to_owned(), data.to_vec())];
    let Ok(head) = RequestHead::new(&fields) else { return };
    if RouteTable::new(vec![open]).find(&head).auth == Auth::Off {
        let path = data.split(|&byte| byte == b'?').next().unwrap();
        assert!(path == b"/open" || path.starts_with(b"/open/"));
        assert!(!path.windows(2).any(|pair| pair == b"//"));
        assert!(!path.split(|&byte| byte == b'/').any(|segment| segment == b"." || segment == b".."));
    }
});
