//! Any bytes as a configuration: it is read or refused with a reason, and a secret is never repeated.

#![no_main]

use std::hash::{DefaultHasher, Hasher as _};

use libfuzzer_sys::fuzz_target;
use session_bearer::config::Config;

fuzz_target!(|data: &[u8]| {
    // The fuzzer learns what is compared with; it cannot put a digest of its input into it.
    let mut hasher = DefaultHasher::new();
    hasher.write(data);
    for length in [16, 32] {
        let secret = format!("{:0length$x}", hasher.finish());
        if let Err(problems) = Config::read(data, &|_| Some(secret.clone())) {
            assert!(!problems.is_empty());
            let told = |problem: &str| problem.contains(&secret[length - 16..]);
            assert!(!problems.iter().any(|problem| told(&problem.to_string())));
        }
    }
});
