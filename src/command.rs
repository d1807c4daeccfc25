//! The verbs, and how each of them ends.

mod check;
mod document;
mod environment;
mod explain;
mod place;
mod plugin;
mod schema;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Checks and explains configurations of the Envoy filter session-bearer.
#[derive(Parser)]
#[command(name = "session-bearer", version, max_term_width = 110)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Check(check::Arguments),
    Explain(explain::Arguments),
    Schema(schema::Arguments),
}

/// How a verb ends. Whatever keeps it from doing its work is told in one line and ends with [`Ending::Unable`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Ending {
    /// There is nothing to mend.
    Clean = 0,
    /// There is something to mend.
    Problems = 1,
    /// The verb could not do its work.
    Unable = 2,
}

/// Does what the command line says.
pub fn run() -> ExitCode {
    let ending = match Command::parse().verb {
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Explain(arguments) => explain::run(&arguments),
        Verb::Schema(arguments) => schema::run(&arguments),
    };
    let ending = ending.unwrap_or_else(|complaint| {
        eprintln!("session-bearer: {complaint}");
        Ending::Unable
    });
    ExitCode::from(ending as u8)
}

/// Prints a text and a line break. Whoever does not read to the end, as `head`, need not.
pub fn print(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}
