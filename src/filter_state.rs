//! What Envoy's access logs and the filters after this one are told about a request.
//!
//! Envoy keeps it as the filter state of the request, each name with `wasm.` before it. No client can write
//! there, so rate limits and RBAC can go by it where they could not by a header field.

use std::rc::Rc;

use crate::credential::Kind;
use crate::stats::Counter;

/// What was decided on a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FilterState {
    /// What became of it, or would have without `report_only`.
    pub outcome: Counter,
    /// The kind of credential that decided, if there was one.
    pub credential: Option<Kind>,
    /// The `sub` of the token it was let through with.
    pub subject: Option<Rc<str>>,
}

impl FilterState {
    /// The names and values.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let credential = self.credential.map_or("none", Kind::name);
        let subject = self.subject.as_ref().map(|subject| ("session_bearer.subject", &**subject));
        [("session_bearer.outcome", self.outcome.label()), ("session_bearer.credential", credential)]
            .into_iter()
            .chain(subject)
    }
}
