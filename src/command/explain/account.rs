//! What is told of a request: which rule and which credential decided, and what is sent.

use std::fmt;

use serde_json::{Value, json};
use session_bearer::config::Config;
use session_bearer::credential::{Carried, Credential, Kind};
use session_bearer::origin::OriginVerdict;
use session_bearer::request::RequestHead;
use session_bearer::routes::{Auth, Choice, Enforcement, Policy};

use super::request::Request;
use super::text_of;
use super::worker::{End, Ran};
use crate::command::document::Node;
use crate::command::plugin::{Home, Plugin};

/// What is told.
pub struct Account {
    line: String,
    steps: Vec<Step>,
    rules: Vec<usize>,
    auth: Option<Auth>,
    ran: Ran,
}

/// A step on the way to the decision.
struct Step {
    name: &'static str,
    text: String,
}

impl Account {
    /// What is told of a request that ran so.
    pub fn new(config: &Config, written: &Node, plugin: &Plugin<'_>, request: &Request, ran: Ran) -> Self {
        let mut account = Self { line: request.line(), steps: Vec::new(), rules: Vec::new(), auth: None, ran };
        let Ok(head) = RequestHead::new(request.fields()) else {
            account.step("request", "has no method or path, or is a CONNECT: no rule is about it");
            return account;
        };
        account.tell_path(&head, plugin);
        let policy = config.routes.find(&head);
        account.auth = Some(policy.auth);
        account.tell_route(config.routes.choose(&head), &policy, written);
        if policy.auth != Auth::Off {
            let is_origin_checked = account.tell_credential(config, &head);
            if is_origin_checked {
                account.step("origin", verdict(config.origins.judge(&head)));
            }
            account.tell_exchange(config);
            account.tell_requirements(&policy, written);
        }
        if config.enforcement == Enforcement::ReportOnly {
            account.step("note", "report_only is set: what would be refused goes on without a credential");
        }
        account
    }

    fn step(&mut self, name: &'static str, text: impl Into<String>) {
        self.steps.push(Step { name, text: text.into() });
    }

    fn tell_path(&mut self, head: &RequestHead<'_>, plugin: &Plugin<'_>) {
        if head.path().plain().is_some() {
            return;
        }
        let readings = head.path().readings().map(|readings| {
            let shown = readings.iter().skip(1).map(|reading| reading.escape_ascii().to_string());
            shown.collect::<Vec<_>>().join("  ")
        });
        let read = match readings {
            Some(readings) if readings.is_empty() => "can be read in more than one way".to_owned(),
            Some(readings) => format!("can also be read as  {readings}"),
            None => "can be read in more ways than are looked at".to_owned(),
        };
        self.step("path", format!("{read}; no \"off\" or \"optional\" rule can match it"));
        if let Home::Envoy { manager: Some((manager, _)), .. } = plugin.home {
            let normalises =
                ["normalize_path", "merge_slashes"].iter().any(|name| manager.field(name).is_some_and(Node::is_true));
            if normalises {
                self.step("note", "this Envoy normalises paths first, or refuses them: give the path that is left");
            }
        }
    }

    fn tell_route(&mut self, choice: Choice, policy: &Policy, written: &Node) {
        let routes = written.get("routes").map_or(&[][..], Node::items);
        let rule = |i: usize| {
            let line = routes.get(i).map_or(0, |route| route.place.line);
            format!("routes[{i}] {} (line {line})", text_of(routes.get(i)))
        };
        match choice {
            Choice::Preflight => {
                self.step("route", "a true CORS preflight: passes to Envoy's cors filter without a credential")
            }
            Choice::NoRule => self.step("route", "no rule matches: a credential is required"),
            Choice::Rule(i) => {
                self.step("route", rule(i));
                self.rules.push(i);
            }
            Choice::AnyOf(mut rules) => {
                rules.sort_unstable();
                rules.dedup();
                let texts: Vec<_> = rules.iter().map(|i| rule(*i)).collect();
                let which = if texts.is_empty() {
                    "no rule matches".to_owned()
                } else {
                    format!("it may be {}", texts.join(" or "))
                };
                let all = if policy.require.is_empty() { "" } else { ", and all that these require" };
                self.step("route", format!("{which}: a credential is required{all}"));
                self.rules = rules;
            }
        }
    }

    /// Answers whether it is to be asked where the request comes from.
    fn tell_credential(&mut self, config: &Config, head: &RequestHead<'_>) -> bool {
        let Carried { credential, kind, .. } = config.credentials.read(head);
        let kind_name = kind.map_or("none", Kind::name);
        let text = match credential {
            Err(denial) => denial.to_string(),
            Ok(Credential::None) => "none of those that are listed".to_owned(),
            Ok(Credential::Session(pair, companions)) => {
                let along = if companions.is_empty() { "" } else { ", with its companions" };
                let is_odd = if pair.is_plausible() { "" } else { ", whose value cannot be one" };
                format!("{kind_name} {}{along}{is_odd}", pair.name.escape_ascii())
            }
            Ok(Credential::Token(_)) => kind_name.to_owned(),
        };
        self.step("credential", text);
        kind.is_some_and(Kind::is_cookie)
    }

    fn tell_exchange(&mut self, config: &Config) {
        let (attempts, Some(exchange)) = (self.ran.callouts.len(), &config.exchange) else { return };
        if let Some(fields) = self.ran.callouts.first() {
            let sent: Vec<&str> = fields.iter().map(String::as_str).filter(|name| !name.starts_with(':')).collect();
            let times = if attempts == 1 { String::new() } else { format!(", {attempts} times") };
            let text = format!(
                "{} {}{} at the cluster {}{times}, with {}",
                exchange.method.as_str(),
                exchange.authority,
                exchange.path,
                exchange.cluster,
                sent.join(", ")
            );
            self.step("callout", text);
        }
        if let Some(failure) = self.ran.failure {
            self.step("log", failure.to_string());
        }
    }

    fn tell_requirements(&mut self, policy: &Policy, written: &Node) {
        if policy.require.is_empty() {
            return;
        }
        let routes = written.get("routes").map_or(&[][..], Node::items);
        let required = self.rules.iter().filter_map(|i| routes.get(*i)?.get("require"));
        let texts: Vec<_> = required.map(|require| text_of(Some(require))).collect();
        self.step("requires", texts.join(" and "));
    }

    /// The same as JSON.
    pub fn to_json(&self) -> String {
        let steps: Vec<_> = self.steps.iter().map(|step| json!({ "step": step.name, "text": step.text })).collect();
        let (reply, upstream) = match &self.ran.end {
            End::Reply(reply) => {
                let headers: Vec<_> = reply.headers.iter().map(|(name, value)| json!([name, value])).collect();
                (json!({ "status": reply.status, "headers": headers, "body": reply.body }), Value::Null)
            }
            End::Upstream { removed, set } => (Value::Null, json!({ "remove": removed, "set": set })),
        };
        let told = json!({
            "request": self.line,
            "steps": steps,
            "rules": self.rules,
            "auth": self.auth.map(auth_name),
            "credential": self.ran.state.credential.map(Kind::name),
            "callouts": self.ran.callouts,
            "outcome": self.ran.state.outcome.label(),
            "reply": reply,
            "upstream": upstream,
        });
        format!("{told:#}")
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.line)?;
        for Step { name, text } in &self.steps {
            writeln!(f, "  {name:<10}  {text}")?;
        }
        writeln!(f, "  {:<10}  {}", "outcome", self.ran.state.outcome.label())?;
        match &self.ran.end {
            End::Reply(reply) => {
                write!(f, "answered here: {}", reply.status)?;
                for (name, value) in &reply.headers {
                    write!(f, "\n  {name}: {value}")?;
                }
                if reply.body.is_empty() { Ok(()) } else { write!(f, "\n  {}", reply.body) }
            }
            End::Upstream { removed, set } => {
                write!(f, "goes on to the backend")?;
                for (what, names) in [("takes out", removed), ("sets", set)] {
                    if !names.is_empty() {
                        write!(f, "\n  {what} {}", names.join(", "))?;
                    }
                }
                Ok(())
            }
        }
    }
}

const fn auth_name(auth: Auth) -> &'static str {
    match auth {
        Auth::Required => "required",
        Auth::Optional => "optional",
        Auth::Off => "off",
    }
}

const fn verdict(verdict: OriginVerdict) -> &'static str {
    match verdict {
        OriginVerdict::NotChecked => "passes: csrf.insecure_disable is on, and nothing is looked at",
        OriginVerdict::Harmless => "passes: GET, HEAD and OPTIONS have no effect, unless they open an upgrade",
        OriginVerdict::Trusted => "passes: Origin is listed under csrf.trusted_origins",
        OriginVerdict::SameOrigin => "passes: Sec-Fetch-Site is same-origin",
        OriginVerdict::MissingAllowed => {
            "passes: it does not say where it comes from, and csrf.insecure_allow_missing_origin is on"
        }
        OriginVerdict::Repeated => "refused: Origin or Sec-Fetch-Site came more than once",
        OriginVerdict::Opaque => "refused: Origin is null, that of a page without one of its own",
        OriginVerdict::OtherSite => {
            "refused: Sec-Fetch-Site is not same-origin, and Origin is not listed under csrf.trusted_origins"
        }
        OriginVerdict::NotListed => {
            "refused: Origin is not listed under csrf.trusted_origins, and there is no Sec-Fetch-Site"
        }
        OriginVerdict::Missing => "refused: there is neither Origin nor Sec-Fetch-Site",
    }
}
