//! Which rule applies to a request: the first that matches, `required` when none does.
//!
//! Protection is the default and needs no rule. What lowers it, an `off` or an `optional` rule, applies
//! only where the raw path and the decoded path both match it and nobody could read the path otherwise
//! (threats C1); everything else is `required`.

use std::rc::Rc;

use crate::request::RequestHead;
use crate::token::VerifiedToken;
use crate::token::requirement::Requirement;

/// What a route demands of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Auth {
    /// A verified credential, or a denial.
    Required,
    /// A verified credential when one is sent and can be checked; anonymous otherwise.
    Optional,
    /// Nothing is looked at.
    Off,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Route {
    /// The paths it is about.
    pub path: PathMatch,
    /// The methods it is about, case-sensitive (RFC 9110 §9.1); empty for all.
    pub methods: Vec<String>,
    /// The hosts it is about, in lower case, without port; empty for all.
    pub hosts: Vec<String>,
    /// What it demands, and what it lets pass.
    pub policy: Policy,
}

/// What holds for the requests of a route.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether a credential is needed.
    pub auth: Auth,
    /// On an `off` route: leave the client's own `Authorization` in place.
    pub pass_authorization: bool,
    /// What a token has to have besides being valid.
    pub require: Vec<Rc<Requirement>>,
}

/// A pattern for paths. Patterns are plain themselves (see [`crate::path::RequestPath::plain`]).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PathMatch {
    /// This path and no other.
    Exact(String),
    /// This path and all below it; `/api` is not a prefix of `/apix`.
    Prefix(String),
    /// Paths of these segments; `None` stands for any one that is not empty.
    Template(Vec<Option<String>>),
}

/// The rules in the order they are written.
#[derive(Debug)]
pub struct RouteTable(Vec<Route>);

/// Which rules decide on a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Choice {
    /// None, for it is a true CORS preflight.
    Preflight,
    /// None, since none matches: `required`.
    NoRule,
    /// This one.
    Rule(usize),
    /// It is not sure which: a credential is needed, and all that any of these requires. None at all is possible,
    /// and so is one several times.
    AnyOf(Vec<usize>),
}

/// Whether denials are carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Enforcement {
    /// They are.
    Enforced,
    /// What would be denied passes, without a credential; it is counted and logged.
    ReportOnly,
}

/// Leave to let a request pass without a credential.
///
/// Only a route that says `optional` or `off`, or a configuration that says `report_only`, gives one, so no
/// failure can let a request through by itself.
#[derive(Debug)]
pub struct AnonymousPermit(());

impl Policy {
    /// What holds where no rule matches.
    pub const REQUIRED: Self = Self { auth: Auth::Required, pass_authorization: false, require: Vec::new() };

    /// What holds for a true CORS preflight: browsers send it without credentials, and Envoy's cors
    /// filter or the backend has to answer it.
    pub const PREFLIGHT: Self = Self { auth: Auth::Off, pass_authorization: false, require: Vec::new() };

    /// Whether a token has all that is required.
    pub fn admits(&self, token: &VerifiedToken) -> bool {
        self.require.iter().all(|requirement| requirement.is_met_by(token))
    }

    /// Leave to pass without a credential, where the route gives it.
    pub const fn anonymous(&self) -> Option<AnonymousPermit> {
        match self.auth {
            Auth::Required => None,
            Auth::Optional | Auth::Off => Some(AnonymousPermit(())),
        }
    }
}

impl Enforcement {
    /// Leave to pass although denied, where denials are not carried out.
    pub const fn waived(self) -> Option<AnonymousPermit> {
        match self {
            Self::Enforced => None,
            Self::ReportOnly => Some(AnonymousPermit(())),
        }
    }
}

impl RouteTable {
    /// The table of these rules.
    pub const fn new(routes: Vec<Route>) -> Self {
        Self(routes)
    }

    /// What holds for a request.
    ///
    /// # Security
    /// The decoded path decides, since that is what the backend sees; a policy below `required` needs
    /// the raw path to choose the same rule. A path that is not plain is always `required`, and has to do
    /// for the requirements of every route that some server might take it for.
    pub fn find(&self, head: &RequestHead<'_>) -> Policy {
        match self.choose(head) {
            Choice::Preflight => Policy::PREFLIGHT,
            Choice::NoRule => Policy::REQUIRED,
            Choice::Rule(i) => self.0.get(i).map_or(Policy::REQUIRED, |route| route.policy.clone()),
            Choice::AnyOf(rules) => self.required_of(rules.into_iter()),
        }
    }

    /// Which rules decide on a request.
    pub fn choose(&self, head: &RequestHead<'_>) -> Choice {
        if head.is_preflight() {
            return Choice::Preflight;
        }
        let path = head.path();
        let asks_for_host = self.0.iter().any(|route| !route.hosts.is_empty());
        let host = if asks_for_host { head.host() } else { None };
        let first = |path: &[u8]| self.0.iter().position(|route| route.matches(head.method(), host.as_deref(), path));
        let Some(decoded) = path.plain() else {
            return Choice::AnyOf(match path.readings() {
                Some(readings) => readings.iter().filter_map(|reading| first(reading)).collect(),
                None => (0..self.0.len()).collect(),
            });
        };
        let chosen = first(decoded.as_bytes());
        let Some((i, route)) = chosen.and_then(|i| Some((i, self.0.get(i)?))) else { return Choice::NoRule };
        let agreed = route.policy.auth == Auth::Required || first(path.raw()) == chosen;
        if agreed { Choice::Rule(i) } else { Choice::AnyOf(vec![i]) }
    }

    /// A credential, and whatever any of these routes requires of it: where it is not sure which route a
    /// path will turn out to be, the token has to do for all it could be.
    fn required_of(&self, routes: impl Iterator<Item = usize>) -> Policy {
        let mut require: Vec<Rc<Requirement>> = Vec::new();
        for route in routes.filter_map(|i| self.0.get(i)) {
            for requirement in &route.policy.require {
                if !require.iter().any(|known| Rc::ptr_eq(known, requirement)) {
                    require.push(Rc::clone(requirement));
                }
            }
        }
        Policy { require, ..Policy::REQUIRED }
    }
}

impl Route {
    fn matches(&self, method: &[u8], host: Option<&str>, path: &[u8]) -> bool {
        let has_method = self.methods.is_empty() || self.methods.iter().any(|listed| listed.as_bytes() == method);
        let has_host = self.hosts.is_empty() || self.hosts.iter().any(|listed| Some(listed.as_str()) == host);
        has_method && has_host && self.path.matches(path)
    }
}

impl PathMatch {
    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => path == exact.as_bytes(),
            Self::Prefix(prefix) => {
                let whole = prefix.trim_end_matches('/').as_bytes();
                path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
            }
            Self::Template(template) => {
                let Some(path) = path.strip_prefix(b"/") else { return false };
                let fits = |(segment, sent): (&Option<String>, &[u8])| match segment {
                    Some(literal) => literal.as_bytes() == sent,
                    None => !sent.is_empty(),
                };
                let sent: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
                template.len() == sent.len() && template.iter().zip(sent).all(fits)
            }
        }
    }
}
