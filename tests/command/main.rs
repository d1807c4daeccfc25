//! The command `session-bearer`, run as its users run it.

mod check;
#[path = "../common/mod.rs"]
mod common;
mod documented;
mod explain;
mod schema;
mod secrecy;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a run left.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs the command in the root of the repository.
pub fn session_bearer(arguments: &[&str]) -> Run {
    session_bearer_in(Path::new(env!("CARGO_MANIFEST_DIR")), arguments, &[])
}

/// Runs the command in a folder and an environment.
pub fn session_bearer_in(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_session-bearer"));
    command.args(arguments).current_dir(folder).env_remove("JWT_SECRET").envs(environment.iter().copied());
    let output = command.output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// An empty folder that no other test uses.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A file of the repository.
pub fn repository(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}
