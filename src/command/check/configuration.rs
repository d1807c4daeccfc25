//! What the core finds wrong with a configuration: all of it.
//!
//! The core stops at the first key of the wrong shape. That one is reported, made harmless, and the rest is read
//! on, until the shape is right and the values can be looked at. Each verdict is the core's.

use serde_json::{Value, json};
use session_bearer::config::{Config, Problem};

use crate::command::document::Node;
use crate::command::environment;

/// What the core says.
pub struct Checked {
    /// Everything that is wrong, and the path of the place to tell it at.
    pub problems: Vec<(Problem, String)>,
    /// What is probably not meant; known only where each value that is there can work.
    pub warnings: Vec<String>,
}

/// So many keys of the wrong shape are reported at most.
const MAX_MISSHAPEN: usize = 1000;

/// How like a key has to be to one that exists to be taken for it, of 1.
const SIMILAR: f64 = 0.7;

/// Has the core check a configuration.
pub fn check(configuration: &Node, env: bool) -> Checked {
    let mut mended = Mended { value: configuration.value(), harmless: Vec::new(), renamed: Vec::new() };
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    for _ in 0..MAX_MISSHAPEN {
        let Some(problem) = Config::misshapen(&mended.bytes()) else { break };
        let (told, goes_on) = mended.make_harmless(problem);
        problems.extend(told);
        if !goes_on {
            return Checked { problems: mended.placed(problems), warnings };
        }
    }
    match environment::read(&mended.bytes(), env) {
        Ok(config) => {
            let is_about_it = |warning: &String| {
                let path = warning.split([' ', ':']).next().unwrap_or_default().to_owned();
                mended.is_told(&Problem { path, text: String::new() })
            };
            warnings.extend(config.warnings.into_iter().filter(|warning| !is_about_it(warning)));
        }
        Err(found) => problems.extend(found.into_iter().filter(|problem| !mended.is_told(problem))),
    }
    Checked { problems: mended.placed(problems), warnings }
}

/// The configuration with what was wrong made harmless.
struct Mended {
    value: Value,
    /// The paths of what was put in or taken out, of which nothing more is to be said.
    harmless: Vec<String>,
    /// The paths that were meant, and those that are written.
    renamed: Vec<(String, String)>,
}

impl Mended {
    fn bytes(&self) -> Vec<u8> {
        self.value.to_string().into_bytes()
    }

    /// Problems with the path as it is written.
    fn placed(&self, problems: Vec<Problem>) -> Vec<(Problem, String)> {
        let written = |path: &str| {
            let renamed = self.renamed.iter().find_map(|(meant, written)| {
                let rest =
                    path.strip_prefix(meant.as_str()).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))?;
                Some(format!("{written}{rest}"))
            });
            renamed.unwrap_or_else(|| path.to_owned())
        };
        let placed = |problem: Problem| {
            let written = written(&problem.path);
            (problem, written)
        };
        problems.into_iter().map(placed).collect()
    }

    /// Whether a problem is about what was put in or taken out.
    fn is_told(&self, problem: &Problem) -> bool {
        self.harmless.iter().any(|harmless| {
            let within = problem.path.strip_prefix(harmless.as_str());
            let is_around = parent_and_name(harmless).0 == problem.path;
            within.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                || (is_around && (problem.text.starts_with("missing") || problem.text.starts_with("needs")))
        })
    }

    /// Answers what is to be told of a problem with the shape, and whether there is more to be read.
    fn make_harmless(&mut self, problem: Problem) -> (Option<Problem>, bool) {
        if let Some(name) = quoted_after(&problem.text, "missing field ") {
            let path = joined(&problem.path, name);
            let is_told = self.harmless.contains(&path);
            let goes_on = self.put(&path, stand_in(name));
            self.harmless.push(path);
            return ((!is_told).then(|| with_mend(problem)), goes_on);
        }
        if problem.text.starts_with("unknown field ") {
            return self.rename(problem);
        }
        let is_told = self.is_told(&problem);
        let removed = self.remove(&problem.path);
        let goes_on = removed.is_some();
        self.harmless.extend(removed);
        ((!is_told).then(|| with_mend(problem)), goes_on)
    }

    /// Takes out a value, or what it is in where there is no such value; answers which of them it was.
    fn remove(&mut self, path: &str) -> Option<String> {
        let is_gone = match parent_and_name(path) {
            (_, "") => return None,
            (list, index) if index.starts_with('[') => self.put(path, stand_in_for_item(list)),
            _ => self.take(path).is_some(),
        };
        if is_gone { Some(path.to_owned()) } else { self.remove(parent_and_name(path).0) }
    }

    /// A key that does not exist: taken for the one that was probably meant, or taken out.
    fn rename(&mut self, mut problem: Problem) -> (Option<Problem>, bool) {
        let (parent, name) = parent_and_name(&problem.path);
        let Some(value) = self.take(&problem.path) else { return (Some(problem), false) };
        let known: Vec<&str> = problem.text.split('`').skip(3).step_by(2).collect();
        let likeness = |known: &&&str| strsim::normalized_damerau_levenshtein(name, known);
        let meant =
            known.iter().filter(|known| likeness(known) >= SIMILAR).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let meant = meant.map(|meant| joined(parent, meant));
        if let Some(path) = meant.filter(|path| self.pointer(path).is_none()) {
            let name = parent_and_name(&path).1;
            problem.text = format!("{}; did you mean `{name}`?", problem.text);
            self.put(&path, value);
            self.renamed.push((path, problem.path.clone()));
        }
        (Some(problem), true)
    }

    fn pointer(&mut self, path: &str) -> Option<&mut Value> {
        steps(path).into_iter().try_fold(&mut self.value, |value, step| match step {
            Step::Member(name) => value.get_mut(name),
            Step::Item(index) => value.get_mut(index),
        })
    }

    fn take(&mut self, path: &str) -> Option<Value> {
        let (parent, name) = parent_and_name(path);
        self.pointer(parent)?.as_object_mut()?.remove(name)
    }

    /// Whether it could be put there.
    fn put(&mut self, path: &str, value: Value) -> bool {
        let (parent, name) = parent_and_name(path);
        if name.starts_with('[') {
            return self.pointer(path).map(|place| *place = value).is_some();
        }
        let parent = self.pointer(parent).and_then(Value::as_object_mut);
        parent.map(|members| members.insert(name.to_owned(), value)).is_some()
    }
}

/// What is put in place of a key that has to be there. Nothing is said about it.
fn stand_in(name: &str) -> Value {
    match name {
        "auth" => json!("required"),
        "keys" => json!({ "secret_env": "STAND_IN" }),
        "match" => json!({ "prefix": "/" }),
        "names" => json!(["stand-in"]),
        "path" | "location" => json!("/"),
        "token" => json!({ "keys": { "secret_env": "STAND_IN" } }),
        _ => json!("stand-in"),
    }
}

fn stand_in_for_item(list: &str) -> Value {
    match parent_and_name(list).1 {
        "credentials" => json!({ "bearer": {} }),
        "routes" => json!({ "match": { "prefix": "/" }, "auth": "required" }),
        "no_session_statuses" => json!(401),
        _ => json!("stand-in"),
    }
}

/// The same problem with its text saying what would work, where the reader of the shape does not.
fn with_mend(mut problem: Problem) -> Problem {
    if let Some(name) = quoted_after(&problem.text, "missing field ") {
        problem.text = format!("{}; write `{name}: …`", problem.text);
    }
    problem
}

enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

/// The steps of a path. Names with a dot in them are only among the headers, whose values are strings.
fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.trim_start_matches('.');
        if let Some((index, after)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            steps.push(Step::Item(index.parse().unwrap_or(usize::MAX)));
            rest = after;
        } else {
            let (name, after) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
            steps.push(Step::Member(name));
            rest = after;
        }
    }
    steps
}

/// The path of what something is in, and its name there; that of an item is its index in brackets.
fn parent_and_name(path: &str) -> (&str, &str) {
    match path.rfind(['.', '[']) {
        Some(at) if path.get(at..).is_some_and(|rest| rest.starts_with('[')) => path.split_at(at),
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at.saturating_add(1)..).unwrap_or_default()),
        None => ("", path),
    }
}

fn joined(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

fn quoted_after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.split('`').nth(1)
}
