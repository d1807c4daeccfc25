//! Every example in docs/command.md: the command is run as it is written there, and prints what is printed there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::{folder, repository, session_bearer_in};

/// The blocks between fences of this language, in order.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    text.split(opening.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The words of a command line, as a shell makes them of quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for character in line.chars() {
        match character {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().unwrap().push(character),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn documented_examples_print_what_is_documented() {
    let text = repository("docs/command.md");
    let folder = folder("documented");
    for name in ["envoy", "docs"] {
        symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), folder.join(name)).unwrap();
    }
    // The first line of a file is its name.
    for file in blocks(&text, "yaml") {
        let name = file.lines().next().unwrap().strip_prefix("# ").unwrap();
        fs::write(folder.join(name), file).unwrap();
    }
    let mut count = 0;
    for block in blocks(&text, "console") {
        for example in block.split("$ session-bearer ").skip(1) {
            let (line, printed) = example.split_once('\n').unwrap();
            let (line, code) = line.split_once("; echo $?").map_or((line, false), |(line, _)| (line, true));
            let arguments = words(line);
            let run = session_bearer_in(&folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
            let code = if code { format!("{}\n", run.code) } else { String::new() };
            assert_eq!(format!("{}{}{code}", run.out, run.err), printed, "session-bearer {line}");
            count += 1;
        }
    }
    assert!(count >= 6, "{count} examples were found");
}
