//! Which keys there are, of which shape, and what holds where one is left out.
//!
//! Nothing here knows what a value means.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawConfig {
    #[serde(default)]
    pub credentials: Vec<RawCredential>,
    pub exchange: Option<RawExchange>,
    #[serde(default)]
    pub cache: RawCache,
    pub token: RawToken,
    #[serde(default)]
    pub routes: Vec<RawRoute>,
    #[serde(default)]
    pub upstream: RawUpstream,
    #[serde(default)]
    pub csrf: RawCsrf,
    #[serde(default)]
    pub unauthenticated: RawUnauthenticated,
    #[serde(default)]
    pub report_only: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
pub struct RawUnauthenticated {
    pub sign_in: Option<RawSignIn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawSignIn {
    pub location: String,
    #[serde(default = "default_return_to_param")]
    pub return_to_param: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
pub struct RawCsrf {
    pub trusted_origins: Vec<String>,
    pub insecure_allow_missing_origin: bool,
    pub insecure_disable: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawCredential {
    SessionCookie(RawSessionCookie),
    Bearer(RawBearer),
    TokenCookie(RawTokenCookie),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawSessionCookie {
    #[serde(default = "default_cookie_names")]
    pub names: Vec<String>,
    #[serde(default = "default_companions")]
    pub companions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawBearer {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawTokenCookie {
    pub names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawExchange {
    pub cluster: String,
    pub authority: String,
    pub path: String,
    #[serde(default = "default_method")]
    pub method: String,
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    #[serde(default = "default_retries")]
    pub retries: u32,
    #[serde(default)]
    pub token: RawTokenSource,
    #[serde(default = "default_no_session_statuses")]
    pub no_session_statuses: BTreeSet<u16>,
    #[serde(default = "default_forward_headers")]
    pub forward_headers: Vec<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, HiddenString>,
    #[serde(default = "default_max_in_flight")]
    pub max_in_flight: usize,
    #[serde(default = "default_max_body_bytes")]
    pub max_body_bytes: usize,
    #[serde(default = "default_relay_set_cookie")]
    pub relay_set_cookie: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawTokenSource {
    pub json_pointer: Option<String>,
    pub header: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
pub struct RawCache {
    pub max_ttl: Span,
    pub max_entries: usize,
    pub max_bytes: usize,
    pub negative_ttl: Span,
    pub refresh_ahead: Option<Span>,
    pub stale_if_error: Span,
    pub shared_slots: usize,
    pub sign_out_paths: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawToken {
    pub issuer: Option<String>,
    #[serde(default)]
    pub audiences: Vec<String>,
    pub algorithms: Option<Vec<String>>,
    pub keys: RawKeys,
    #[serde(default = "default_leeway")]
    pub leeway: Span,
    #[serde(default = "default_required_claims")]
    pub required_claims: Vec<String>,
    #[serde(default = "default_types")]
    pub types: Vec<String>,
    pub max_lifetime: Option<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawKeys {
    pub secret_env: Option<String>,
    pub jwks: Option<RawJwks>,
    pub local_jwks: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawJwks {
    pub cluster: String,
    pub authority: String,
    pub path: String,
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    #[serde(default = "default_refresh")]
    pub refresh: Span,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawRoute {
    #[serde(rename = "match")]
    pub matched: RawMatch,
    #[serde(deserialize_with = "auth")]
    pub auth: Auth,
    #[serde(default)]
    pub pass_authorization: bool,
    pub require: Option<RawRequire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawRequire {
    #[serde(default)]
    pub claims: BTreeMap<String, Value>,
    #[serde(default)]
    pub scopes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RawMatch {
    pub path: Option<String>,
    pub prefix: Option<String>,
    #[serde(default)]
    pub methods: Vec<String>,
    pub template: Option<String>,
    #[serde(default)]
    pub hosts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
pub struct RawUpstream {
    pub remove_session_cookie: bool,
    pub claim_headers: BTreeMap<String, String>,
    pub remove_headers: Vec<String>,
    pub max_stream_age: Option<MaxStreamAge>,
}

/// How long a stream may last.
#[derive(Deserialize)]
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

impl Default for RawCache {
    fn default() -> Self {
        Self {
            max_ttl: Span(Duration::from_secs(60)),
            max_entries: 10_000,
            max_bytes: 16 * 1024 * 1024,
            negative_ttl: Span(Duration::from_secs(5)),
            refresh_ahead: None,
            stale_if_error: Span(Duration::from_secs(300)),
            shared_slots: 4096,
            sign_out_paths: strings(&["/api/auth/sign-out"]),
        }
    }
}

impl Default for RawUpstream {
    fn default() -> Self {
        Self {
            remove_session_cookie: true,
            claim_headers: BTreeMap::new(),
            remove_headers: Vec::new(),
            max_stream_age: None,
        }
    }
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

fn default_cookie_names() -> Vec<String> {
    strings(&["__Host-better-auth.session_token", "__Secure-better-auth.session_token", "better-auth.session_token"])
}

fn default_companions() -> Vec<String> {
    strings(&["better-auth.dont_remember", "__Secure-better-auth.dont_remember"])
}

fn default_method() -> String {
    "GET".to_owned()
}

const fn default_timeout() -> Span {
    Span(Duration::from_secs(2))
}

const fn default_retries() -> u32 {
    1
}

fn default_no_session_statuses() -> BTreeSet<u16> {
    BTreeSet::from([401, 403])
}

fn default_forward_headers() -> Vec<String> {
    strings(&["user-agent", "x-request-id", "traceparent", "tracestate", "b3"])
}

fn default_return_to_param() -> String {
    "return_to".to_owned()
}

const fn default_max_in_flight() -> usize {
    256
}

const fn default_max_body_bytes() -> usize {
    65_536
}

const fn default_relay_set_cookie() -> bool {
    true
}

const fn default_refresh() -> Span {
    Span(Duration::from_secs(600))
}

const fn default_leeway() -> Span {
    Span(Duration::from_secs(30))
}

fn default_required_claims() -> Vec<String> {
    strings(&["sub"])
}

fn default_types() -> Vec<String> {
    strings(&["JWT", "at+jwt"])
}
