//! Which keys there are, of which shape, and what holds where one is left out.
//!
//! Nothing here knows what a value means. The comments are what an editor shows beside a key.

mod defaults;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;

use self::defaults::*;
use super::Problem;
use super::span::Span;
use crate::routes::Auth;

/// Reads a document into its keys.
pub fn read(document: Value) -> Result<RawConfig, Problem> {
    serde_path_to_error::deserialize(document).map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." => String::new(),
            path => path,
        };
        Problem::new(path, told(error.inner().to_string()))
    })
}

/// What is told of a value of the wrong type: not the text of a string where an object belongs, which may be a
/// secret, and never a name of ours.
fn told(text: String) -> String {
    match text.rsplit_once(", expected ") {
        Some((written, expected @ ("an object" | "a map"))) if written.starts_with("invalid type: string") => {
            format!("invalid type: a string, expected {expected}")
        }
        Some((_, "newtype variant")) => r#"not an object; write it like {"bearer": {}}"#.to_owned(),
        _ => text,
    }
}

/// Every key is explained in docs/configuration.md.
#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(title = "session-bearer"))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawConfig {
    /// The accepted credentials, in order: the first kind that is present on a request decides.
    #[serde(default)]
    pub credentials: Vec<RawCredential>,
    /// How a session cookie is exchanged for a token. Required when `session_cookie` is listed.
    pub exchange: Option<RawExchange>,
    /// How long and how much is remembered.
    #[serde(default)]
    pub cache: RawCache,
    /// What tokens have to be like.
    pub token: RawToken,
    /// Which requests need a credential. The first match wins; what matches nothing is `required`.
    #[serde(default)]
    pub routes: Vec<RawRoute>,
    /// What the backend sees.
    #[serde(default)]
    pub upstream: RawUpstream,
    /// Which requests with a cookie are taken for the site's own.
    #[serde(default)]
    pub csrf: RawCsrf,
    /// What becomes of a page navigation without a session.
    #[serde(default)]
    pub unauthenticated: RawUnauthenticated,
    /// Decide, count and log, but refuse nothing: for a careful roll-out. The filter protects nothing until it is out.
    #[serde(default)]
    pub report_only: bool,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Unauthenticated"))]
#[serde(deny_unknown_fields, default, expecting = "an object")]
pub struct RawUnauthenticated {
    /// Where a page navigation is sent instead of being answered 401.
    pub sign_in: Option<RawSignIn>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "SignIn"))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawSignIn {
    /// The page to sign in: a path, or a URL.
    pub location: String,
    /// The query parameter that tells the page where to come back to.
    #[serde(default = "default_return_to_param")]
    pub return_to_param: String,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Csrf"))]
#[serde(deny_unknown_fields, default, expecting = "an object")]
pub struct RawCsrf {
    /// Origins of the site's own pages, whole: `https://app.example.com`, without a path or a wildcard.
    pub trusted_origins: Vec<String>,
    /// Let a request pass that has neither `Origin` nor `Sec-Fetch-Site`.
    pub insecure_allow_missing_origin: bool,
    /// Look at nothing.
    pub insecure_disable: bool,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Credential"))]
#[serde(rename_all = "snake_case")]
pub enum RawCredential {
    /// An opaque cookie, exchanged for a token.
    SessionCookie(RawSessionCookie),
    /// `Authorization: Bearer` sent by the client: verified, and forwarded.
    Bearer(RawBearer),
    /// A cookie that is the JWT itself: verified, no callout.
    TokenCookie(RawTokenCookie),
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "SessionCookie"))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawSessionCookie {
    /// The cookies' names; the first that is present counts.
    #[serde(default = "default_cookie_names")]
    pub names: Vec<String>,
    /// Cookies that are sent along with it.
    #[serde(default = "default_companions")]
    pub companions: Vec<String>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Bearer"))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawBearer {}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "TokenCookie"))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawTokenCookie {
    /// The cookies' names; the first that is present counts.
    pub names: Vec<String>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Exchange"))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawExchange {
    /// The Envoy cluster of the auth service.
    pub cluster: String,
    /// The `:authority` of the callout.
    pub authority: String,
    /// The `:path` of the callout; stock better-auth: `/api/auth/token`.
    pub path: String,
    /// `GET` or `POST`.
    #[serde(default = "default_method")]
    #[cfg_attr(feature = "cli", schemars(extend("enum" = ["GET", "POST"])))]
    pub method: String,
    /// For each attempt, up to `30s`.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// Further attempts after a failed connect, a reset or a 5xx, up to 5.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// Where the answer holds the token: a JSON pointer into the body, or a header's name.
    #[serde(default)]
    pub token: RawTokenSource,
    /// The statuses that are a definite "no".
    #[serde(default = "default_no_session_statuses")]
    pub no_session_statuses: BTreeSet<u16>,
    /// Fields of the client's request that are passed on.
    #[serde(default = "default_forward_headers")]
    pub forward_headers: Vec<String>,
    /// Fields added to every callout. Their values can be read in `/config_dump`.
    #[serde(default)]
    #[cfg_attr(feature = "cli", schemars(with = "BTreeMap<String, String>"))]
    pub headers: BTreeMap<String, HiddenString>,
    /// Exchanges under way at a time, per worker.
    #[serde(default = "default_max_in_flight")]
    pub max_in_flight: usize,
    /// The longest answer that is read.
    #[serde(default = "default_max_body_bytes")]
    pub max_body_bytes: usize,
    /// Whether the answer's `Set-Cookie` lines for the listed cookies reach the browser.
    #[serde(default = "default_relay_set_cookie")]
    pub relay_set_cookie: bool,
}

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "TokenSource"))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawTokenSource {
    /// A JSON pointer into the body, as in `/token`.
    pub json_pointer: Option<String>,
    /// A response header's name, in lower case.
    pub header: Option<String>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Cache"))]
#[serde(deny_unknown_fields, default, expecting = "an object")]
pub struct RawCache {
    /// How long a session is not asked about again: the bound on revocation lag.
    pub max_ttl: Span,
    /// Sessions remembered, per worker.
    pub max_entries: usize,
    /// Memory for them, per worker.
    pub max_bytes: usize,
    /// How long a definite "no" is remembered; `0s` turns it off.
    pub negative_ttl: Span,
    /// A hit this near its end is served and refreshed in the background. Unless written, a third of `max_ttl`, at most `10s`.
    pub refresh_ahead: Option<Span>,
    /// How long after `max_ttl` a session is still served while the auth service cannot be asked, never past the token's `exp`.
    pub stale_if_error: Span,
    /// Tokens that the workers of a process share; `0` turns the shared level off.
    pub shared_slots: usize,
    /// A successful request to one of them forgets its session on all workers.
    pub sign_out_paths: Vec<String>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Token"))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawToken {
    /// The one accepted `iss`.
    pub issuer: Option<String>,
    /// `aud` has to name one of them.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The ones allowed. Unless written, `HS256` with a secret, all of theirs with public keys.
    #[serde(default)]
    #[cfg_attr(feature = "cli", schemars(schema_with = "algorithms_schema"))]
    pub algorithms: Option<Vec<String>>,
    /// What tokens are verified with: one of `secret_env`, `local_jwks` and `jwks`.
    pub keys: RawKeys,
    /// How far clocks may differ, up to `5m`.
    #[serde(default = "default_leeway")]
    pub leeway: Span,
    /// Claims that must be there and not null.
    #[serde(default = "default_required_claims")]
    pub required_claims: Vec<String>,
    /// Accepted `typ`; a token without one is accepted.
    #[serde(default = "default_types")]
    pub types: Vec<String>,
    /// The longest from `iat` to `exp`.
    pub max_lifetime: Option<Span>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Keys"))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawKeys {
    /// The environment variable that holds the HMAC secret. List it under `host_env_keys`.
    pub secret_env: Option<String>,
    /// An endpoint that publishes a JWK set.
    pub jwks: Option<RawJwks>,
    /// The text of a JWK set with public keys.
    pub local_jwks: Option<String>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Jwks"))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawJwks {
    /// The Envoy cluster of the endpoint.
    pub cluster: String,
    /// The `:authority` of the request.
    pub authority: String,
    /// The `:path` of the request.
    pub path: String,
    /// How long a fetch may take.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// How old a set may get before it is fetched again; at least `1s`.
    #[serde(default = "default_refresh")]
    pub refresh: Span,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Route"))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawRoute {
    /// Which requests it is about.
    #[serde(rename = "match")]
    pub matched: RawMatch,
    /// Whether a credential is needed. Put quotes around `off`.
    #[serde(deserialize_with = "auth")]
    #[cfg_attr(feature = "cli", schemars(schema_with = "auth_schema"))]
    pub auth: Auth,
    /// On an `off` route: leave the client's `Authorization` in place.
    #[serde(default)]
    pub pass_authorization: bool,
    /// What a token has to have besides being valid; else 403.
    pub require: Option<RawRequire>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Require"))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawRequire {
    /// Each claim equals the value as a whole, or is an array that has it as a member.
    #[serde(default)]
    pub claims: BTreeMap<String, Value>,
    /// Each is granted by `scope`, `scp` or `permissions`.
    #[serde(default)]
    pub scopes: Vec<String>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Match"))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawMatch {
    /// This path and no other.
    pub path: Option<String>,
    /// This path and all below it.
    pub prefix: Option<String>,
    /// Only these methods, in upper case.
    #[serde(default)]
    pub methods: Vec<String>,
    /// A path with names in braces, each for one segment: `/users/{id}/posts`.
    pub template: Option<String>,
    /// Only requests to these hosts, in lower case and without port.
    #[serde(default)]
    pub hosts: Vec<String>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Upstream"))]
#[serde(deny_unknown_fields, default, expecting = "an object")]
pub struct RawUpstream {
    /// Take the listed cookies out before the backend sees the request.
    pub remove_session_cookie: bool,
    /// Fields set from claims: the name, and a JSON pointer into the claims. Never taken from clients.
    pub claim_headers: BTreeMap<String, String>,
    /// Further fields no client may send, as names or prefixes (`x-internal-*`).
    pub remove_headers: Vec<String>,
    /// `token`: close WebSocket, SSE and gRPC streams when their token ends.
    pub max_stream_age: Option<MaxStreamAge>,
}

/// How long a stream may last.
#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "MaxStreamAge"))]
#[serde(rename_all = "snake_case")]
pub enum MaxStreamAge {
    /// As long as the token it was let through with.
    Token,
}

/// A string that may be a secret: an error about it does not repeat it.
pub struct HiddenString(pub String);

impl<'de> Deserialize<'de> for HiddenString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("not a string; put quotes around it")),
        }
    }
}

/// `off` without quotes is the boolean `false` to the YAML parsers of Envoy and Kubernetes, so that is
/// what arrives when somebody writes it; `on` has no meaning here.
fn auth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Auth, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Bool(false) => Ok(Auth::Off),
        Value::String(text) if text == "off" => Ok(Auth::Off),
        Value::String(text) if text == "optional" => Ok(Auth::Optional),
        Value::String(text) if text == "required" => Ok(Auth::Required),
        other => Err(D::Error::custom(format_args!(r#"{other} is not one of "required", "optional" and "off""#))),
    }
}

#[cfg(feature = "cli")]
fn auth_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    // `off` without quotes is `false`, see `auth`.
    schemars::json_schema!({ "enum": ["required", "optional", "off", false] })
}

#[cfg(feature = "cli")]
fn algorithms_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    use crate::token::algorithm::Algorithm;
    let names: Vec<&str> = Algorithm::ALL.iter().map(|algorithm| algorithm.name()).chain(["Ed25519"]).collect();
    schemars::json_schema!({ "type": ["array", "null"], "items": { "enum": names } })
}
