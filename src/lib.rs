//! An Envoy proxy-wasm filter that turns a browser's session cookie into the bearer token a backend
//! wants.
//!
//! The rule, in order:
//!
//! 1. A request on an `off` route passes; its own `Authorization` is taken out unless the route says
//!    otherwise.
//! 2. A request whose session is remembered passes with `Authorization: Bearer` and that session's
//!    token, and without the session cookie.
//! 3. A request whose session is not remembered waits while the cookie is exchanged for a token at the
//!    auth service; one exchange serves all who wait for the same session.
//! 4. A token is believed once its signature and its claims hold, and only until its `exp`.
//! 5. Everything else is denied: 401 where the user has to sign in, 503 where the auth service could
//!    not be asked, 400 where the request can be read in two ways. A route that says `optional` lets
//!    the request pass without any `Authorization` instead of 401 and 503.
//!
//! The core decides and is pure: no host call, no clock, no randomness, no environment. The adapter in
//! `filter` does what it says and decides nothing. `docs/architecture.md` has the map and the
//! invariants.
//!
//! You will not find a sign-in here, nor a store of refresh tokens, nor a cache across machines.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
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

pub mod authenticator;
pub mod cache;
pub mod config;
pub mod cookie;
pub mod credential;
pub mod edits;
pub mod exchange;
pub mod field_value;
mod filter;
pub mod filter_state;
pub mod flight;
pub mod health;
pub mod identity;
pub mod json;
pub mod keys;
pub mod origin;
pub mod path;
pub mod reply;
pub mod request;
pub mod routes;
pub mod secret;
pub mod session;
pub mod set_cookie;
pub mod shared;
pub mod sign_in;
pub mod stats;
pub mod streams;
pub mod time;
pub mod token;
