//! Any bytes as a configuration: it is read or refused with a reason, and a secret is never repeated.

#![no_main]

use libfuzzer_sys::fuzz_target;
use session_bearer::config::Config;

fuzz_target!(|data: &[u8]| {
    if let Err(problems) = Config::read(data, &|_| Some("hunter2-and-not-long-enough".to_owned())) {
        assert!(!problems.is_empty());
        assert!(problems.iter().all(|problem| !problem.to_string().contains("hunter2-and")));
    }
});
