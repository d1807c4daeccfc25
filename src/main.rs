//! The command `session-bearer`: checks a configuration, explains what it does with a request, and prints its
//! schema. It runs the core that the module runs, natively; docs/command.md shows it at work.

#![forbid(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run()
}
