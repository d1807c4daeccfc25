//! The invariants of docs/architecture.md that can be read off the source.

use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    collect(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").as_path(), &mut files);
    assert!(files.len() > 20, "the sources have moved");
    files
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, files),
            false => files.push((path.clone(), fs::read_to_string(&path).unwrap())),
        }
    }
}

/// Lines of code with `word` in them, in files not below `allowed`.
fn mentions(word: &str, allowed: &[&str]) -> Vec<String> {
    let outside = |path: &Path| !allowed.iter().any(|place| path.to_string_lossy().contains(place));
    let code = |line: &&str| !line.trim_start().starts_with("//") && line.contains(word);
    let files = sources().into_iter().filter(|(path, _)| outside(path));
    files
        .flat_map(|(path, text)| {
            text.lines().filter(code).map(|line| format!("{}: {line}", path.display())).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn only_the_adapter_names_the_sdk() {
    assert_eq!(mentions("proxy_wasm", &["/filter.rs", "/filter/"]), Vec::<String>::new());
}

#[test]
fn only_one_file_makes_host_calls() {
    assert_eq!(mentions("hostcalls", &["/filter/host.rs"]), Vec::<String>::new());
    for method in
        ["get_http_", "set_http_", "self.dispatch_http", "self.get_property", "self.send_http", "self.resume_http"]
    {
        assert_eq!(mentions(method, &["/filter/host.rs"]), Vec::<String>::new(), "{method}");
    }
}

#[test]
fn core_has_no_clock_no_environment_and_no_randomness_of_its_own() {
    for word in ["SystemTime", "Instant", "env::", "getrandom", "thread_rng"] {
        assert_eq!(mentions(word, &["/filter/host.rs", "/command/environment.rs"]), Vec::<String>::new(), "{word}");
    }
}

#[test]
fn only_the_verifier_makes_a_verified_token() {
    assert_eq!(mentions("VerifiedToken::new(", &["/token/verify.rs"]), Vec::<String>::new());
}

#[test]
fn files_are_short_enough_to_be_read() {
    for (path, text) in sources() {
        assert!(text.lines().count() <= 400, "{} has {} lines", path.display(), text.lines().count());
    }
}
