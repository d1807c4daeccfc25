//! The verb `check`: everything that is wrong with a configuration and around it, at once.

mod configuration;
mod envoy;
mod filters;
mod kubernetes;
mod manager;
mod secrets;
mod switch;

use std::fmt;
use std::fs;

use self::configuration::Checked;
use super::document::{self, Documents, Node};
use super::place::Place;
use super::plugin::{self, Home, Plugin};
use super::{Ending, print};

/// Reports everything that is wrong in configurations of the filter and around them.
///
/// A FILE is a plugin's configuration, in YAML or JSON, or an Envoy configuration, a WasmPlugin, an EnvoyFilter or an
/// EnvoyExtensionPolicy that has one. Ends with 0 when there are no errors, 1 when there are, 2 when a file
/// cannot be read.
#[derive(clap::Args)]
pub struct Arguments {
    /// The files to check.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Take warnings for errors.
    #[arg(long)]
    strict: bool,
    /// Look at the secret that `secret_env` names in this environment.
    #[arg(long)]
    env: bool,
    /// A cluster that is defined elsewhere; may be given several times.
    #[arg(long = "cluster", value_name = "NAME")]
    clusters: Vec<String>,
}

/// Something to mend.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// How bad it is.
    pub severity: Severity,
    /// The field: that of the plugin's configuration, or one seen from what is around it.
    pub path: String,
    /// What is wrong and what would be right. It never holds a secret.
    pub text: String,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// It cannot work, or lets in whom it should not.
    Error,
    /// It is probably not meant.
    Warning,
}

/// The findings so far.
#[derive(Default)]
pub struct Findings(Vec<Finding>);

/// What is known beside one configuration.
pub struct Surroundings<'a> {
    /// The documents of the file.
    pub documents: &'a [Node],
    /// The clusters that are defined elsewhere.
    pub clusters: &'a [String],
}

/// Checks the files.
pub fn run(arguments: &Arguments) -> Result<Ending, String> {
    let mut worst = Ending::Clean;
    for file in &arguments.files {
        let ending = check_file(file, arguments).unwrap_or_else(|complaint| {
            eprintln!("{complaint}");
            Ending::Unable
        });
        worst = worst.max(ending);
    }
    Ok(worst)
}

fn check_file(file: &str, arguments: &Arguments) -> Result<Ending, String> {
    let Documents { roots, repeated } = read_file(file)?;
    let mut findings = Findings::default();
    for member in &repeated {
        findings.error(member.place, &member.name, "is there twice; keep one");
    }
    let plugins = plugin::find(&roots);
    if plugins.is_empty() {
        return Err(format!("{file}: there is no configuration of session-bearer in it"));
    }
    let surroundings = Surroundings { documents: &roots, clusters: &arguments.clusters };
    let mut unseen = Vec::new();
    for plugin in &plugins {
        unseen.extend(check_plugin(plugin, &surroundings, arguments.env, &mut findings));
    }
    envoy::check_bootstrap(&roots, &mut findings);
    Ok(findings.print(file, plugins.len(), &unseen, arguments.strict))
}

/// Reads the documents of a file.
///
/// # Errors
/// In a line, what keeps it from being read.
pub fn read_file(file: &str) -> Result<Documents, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    document::read(&text).map_err(|error| format!("{file}:{}: not YAML or JSON: {}", error.place, error.text))
}

/// Answers the variable whose secret was not looked at.
fn check_plugin(plugin: &Plugin<'_>, around: &Surroundings<'_>, env: bool, findings: &mut Findings) -> Option<String> {
    let configuration = match &plugin.configuration {
        Ok(configuration) => configuration,
        Err(misplaced) => {
            findings.error(misplaced.place, &misplaced.path, &misplaced.text);
            return None;
        }
    };
    let Checked { problems, warnings } = configuration::check(configuration, env);
    for (problem, written) in problems {
        findings.error(configuration.find(&written), &problem.path, &problem.text);
    }
    for warning in warnings {
        let (path, text) = warning.split_once([' ', ':']).unwrap_or((&warning, ""));
        findings.warning(configuration.find(path), path, text.trim_start());
    }
    secrets::check_configuration(configuration, findings);
    match plugin.home {
        Home::Document => {}
        Home::Envoy { plugin, manager } => {
            envoy::check(plugin, configuration, around, findings);
            switch::check(plugin, manager.map(|(manager, _)| manager), around, findings);
            if let Some((manager, number)) = manager {
                filters::check(manager, number, configuration, findings);
                manager::check(manager, configuration, findings);
            }
        }
        Home::Istio(spec) => kubernetes::check_istio(spec, configuration, findings),
        Home::Gateway(entry) => kubernetes::check_gateway(entry, configuration, findings),
    }
    envoy::check_clusters(configuration, around, findings);
    secrets::variable(configuration).filter(|_| !env).map(str::to_owned)
}

impl Findings {
    /// Adds what cannot work, or lets in whom it should not.
    pub fn error(&mut self, place: Place, path: impl Into<String>, text: impl Into<String>) {
        self.add(Severity::Error, place, path, text);
    }

    /// Adds what is probably not meant.
    pub fn warning(&mut self, place: Place, path: impl Into<String>, text: impl Into<String>) {
        let path = path.into();
        // What does not work need not be warned of.
        if !self
            .0
            .iter()
            .any(|finding| finding.severity == Severity::Error && finding.place == place && finding.path == path)
        {
            self.add(Severity::Warning, place, path, text);
        }
    }

    fn add(&mut self, severity: Severity, place: Place, path: impl Into<String>, text: impl Into<String>) {
        self.0.push(Finding { place, severity, path: path.into(), text: text.into() });
    }

    fn print(mut self, file: &str, plugins: usize, unseen: &[String], strict: bool) -> Ending {
        self.0.sort();
        self.0.dedup();
        let mut lines: Vec<String> = self.0.iter().map(|finding| format!("{file}:{finding}")).collect();
        lines.extend(unseen.iter().map(|variable| {
            format!(
                "{file}: note: the secret in {variable} was not looked at; --env looks at the one in this environment"
            )
        }));
        let count = |severity| self.0.iter().filter(|finding| finding.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        let counts = [counted(plugins, "plugin"), counted(errors, "error"), counted(warnings, "warning")];
        lines.push(format!("{file}: {}", counts.join(", ")));
        print(&lines.join("\n"));
        if errors > 0 || (strict && warnings > 0) { Ending::Problems } else { Ending::Clean }
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, path, text, .. } = self;
        let severity = if self.severity == Severity::Error { "error" } else { "warning" };
        let path = if path.is_empty() { "the configuration" } else { path };
        write!(f, "{place}: {severity}: {path}: {text}")
    }
}
